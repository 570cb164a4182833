import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from dataset_builder import translate as page
from dataset_builder.translate import LOG, TranslateOptions, rejection, translate
from dataset_builder.translators.learned import LearnedTranslator
from dataset_builder.translators.rasters import PART_PX, RasterOptions
from fusionrs_hf.errors import InputError
from tests.made import tiny_dataset, tiny_translator


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator") / "model"
    tiny_translator.pipeline().save_pretrained(folder)
    return str(folder)


def colourful(seed, *size):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png", "deep/c.tif")):
        Image.fromarray(colourful(index, 20 + index, 30)).save(images / name)
    Image.fromarray(colourful(9, 20, 20)).convert("RGBA").save(images / "opaque.png")
    Image.new("RGBA", (9, 9), (1, 2, 3, 0)).save(images / "clear.png")
    Image.fromarray(colourful(3, 9, 9)[..., 0]).save(images / "gray.png")
    Image.fromarray(colourful(4, 9, 9)).convert("P").save(images / "palette.png")
    Image.fromarray(np.arange(81, dtype=np.uint16).reshape(9, 9)).save(images / "wide.png")
    (images / "broken.jpg").write_bytes(b"no image")
    return images


def records(out):
    return {record["file"]: record for record in map(json.loads, (out / LOG).read_text().splitlines())}


