import ast
import dataclasses
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dataset_builder.claims import grounding
from dataset_builder.claims.grounding import CELLS, measure


def cells_image(values, side=16):
    """A 3 x 3 chequer of flat cells with the given grey levels, row-major."""
    return np.kron(np.array(values, np.uint8).reshape(3, 3), np.ones((side, side), np.uint8))


def gray_rgb(gray):
    return np.repeat(gray[..., None], 3, axis=-1)


def landscape(seed, size=64):
    """Patches with borders and some grain, uint8."""
    generator = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(generator.normal(size=(size, size)), size / 10)
    fields = np.digitize(fields / fields.std(), [-1, -0.3, 0.5]) * 50.0 + 40
    blurred = ndimage.gaussian_filter(fields, 1)  # no sensor sees a step
    return np.clip(blurred + generator.normal(0, 4, (size, size)), 0, 255).astype(np.uint8)


def test_known_cells_are_measured_exactly():
    values = [10, 20, 30, 40, 50, 60, 70, 80, 200]
    facts = measure(cells_image(values))
    assert facts.cell_means == pytest.approx(values)
    assert (facts.brightest, facts.brightest_margin) == ("south-east", 120)
    assert (facts.darkest, facts.darkest_margin) == ("north-west", 10)
    assert facts.mean == pytest.approx(560 / 9) and facts.level == "very dark"
    assert facts.spread == 190 and facts.contrast == "very high"  # the 5th percentile is 10, the 95th is 200
    assert facts.bright_share == pytest.approx(1 / 9) and facts.dark_share == pytest.approx(8 / 9)
    assert facts.relation is None and facts.disagreement is None


@pytest.mark.parametrize(
    ("mean", "level"),
    [(0, "very dark"), (79, "very dark"), (80, "dark"), (115, "medium"), (145, "bright"), (185, "very bright")],
)
def test_level_classes_begin_at_their_borders(mean, level):
    facts = measure(np.full((64, 64), mean, np.uint8))
    assert (facts.level, facts.contrast, facts.texture) == (level, "very low", "smooth")
    assert facts.brightest is None and facts.darkest is None


@pytest.mark.parametrize(
    ("amplitude", "contrast"), [(24, "very low"), (25, "low"), (45, "moderate"), (65, "high"), (85, "very high")]
)
def test_contrast_is_the_robust_spread(amplitude, contrast):
    image = np.full((48, 48), 100, np.uint8)
    image[:, ::2] -= amplitude
    image[:, 1::2] += amplitude
    image[0, :20] = 255  # less than one percent of outliers
    assert measure(image).contrast == contrast


def test_texture_grows_with_grain():
    generator = np.random.default_rng(0)
    grains = [np.clip(120 + generator.normal(0, std, (48, 48)), 0, 255).astype(np.uint8) for std in (2, 6, 25)]
    assert [measure(image).texture for image in grains] == list(grounding.TEXTURES)


def test_small_bright_targets_are_counted_and_fields_are_not():
    image = np.full((64, 64), 60, np.uint8)
    assert measure(image).small_bright_targets == 0
    for row, column in ((10, 10), (30, 50), (55, 20)):
        image[row : row + 2, column : column + 2] = 200
    assert measure(image).small_bright_targets == 3
    image[20:45, 5:40] = 200  # a bright field
    assert measure(image).small_bright_targets == 3


@pytest.mark.parametrize(
    ("offset", "relation"), [(75, "brighter"), (-75, "darker"), (74, "follows"), (-74, "follows")]
)
def test_relation_by_level(offset, relation):
    visible = cells_image([80, 90, 100, 110, 120, 130, 140, 150, 160])
    facts = measure((visible.astype(int) + offset).astype(np.uint8), gray_rgb(visible))
    assert facts.relation == relation
    assert facts.difference == pytest.approx(offset) and facts.correlation == pytest.approx(1)
    assert facts.disagreement is None  # an offset is the relation, not a disagreement


def test_inverted_pattern_at_equal_level_is_different():
    visible = cells_image([80, 160, 80, 160, 80, 160, 80, 160, 120])
    facts = measure(240 - visible, gray_rgb(visible))
    assert facts.correlation == pytest.approx(-1) and facts.relation == "different"


def test_disagreement_is_the_cell_where_infrared_departs_most():
    visible = np.full((48, 48), 100, np.uint8)
    infrared = cells_image([100] * 5 + [190] + [100] * 3)
    facts = measure(infrared, gray_rgb(visible))
    assert (facts.disagreement, facts.disagreement_sign) == ("east", "brighter")
    assert facts.cell_differences[CELLS.index("east")] == pytest.approx(80)  # 90 less the mean difference of 10
    assert (facts.correlation, measure(visible, gray_rgb(visible)).correlation) == (0.0, 1.0)


