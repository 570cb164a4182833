"""What is not whole is read by nobody: a build that runs or was stopped, and rows that are still to leave."""

import shutil
from dataclasses import asdict

import pytest

from dataset_builder import caption_check, recaption
from dataset_builder.audit import verb as audit_verb
from dataset_builder.audit.verb import audit_dataset
from dataset_builder.caption_check import check_captions
from dataset_builder.recaption import caption_dataset
from dataset_builder.search.rows import Rows, describe_rows
from dataset_builder.shards.opening import open_dataset
from dataset_builder.sources.repository import RepositorySource
from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_lock import FolderInUseError
from fusionrs_hf.folder_manifest import MANIFEST, Manifest
from fusionrs_hf.output_folder import writing
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


def unfinish(folder, manifest):
    write_json(folder / MANIFEST, asdict(manifest))
    return folder


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "manifest",
    [
        Manifest("build", "fusionrs build r.yaml D"),
        Manifest("build", "fusionrs build D --remove ids.txt", changes="build --remove"),
    ],
    ids=["build", "removal"],
)
def test_what_is_not_finished_is_refused_with_the_command_that_finishes_it(whole, tmp_path, reader, manifest):
    folder = unfinish(shutil.copytree(whole, tmp_path / "dataset"), manifest)
    with pytest.raises(InputError, match=f"is not finished: .*; finish it with: {manifest.command}$"):
        READERS[reader](folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("reader", ["audit", "caption", "check"])
def test_readers_keep_writers_out(whole, tmp_path, reader, monkeypatch):
    folder, tried = shutil.copytree(whole, tmp_path / "dataset"), []
    unfinish(folder, Manifest("build", finished=True, files=["data/train-00000-of-00001.parquet"]))
    module, name = {
        "audit": (audit_verb, "open_other"),
        "caption": (recaption, "run_shards"),
        "check": (caption_check, "run_shards"),
    }[reader]

    def write(*arguments, **options):
        with pytest.raises(FolderInUseError, match="is in use by .*process"), writing(folder, "build"):
            pass
        tried.append(reader)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, write)
    options = {"against": [whole]} if reader == "audit" else {}
    call = {"audit": audit_dataset, "caption": caption_dataset, "check": check_captions}[reader]
    with pytest.raises(KeyboardInterrupt):
        call(folder, *([tmp_path / "out"] if reader == "caption" else []), workers=1, **options)
    assert tried == [reader]
    with writing(folder, "build"):
        pass


def test_a_folder_that_says_nothing_of_itself_is_read(whole):
    with open_dataset(whole) as folder:
        assert folder == whole
