import errno
import json
import os
import threading

import pytest

from dataset_builder.building.identity import fingerprint
from dataset_builder.building.work_folder import at_work, discard, last_world_size, start, stops_in_a_line
from dataset_builder.recipe import BuildRecipe
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.identities import build_identity


def recipe(base, **changes):
    return BuildRecipe.from_mapping({"name": "x", "sources": [{"kind": "folder", "path": "in"}], **changes}, base=base)


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.png").write_bytes(b"123")
    return tmp_path


def test_an_identity_does_not_depend_on_where_the_inputs_lie(inputs, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (inputs / "in").rename(elsewhere / "in")
    moved = build_identity(recipe(elsewhere), elsewhere / "out")
    (elsewhere / "in").rename(inputs / "in")
    assert build_identity(recipe(inputs), inputs / "out") == moved
    assert json.loads(json.dumps(moved)) == moved


def test_a_new_longer_or_renamed_file_changes_it_and_a_recipe_change_too(inputs):
    seen = {fingerprint(build_identity(recipe(inputs), inputs / "out"))}
    (inputs / "in" / "b.png").write_bytes(b"1")
    seen.add(fingerprint(build_identity(recipe(inputs), inputs / "out")))
    (inputs / "in" / "b.png").write_bytes(b"12")
    seen.add(fingerprint(build_identity(recipe(inputs), inputs / "out")))
    (inputs / "in" / "b.png").rename(inputs / "in" / "c.png")
    seen.add(fingerprint(build_identity(recipe(inputs), inputs / "out")))
    seen.add(fingerprint(build_identity(recipe(inputs, max_shard_bytes=7), inputs / "out")))
    assert len(seen) == 5


def test_hidden_files_byte_code_and_the_output_are_no_inputs(inputs):
    before = build_identity(recipe(inputs), inputs / "in" / "out")
    for name in (".lock", "__pycache__/a.pyc", "out/data/train.parquet"):
        (inputs / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (inputs / "in" / name).write_bytes(b"1")
    assert build_identity(recipe(inputs), inputs / "in" / "out") == before


def test_an_unfinished_build_continues_only_as_itself(inputs):
    out = inputs / "out"
    identity = build_identity(recipe(inputs), out)
    start(out, out / ".work", identity)
    start(out, out / ".work", identity)
    with pytest.raises(InputError, match='recipe: name changed .was "x", is "y".; code changed; delete it'):
        start(out, out / ".work", {**build_identity(recipe(inputs, name="y"), out), "code": "other"})


def test_what_was_read_is_kept_where_only_what_comes_after_changes(inputs):
    out = inputs / "out"
    start(out, out / ".work", build_identity(recipe(inputs), out))
    now = build_identity(recipe(inputs, name="y", splits={"by": "hash", "test": 3}, groups={"radius": 2}), out)
    start(out, out / ".work", now)
    assert json.loads((out / ".work" / "identity.json").read_text()) == json.loads(json.dumps(now))
    (out / "data").mkdir()
    (out / "data" / "train-00000-of-00001.parquet").touch()  # written by these groups: too late
    with pytest.raises(InputError, match="recipe: groups changed"):
        start(out, out / ".work", build_identity(recipe(inputs, name="y"), out))


def test_what_differs_is_named_part_by_part(inputs):
    out = inputs / "out"
    before = recipe(inputs, groups={"radius": 2}, splits={"by": "hash", "test": 0.1})
    start(out, out / ".work", build_identity(before, out))
    now = recipe(inputs, groups={"radius": 3}, splits={"by": "hash", "test": 0.2}, max_shard_bytes=7)
    now = build_identity(now, out)
    now["versions"] = now["versions"] | {"numpy": "0.1"}
    with pytest.raises(InputError) as refused:
        start(out, out / ".work", now)
    for part in (
        "recipe: groups changed (radius was 2, is 3); ",
        "recipe: max_shard_bytes changed (was 500000000, is 7); ",
        "recipe: splits changed (test was 0.1, is 0.2); ",
        "versions changed (numpy was ",
        "delete it, or choose another output folder",
    ):
        assert part in str(refused.value)
    assert "inputs" not in str(refused.value) and "code" not in str(refused.value)


def test_processes_that_start_at_once_end_with_one_work_folder(inputs):
    out, identity = inputs / "out", build_identity(recipe(inputs), inputs / "out")
    barrier, made, errors = threading.Barrier(8), [], []

    def begin(number):
        def prepare(folder):
            (folder / "plan").write_text(str(number))
            made.append(number)
            meet.wait(5)  # all have prepared before one renames

        try:
            barrier.wait(5)
            start(out, out / ".work", identity, prepare)
        except Exception as error:  # noqa: BLE001 - whatever a thread dies of is the failure
            errors.append(error)

    meet = threading.Barrier(8)
    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(made) == 8
    assert os.listdir(out) == [".work"]
    assert sorted(os.listdir(out / ".work")) == ["identity.json", "plan"]


def test_a_plan_that_fails_leaves_nothing(inputs):
    def prepare(folder):
        raise InputError("nothing to read")

    with pytest.raises(InputError, match="nothing to read"):
        start(inputs / "out", inputs / "out" / ".work", build_identity(recipe(inputs), inputs / "out"), prepare)
    assert not (inputs / "out").exists()


def test_discarding_takes_killed_plans_along_and_nothing_else(tmp_path):
    for name in (".work/read", ".work-1234/read", "data"):
        (tmp_path / name).mkdir(parents=True)
    discard(tmp_path / ".work")
    discard(tmp_path / ".work")
    assert os.listdir(tmp_path) == ["data"]


def test_one_process_a_rank_and_one_world_size_at_a_time(tmp_path):
    work = tmp_path / ".work"
    work.mkdir()
    with at_work(work, 0, 4), at_work(work, 3, 4):
        with pytest.raises(InputError, match=f"rank 3 is running already in {tmp_path}"), at_work(work, 3, 4):
            pass
        with pytest.raises(InputError, match="processes with a world size of 4 are running"), at_work(work, 0, 1):
            pass
    with at_work(work, 0, 2), at_work(work, 1, 2):
        assert last_world_size(work) == 2
    with at_work(work):
        assert last_world_size(work) == 2
    with at_work(work, 3, 4):
        assert last_world_size(work) == 4


def test_only_what_keeps_a_build_from_writing_becomes_its_error(tmp_path):
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        with pytest.raises(InputError, match=f"stopped: .* make room for {tmp_path}, then"), stops_in_a_line(tmp_path):
            raise OSError(code, "no")
    with pytest.raises(InputError, match="writable"), stops_in_a_line(tmp_path):
        raise PermissionError(errno.EACCES, "no", str(tmp_path / "data"))
    with pytest.raises(PermissionError), stops_in_a_line(tmp_path / "out"):
        raise PermissionError(errno.EACCES, "no", str(tmp_path / "inputs"))
    with pytest.raises(FileNotFoundError), stops_in_a_line(tmp_path):
        (tmp_path / "none").read_text()