def test_luminance_of_rgb_is_bt601():
    rgb = np.zeros((48, 48, 3), np.uint8)
    rgb[..., 1] = 200
    assert measure(np.zeros((48, 48), np.uint8), rgb).difference == pytest.approx(-0.587 * 200, abs=0.6)


@pytest.mark.parametrize("seed", range(6))
def test_facts_survive_jpeg_and_resizing(seed):
    infrared, rgb = landscape(seed), gray_rgb(landscape(seed + 100))
    original = measure(infrared, rgb)
    buffer = io.BytesIO()
    Image.fromarray(infrared).save(buffer, "JPEG", quality=75)
    compressed = np.asarray(Image.open(buffer))
    enlarged = np.asarray(Image.fromarray(infrared).resize((128, 128), Image.Resampling.BICUBIC))
    for changed in (measure(compressed, rgb), measure(enlarged, rgb)):
        assert changed.mean == pytest.approx(original.mean, abs=1)
        assert changed.spread == pytest.approx(original.spread, abs=6)
        assert changed.cell_means == pytest.approx(original.cell_means, abs=2)
        assert changed.roughness == pytest.approx(original.roughness, abs=1.5)
        assert changed.correlation == pytest.approx(original.correlation, abs=0.03)
        if original.brightest_margin > 4:
            assert changed.brightest == original.brightest


def test_any_size_is_measured_and_wrong_arrays_are_refused():
    for shape in ((3, 3), (17, 40), (300, 200)):
        assert measure(np.zeros(shape, np.uint8), np.zeros((*shape, 3), np.uint8)).level == "very dark"
    for wrong in (np.zeros((64, 64), np.uint16), np.zeros((64, 64, 3), np.uint8), np.zeros((2, 9), np.uint8)):
        with pytest.raises(ValueError, match="ir must be uint8"):
            measure(wrong)
    with pytest.raises(ValueError, match="rgb must be uint8"):
        measure(np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8))


def test_facts_are_json_able():
    facts = measure(landscape(0), gray_rgb(landscape(1)))
    assert json.loads(json.dumps(dataclasses.asdict(facts)))["level"] == facts.level


def test_a_region_is_told_with_its_place_share_and_shape():
    image = np.full((48, 48), 60, np.uint8)
    image[2:14, 30:46] = 220  # a field in the north-east
    image[20:26, :] = 180  # a road from side to side
    bright = measure(image).bright_regions
    assert [(region.place, region.shape) for region in bright] == [("across", "elongated"), ("north-east", "compact")]
    assert bright[1].share == pytest.approx(12 * 16 / 48**2) and bright[1].mean == pytest.approx(220)
    assert measure(image).dark_regions == ()  # the ground is 28 below the mean, 0.6 standard deviations are 34
    assert measure(np.full((48, 48), 60, np.uint8)).bright_regions == ()


def test_blurred_borders_are_less_sharp_and_the_same_grain_shows_more_where_tones_hardly_differ():
    step = cells_image([60, 180] * 4 + [60])
    blurred = ndimage.gaussian_filter(step.astype(float), 3).astype(np.uint8)
    assert measure(step).sharpness > 0.3 > measure(blurred).sharpness
    grain = np.random.default_rng(0).normal(0, 5, (48, 48))
    ramp = np.linspace(20, 230, 48)[None] + grain
    assert measure((120 + grain).astype(np.uint8)).grain > 2 * measure(ramp.clip(0, 255).astype(np.uint8)).grain


def test_grids_hold_the_working_copy_and_its_colours():
    rgb = np.full((48, 48, 3), 90, np.uint8)
    rgb[:16], rgb[16:32, :, 1], rgb[32:, :, 0] = (20, 60, 110), 160, 200
    facts = measure(cells_image(range(10, 100, 10)), rgb)
    assert bytes.fromhex(facts.grid)[0] == 10 and len(facts.grid) == 2 * 48**2
    assert [facts.colour_grid[row * 48] for row in (0, 20, 40)] == ["2", "1", "4"]  # blue, green, warm
    assert bytes.fromhex(facts.luminance_grid)[-1] == round(0.299 * 200 + 0.701 * 90)


def test_grounding_imports_nothing_beside_its_metric_release():
    tree = ast.parse(Path(grounding.__file__).read_text())
    names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names) | {"numpy", "scipy", "PIL"}


