import json
import os
import subprocess
import sys

import pytest

from dataset_builder.building import work_folder
from dataset_builder.building.work_folder import WORK, at_work, last_world_size, start
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_lock import FolderInUseError
from fusionrs_hf.folder_manifest import read_manifest
from fusionrs_hf.output_folder import writing
from tests.dataset_builder.made.identities import build_identity, recipe


def begin(out, identity, prepare=lambda work: ()):
    with writing(out, "build") as output:
        start(output, identity, prepare)


def test_an_unfinished_build_continues_only_as_itself(inputs):
    out = inputs / "out"
    identity = build_identity(recipe(inputs), out)
    begin(out, identity)
    begin(out, identity)
    with pytest.raises(InputError, match='recipe: name changed .was "x", is "y".; code changed; delete it'):
        begin(out, {**build_identity(recipe(inputs, name="y"), out), "code": "other"})


def test_what_was_read_is_kept_where_only_what_comes_after_changes(inputs):
    out = inputs / "out"
    begin(out, build_identity(recipe(inputs), out))
    now = build_identity(recipe(inputs, name="y", splits={"by": "hash", "test": 3}, groups={"radius": 2}), out)
    plan = ["data/test-00000-of-00001.parquet", f"{WORK}/plan/data/test-00000-of-00001.parquet"]
    with writing(out, "build") as output:  # by the former groups: planned, not yet written
        output.claim(plan)
    begin(out, now)
    assert json.loads((out / WORK / "identity.json").read_text()) == json.loads(json.dumps(now))
    assert not {*plan} & {*read_manifest(out).files}
    with writing(out, "build") as output:
        output.claim(["data/train-00000-of-00001.parquet"])
        (out / "data").mkdir()
        (out / "data" / "train-00000-of-00001.parquet").touch()  # written by these groups: too late
    with pytest.raises(InputError, match="recipe: groups changed"):
        begin(out, build_identity(recipe(inputs, name="y"), out))


def test_what_differs_is_named_part_by_part(inputs):
    out = inputs / "out"
    before = recipe(inputs, groups={"radius": 2}, splits={"by": "hash", "test": 0.1})
    begin(out, build_identity(before, out))
    now = recipe(inputs, groups={"radius": 3}, splits={"by": "hash", "test": 0.2}, max_shard_bytes=7)
    now = build_identity(now, out)
    now["versions"] = now["versions"] | {"numpy": "0.1"}
    with pytest.raises(InputError) as refused:
        begin(out, now)
    for part in (
        "recipe: groups changed (radius was 2, is 3); ",
        "recipe: max_shard_bytes changed (was 500000000, is 7); ",
        "recipe: splits changed (test was 0.1, is 0.2); ",
        "versions changed (numpy was ",
        "delete it, or choose another output folder",
    ):
        assert part in str(refused.value)
    assert "inputs" not in str(refused.value) and "code" not in str(refused.value)


def test_a_plan_that_fails_leaves_nothing(inputs):
    def prepare(work):
        (work / "tasks.jsonl").write_text("")
        raise InputError("nothing to read")

    def plan(output):
        start(output, build_identity(recipe(inputs), inputs / "out"), prepare, files=["tasks.jsonl"])

    for rank in (None, 0):
        (inputs / "out").mkdir()
        (inputs / "out" / WORK).mkdir()
        (inputs / "out" / WORK).rmdir()
        with pytest.raises(InputError, match="nothing to read"), at_work(inputs / "out", plan, rank, 2):
            pass
        assert os.listdir(inputs / "out") == []
        (inputs / "out").rmdir()


RANK = """
import json, sys
from pathlib import Path
from dataset_builder.building.work_folder import at_work, start
out, rank, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
def begin(output):
    start(output or out, {"recipe": {}, "inputs": [], "code": "", "versions": {}}, lambda work: [f"plan-of-{rank}"])
try:
    with at_work(out, begin, rank, size):
        print("held", flush=True)
        sys.stdin.read()
except Exception as error:
    print(f"{type(error).__name__}: {error}", flush=True)
"""


@pytest.fixture
def ranks(tmp_path):
    """Starts ranks that stay until they are let go; gives what starts one."""
    running = []

    def start_rank(rank, size):
        command = [sys.executable, "-c", RANK, tmp_path / "out", str(rank), str(size)]
        running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start_rank
    for process in running:
        process.kill()
        process.communicate()


def test_ranks_that_start_at_once_share_one_plan_and_keep_all_others_out(ranks, tmp_path):
    processes = [ranks(rank, 4) for rank in range(4)]
    assert [process.stdout.readline() for process in processes] == ["held\n"] * 4
    plans = [name for name in read_manifest(tmp_path / "out").files if "plan-of" in name]
    assert len(plans) == 1
    with pytest.raises(FolderInUseError, match=r"is in use by .*process \d+ on "), writing(tmp_path / "out", "build"):
        pass
    with pytest.raises(FolderInUseError), at_work(tmp_path / "out", lambda output: None):
        pass
    assert "rank 3 is running already" in ranks(3, 4).stdout.readline()
    assert "processes with a world size of 4 are running" in ranks(0, 2).stdout.readline()
    for process in processes[1:]:
        process.kill()
        process.wait()
    assert ranks(3, 4).stdout.readline() == "held\n"


def test_a_rank_does_not_start_beside_a_build_of_one_process(inputs, monkeypatch):
    monkeypatch.setattr(work_folder, "PATIENCE_S", 0.1)
    out, identity = inputs / "out", build_identity(recipe(inputs), inputs / "out")

    def plan(output):
        start(output or out, identity)

    with (
        at_work(out, plan),
        pytest.raises(FolderInUseError, match=f"is in use by .*process {os.getpid()} on .*; wait until it has ended"),
        at_work(out, plan, 0, 2),
    ):
        pass


def test_one_world_size_at_a_time(inputs):
    out, identity = inputs / "out", build_identity(recipe(inputs), inputs / "out")

    def plan(output):
        start(output or out, identity)

    for size, rank in ((4, 3), (2, 1)):
        with at_work(out, plan, rank, size):
            assert last_world_size(out / WORK) == size
    with at_work(out, plan):
        assert last_world_size(out / WORK) == 2
    listed = {name for name in read_manifest(out).files if name.startswith(f"{WORK}/rank-")}
    assert {f"{WORK}/{path.name}" for path in (out / WORK).glob("rank-*")} <= listed
