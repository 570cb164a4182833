import io
import zlib
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dataset_builder import filters
from dataset_builder.filters import FilterStage, gray_gate, make_rules, pair_rules
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.plain_rules import PLAIN
from tests.dataset_builder.made.sample_tiles import sample_rows


def encoded(image, form="PNG", mode=None):
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, form)
    return {"bytes": buffer.getvalue(), "path": None}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def scene(seed, size=96):
    """A blocky scene with edges in every part of it, uint8 `(size, size)`."""
    return np.kron(noise(size // 6, size // 6, seed=seed) // 2 + 60, np.ones((6, 6), np.uint8))


def good_row():
    ir = scene(0)
    rgb = np.stack([ir // 2 + scene(9) // 2, 255 - ir // 2 - scene(8) // 2, scene(7)], -1)
    texts = {"captions": ["A farm near a river."], "ir_captions": ["Infrared: medium, high contrast."]}
    return texts | {"_rgb": rgb, "_ir": ir, "rgb": encoded(rgb), "ir": encoded(ir), "_reason": None}


def hits(row, **thresholds):
    """Reasons of all rules that hit the row, each rule asked alone."""
    return {reason for rule in make_rules(thresholds) if (reason := rule(row))}


def test_a_good_row_passes_every_rule():
    assert hits(good_row()) == set()


def test_an_empty_row_is_judged_only_for_its_captions():
    assert hits({}) == {"caption_empty"}
    assert hits({"_rgb": None, "_ir": None, "rgb": None, "ir": None, "captions": ["a farm"]}) == set()


def test_image_too_large_reads_the_header_only():
    png = Image.new("L", (400, 300))
    row = {"rgb": encoded(png)}
    assert filters.ImageTooLarge(max_pixels=120_000)(row) is None
    assert filters.ImageTooLarge(max_pixels=119_999)(row) == "image_too_large"
    assert filters.ImageTooLarge(max_pixels=119_999)({"rgb": None, "ir": encoded(png)}) == "image_too_large"
    bomb = bytearray(encoded(png)["bytes"])
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    assert filters.ImageTooLarge()({"rgb": {"bytes": bytes(bomb), "path": None}}) == "image_too_large"
    assert filters.ImageTooLarge()({"rgb": {"bytes": b"no image", "path": None}}) is None


def test_image_too_small_takes_the_shorter_side_of_either():
    row = good_row() | {"_rgb": noise(32, 40, 3), "_ir": noise(40, 32)}
    assert "image_too_small" not in hits(row)
    assert "image_too_small" in hits(row | {"_ir": noise(40, 31)})
    assert "image_too_small" in hits(row | {"_rgb": noise(31, 40, 3)})


def test_flat_images():
    steps = np.zeros((64, 64), np.uint8)
    steps[:, ::2] = 4  # standard deviation 2
    assert filters.InfraredTooFlat()({"_ir": steps}) is None
    assert filters.InfraredTooFlat(min_std=2.01)({"_ir": steps}) == "ir_too_flat"
    rgb = np.stack([steps, steps * 0, steps * 0], -1)
    assert filters.RgbTooFlat()({"_rgb": rgb}) is None
    assert filters.RgbTooFlat()({"_rgb": rgb // 2}) == "rgb_too_flat"


def test_rgb_is_gray_at_the_borders_of_both_thresholds():
    rgb = np.repeat(noise(50, 50)[..., None] // 2, 3, -1)
    rgb[..., 2] += 2
    assert filters.RgbIsGray()({"_rgb": rgb}) == "rgb_is_gray"
    rgb[..., 2] += 1
    assert filters.RgbIsGray()({"_rgb": rgb}) is None
    rgb[..., 2] -= 1
    rgb.reshape(-1, 3)[:25, 0] = 255  # one percent in colour
    assert filters.RgbIsGray()({"_rgb": rgb}) == "rgb_is_gray"
    rgb.reshape(-1, 3)[:26, 0] = 255
    assert filters.RgbIsGray()({"_rgb": rgb}) is None


def test_nodata_needs_zero_everywhere():
    rgb, ir = noise(64, 64, 3) | 1, noise(64, 64) | 1
    rgb[:33] = 0
    assert filters.TooMuchNodata()({"_rgb": rgb}) == "too_much_nodata"
    assert filters.TooMuchNodata()({"_rgb": rgb, "_ir": ir}) is None  # dark water, seen by the infrared
    translated = {"_rgb": rgb, "_ir": ir, "ir_origin": "translated"}  # from the same empty pixels
    assert filters.TooMuchNodata()(translated) == "too_much_nodata"
    ir[:33] = 0
    assert filters.TooMuchNodata()({"_rgb": rgb, "_ir": ir}) == "too_much_nodata"
    rgb[32] = 9
    assert filters.TooMuchNodata()({"_rgb": rgb, "_ir": ir}) is None
    blue = noise(64, 64, 3) | 1
    blue[..., :2] = 0  # two thirds of all values are zero, and no pixel is empty
    assert filters.TooMuchNodata()({"_rgb": blue}) is None


def test_half_of_the_values_beyond_a_unit_are_borne_and_colours_have_no_unit():
    kelvin = np.full((10, 10), 30_000, np.uint16)  # hundredths: 300 K
    kelvin[:5] = 65_000  # 650 K
    rule, row = filters.InfraredContradictsUnit(), {"ir": encoded(kelvin), "ir_unit": "kelvin_1e2"}
    assert rule(row) is None
    kelvin[5, 0] = 65_000
    assert rule({"ir": encoded(kelvin), "ir_unit": "kelvin_1e2"}) == "ir_unit_contradicted"
    assert rule({"ir": encoded(noise(10, 10, 3)), "ir_unit": "kelvin_1e2"}) is None


def cloud(share, level=230):
    """A tile of 100 x 100 whose upper part is smooth and bright, the rest dark ground; uint8 `(h, w, 3)`."""
    rgb = noise(100, 100, 3) // 2
    rgb[: round(100 * share)] = level
    return rgb


def test_rgb_is_clouded_from_seven_tenths_of_bright_colourless_smooth_pixels_on():
    rule = filters.RgbIsClouded()
    assert rule({}) is None
    # The last bright line borders on dark ground, so it is no smooth one.
    assert rule({"_rgb": cloud(0.72)}) == "rgb_is_clouded"
    assert rule({"_rgb": cloud(0.71)}) is None
    assert rule({"_rgb": cloud(0.9, 200)}) == "rgb_is_clouded"
    assert rule({"_rgb": cloud(0.9, 199)}) is None
    assert rule({"_rgb": cloud(0.9, [240, 240, 210])}) == "rgb_is_clouded"
    assert rule({"_rgb": cloud(0.9, [240, 240, 209])}) is None
    rough = cloud(1)
    rough[:, ::2] -= 12
    assert rule({"_rgb": rough}) == "rgb_is_clouded"
    rough[:, ::2] -= 1
    assert rule({"_rgb": rough}) is None


def test_colormapped_infrared_is_found_in_rgb_and_palette_files():
    gray = np.repeat(noise(40, 40)[..., None], 3, -1)
    rule = filters.InfraredIsColormapped()
    assert rule({"ir": encoded(gray)}) is None
    assert rule({"ir": encoded(gray, "JPEG")}) is None
    assert rule({"ir": encoded(noise(40, 40, 3))}) == "ir_is_colormapped"
    palette = Image.fromarray(noise(40, 40)).convert("P")
    assert rule({"ir": encoded(palette)}) is None
    palette.putpalette(noise(768).tolist())
    assert rule({"ir": encoded(palette)}) == "ir_is_colormapped"
    assert rule({"ir": encoded(noise(40, 40).astype(np.uint16))}) is None
    assert rule({"ir": {"bytes": encoded(noise(40, 40, 3))["bytes"][:200], "path": None}}) is None  # unreadable


def test_sizes_differ():
    row = good_row()
    assert hits(row | {"_ir": row["_ir"][:, :-1]}) == {"sizes_differ"}


def test_ir_is_gray_of_rgb():
    row = good_row()
    gray = np.asarray(Image.fromarray(row["_rgb"]).convert("L"))
    assert hits(row | {"_ir": gray}) == {"ir_is_gray_of_rgb"}
    assert hits(row | {"_ir": 255 - gray}) == {"ir_is_gray_of_rgb"}
    grainy = np.clip(gray + np.random.default_rng(0).normal(0, 12, gray.shape), 0, 255).astype(np.uint8)
    assert hits(row | {"_ir": grainy}) == set()
    bent = np.rint(255 * (gray / 255) ** 3).astype(np.uint8)
    assert hits(row | {"_ir": bent, "ir_origin": "translated"}) == {"ir_is_gray_of_rgb"}
    assert hits(row | {"_ir": bent, "ir_origin": "sensor"}) == set()
    assert hits(row | {"ir_origin": "translated"}) == set()  # an image of its own


def test_a_curve_of_the_gray_is_one_whatever_its_direction_and_noise_on_it_is_counted():
    """Of n grays with spread s, noise of deviation d leaves d^2 / (s^2 + d^2) of the variance unexplained."""
    level = np.arange(256, dtype=np.uint8).repeat(64).reshape(128, 128)
    rgb = np.repeat(level[..., None], 3, -1)
    for curve in (level // 2, 255 - level // 2, np.rint(255 * (level / 255) ** 3).astype(np.uint8)):
        assert gray_gate.is_gray_curve(curve, rgb)
    wave = np.rint(127 + 100 * np.sin(level / 12)).astype(np.uint8)
    assert not gray_gate.is_gray_curve(wave, rgb)
    assert not gray_gate.is_gray_curve(np.full_like(level, 7), rgb)
    checked = level.astype(int) // 2 + 60
    spread = np.var(level.astype(int) // 2)
    for deviation in (1, 5):
        noisy = (checked + deviation * (-1) ** np.indices((128, 128)).sum(0)).astype(np.uint8)
        explained = 1 - deviation**2 / (spread + deviation**2)
        assert gray_gate.is_gray_curve(noisy, rgb, explained - 1e-3)
        assert not gray_gate.is_gray_curve(noisy, rgb, explained + 1e-3)


def test_edges_are_those_of_scipy_s_gaussian_and_numpy_s_gradient():
    grey = noise(40, 56)
    smooth = ndimage.gaussian_filter(grey.astype(float), 1.0)
    expected = np.sqrt(np.hypot(*np.gradient(smooth)))
    assert np.allclose(pair_rules._edges(grey, 40), expected, atol=2e-2)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(("shift", "hit"), [((0, 0), False), ((2, -2), False), ((3, 0), True), ((-4, 7), True)])
def test_misaligned_pairs_are_found_from_three_pixels_on(shift, hit, inverted):
    wide = scene(1, 120)
    rgb = np.stack([wide, 255 - wide // 2, wide // 3], -1)[12:108, 12:108]
    ir = wide[12 + shift[0] : 108 + shift[0], 12 + shift[1] : 108 + shift[1]]
    ir = np.asarray(Image.fromarray(255 - ir if inverted else ir))
    assert filters.Misaligned()({"_rgb": rgb, "_ir": ir}) == ("rgb_ir_misaligned" if hit else None)


def test_unrelated_flat_or_small_pairs_are_not_called_misaligned():
    rule = filters.Misaligned()
    assert not any(rule({"_rgb": noise(64, 64, 3, seed=s), "_ir": scene(s + 50, 66)[:64, :64]}) for s in range(30))
    assert rule({"_rgb": np.zeros((64, 64, 3), np.uint8), "_ir": np.zeros((64, 64), np.uint8)}) is None
    wide = scene(3, 60)  # beside itself, moved by four pixels: found from six times the largest shift on
    for side, found in ((48, "rgb_ir_misaligned"), (47, None)):
        for high, across in ((side, 50), (50, side)):
            pair = {"_rgb": np.repeat(wide[4 : 4 + high, :across, None], 3, -1), "_ir": wide[:high, :across]}
            assert rule(pair) == found, (high, across)


def test_make_rules_takes_thresholds_switches_rules_off_and_keeps_defaults():
    rules = make_rules({"image_too_small": {"min_side": 64}, "rgb_ir_misaligned": False, "caption_empty": None})
    assert filters.ImageTooSmall(min_side=64) in rules and filters.CaptionEmpty() in rules
    assert not any(isinstance(rule, filters.Misaligned) for rule in rules)
    assert len(rules) == len(make_rules()) - 1
    only_images = make_rules({"caption_too_long": {"max_words": 9}}, filters.IMAGE_RULES)
    assert [type(rule) for rule in only_images] == list(filters.IMAGE_RULES)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"image_to_small": False}, "unknown filter 'image_to_small'; did you mean 'image_too_small'"),
        ({"zzz": False}, "known are image_too_large"),
        ({"ir_too_flat": {"min_sdt": 2}}, "unknown threshold 'min_sdt' of filter ir_too_flat; did you mean 'min_std'"),
        ({"sizes_differ": {"a": 2}}, "it has none"),
        ({"ir_too_flat": {"min_std": "high"}}, "ir_too_flat.min_std is 'high'; expected a number"),
        ({"ir_too_flat": {"min_std": -1}}, "at least zero"),
        ({"ir_too_flat": {"min_std": float("nan")}}, "at least zero"),
        ({"rgb_ir_misaligned": {"max_shift": 2.5}}, "expected a whole number"),
        ({"ir_too_flat": 3}, "expected false or a mapping"),
    ],
)
def test_recipe_mistakes_are_named(thresholds, message):
    with pytest.raises(InputError, match=message):
        make_rules(thresholds)


def test_every_rule_has_a_reason_of_its_own_and_thresholds_with_units():
    rules = filters.RULES
    assert len({rule.reason for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.reason.replace("_", "").isalpha() and rule.reason.islower()
        assert all(threshold.metadata["unit"] for threshold in fields(rule))


def test_stage_writes_the_first_reason_and_keeps_earlier_ones():
    good = good_row()
    bad = good | {"_ir": np.zeros((20, 20), np.uint8)}
    rows = [good, bad, bad | {"_reason": "unreadable"}]
    batch = {name: [row[name] for row in rows] for name in good} | {"sample_id": ["a", "b", "c"]}
    assert FilterStage(make_rules())(batch)["_reason"] == [None, "image_too_small", "unreadable"]
    del batch["_reason"]
    assert FilterStage(make_rules())(batch)["_reason"] == [None, "image_too_small", "image_too_small"]


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_sensor_tiles_of_the_sample_are_kept(every):
    rules = make_rules({})
    rows = 0
    hits = []
    for row in sample_rows(every):
        rows += 1
        hits += [reason for rule in rules if (reason := rule(row))]
    assert not {"rgb_ir_misaligned", "ir_is_gray_of_rgb", "rgb_is_clouded"}.intersection(hits)
    assert len(hits) < 0.005 * rows, hits


def spoiled(row, seed):
    """Versions of a sample tile on both sides of the thresholds: shifted, blended, flat, blank, gray, bright."""
    rng = np.random.default_rng(seed)
    rgb, ir = row["_rgb"], row["_ir"]
    yield rgb, ir
    yield rgb, np.roll(ir, rng.integers(-9, 10, 2), (0, 1))
    wide_rgb, wide_ir = (np.repeat(np.repeat(image, 2, 0), 2, 1) for image in (rgb, ir))
    yield wide_rgb, np.roll(wide_ir, rng.integers(-9, 10, 2), (0, 1))
    part = rng.random() ** 4
    yield rgb, (part * ir + (1 - part) * (rgb @ [0.299, 0.587, 0.114])).astype(np.uint8)
    contrast = 0.12 * rng.random() ** 2
    yield (
        (100 + (rgb - rgb.mean((0, 1))) * contrast).round().astype(np.uint8),
        (ir * contrast).round().astype(np.uint8),
    )
    blank = np.ones((64, 64), bool)
    blank[: rng.integers(20, 45)] = False
    yield rgb * blank[..., None], ir * blank
    gray = np.repeat(rgb[..., :1], 3, -1)
    gray.reshape(-1, 3)[rng.integers(0, 4096, rng.integers(0, 90)), 0] ^= 64
    yield gray, ir
    bright = (255 - (255 - rgb) * rng.random() ** 2 * 0.6).astype(np.uint8)
    yield bright, ir


@pytest.mark.parametrize("every", [80, pytest.param(8, marks=pytest.mark.slow)])
def test_shortcuts_decide_as_all_pixels_do(every):
    rules = make_rules({}, (*filters.IMAGE_RULES, *filters.PAIR_RULES))
    assert [rule.reason for rule in rules] == list(PLAIN)
    hit = dict.fromkeys(PLAIN, 0)
    for seed, row in enumerate(sample_rows(every)):
        for rgb, ir in spoiled(row, seed):
            found = {rule.reason for rule in rules if rule({"_rgb": rgb, "_ir": ir})}
            assert found == {reason for reason, plain in PLAIN.items() if plain(rgb, ir)}
            hit |= {reason: hit[reason] + 1 for reason in found}
    assert min(hit[reason] for reason in PLAIN if reason not in ("image_too_small", "sizes_differ")) >= 2
