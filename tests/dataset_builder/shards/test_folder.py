"""What is not whole is read by nobody: a build that runs or was stopped, and rows that are still to leave."""

import json
import shutil

import pytest

from dataset_builder.audit.verb import audit_dataset
from dataset_builder.caption_check import check_captions
from dataset_builder.recaption import caption_dataset
from dataset_builder.search.rows import Rows, describe_rows
from dataset_builder.shards.folder import check_finished, open_dataset
from dataset_builder.sources.repository import RepositorySource
from fusionrs_hf.errors import InputError
from tests.made import tiny_dataset
from training.data.pairs import load_pairs
from training.data.streaming import read_facts

READERS = {
    "audit": lambda folder, out: audit_dataset(folder, workers=1),
    "caption": lambda folder, out: caption_dataset(folder, out, workers=1),
    "check": lambda folder, out: check_captions(folder, workers=1),
    "embed": lambda folder, out: Rows(describe_rows(str(folder), ["train"], {})),
    "train": lambda folder, out: load_pairs(str(folder), "train"),
    "stream": lambda folder, out: read_facts(str(folder), "sensor"),
    "build": lambda folder, out: RepositorySource(folder),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_dataset.write(tmp_path_factory.mktemp("whole") / "dataset")


@pytest.mark.parametrize("reader", READERS)
def test_an_unfinished_build_is_refused_with_what_finishes_it(whole, tmp_path, reader):
    folder = shutil.copytree(whole, tmp_path / "dataset")
    (folder / ".work").mkdir()
    (folder / ".work" / "identity.json").write_text("{}")
    with pytest.raises(InputError, match="is not finished: .* run the same command again to finish it"):
        READERS[reader](folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("reader", READERS)
def test_a_pending_removal_is_refused_with_what_ends_it(whole, tmp_path, reader):
    folder = shutil.copytree(whole, tmp_path / "dataset")
    (folder / ".removal").mkdir()
    (folder / ".removal" / "plan.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match="holds a removal that was interrupted; run the same `--remove` again"):
        READERS[reader](folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("report", ["build_report.json", "caption_report.json"])
def test_what_its_report_says_is_whole_is_read_with_what_is_kept_beside(whole, tmp_path, report):
    """Captions with rows that got no answer keep their work folder, to ask again."""
    folder = shutil.copytree(whole, tmp_path / "dataset")
    (folder / ".work").mkdir()
    (folder / ".work" / "identity.json").write_text("{}")
    (folder / report).write_text("{}")
    check_finished(folder)
    assert open_dataset(folder) == folder
