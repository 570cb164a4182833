import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from dataset_builder.building.forecast import forecast
from dataset_builder.pipeline import BuildRecipe, build
from fusionrs_hf import cli


@pytest.fixture
def recipe(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for index in range(7):
        image = rng.integers(0, 256, (64, 64, 3), np.uint8) if index else np.zeros((64, 64, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / "photos" / f"{index}.png")
    grid = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 10, 10)}
    shape = {"height": 160, "width": 96, "count": 4, "dtype": "uint8"}
    with rasterio.open(
        tmp_path / "s.tif", "w", driver="GTiff", photometric="MINISBLACK", alpha="NO", **shape, **grid
    ) as file:
        file.write(rng.integers(1, 256, (4, 160, 96), np.uint8))
    bands = {"red": 1, "green": 2, "blue": 3, "nir": 4}
    scene = {
        "kind": "scene",
        "path": "s.tif",
        "rights": "x",
        "tile_px": 32,
        "bands": bands,
        "ir": {"nir": "nir", "swir": "red"},
    }
    folder = {"kind": "folder", "path": "photos", "rights": "x", "images_per_shard": 2}
    return BuildRecipe.from_mapping(
        {
            "name": "x",
            "sources": [folder, scene],
            "translate": {},
            "filters": {"caption_empty": False, "rgb_ir_misaligned": False},
            "groups": {"relations": ["bytes"]},
            "splits": {"by": "hash", "validation": 0, "test": 0},
        },
        tmp_path,
    )


def test_rows_are_those_that_a_build_reads_and_nothing_is_written(recipe, tmp_path):
    lines = forecast(recipe, tmp_path / "out", workers=2)
    assert lines[0].startswith("folder photos: 7 rows in 4 shards; of 5 that were read ")  # shards 0, 1 or 2, and 3
    assert lines[1].startswith("scene s.tif: 30 rows in 5 shards; of 18 that were read ")  # 5 x 3 tiles of two bands
    assert lines[2].startswith("in all 37 rows: about ") and "with 2 workers" in lines[2]
    assert not (tmp_path / "out").exists()
    assert build(recipe, tmp_path / "out", workers=1).rows_read == 37


def test_the_verb_prints_it_and_takes_nothing_that_writes(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)).save(
        tmp_path / "photos" / "a.png"
    )
    text = "name: x\nsources: [{kind: folder, path: photos, rights: x}]\ntranslate: {}\n"
    (tmp_path / "r.yaml").write_text(text)
    arguments = ["build", str(tmp_path / "r.yaml"), str(tmp_path / "out"), "--dry-run"]
    assert cli.main(arguments) == 0
    assert "folder photos: 1 rows in 1 shards; of 1 that were read 0 are kept, 1 leave (1 " in capsys.readouterr().out
    assert cli.main([*arguments, "--overwrite"]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("images", "told"), [(29, False), (30, True)])
def test_a_long_build_says_before_it_begins_what_it_takes(tmp_path, caplog, images, told):
    (tmp_path / "photos").mkdir()
    for index in range(images):
        image = np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / "photos" / f"{index}.png")
    (tmp_path / "r.yaml").write_text(
        "name: x\nsources: [{kind: folder, path: photos, rights: x, images_per_shard: 1}]\ntranslate: {}\n"
        "filters: {caption_empty: false, image_too_small: false}\nsplits: {by: hash, validation: 0, test: 0}\n"
    )
    with caplog.at_level("INFO"):
        assert cli.main(["build", str(tmp_path / "r.yaml"), str(tmp_path / "out"), "--workers", "1"]) == 0
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("forecast")]
    assert bool(lines) == told
    assert not told or (lines[0].startswith("folder photos: 30 rows in 30 shards; of 3 that were read ") and lines[1])
