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
    assert measure(image).dark_regions == () or all(region.mean == 60 for region in measure(image).dark_regions)
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