def stripes(amplitude):
    """Columns in turn below and above 100: every 3 x 3 window holds variance 8/9 of the amplitude squared."""
    image = np.full((48, 48), 100 + amplitude, np.uint8)
    image[:, ::2] = 100 - amplitude
    return image


def block(rows, columns, value=200, ground=60):
    """A rectangle on a flat ground, one pixel a working pixel."""
    image = np.full((48, 48), ground, np.uint8)
    image[slice(*rows), slice(*columns)] = value
    return image


def pixels(mask):
    return np.stack(np.nonzero(mask))


def test_percentiles_shares_and_median_are_those_of_counting():
    rng = np.random.default_rng(0)
    cells = np.stack([rng.permutation(256) for _ in range(9)])  # each cell holds every grey level once
    facts = measure(cells.reshape(3, 3, 16, 16).swapaxes(1, 2).reshape(48, 48).astype(np.uint8))
    assert (facts.cell_highs, facts.cell_lows) == ((242,) * 9, (13,) * 9)  # of 0 to 255, at 0.95 and 0.05 of 255
    assert (facts.mean, facts.median, facts.spread) == (127.5, 128, 243 - 12)
    assert (facts.bright_share, facts.dark_share) == (85 / 256, 85 / 256)  # 171 to 255, 0 to 84
    assert (facts.brightest, facts.darkest, facts.brightest_margin) == (None, None, 0)


@pytest.mark.parametrize(
    ("dark", "bright", "spread"), [(115, 115, 0), (116, 115, 90), (115, 116, 100), (116, 116, 190)]
)
def test_the_spread_leaves_out_a_twentieth_at_both_ends(dark, bright, spread):
    image = np.full((48, 48), 100, np.uint8)
    image.flat[:dark], image.flat[-bright:] = 10, 200  # of 2304: 115 pixels at each end do not count
    assert measure(image).spread == spread


def test_cells_that_differ_by_a_grey_level_are_named_and_by_half_a_level_are_not():
    values = [100, 101, 102, 103, 104, 105, 106, 107, 107]
    assert measure(cells_image(values)).brightest in ("south", "south-east")
    one = cells_image([100] * 4 + [101] + [100] * 4)
    assert (measure(one).brightest, measure(201 - one).darkest) == ("centre", "centre")
    half = np.full((48, 48), 100, np.uint8)
    half[16:24, 16:32] = 101
    assert (measure(half).brightest, measure(half).darkest) == (None, None)


@pytest.mark.parametrize(
    ("amplitude", "texture"), [(4, "smooth"), (5, "moderately textured"), (7, "moderately textured")]
)
def test_roughness_and_grain_of_stripes_are_known(amplitude, texture):
    facts = measure(stripes(amplitude))
    assert facts.roughness == pytest.approx(amplitude * np.sqrt(8 / 9), rel=1e-3)
    assert facts.texture == texture
    assert facts.grain == pytest.approx(8 / 9 * amplitude**2 / max(2 * amplitude, 12), rel=1e-3)


def test_roughness_is_the_median_of_all_windows():
    image = stripes(8)
    image[:, :24] = 100  # 23 columns flat, one of 2/9, one of 2/3 of the amplitude squared, the others 8/9
    assert measure(image).roughness == pytest.approx(8 * np.sqrt(2 / 3), rel=1e-3)
    assert measure(stripes(8)).texture == "strongly textured"
    assert measure(stripes(0)).roughness == 0


def test_sharpness_is_the_steepness_that_one_in_twenty_pixels_exceed():
    row, column = np.mgrid[:48, :48]
    slope = (row + 2 * column).astype(np.uint8)
    levels = np.sort(slope, axis=None).astype(float)
    assert measure(slope).sharpness == pytest.approx(np.sqrt(5) / (levels[2188] - levels[115]))
    one, two = block((0, 48), (20, 48)), block((0, 48), (20, 40))
    assert measure(one).sharpness == 0  # two columns of 48 are steep
    assert measure(two).sharpness == pytest.approx(0.5)  # four are: half of the step, taken over two pixels
    shares = [measure(block((0, 48), (20, 48), 60 + step)).edge_share for step in (40, 42)]
    assert shares == [0, 2 / 48]  # a gradient of 20 is no edge, one of 21 is


