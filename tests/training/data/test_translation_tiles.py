import numpy as np
import pytest
import torch
from datasets import load_dataset

from fusionrs_hf.errors import InputError
from tests.made import tiny_dataset
from training.data.translation_tiles import TileCollator, TileImages, find_tiles, first_tiles, scene_of

BANDS = ["swir", "nir"]


def collator(**options):
    fixed = {"conditions": ["unknown", "scene"], "bands": BANDS, "unknown_bands": ["nir"], "tile_px": 32}
    return TileCollator(**{**fixed, **options})


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tiny_dataset.write(tmp_path_factory.mktemp("tiles") / "dataset", train=5)
    files = {"train": str(folder / "data" / "train-00000-of-00001.parquet")}
    return load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder / "cache"))


def test_bands_of_one_image_are_one_tile(rows):
    tiles = find_tiles(rows, BANDS)
    assert len(tiles) == 5 and {tile.scene for tile in tiles} == {"scene"}
    image = TileImages(rows, tiles, BANDS)[2]
    np.testing.assert_array_equal(image["ir"][1], np.asarray(rows[tiles[2].rows["nir"]]["ir"]))
    np.testing.assert_array_equal(image["rgb"], np.asarray(rows[tiles[2].rows["nir"]]["rgb"]))
    assert image["present"].all()


def test_a_band_that_a_tile_lacks_has_no_weight(rows):
    bands = ["nir", "lwir"]
    images = TileImages(rows, find_tiles(rows, bands), bands)
    batch = collator(bands=bands, augment=False)([images[0]])
    assert (batch["weight"][0, 0] == 1).all() and (batch["weight"][0, 1] == 0).all()


def test_no_row_of_the_bands_is_an_error(rows):
    with pytest.raises(InputError, match="no row of the bands mwir"):
        find_tiles(rows, ["mwir"])


def test_a_locator_names_the_scene_else_the_source_does():
    assert scene_of("a_b@r0c64s64", "source") == "a_b"
    assert scene_of("images/1.png", "source") == "source"


def test_subsets_nest(rows):
    tiles = find_tiles(rows, BANDS)
    few, more = first_tiles(tiles, 2), first_tiles(tiles, 4)
    assert more[:2] == few
    with pytest.raises(
        InputError, match="between 1 and the 5 tiles, got 6|between 1 and the 5 tiles there are, got 6"
    ):
        first_tiles(tiles, 6)


def test_tiles_are_shown_as_they_are_under_their_own_condition(rows):
    images = TileImages(rows, find_tiles(rows, BANDS), BANDS)
    batch = collator(augment=False)([images[0], images[1]])
    assert batch["condition"].tolist() == [1, 1]
    np.testing.assert_allclose(batch["rgb"][1].permute(1, 2, 0).numpy() * 255, images[1]["rgb"], atol=1e-4)
    np.testing.assert_allclose(batch["target"][1].numpy() * 255, images[1]["ir"], atol=1e-4)


def test_unknown_tiles_are_disturbed_and_train_their_bands_alone(rows):
    images = TileImages(rows, find_tiles(rows, BANDS), BANDS)
    batch = collator(unknown_ratio=1.0)([images[0]])
    assert batch["condition"].tolist() == [0]
    assert (batch["weight"][0, 0] == 0).all() and (batch["weight"][0, 1] == 1).all()
    known = collator(unknown_ratio=0.0)([images[0]])
    assert known["condition"].tolist() == [1]


def test_known_tiles_are_only_turned_and_mirrored_alike(rows):
    images = TileImages(rows, find_tiles(rows, BANDS), BANDS)
    for epoch in range(4):
        batch = collator(unknown_ratio=0.0, epoch=epoch)([images[3]])
        rgb, target = (torch.sort(values.flatten(2), dim=2).values for values in (batch["rgb"], batch["target"]))
        plain = collator(augment=False)([images[3]])
        for shown, name in ((rgb, "rgb"), (target, "target")):
            torch.testing.assert_close(shown, torch.sort(plain[name].flatten(2), dim=2).values)
        together = (batch["rgb"][0, 0] * batch["target"][0, 1]).sum()
        torch.testing.assert_close(together, (plain["rgb"][0, 0] * plain["target"][0, 1]).sum())


def test_draws_depend_on_seed_epoch_and_tile_alone(rows):
    images = TileImages(rows, find_tiles(rows, BANDS), BANDS)
    together = collator(unknown_ratio=1.0)([images[index] for index in range(3)])
    alone = collator(unknown_ratio=1.0)([images[2]])
    torch.testing.assert_close(together["rgb"][2], alone["rgb"][0])
    other = collator(unknown_ratio=1.0, epoch=1)([images[2]])
    assert (other["rgb"] - alone["rgb"]).abs().max() > 0.01


def test_smaller_tiles_are_padded_without_weight(rows):
    images = TileImages(rows, find_tiles(rows, BANDS), BANDS)
    batch = collator(tile_px=40, augment=False)([images[0]])
    assert batch["rgb"].shape == (1, 3, 40, 40)
    assert batch["weight"][0, 1].sum() == 32 * 32 and (batch["weight"][0, 1, 32:] == 0).all()
