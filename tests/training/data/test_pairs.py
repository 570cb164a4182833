import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import fusionrs_hf.auto  # noqa: F401
from fusionrs_hf.errors import InputError
from tests.made import tiny, tiny_dataset
from training.data.pairs import PairCollator, ShuffledInfrared, integer_ids, load_pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny_dataset.write(tmp_path_factory.mktemp("pairs") / "dataset"))


def test_splits_origins_and_representatives_are_kept_apart(folder):
    assert len(load_pairs(folder, "train")) == 8
    assert len(load_pairs(folder, "test", representatives=True)) == 6
    with pytest.raises(InputError, match="no train rows with ir_origin translated; its train rows are 8 sensor"):
        load_pairs(folder, "train", ir_origin="translated")
    with pytest.raises(InputError, match="no held-out train rows with ir_origin sensor"):
        load_pairs(folder, "train", representatives=True)


def test_shuffled_infrared_is_another_row_of_the_band_with_all_else_kept(folder):
    rows = load_pairs(folder, "train")
    shuffled = ShuffledInfrared(rows, seed=0)
    bands = np.asarray(rows["ir_band"])
    assert (bands[shuffled.donor] == bands).all() and (shuffled.donor != np.arange(8)).all()
    assert sorted(shuffled.donor) == list(range(8))
    row = shuffled[2]
    assert row["captions"] == rows[2]["captions"] and row["rgb"].tobytes() == rows[2]["rgb"].tobytes()
    assert row["ir"].tobytes() == rows[int(shuffled.donor[2])]["ir"].tobytes()


def test_controls_change_only_the_infrared(folder):
    rows = load_pairs(folder, "train").select(range(4))
    rows = [rows[index] for index in range(4)]
    batches = {
        view: PairCollator(tiny.clip_processor(), ir_view=view)(rows)
        for view in ("sensor", "grayscale", "rgb_duplicate")
    }
    for batch in batches.values():
        assert torch.equal(batch["pixel_values"], batches["sensor"]["pixel_values"])
        assert torch.equal(batch["input_ids"], batches["sensor"]["input_ids"])
    assert torch.equal(batches["rgb_duplicate"]["ir_pixel_values"], batches["sensor"]["pixel_values"])
    grey = tiny.clip_processor()(ir_images=[row["rgb"].convert("L") for row in rows])["ir_pixel_values"]
    assert torch.equal(batches["grayscale"]["ir_pixel_values"], grey)


def test_ids_join_bands_of_a_tile_and_equal_captions(folder):
    rows = load_pairs(folder, "train")
    batch = PairCollator(tiny.clip_processor(), ir_caption_probability=0.0)([rows[index] for index in range(8)])
    tile, caption = batch["image_ids"], batch["caption_ids"]
    assert [int((tile == value).sum()) for value in tile] == [2] * 8
    assert [int((caption == value).sum()) for value in caption] == [4] * 8  # two texts, by odd and even tiles


def test_caption_policy_is_the_stated_probability():
    rows = [{"sample_id": f"x{index}", "captions": ["scene"], "ir_captions": ["infrared"]} for index in range(2000)]
    first, again, later = (
        [PairCollator(None, 0.25, epoch=epoch).captions(row)[0] for row in rows] for epoch in (0, 0, 1)
    )
    assert first.count("infrared") / 2000 == pytest.approx(0.25, abs=0.03)
    assert first == again != later
    only = {"sample_id": "x", "captions": [], "ir_captions": ["infrared"]}
    assert PairCollator(None, 0.0).captions(only) == ["infrared"]
    with pytest.raises(InputError, match="row y has no caption"):
        PairCollator(None).captions({"sample_id": "y", "captions": [], "ir_captions": []})


def test_several_captions_a_row_are_of_both_kinds_by_their_share_and_none_comes_twice():
    row = {"sample_id": "x", "captions": ["a", "b"], "ir_captions": ["c", "d", "e"]}
    for epoch in range(10):
        first, second = PairCollator(None, 0.5, epoch=epoch, texts_per_row=2).captions(row)
        assert first in "ab" and second in "cde"
        assert sorted(PairCollator(None, 0.0, epoch=epoch, texts_per_row=2).captions(row)) == ["a", "b"]
    four = [PairCollator(None, 0.5, epoch=epoch, texts_per_row=4).captions(row) for epoch in range(10)]
    assert all(set(texts[:2]) == {"a", "b"} and len(set(texts[2:])) == 2 for texts in four)
    assert len({tuple(texts) for texts in four}) > 3
    assert PairCollator(None, 0.0, texts_per_row=3).captions(row | {"captions": ["a"]}) == ["a"] * 3


def test_texts_of_a_row_lie_next_to_each_other(folder):
    rows = [load_pairs(folder, "train")[index] for index in range(3)]
    batch = PairCollator(tiny.clip_processor(), 0.5, texts_per_row=2)(rows)
    alone = [PairCollator(tiny.clip_processor(), share)(rows)["caption_ids"] for share in (0.0, 1.0)]
    assert len(batch["input_ids"]) == 6 and len(batch["image_ids"]) == 3
    assert torch.equal(batch["caption_ids"], torch.stack(alone, dim=1).flatten())
    own = PairCollator(tiny.clip_processor(), 0.5, texts_per_row=2, group_aware=False)(rows)["caption_ids"]
    assert own[0] == own[1] != own[2] == own[3]


def test_integer_ids_depend_on_the_string_alone():
    first, second = integer_ids(["a", "b", "a"]), integer_ids(["b"])
    assert first[0] == first[2] != first[1] and first[1] == second[0]


def test_the_collator_refuses_a_row_without_a_group_or_with_an_empty_caption(tmp_path):
    row = load_pairs(str(tiny_dataset.write(tmp_path / "dataset")), "train")[1]
    with pytest.raises(InputError, match="row scene/train0/swir has no image_group_id.*group_aware: false"):
        PairCollator(tiny.clip_processor())([row, row | {"image_group_id": None}])
    with pytest.raises(InputError, match="row scene/train0/swir has an empty caption; run the build's caption stage"):
        PairCollator(tiny.clip_processor(), 0.0)([row | {"captions": [" "]}])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(b""), "is not Parquet"),
        (lambda path: path.write_bytes(b"PAR1" + bytes(100)), "is not Parquet"),
        (lambda path: write_table({"sample_id": ["a"]}, path), "lacks the columns rgb, ir"),
        (lambda path: write_changed(path, "captions", pa.array([5] * 8)), "column captions of .* is int64"),
        (lambda path: write_changed(path, "rgb", pa.array(["a.png"] * 8)), "is string, expected images"),
        (lambda path: path.write_bytes(path.read_bytes()[:4] + bytes(2000) + path.read_bytes()[2004:]), "rows of a"),
    ],
    ids=["empty", "cut off", "other columns", "numbers as captions", "names as images", "damaged pages"],
)
def test_files_that_hold_no_rows_are_refused_in_a_line(tmp_path, change, said):
    folder = tiny_dataset.write(tmp_path / "dataset")
    change(folder / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(InputError, match=said):
        load_pairs(str(folder), "train")


def write_table(columns, path):
    pq.write_table(pa.table(columns), path)


def write_changed(path, name, values):
    rows = pq.read_table(path).replace_schema_metadata()
    pq.write_table(rows.set_column(rows.schema.get_field_index(name), name, values), path)
