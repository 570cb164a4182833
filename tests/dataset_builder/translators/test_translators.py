import io

import numpy as np
import pytest
from PIL import Image

from dataset_builder.filters.gray_gate import is_gray_curve, is_only_gray
from dataset_builder.schema import new_row, stable_seed
from dataset_builder.translators import radiometric
from dataset_builder.translators.radiometric import RadiometricTranslator
from dataset_builder.translators.stage import TranslateStage
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.sample_tiles import sample_rows

MEADOW, LAKE, SOIL, ASPHALT = (70, 130, 60), (20, 50, 90), (170, 130, 95), (70, 70, 70)


def translated(colour, band):
    image = np.full((24, 24, 3), colour, np.uint8)
    return int(RadiometricTranslator().translate([image], band, [0])[0][12, 12])


def batch_of(images, **columns):
    rows = [
        new_row(
            sample_id=f"s{i}", source_dataset="d", source_locator="l", rights="r", rgb={"bytes": b"", "path": None}
        )
        for i in range(len(images))
    ]
    return {name: [row[name] for row in rows] for name in rows[0]} | {"_rgb": images} | columns


def colourful(seed, size=32):
    return np.random.default_rng(seed).integers(0, 255, (size, size, 3)).astype(np.uint8)


def test_surfaces_order_as_in_each_band():
    nir, swir, lwir = ({c: translated(c, band) for c in (MEADOW, LAKE, SOIL)} for band in RadiometricTranslator.bands)
    assert nir[MEADOW] > nir[LAKE] and nir[SOIL] > nir[LAKE]
    assert nir[MEADOW] - translated(ASPHALT, "nir") > 40  # of similar luminance
    assert swir[SOIL] > swir[MEADOW] > swir[LAKE]
    assert lwir[SOIL] > lwir[MEADOW] > lwir[LAKE]


def test_nir_value_follows_the_documented_formula():
    r, g, b = (value / 255 for value in MEADOW)
    brightness = 0.299 * r + 0.587 * g + 0.114 * b
    total = r + g + b + 0.15
    expected = 0.2 + 0.6 * brightness + 1.5 * (g - r) / total + 0.5 * (r - b) / total
    assert translated(MEADOW, "nir") == round(expected * 255)


def test_translation_is_deterministic_sized_and_ignores_seeds():
    translator, images = RadiometricTranslator(), [colourful(0, 20), colourful(1, 33)]
    for band in translator.bands:
        first, second = (translator.translate(images, band, seeds) for seeds in ([1, 2], [3, 4]))
        for a, b, image in zip(first, second, images):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == np.uint8 and a.shape == image.shape[:2]


def test_thermal_style_is_smoother_than_the_others():
    image = colourful(0, 64)
    grain = {band: RadiometricTranslator().translate([image], band, [0])[0].std() for band in ("nir", "lwir")}
    assert grain["lwir"] < grain["nir"] / 2


def test_unknown_band_is_refused_early():
    with pytest.raises(InputError, match="cannot imitate band 'mwir'; choose one of nir, swir, lwir"):
        TranslateStage(RadiometricTranslator(), "mwir")
    with pytest.raises(InputError, match="mwir"):
        RadiometricTranslator().translate([], "mwir", [])


def test_is_only_gray_finds_scaled_and_inverted_grays_and_spares_the_rest():
    rgb = colourful(3)
    gray = np.asarray(Image.fromarray(rgb).convert("L")).astype(np.float32)
    assert is_only_gray(gray.astype(np.uint8), rgb)
    assert is_only_gray(np.rint(230 - 0.6 * gray).astype(np.uint8), rgb)
    assert is_only_gray(rgb[..., 0], rgb)
    assert not is_only_gray(colourful(4)[..., 0], rgb)
    assert not is_only_gray(np.full((32, 32), 90, np.uint8), rgb)
    assert not is_only_gray(rgb[..., 0], np.full((32, 32, 3), 90, np.uint8))


