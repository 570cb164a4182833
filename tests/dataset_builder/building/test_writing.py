import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from dataset_builder.building import writing
from dataset_builder.building.merging import merge
from dataset_builder.building.writing import WriteWorker
from dataset_builder.recipe import BuildRecipe
from dataset_builder.shards.counts import COUNTED, FACTS, Counts, add_sizes, new_sizes, total_counts
from dataset_builder.shards.layout import DATA_SCHEMA
from tests.dataset_builder.made.work_rows import work_row, write_work

RECIPE = BuildRecipe.from_mapping({"name": "made", "sources": [{}], "splits": {"validation": 0, "test": 100}})


def varied(number):
    rng = np.random.default_rng(number)
    captions = int(rng.integers(3))
    return work_row(
        f"row{number:03d}",
        source_dataset=str(rng.choice(["one", "two"])),
        ir_origin=str(rng.choice(["sensor", "translated"])),
        ir_band=[None, "nir", "lwir"][rng.integers(3)],
        captions=["a", "b"][:captions],
        caption_origin=["hand", "rule"][:captions],
        ir_captions=["dark"] * int(rng.integers(2)),
        sensor=[None, "S-1"][rng.integers(2)],
        gsd_m=[None, 10.0, 0.3][rng.integers(3)],
        acquired_at=[None, "", "2021-05-01", "2023-01-01T00:00:00Z"][rng.integers(4)],
        _caption_keys=[bytes([number % 50]) * 16],
    )


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Merged work files of 450 rows kept, in row groups of 100, and 50 left before."""
    folder = tmp_path_factory.mktemp("work")
    rows = [varied(number) for number in range(450)]
    left = [work_row(f"left{number}", reason="bad") for number in range(50)]
    merged = merge(folder, write_work(folder, (rows[:320], left[:20]), (rows[320:], left[20:])), RECIPE)
    return folder, merged, {row["sample_id"]: row for row in rows + left}


@pytest.fixture(scope="module")
def written(work, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    worker = WriteWorker(work[0], out)
    return out, [json.loads(json.dumps(worker(output))) for output in work[1].outputs]


def test_planned_rows_are_written_with_every_column_as_it_was(work, written):
    found = [row for file in written[1] for row in pq.read_table(written[0] / file["name"]).to_pylist()]
    assert sorted(row["sample_id"] for row in found) == sorted(work[2])
    added = {"image_group_id", "joint_group_id", "is_eval_representative", "reason"}
    for row in found:
        given = work[2][row["sample_id"]]
        assert {name: value for name, value in row.items() if name not in added} == {
            name: given[name] for name in DATA_SCHEMA.names if name not in added
        }
    assert [file["rows"] for file in written[1]] == [351, 99, 50]  # groups of nine rows: 99 is nearest to 100


def test_counts_are_those_of_the_published_rows(work, written):
    out, files = written
    kept, facts, marked = (
        Counter(),
        {name: Counter() for name in (*FACTS, "acquired_year", "caption_origin")},
        Counter(),
    )
    for file in files[:-1]:  # the slow way
        split = file["name"].removeprefix("data/").split("-")[0]
        for row in pq.read_table(out / file["name"]).to_pylist():
            kept[split, *(row[name] for name in COUNTED[1:])] += 1
            marked[split] += row["is_eval_representative"]
            for name in FACTS:
                facts[name].update([str(row[name])] if row[name] is not None else [])
            facts["acquired_year"].update([row["acquired_at"][:4]] if row["acquired_at"] else [])
            facts["caption_origin"].update(row["caption_origin"])
    total = total_counts(files)
    assert total.kept == kept
    assert total.facts == facts
    assert total.representatives == marked
    assert files[-1]["counts"] == files[-1]["configs"] == {}
    assert facts["gsd_m"].keys() == {"10.0", "0.3"} and facts["acquired_year"].keys() == {"2021", "2023"}


def test_counts_are_the_same_of_columns_as_lists_and_of_splits_without_rows(written):
    table = pq.read_table(written[0] / written[1][0]["name"])
    one, other = Counts(), Counts()
    one.add("train", table)
    other.add("train", {name: table[name].to_pylist() for name in table.column_names})
    assert one == other
    assert total_counts([{"counts": one.report()}]).representatives == {"train": 0, "validation": 0, "test": 0}


def test_a_plan_is_followed_piece_by_piece_to_the_same_bytes(work, written, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "PLAN_ROWS", 7)
    for output, file in zip(work[1].outputs, written[1]):
        assert WriteWorker(work[0], tmp_path)(output)["sha256"] == file["sha256"]


def test_sizes_are_of_what_each_config_shows(written):
    table = pq.read_table(written[0] / written[1][0]["name"])
    sizes = new_sizes()
    add_sizes(sizes, table)
    rows = table.to_pylist()
    assert sizes["default"]["rows"] == sizes["captions"]["rows"] == len(rows)
    assert sizes["sensor"]["rows"] == sum(row["ir_origin"] == "sensor" for row in rows)
    assert sizes["ir_aware"]["rows"] == sum(bool(row["ir_captions"]) for row in rows)
    assert sizes["default"]["bytes"] == table.nbytes > sizes["captions"]["bytes"] > 0