def test_regions_depart_by_ten_levels_and_by_the_spread_of_the_image():
    assert measure(block((5, 15), (5, 15), 70)).bright_regions == ()  # 9.6 above the mean
    assert len(measure(block((5, 15), (5, 15), 71)).bright_regions) == 1  # 10.5 above
    halves = measure(block((0, 48), (24, 48), 80))  # each exactly ten from the mean
    assert (halves.bright_regions, halves.dark_regions) == ((), ())
    # A share p of the area is sqrt((1 - p) / p) standard deviations above the mean: 0.67 and 0.58.
    assert len(measure(block((0, 48), (0, 33))).bright_regions) == 1
    assert measure(block((0, 48), (0, 36))).bright_regions == ()


def test_the_three_largest_regions_that_hold_a_fiftieth_of_the_area_are_told():
    sides = (7, 8, 10, 9)
    image = np.full((48, 48), 60, np.uint8)
    for side, (row, column) in zip(sides, ((2, 2), (2, 30), (30, 2), (30, 30)), strict=True):
        image[row : row + side, column : column + side] = 200
    facts, inverted = measure(image), measure(255 - image)
    assert [region.share * 48**2 for region in facts.bright_regions] == pytest.approx([100, 81, 64])
    assert [region.place for region in facts.bright_regions] == ["south-west", "south-east", "north-east"]
    assert [region.mean for region in inverted.dark_regions] == [55, 55, 55]
    assert len(measure(block((2, 9), (2, 9))).bright_regions) == 1  # 49 pixels of 2304
    assert measure(block((2, 8), (2, 9))).bright_regions == ()  # 42
    corners = block((10, 20), (10, 20))
    corners[20:30, 20:30] = 200  # touch at a corner: two regions
    assert len(measure(corners).bright_regions) == 2


