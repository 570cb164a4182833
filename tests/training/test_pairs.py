import numpy as np
import pytest
import torch

from fusionrs_hf.errors import InputError
from tests import tiny, tiny_dataset
from training.pairs import PairCollator, ShuffledInfrared, integer_ids, load_pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny_dataset.write(tmp_path_factory.mktemp("pairs") / "dataset"))


def test_splits_origins_and_representatives_are_kept_apart(folder):
    assert len(load_pairs(folder, "train")) == 8
    assert len(load_pairs(folder, "test", representatives=True)) == 6
    with pytest.raises(InputError, match="no train rows with ir_origin=translated"):
        load_pairs(folder, "train", ir_origin="translated")
    with pytest.raises(InputError, match="representatives=True"):
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
        [PairCollator(None, 0.25, epoch=epoch)._caption(row) for row in rows] for epoch in (0, 0, 1)
    )
    assert first.count("infrared") / 2000 == pytest.approx(0.25, abs=0.03)
    assert first == again != later
    only = {"sample_id": "x", "captions": [], "ir_captions": ["infrared"]}
    assert PairCollator(None, 0.0)._caption(only) == "infrared"
    with pytest.raises(InputError, match="row y has no caption"):
        PairCollator(None)._caption({"sample_id": "y", "captions": [], "ir_captions": []})


def test_integer_ids_depend_on_the_string_alone():
    first, second = integer_ids(["a", "b", "a"]), integer_ids(["b"])
    assert first[0] == first[2] != first[1] and first[1] == second[0]
