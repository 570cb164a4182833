import ast
import dataclasses
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dataset_builder import grounding
from dataset_builder.grounding import CELLS, fact_matches, judge, measure, read_claims

COMPACT = "Infrared: bright, low contrast, brightest north-west, darkest south, darker than visible."


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


def claims(text):
    return [(claim.kind, claim.value) for claim in read_claims(text)]


def verdicts(text, facts):
    return {(judged.claim.kind, judged.claim.value): judged.verdict for judged in judge(text, facts)}


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
        if original.brightest_margin > grounding.CELL_MARGIN:
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


READ = [
    (
        COMPACT,
        [
            ("level", "bright"),
            ("contrast", "low"),
            ("brightest", "north-west"),
            ("darkest", "south"),
            ("relation", "darker"),
        ],
    ),
    ("The upper left corner is brightest.", [("brightest", "north-west")]),
    (
        "Bottom-right is the darkest part; the centre is lightest.",
        [("darkest", "south-east"), ("brightest", "centre")],
    ),
    (
        "The image is darkest in the middle left and brightest at the bottom.",
        [("darkest", "west"), ("brightest", "south side")],
    ),
    ("It's brightest near the northeastern corner", [("brightest", "north-east")]),
    ("This tile is mostly very dark.", [("level", "very dark")]),
    ("A mid-grey scene overall, nearly uniform", [("level", "medium"), ("contrast", "very low")]),
    ("A low-contrast infrared image that looks almost black.", [("contrast", "low"), ("level", "very dark")]),
    ("The image shows strong contrast and a rough texture", [("contrast", "high"), ("texture", "strongly textured")]),
    ("Contrast is very weak", [("contrast", "very low")]),
    ("very high tonal contrast", [("contrast", "very high")]),
    ("The northern part is dark, the right side is brighter.", [("dark", "north side"), ("bright", "east side")]),
    ("A bright patch lies in the south-west", [("bright", "south-west")]),
    ("The east is brighter than the rest.", [("bright", "east")]),
    ("Overall lighter than the RGB image.", [("relation", "brighter")]),
    ("Its pattern differs from the visible image", [("relation", "different")]),
    ("It resembles the optical image", [("relation", "follows")]),
    ("The north is darker than the visible image suggests", [("disagreement", "north darker")]),
    ("no small bright spots", [("targets", "absent")]),
    ("A few tiny bright dots stand out", [("targets", "present")]),
    ("smooth, with little texture", [("texture", "smooth"), ("texture", "smooth")]),
    ("north\u2010west is brightest", [("brightest", "north-west")]),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_free_wordings_are_read(text, expected):
    assert claims(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A farm with two barns near a river.",
        "Bright roofs stand beside dark trees.",
        "The image is not bright.",
        "In the visible image the north is bright.",
        "The fields show high contrast with the forest.",
        "The north is brighter than the south.",
        "Left to itself, the river meanders.",
    ],
)
def test_what_is_no_claim_about_the_infrared_is_left_out(text):
    assert claims(text) == []


def test_fact_matches_is_strict_and_has_a_fixed_denominator():
    infrared = cells_image([180, 150, 150, 150, 150, 150, 150, 120, 150])
    facts = measure(infrared, gray_rgb(infrared + np.uint8(75)))
    assert fact_matches(COMPACT, facts) == dict.fromkeys(grounding.FACT_KINDS, True)
    assert fact_matches("", facts) == dict.fromkeys(grounding.FACT_KINDS, False)
    everything = COMPACT + " It is dark. Brightest south. High contrast."
    assert fact_matches(everything, facts) == {
        "level": False, "contrast": False, "brightest": False, "darkest": True, "relation": True
    }  # fmt: skip
    assert not fact_matches(COMPACT, measure(infrared))["relation"]  # not measured without RGB


def test_mirrored_places_and_inverted_brightness_are_contradicted():
    facts = measure(cells_image([230, 160, 160, 160, 160, 160, 160, 160, 20]))
    said = verdicts("It is bright, brightest north-west and darkest south-east.", facts)
    assert set(said.values()) == {"supported"}
    said = verdicts(
        "The image is very dark. Brightest south-east. The lower right is bright. The north-west is dark.", facts
    )
    assert len(said) == 4 and set(said.values()) == {"contradicted"}
    said = verdicts("Low contrast, smooth texture, no small bright spots", facts)
    assert said["contrast", "low"] == "contradicted" and said["targets", "absent"] == "supported"


def test_claims_near_a_border_are_unverifiable():
    facts = measure(np.full((48, 48), 120, np.uint8))  # medium begins at 115, and the margin is 8
    assert verdicts("The image is dark.", facts) == {("level", "dark"): "unverifiable"}
    assert verdicts("The image is very dark.", facts) == {("level", "very dark"): "contradicted"}
    facts = measure(np.full((48, 48), 124, np.uint8))
    assert verdicts("The image is dark.", facts) == {("level", "dark"): "contradicted"}
    facts = measure(np.full((48, 48), 10, np.uint8))  # "dark" is weak, not wrong
    assert verdicts("The image is dark.", facts) == {("level", "dark"): "unverifiable"}
    facts = measure(cells_image([150, 100, 147, 100, 100, 100, 100, 100, 50]))
    assert verdicts("brightest north-east", facts) == {("brightest", "north-east"): "unverifiable"}
    assert verdicts("brightest north", facts) == {("brightest", "north"): "unverifiable"}  # said of the north-west
    assert verdicts("brightest at the top", facts) == {("brightest", "north side"): "supported"}
    assert verdicts("brightest south", facts) == {("brightest", "south"): "contradicted"}


def test_relation_and_disagreement_are_judged_from_the_pair():
    visible = cells_image([80, 160, 80, 160, 80, 160, 80, 160, 120])
    facts = measure(240 - visible, gray_rgb(visible))
    assert set(verdicts("It follows the visible image", facts).values()) == {"contradicted"}
    assert set(verdicts("Its pattern differs from the visible image", facts).values()) == {"supported"}
    assert set(verdicts("The north is darker than the visible suggests", facts).values()) == {"supported"}
    assert set(verdicts("The north is brighter than the visible suggests", facts).values()) == {"contradicted"}
    alone = measure(240 - visible)
    assert set(verdicts("Darker than visible; the north is darker than the visible suggests", alone).values()) == {
        "unverifiable"
    }


def test_grounding_imports_nothing_beside_its_metric_release():
    tree = ast.parse(Path(grounding.__file__).read_text())
    names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names) | {"numpy", "scipy", "PIL"}


def test_measuring_and_judging_a_128_px_row_takes_under_6_ms():
    infrared, rgb = landscape(0, 128), gray_rgb(landscape(1, 128))
    judge(COMPACT, measure(infrared, rgb))
    seconds = []
    for _ in range(15):
        begin = time.process_time()
        judge(COMPACT, measure(infrared, rgb))
        seconds.append(time.process_time() - begin)
    assert np.median(seconds) < 6e-3  # the bar of 300 rows/s on two cores
