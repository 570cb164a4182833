import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_builder.building.merging import merge
from dataset_builder.building.reading import add_caption_keys
from dataset_builder.building.work_files import WORK_SCHEMA, work_file
from dataset_builder.groups.keys import caption_digest
from dataset_builder.recipe import BuildRecipe
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.work_rows import work_row, write_work


def recipe_of(base=None, **given):
    return BuildRecipe.from_mapping({"name": "made", "sources": [{}], **given}, **({"base": base} if base else {}))


def plans(folder, merged):
    """Planned rows of each output."""
    return {name: pq.read_table(folder / "plan" / name).to_pylist() for name in merged.outputs}


def places(rows):
    return [(("kept", "left")[row["kind"]], row["shard"], row["row"]) for row in rows]


@pytest.fixture
def work(tmp_path):
    """Three shards; "twice" is kept in two of them, "b" and "d" share an image across two prescribed splits."""
    shared = b"s" * 32
    write_work(
        tmp_path,
        (
            [work_row("a", _split="train"), work_row("b", _split="train", _rgb_sha256=shared)],
            [work_row("x", reason="bad")],
        ),
        ([], [work_row("y", reason="worse"), work_row("z", reason="bad")]),
        (
            [work_row("twice", _split="test"), work_row("d", _split="test", _rgb_sha256=shared), work_row("twice")],
            [work_row("twice", reason="bad")],
        ),
    )
    return tmp_path


def test_every_row_is_planned_once_with_its_groups_or_its_reason(work):
    merged = merge(work, 3, recipe_of())
    found = plans(work, merged)
    assert list(found) == [
        "data/train-00000-of-00001.parquet",
        "data/test-00000-of-00001.parquet",
        "quarantine/rows-00000-of-00001.parquet",
    ]
    train, test, gone = found.values()
    assert places(train) == [("kept", 0, 0)]
    assert places(test) == [("kept", 2, 0), ("kept", 2, 1)]
    assert [(*place, row["reason"]) for place, row in zip(places(gone), gone)] == [
        ("kept", 0, 1, "split_group"),
        ("left", 0, 0, "bad"),
        ("left", 1, 0, "worse"),
        ("left", 1, 1, "bad"),
        ("kept", 2, 2, "duplicate_sample_id"),
        ("left", 2, 0, "bad"),
    ]
    assert gone[0]["joint_group_id"] == test[1]["joint_group_id"] != test[0]["joint_group_id"]
    assert [row["is_eval_representative"] for row in (*train, *test, gone[0])] == [False, True, True, False]
    assert {row[name] for row in gone[1:] for name in ("joint_group_id", "is_eval_representative")} == {None}
    assert merged.kept == 3
    assert merged.reasons == {"split_group": 1, "duplicate_sample_id": 1}
    assert (merged.groups["image_groups"], merged.groups["joint_groups"]) == (3, 3)
    assert merged.groups["largest"][0] | {"share": 0.5} == merged.groups["largest"][0]
    assert merged.splits["sources"] == {"made": {"train": 1, "validation": 0, "test": 2}}
    assert sorted(path.name for path in work.iterdir()) == ["kept", "left", "plan"]


def test_outputs_are_cut_by_the_bytes_of_their_images(work):
    merged = merge(work, 3, recipe_of(max_shard_bytes=250))
    assert {name: len(rows) for name, rows in plans(work, merged).items()} == {
        "data/train-00000-of-00001.parquet": 1,
        "data/test-00000-of-00001.parquet": 2,
        **{f"quarantine/rows-0000{number}-of-00003.parquet": 2 for number in range(3)},
    }


def test_only_what_the_relations_need_is_compared(work):
    merged = merge(work, 3, recipe_of(groups={"relations": ["caption"]}))
    assert (merged.kept, merged.groups["joint_groups"]) == (4, 4)
    merged = merge(work, 3, recipe_of(groups={"relations": []}))
    assert merged.groups["image_groups"] == 4


def test_captions_join_by_their_keys(tmp_path):
    rows = [
        work_row("a", _caption_keys=[b"k" * 16, b"l" * 16]),
        work_row("b", _caption_keys=[b"l" * 16]),
        work_row("c"),
    ]
    merged = merge(tmp_path, write_work(tmp_path, (rows, [])), recipe_of())
    assert (merged.groups["image_groups"], merged.groups["joint_groups"]) == (3, 2)


def test_caption_keys_are_of_the_captions_that_may_join():
    batch = {
        "captions": [["A road.", "a  ROAD", "water", "..."], [], None],
        "caption_origin": [["source", "model", "rule", "hand"], [], None],
    }
    keys = add_caption_keys(batch)["_caption_keys"]
    assert keys == [[caption_digest("a road")] * 2, [], []]


def test_no_kept_rows_are_planned_as_none(tmp_path):
    merged = merge(tmp_path, write_work(tmp_path, ([], [work_row("x", reason="bad")]), ([], [])), recipe_of())
    assert (merged.kept, merged.reasons, len(merged.outputs)) == (0, {}, 1)