def test_stage_fills_only_rows_without_infrared():
    image, png = colourful(0), {"bytes": b"kept", "path": None}
    batch = batch_of([image, image, image], _reason=[None, None, "rgb_too_flat"])
    batch["ir"][1] = png
    done = TranslateStage(RadiometricTranslator(), "swir", seed=5)(batch)
    decoded = Image.open(io.BytesIO(done["ir"][0]["bytes"]))
    assert decoded.mode == "L"
    np.testing.assert_array_equal(np.asarray(decoded), done["_ir"][0])
    assert [done[name][0] for name in ("ir_origin", "ir_band", "ir_unit", "translator", "translator_revision")] == [
        "translated", "swir", "display", "radiometric", "1"
    ]  # fmt: skip
    assert done["translator_seed"] == [stable_seed("s0", "swir", 5), None, None]
    assert done["translator_settings"] == ["{}", None, None]
    assert done["ir"][1:] == [png, None] and done["ir_origin"][1:] == [None, None]


def test_stage_passes_one_seed_an_image():
    class Recorder(RadiometricTranslator):
        def translate(self, images, band, seeds):
            self.seen = list(seeds)
            return super().translate(images, band, seeds)

    recorder = Recorder()
    TranslateStage(recorder, "nir", seed=1)(batch_of([colourful(0), colourful(1)]))
    assert recorder.seen == [stable_seed("s0", "nir", 1), stable_seed("s1", "nir", 1)]


def test_on_real_tiles_it_beats_the_grayscale_and_is_rarely_only_gray():
    translator, only_gray = RadiometricTranslator(), []
    errors = {band: [] for band in translator.bands}
    for row in sample_rows(every=8):
        image = translator.translate([row["_rgb"]], row["ir_band"], [0])[0]
        gray = np.asarray(Image.fromarray(row["_rgb"]).convert("L"))
        only_gray.append(is_only_gray(image, row["_rgb"]))
        true = row["_ir"].astype(np.float32)
        errors[row["ir_band"]].append([((image - true) ** 2).mean(), ((gray - true) ** 2).mean()])
    assert np.mean(only_gray) < 0.02
    for band, pairs in errors.items():
        ours, grays = np.mean(pairs, axis=0)
        assert ours < grays, band


def test_a_gray_up_to_a_curve_is_found_and_sensor_pairs_are_spared():
    for row in sample_rows(every=40):
        gray = np.asarray(Image.fromarray(row["_rgb"]).convert("L")).astype(np.float64) / 255
        for curve in (gray**2.2, 1 - gray**0.4, gray):
            assert is_gray_curve(np.rint(255 * curve).astype(np.uint8), row["_rgb"])
        assert not is_gray_curve(row["_ir"], row["_rgb"])
        assert not is_gray_curve(np.full_like(row["_ir"], 90), row["_rgb"])


def test_the_best_curve_is_that_of_all_rising_ones():
    """By hand: of three levels of gray whose means are 10, 50 and 30, the best rising curve is 10, 40, 40."""
    gray = np.repeat([20, 90, 160], 8).reshape(4, 6).astype(np.uint8)
    ir = np.repeat([10, 50, 30], 8).reshape(4, 6).astype(np.uint8)
    rgb = np.stack([gray] * 3, -1)
    share = 1 - 2 * 8 * 10**2 / (8 * (20**2 + 20**2))
    assert is_gray_curve(ir, rgb, share - 1e-6) and not is_gray_curve(ir, rgb, share + 1e-6)


@pytest.mark.parametrize("band", RadiometricTranslator.bands)
def test_a_large_image_is_translated_in_strips_as_in_one(monkeypatch, band):
    image = np.random.default_rng(0).integers(0, 256, (61, 47, 3), np.uint8)
    [whole] = RadiometricTranslator().translate([image], band, [0])
    monkeypatch.setattr(radiometric, "STRIP_PIXELS", 100)
    np.testing.assert_array_equal(RadiometricTranslator().translate([image], band, [0])[0], whole)
