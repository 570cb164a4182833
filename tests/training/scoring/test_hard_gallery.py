import numpy as np
from PIL import Image

from training.scoring.hard_gallery import Place, parse_locator, shifted_crops


def scene(rows=24, columns=36):
    return np.random.default_rng(0).integers(0, 256, (rows, columns), dtype=np.uint8)


def tiles_of(array, size=12):
    places = [(r, c) for r in range(0, array.shape[0], size) for c in range(0, array.shape[1], size)]
    images = [Image.fromarray(array[r : r + size, c : c + size]) for r, c in places]
    return images, [f"s@r{r}c{c}s{size}" for r, c in places]


def test_locators_are_read():
    assert parse_locator("s2_virginia@r512c640s64") == Place("s2_virginia", 512, 640, 64)
    assert parse_locator("folder/image.png") is None


def test_crops_equal_the_scene_shifted_by_a_quarter():
    array = scene()
    images, locators = tiles_of(array)
    crops = [np.asarray(crop) for crop in shifted_crops(images, locators)]
    middle = [array[r : r + 12, c : c + 12] for r, c in ((0 + 3, 12), (0, 12 - 3), (0, 12 + 3))]  # south, west, east
    for expected in middle:  # the tile at row 0, column 12 has no neighbour in the north
        assert any(np.array_equal(crop, expected) for crop in crops)
    assert len(crops) == 6 + 8  # 6 tiles: one vertical shift each; horizontal: 1 + 2 + 1 in each of two rows


def test_a_missing_neighbour_gives_no_crop_and_scenes_do_not_mix():
    image = Image.fromarray(scene()[:12, :12])
    assert shifted_crops([image], ["s@r0c0s12"]) == []
    assert shifted_crops([image, image], ["a@r0c0s12", "b@r12c0s12"]) == []
    assert shifted_crops([image], ["some/file.png"]) == []


def test_a_tile_of_another_size_than_its_place_gives_no_crop():
    images, locators = tiles_of(scene())
    assert shifted_crops([image.resize((6, 6)) for image in images], locators) == []