def contents(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*.png"))}


def test_a_folder_becomes_one_channel_images_with_a_record_each(folder, model, tmp_path):
    translate(folder, tmp_path / "out", TranslateOptions(model=model, trust=True))
    found = records(tmp_path / "out")
    assert {name: record["reason"] for name, record in found.items() if "reason" in record} == {
        "broken.jpg": "unreadable",
        "clear.png": "rgb_has_alpha",
        "gray.png": "rgb_is_gray",
        "wide.png": "rgb_mode_unsupported",
    }
    done = {name for name, record in found.items() if "reason" not in record}
    assert done == {"a.png", "b.png", "deep/c.tif", "opaque.png", "palette.png"}
    translator = LearnedTranslator(model)
    (expected,) = translator.translate_with_trust([colourful(2, 22, 30)], "nir")
    with Image.open(tmp_path / "out" / "deep" / "c.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), expected.image)
    with Image.open(tmp_path / "out" / "trust" / "deep" / "c.png") as image:
        np.testing.assert_array_equal(np.asarray(image), expected.width)
    record = found["deep/c.tif"]
    assert record["translator_interval"] == pytest.approx(expected.width.mean())
    assert record["translator_revision"] == translator.revision and record["ir_band"] == "nir"
    assert record["translator_settings"]["condition"] == "unknown" and record["translator_in_domain"] is False


def test_an_interrupted_run_is_continued_to_the_same_bytes(folder, model, tmp_path, monkeypatch):
    options = TranslateOptions(model=model)
    translate(folder, tmp_path / "straight", options)
    monkeypatch.setattr(page, "BATCH_PIXELS", 1)
    written = []

    def stop_after_two(*arguments):
        written.append(arguments)
        if len(written) > 2:
            raise KeyboardInterrupt
        return write(*arguments)

    write = page._write
    monkeypatch.setattr(page, "_write", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        translate(folder, tmp_path / "stopped", options)
    assert len(contents(tmp_path / "stopped")) == 2
    monkeypatch.setattr(page, "_write", lambda *arguments: (written.append(arguments), write(*arguments)))
    translate(folder, tmp_path / "stopped", options)
    assert len(written) == 3 + 3  # of five, two were there
    assert contents(tmp_path / "stopped") == contents(tmp_path / "straight")
    assert (tmp_path / "stopped" / LOG).read_text() == (tmp_path / "straight" / LOG).read_text()


def raster(path, values, **profile):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=values.shape[0],
        width=values.shape[1],
        count=values.shape[2],
        dtype=values.dtype,
        crs="EPSG:32618",
        transform=from_origin(400_000, 4_180_000, 10, 10),
        **profile,
    ) as file:
        file.write(np.moveaxis(values, -1, 0))
    return path


def test_a_raster_keeps_its_georeference_and_has_no_seams(model, tmp_path):
    image = colourful(5, PART_PX + 70, 2 * PART_PX + 33)
    source = raster(tmp_path / "scene.tif", image, photometric="RGB")
    translate(source, tmp_path / "out", TranslateOptions(model=model, trust=True))
    (expected,) = LearnedTranslator(model).translate_with_trust([image], "nir")
    for name, values in (("scene_nir.tif", expected.image), ("trust/scene_nir.tif", expected.width)):
        with rasterio.open(tmp_path / "out" / name) as file, rasterio.open(source) as original:
            assert (file.crs, file.transform, file.count) == (original.crs, original.transform, 1)
            difference = np.abs(file.read(1).astype(int) - np.maximum(values, 1))
        assert difference.max() <= 1 and (difference > 0).mean() < 1e-3
    assert records(tmp_path / "out")["scene.tif"]["translator_interval"] == pytest.approx(
        expected.width.mean(), abs=0.1
    )


@pytest.mark.parametrize("kind", ["toa", "surface"])
def test_reflectance_goes_through_the_training_scenes_display(model, tmp_path, kind):
    values = np.random.default_rng(0).integers(300, 2500, (50, 60, 4), dtype=np.uint16)
    values[:5] = 0
    source = raster(tmp_path / "scene.tif", values, nodata=0)
    options = RasterOptions(rgb=(3, 2, 1), reflectance=kind, scale=0.5, offset=200.0)
    translate(source, tmp_path / "out", TranslateOptions(model=model, band="lwir", raster=options))
    pipe = tiny_translator.pipeline()
    reflectance = values[..., [2, 1, 0]].astype(np.float32) * 0.5 + 200
    dark = np.quantile(reflectance[5:].reshape(-1, 3), 0.01, axis=0)
    shown = pipe.show_reflectance(np.where(values[..., :1] > 0, reflectance, 0), kind, dark)
    (expected,) = pipe.predict([shown], "lwir", "scene")
    with rasterio.open(tmp_path / "out" / "scene_lwir.tif") as file:
        got = file.read(1).astype(int)
        assert file.nodata == 0
    assert (got[:5] == 0).all() and (got[5:] > 0).all()
    assert np.abs(got[5:] - np.clip(np.rint(255 * expected[1, 5:]), 1, 255)).max() <= 1


def test_wrong_inputs_are_refused(folder, model, tmp_path):
    options = TranslateOptions(model=model)
    source = raster(tmp_path / "wide.tif", np.ones((9, 9, 3), np.uint16))
    cases = [
        ((tmp_path / "absent", tmp_path / "out", options), "does not exist"),
        ((folder, folder / "out", options), "lies in"),
        ((tmp_path, tmp_path, options), "lies in"),
        ((folder, tmp_path / "o1", TranslateOptions(model=model, band="lwir")), "cannot imitate band 'lwir'"),
        ((folder, tmp_path / "o2", TranslateOptions(model=model, raster=RasterOptions(rgb=(1, 2, 3)))), "of a raster"),
        ((source, tmp_path / "o3", options), "does not say which"),
        (
            (source, tmp_path / "o4", TranslateOptions(model=model, raster=RasterOptions(rgb=(1, 2, 3)))),
            "holds uint16",
        ),
        (
            (source, tmp_path / "o5", TranslateOptions(model=model, raster=RasterOptions(rgb=(1, 2, 4)))),
            "bands 1 to 3",
        ),
    ]
    for arguments, message in cases:
        with pytest.raises(InputError, match=message):
            translate(*arguments)
    with pytest.raises(InputError, match="toa, surface, raw, got 'boa'"):
        RasterOptions(reflectance="boa")
    with pytest.raises(InputError, match="give --reflectance, too"):
        RasterOptions(scale=2.0)


def test_other_settings_need_another_folder(folder, model, tmp_path):
    translate(folder, tmp_path / "out", TranslateOptions(model=model))
    with pytest.raises(InputError, match="by other settings; give a new folder"):
        translate(folder, tmp_path / "out", TranslateOptions(model=model, condition="scene"))


def test_a_translation_that_is_a_gray_flat_or_moved_is_none():
    image = np.kron(colourful(3, 16, 16), np.ones((6, 6, 1), np.uint8))
    gray = np.asarray(Image.fromarray(image).convert("L"))
    assert rejection(image, np.rint(255 * (gray / 255) ** 2.2).astype(np.uint8)) == "ir_is_gray_of_rgb"
    assert rejection(image, np.full_like(gray, 120)) == "ir_too_flat"
    other = image[..., 1] // 2 + image[..., 2] // 2
    assert rejection(image, other) is None
    assert rejection(image[8:-8, 8:-8], other[13:-3, 8:-8]) == "rgb_ir_misaligned"


def test_a_dataset_keeps_one_row_an_image_and_nothing_of_its_old_infrared(model, tmp_path):
    source = tiny_dataset.write(tmp_path / "dataset", train=3)
    translate(source, tmp_path / "out", TranslateOptions(model=model))
    before = pq.read_table(source / "data" / "train-00000-of-00001.parquet").to_pylist()
    after = pq.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet").to_pylist()
    assert [row["sample_id"] for row in after] == [row["sample_id"] for row in before if row["ir_band"] == "nir"]
    translator = LearnedTranslator(model)
    for row in after:
        rgb = np.asarray(Image.open(io.BytesIO(row["rgb"]["bytes"])))
        (expected,) = translator.translate_with_trust([rgb], "nir")
        infrared = np.asarray(Image.open(io.BytesIO(row["ir"]["bytes"])))
        assert np.abs(infrared.astype(int) - expected.image).max() <= 1
        assert (row["ir_origin"], row["ir_band"], row["translator"]) == ("translated", "nir", "learned")
        assert row["ir_captions"] == [] and row["captions"] != [] and row["translator_in_domain"] is False
    shards = records(tmp_path / "out")
    assert {name: record["rows"] for name, record in shards.items()} == {
        f"data/{split}-00000-of-00001.parquet": 3 for split in ("train", "validation", "test")
    }
