from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import dataset_builder
from dataset_builder.recipe import load_recipe
from dataset_builder.sources import open_source
from tests.dataset_builder.sources.test_scene import write

RECIPES = Path(dataset_builder.__file__).parent / "recipes"


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)


def make_folder(base):
    image(base / "my_images" / "a.png")


def make_pairs(base):
    image(base / "my_pairs" / "visible" / "a.jpg")
    image(base / "my_pairs" / "infrared" / "a.png")


def make_table(base):
    row = {"image": b"x", "caption_1": "a field", "caption_2": "a barn", "id": 1}
    pq.write_table(pa.Table.from_pylist([row]), base / "my_table.parquet")


def make_scene(base):
    (base / "my_scene").mkdir()
    for name in ("B02", "B03", "B04", "B08", "B11", "SCL"):
        write(base / "my_scene" / f"{name}.tif", np.ones((1, 1940, 1900), np.uint8), compress="deflate")


@pytest.mark.parametrize("make", [make_folder, make_pairs, make_table, make_scene])
def test_a_recipe_to_copy_reads_what_it_describes(tmp_path, make):
    make(tmp_path)
    recipe = load_recipe(RECIPES / f"{make.__name__.removeprefix('make_')}.yaml")
    for spec in recipe.sources:
        source = open_source(spec, tmp_path)
        row = next(source.read(next(iter(source.shards()))))
        assert row["source_dataset"] in recipe.attribution and row["rgb"]["bytes"]