@pytest.mark.parametrize(
    ("rows", "columns", "place"),
    [
        *(
            ((16 * (cell // 3) + 4, 16 * (cell // 3) + 9), (16 * (cell % 3) + 4, 16 * (cell % 3) + 9), CELLS[cell])
            for cell in range(9)
        ),
        ((0, 32), (0, 9), "north-west"),  # its centre is at 15.5
        ((0, 33), (0, 9), "west"),  # at 16
        ((0, 39), (0, 9), "west side"),
        ((0, 38), (0, 9), "west"),
        ((0, 39), (40, 48), "east side"),
        ((0, 9), (0, 39), "north side"),
        ((0, 9), (0, 38), "north"),
        ((40, 48), (0, 39), "south side"),
        ((0, 39), (20, 28), "across"),
        ((20, 28), (0, 39), "across"),
        ((20, 28), (0, 38), "centre"),
        ((0, 39), (0, 39), "across"),
        ((0, 48), (0, 9), "west side"),
    ],
)
def test_a_place_is_the_cell_of_the_centre_unless_four_fifths_of_a_side_are_reached(rows, columns, place):
    assert grounding.place_of(pixels(block(rows, columns, 1, 0))) == place


def test_shapes_follow_the_axes_and_the_filling_of_the_ellipse_of_equal_moments():
    shapes = {size: grounding.shape_of(pixels(np.ones(size))) for size in ((4, 10), (9, 4), (1, 3), (2, 1), (9, 9))}
    # Ratios of the axes: sqrt(99 / 15) = 2.57, sqrt(80 / 15) = 2.31; a line's width is a pixel's, sqrt(1 / 12).
    assert list(shapes.values()) == ["elongated", "compact", "elongated", "compact", "compact"]
    assert grounding.shape_of(pixels(np.tri(12))) == "compact"  # a triangle fills 0.83 of its ellipse
    cross = np.zeros((15, 15))
    cross[6:9], cross[:, 6:9] = 1, 1
    assert grounding.shape_of(pixels(cross)) == "irregular"  # 81 pixels of 4 pi 10.8


@pytest.mark.parametrize(
    ("side", "extent", "level", "targets"),
    [
        (128, (1, 11), 200, 1),  # as wide as the window, 128 // 12 made odd
        (128, (1, 12), 200, 0),
        (128, (12, 1), 200, 0),
        (128, (2, 2), 100, 1),  # forty above the ground
        (128, (2, 2), 99, 0),
        (24, (1, 3), 200, 1),
        (24, (1, 4), 200, 0),
        (256, (22, 2), 200, 1),  # halved
        (256, (24, 2), 200, 0),
    ],
)
def test_a_small_target_is_as_wide_as_a_twelfth_of_the_side(side, extent, level, targets):
    image = np.full((side, side), 60, np.uint8)
    image[8 : 8 + extent[0], 8 : 8 + extent[1]] = level
    assert measure(image).small_bright_targets == measure(image.T.copy()).small_bright_targets == targets
    if side == 256:  # half of it, higher than wide: scaled by the longer side
        assert measure(image[:, :128].copy()).small_bright_targets == targets


def test_small_targets_stand_ten_times_above_the_clutter_and_join_at_corners():
    clutter = np.full((128, 128), 60, np.uint8)
    clutter[:, 1::2] = 70  # five above the opening, on average
    counts = []
    for level in (105, 120):
        image = clutter.copy()
        image[40:42, 40:42] = level
        counts.append(measure(image).small_bright_targets)
    assert counts == [0, 1]
    image = np.full((128, 128), 60, np.uint8)
    image[40, 40] = image[41, 41] = image[80, 80] = 200
    assert measure(image).small_bright_targets == 2
    assert [measure(np.zeros(shape, np.uint8)).small_bright_targets for shape in ((3, 2000), (2000, 3))] == [0, 0]


def test_correlation_is_pearson_s_and_without_contrast_one_or_nothing():
    infrared, visible = landscape(0), landscape(1)
    facts = measure(infrared, gray_rgb(visible))
    grids = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in (facts.grid, facts.luminance_grid)]
    assert facts.correlation == pytest.approx(np.corrcoef(*grids)[0, 1], abs=1e-5)
    faint, plain = stripes(1) // 2, stripes(3) // 2  # standard deviations of 0.5 and 1.5
    assert measure(faint, gray_rgb(200 - faint)).correlation == 1
    assert measure(plain, gray_rgb(200 - plain)).correlation == pytest.approx(-1)
    assert measure(plain, gray_rgb(faint)).correlation == 0


@pytest.mark.parametrize(("by", "found"), [(15, ("north-east", "darker")), (14, (None, None))])
def test_a_cell_disagrees_from_fifteen_levels_on(by, found):
    infrared = cells_image([100, 100, 100 - by, 100, 100, 100, 100 + by - 1, 101, 100])
    facts = measure(infrared, gray_rgb(np.full((48, 48), 100, np.uint8)))
    assert (facts.disagreement, facts.disagreement_sign) == found


@pytest.mark.parametrize(
    ("colour", "digit"),
    [
        ((100, 104, 100), "1"),
        ((100, 103, 100), "0"),
        ((100, 108, 104), "3"),  # teal: blue may be eight below green
        ((100, 109, 104), "1"),
        ((101, 100, 104), "0"),
        ((104, 104, 100), "4"),
        ((103, 100, 100), "0"),
        ((104, 100, 100), "4"),
    ],
)
def test_faint_colours_count_where_no_others_are(colour, digit):
    rgb = np.full((96, 96, 3), 100, np.uint8)
    rgb[:20] = colour  # a fifth of the image
    assert measure(np.zeros((48, 48), np.uint8), rgb).colour_grid[0] == digit


@pytest.mark.parametrize(
    ("rows", "most", "small", "digit"),
    [(10, 25, 20, "4"), (10, 25, 19, "0"), (10, 10, 9, "0"), (6, 10, 9, "4"), (6, 10, 3, "0")],
)
def test_beside_stronger_colours_a_colour_is_plain_or_among_the_strongest(rows, most, small, digit):
    rgb = np.full((48, 48, 3), 100, np.uint8)
    rgb[:rows, :, 0] += most  # ten rows of 48 are more than 15 %, six are less
    rgb[40:42, :, 0] += small
    assert measure(np.zeros((48, 48), np.uint8), rgb).colour_grid[40 * 48] == digit


@pytest.mark.parametrize(
    ("infrared", "visible", "size"),
    [((40, 30), (40, 30), (30, 40)), ((24, 16), (60, 40), (40, 60)), ((512, 300), (64, 64), (150, 256))],
)
def test_both_images_travel_in_the_size_of_the_larger_up_to_256(infrared, visible, size):
    rng = np.random.default_rng(0)
    ir, rgb = rng.integers(0, 256, infrared, np.uint8), rng.integers(0, 256, (*visible, 3), np.uint8)
    held = measure(ir, rgb).images
    arrays = held.arrays()
    assert held.size == size and [array.shape[:2] for array in arrays] == [size[::-1]] * 2
    for array, given in zip(arrays, (ir, rgb), strict=True):
        if given.shape[:2] == size[::-1]:
            np.testing.assert_array_equal(array, given)
    for wrong in (rgb[..., :2], rgb.astype(np.uint16)):
        with pytest.raises(ValueError, match="rgb must be uint8"):
            measure(ir, wrong)
