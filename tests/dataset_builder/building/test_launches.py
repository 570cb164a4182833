"""One build, launched in different ways: the bytes are the same."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dataset_builder.engine.tasks import Launch
from dataset_builder.pipeline import build
from dataset_builder.sources.repository import RepositorySource
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.tile_repository import digests, recipe_of, write_source

FINISH = Launch(finish=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = write_source(tmp_path_factory.mktemp("source"))
    given = {key: value for key, value in recipe_of(root).echo().items() if value is not None}
    (root / "recipe.yaml").write_text(yaml.safe_dump(given))
    return root


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "dataset"
    build(recipe_of(source), out, workers=1)
    return digests(out)


def asked_again(source):
    raise AssertionError("the plan is on disk")


def test_ranks_give_the_same_bytes_and_the_finish_names_those_that_are_missing(
    source, whole, tmp_path, caplog, monkeypatch
):
    out, recipe = tmp_path / "out", recipe_of(source)
    with pytest.raises(InputError, match="nothing was read for .* yet; build with --rank and --world-size first"):
        build(recipe, out, 1, FINISH)
    assert not out.exists()
    for rank in (3, 0):
        assert build(recipe, out, 1, Launch(rank=rank, world_size=4)) is None
        monkeypatch.setattr(RepositorySource, "shards", asked_again)
    # 8 shards: of ranks 1 and 2 are 1, 5 and 2, 6.
    with pytest.raises(InputError, match="4 of 8 shards of .* are not read yet, of ranks 1, 2 in a world of 4"):
        build(recipe, out, 1, FINISH)
    with pytest.raises(InputError, match="recipe: filters changed"):
        build(recipe_of(source, filters={}), out, 1, Launch(rank=1, world_size=4))
    for rank in (1, 2):
        build(recipe, out, 1, Launch(rank=rank, world_size=4))
    with caplog.at_level(logging.INFO):
        build(recipe, out, 1, FINISH)
    assert "reading: 8 of 8 were finished before" in caplog.text
    assert digests(out) == whole
    assert build(recipe, out, 1, Launch(rank=1, world_size=4)) == build(recipe, out, 1, FINISH)  # nothing to do


def command(source, out, *options):
    arguments = [sys.executable, "-m", "fusionrs_hf.cli", "build", source / "recipe.yaml", out, *options]
    return subprocess.Popen(list(map(str, arguments)), stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.every_change
def test_ranks_that_start_at_the_same_moment_share_one_plan(source, whole, tmp_path):
    out = tmp_path / "deep" / "out"
    ranks = [command(source, out, "--rank", rank, "--world-size", 3, "--workers", 1) for rank in range(3)]
    errors = [process.communicate()[1] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0, 0], errors
    end = command(source, out, "--finish", "--workers", 2)
    assert end.communicate() and end.returncode == 0
    assert digests(out) == whole


@pytest.mark.slow
@pytest.mark.every_change
def test_four_workers_give_the_bytes_of_one(source, whole, tmp_path):
    build(recipe_of(source), tmp_path / "out", workers=4)
    assert digests(tmp_path / "out") == whole


@pytest.mark.slow
def test_ray_gives_the_bytes_of_one_process_after_a_kill_too(source, whole, tmp_path):
    pytest.importorskip("ray")
    out = tmp_path / "out"
    build(recipe_of(source), out, 1, Launch(rank=0, world_size=3))
    done = command(source, out, "--engine", "ray", "--workers", 2)
    _, errors = done.communicate()
    assert done.returncode == 0, errors
    assert "reading: 3 of 8 were finished before" in errors
    assert digests(out) == whole


def test_options_that_exclude_each_other_are_one_line(source, tmp_path):
    process = command(source, tmp_path / "out", "--rank", 1)
    assert "error: rank and world size go together" in process.communicate()[1].splitlines()[-1]
    assert process.returncode == 2


def test_timings_and_relative_paths_are_no_part_of_the_output(source, whole, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "timings.json"
    with caplog.at_level(logging.INFO):
        report = build(recipe_of(Path(os.path.relpath(source))), "out", 1, timings_file=file)
    assert digests(tmp_path / "out") == whole
    found = json.loads(file.read_text())
    assert found["rows"] == report.rows_read
    assert list(found["seconds"]) == ["merge", "plan", "read", "report", "write"]
    stages = set(found["worker_ms_per_row"])
    assert stages == {
        "source",
        "decode",
        "translate",
        "require_infrared",
        "filter",
        "add_hashes",
        "caption",
        "leaveout",
        "write",
    }
    # The stages are all there is to reading, so they add up to it, but for the engine's own work.
    spent = sum(found["worker_ms_per_row"].values()) * found["rows"] / 1000
    assert 0.5 * found["seconds"]["read"] < spent <= found["seconds"]["read"] + 0.01
    assert found["bytes"]["work"] > found["bytes"]["written"] / 2 > 0
    assert f"{found['rows']} rows; seconds: plan " in caplog.text