def test_listed_rows_are_forced_into_train(work):
    (work / "seen.txt").write_text("twice\n\nx\n")  # x left before, and is known all the same
    merged = merge(work, 3, recipe_of(work, splits={"by": "hash", "test": 0.9, "force_train": "seen.txt"}))
    train = plans(work, merged)["data/train-00000-of-00001.parquet"]
    assert ("kept", 2, 0) in places(train)
    assert merged.splits["forced"] == {"rows": 1, "groups": 1, "group_rows": 1}
    assert merged.splits["left"]["split_forced_train"] == 0
    merged = merge(work, 3, recipe_of(work, splits={"force_train": "seen.txt"}))
    assert merged.reasons["split_forced_train"] == 1  # its source holds it out


def test_rows_are_forced_by_their_source_and_by_the_list(tmp_path):
    rows = [work_row("a", _force_train=True), work_row("b", _force_train=False), work_row("c")]
    shards = write_work(tmp_path, (rows, []))
    (tmp_path / "seen.txt").write_text("c\n")
    policy = {"by": "hash", "test": 2, "validation": 0, "force_train": "seen.txt"}
    merged = merge(tmp_path, shards, recipe_of(tmp_path, splits=policy))
    assert places(plans(tmp_path, merged)["data/test-00000-of-00001.parquet"]) == [("kept", 0, 1)]
    assert merged.splits["forced"]["rows"] == 2


def test_listed_rows_that_there_are_not_are_named(work):
    (work / "seen.txt").write_text("".join(f"{name}\n" for name in ("a", "q4", "q1", "q3", "q2")))
    with pytest.raises(
        InputError, match=r"seen.txt names 4 of 5 sample ids that no source has \(q1, q2, q3, \.\.\.\)"
    ):
        merge(work, 3, recipe_of(work, splits={"force_train": "seen.txt"}))
    with pytest.raises(InputError, match="force_train none.txt cannot be read .*give a file of ids"):
        merge(work, 3, recipe_of(work, splits={"force_train": "none.txt"}))


def test_the_outcome_does_not_depend_on_how_rows_lie_in_shards(tmp_path):
    rows = [work_row(f"r{number:03d}", _caption_keys=[bytes([number % 37]) * 16]) for number in range(300)]
    wanted = recipe_of(splits={"by": "hash", "validation": 30, "test": 31})
    found = []
    for name, size in (("one", 300), ("many", 43)):
        shards = write_work(tmp_path / name, *((rows[at : at + size], []) for at in range(0, 300, size)))
        merged = merge(tmp_path / name, shards, wanted)
        ids = {
            output: [
                (size * row["shard"] + row["row"], row["joint_group_id"], row["is_eval_representative"])
                for row in planned
            ]
            for output, planned in plans(tmp_path / name, merged).items()
        }
        found.append((ids, merged.splits, merged.groups))
    assert found[0] == found[1]


def digits(rng, count, size):
    """Random hashes of `size` bytes as hex strings."""
    text, width = rng.bytes(count * size).hex().encode(), 2 * size
    ends = np.arange(count + 1, dtype=np.int32) * width
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(ends), pa.py_buffer(text)])


def digests(rng, count, size):
    return pa.Array.from_buffers(pa.binary(size), count, [None, pa.py_buffer(rng.bytes(count * size))])


def write_many(folder, shards, size):
    """Work files of rows of which no two share a thing; most columns are null, as the merge reads none of them."""
    rng = np.random.default_rng(0)
    for shard in range(shards):
        names = [f"corpus/{shard:05d}/{row:012d}.jpg" for row in range(size)]
        offsets = pa.array(np.arange(size + 1), pa.int32())
        known = {
            "sample_id": pa.array(names),
            "source_locator": pa.array(names),
            "source_dataset": pa.array(["corpus"] * size),
            "ir_band": pa.array(["nir"] * size),
            "ir_origin": pa.array(["translated"] * size),
            **{name: digits(rng, size, 8) for name in ("rgb_phash", "ir_phash")},
            **{name: digests(rng, size, 32) for name in ("_rgb_sha256", "_ir_sha256")},
            "_caption_keys": pa.ListArray.from_arrays(offsets, digests(rng, size, 16)),
            "_bytes": pa.array([40_000] * size),
        }
        table = pa.table({item.name: known.get(item.name, pa.nulls(size, item.type)) for item in WORK_SCHEMA})
        for kind, rows in (("kept", table), ("left", table.slice(0, 0))):
            path = work_file(folder, kind, shard)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows.cast(WORK_SCHEMA), path, row_group_size=100)


@pytest.mark.slow
def test_a_million_rows_merge_in_a_few_hundred_bytes_a_row(tmp_path):
    shards, size = 100, 10_000
    write_many(tmp_path, shards, size)
    script = f"""
        import resource
        from pathlib import Path
        from dataset_builder.building.merging import merge
        from dataset_builder.recipe import BuildRecipe
        recipe = BuildRecipe.from_mapping({{"name": "x", "sources": [{{}}], "splits": {{"test": 10_000}}}})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        merged = merge(Path({str(tmp_path)!r}), {shards}, recipe)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(merged.kept, merged.splits["targets"]["test"]["rows"], (peak - before) * 1024 / merged.kept)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    kept, test, bytes_a_row = map(float, done.stdout.split())
    assert (kept, test) == (shards * size, 10_000)
    assert bytes_a_row < 550, bytes_a_row
