import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from dataset_builder.claims import grounding
from dataset_builder.claims.grounding import measure
from dataset_builder.claims.judging import fact_matches, judge
from dataset_builder.claims.reading import read_claims
from dataset_builder.claims.words import WORDS
from tests.benchmarks.grounded_claims import score
from tests.dataset_builder.claims.test_grounding import cells_image, gray_rgb, landscape

COMPACT = "Infrared: bright, low contrast, brightest north-west, darkest south, darker than visible."
LINES = Path(__file__).with_name("claim_wordings.txt").read_text().splitlines()
WORDINGS = [line.split(" | ", 1) for line in LINES if not line.startswith("on ")]
JUDGED = [line[3:].split(" | ", 2) for line in LINES if line.startswith("on ")]  # images, truth, text


def claims(text):
    """What is read where there is no RGB to find things by: the image, its places, and tones of the visible image."""
    return [(claim.kind, claim.value) for claim in read_claims(text, of_things=False)]


def verdicts(text, facts):
    return {(judged.claim.kind, judged.claim.value): judged.verdict for judged in judge(text, facts)}


def plain(kind, value):
    """A claim in the words of claim_wordings.txt: its direction and place, without degrees."""
    if kind in ("level", "share"):
        denied = value.startswith(("no", "not"))
        return value if value == "medium" else "dark" if value.endswith(("dark", "black")) != denied else "bright"
    if kind == "contrast":
        return "low contrast" if "low" in value or value == "none" else "high contrast"
    if kind == "relation":
        return f"relation {value.removesuffix(' closely')}"
    if kind == "texture":
        return "smooth" if value.startswith(("smooth", "soft", "featureless")) else "rough"
    if kind == "visible":
        part, seen = value.split(" -> ")
        tone, colour, _ = part.split(", ")
        for word, names in {"bright": ("white", "brightest"), "dark": ("black", "darkest")}.items():
            seen = word if seen in names else seen
        return f"visible {tone if colour == 'any' else colour} -> {seen}"
    return f"{kind} {value.split(': ')[-1].replace(' side', '').replace(' half', '')}"


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


READ += [
    ("The image is not bright.", [("level", "not bright")]),
    ("Hardly any bright areas, mostly black", [("share", "no bright"), ("level", "very dark")]),
    ("Nearly everything falls below mid grey.", [("level", "dark")]),
    ("Its grey values are low and its contrast is strong", [("contrast", "high"), ("level", "dark")]),
    ("The north is brighter than the south.", [("compare", "north > south")]),
    ("It darkens from left to right", [("compare", "west side > east side")]),
    ("No bright spot in the upper half", [("bright", "no: north half")]),
    ("All of the eastern third is black", [("dark", "all: black: east side")]),
    ("A pale strip along the right edge of the lower half", [("bright", "south-east")]),
    ("The top left is pale and the bottom right dark", [("bright", "north-west"), ("dark", "south-east")]),
    ("The centre of the left edge is darkest", [("darkest", "west")]),
    ("Blurred outlines, but a mottled surface", [("texture", "soft"), ("texture", "grainy")]),
    ("The west is rough", [("texture", "grainy west")]),
    ("The visible image is brighter than the infrared", [("relation", "darker")]),
    ("No brighter than the visible", [("relation", "not brighter")]),
    ("The dark woods in the visible are not dark here", [("visible", "dark, any, anywhere -> not dark")]),
    ("The teal bay at the top of the visible turns black", [("visible", "any, blue, north side -> black")]),
    ("The river is darker than in the visible", [("object relation", "darker")]),
    ("One flat grey from corner to corner.", [("contrast", "none")]),
    ("A blank surface, without a single line", [("texture", "featureless"), ("texture", "featureless")]),
    ("Nothing is darker than the lower left corner.", [("darkest", "south-west")]),
    ("The only bright area lies in the west.", [("brightest", "west")]),
    ("Leaving aside the lower left corner, the surface is rather smooth.", [("texture", "smooth")]),
    ("It barely lifts off black.", [("level", "very dark")]),
    ("Light grey prevails, well above the mid-tone.", [("level", "bright"), ("level", "bright")]),
    (
        "A track, dark and thin, runs from the top to the right.",
        [("dark", "line: north side"), ("dark", "line: east side")],
    ),
]


READ += [
    (
        "The fields that are bright in infrared are dark in the visible.",
        [("visible", "dark, any, anywhere -> bright")],
    ),
    ("Dark in the visible, yet white in the infrared.", [("visible", "dark, any, anywhere -> white")]),
    ("Its tones are the inverse of the visible image.", [("relation", "inverted")]),
    ("It does not follow the visible image.", [("relation", "different")]),
    ("It closely follows the visible image.", [("relation", "follows closely")]),
    ("The pattern stays as in the visible image.", [("relation", "follows")]),
    ("The layout is the same as in the visible image.", [("relation", "follows")]),
    ("The white roofs of the visible stay white.", [("visible", "bright, any, anywhere -> white")]),
    (
        "The green fields of the visible become the brightest here.",
        [("visible", "any, green, anywhere -> brightest")],
    ),
    ("The dark lake of the visible turns medium grey.", [("visible", "dark, any, anywhere -> medium")]),
    (
        "The bright north of the visible is no longer bright in the infrared.",
        [("visible", "bright, any, north -> not bright")],
    ),
    ("There is no contrast at all.", [("contrast", "very low")]),
    ("A wide range of greys, from black to white.", [("contrast", "high")]),
    ("The greys range from dark to black.", [("contrast", "low")]),
    ("Black and white stand side by side.", [("contrast", "high")]),
    ("The tones are all alike.", [("contrast", "low")]),
    ("The tones hardly differ.", [("contrast", "low")]),
    ("The tones differ widely.", [("contrast", "high")]),
    ("Its greys lie close together.", [("contrast", "low")]),
    ("Its greys lie far apart.", [("contrast", "high")]),
    ("The north contrasts strongly with the south.", []),
    ("Dark patches against bright ground.", [("contrast", "high")]),
    ("A small difference between the lightest and the darkest grey.", [("contrast", "low")]),
    ("A large difference between its tones.", [("contrast", "high")]),
    ("Almost uniform in tone.", [("contrast", "very low")]),
    ("Completely uniform.", [("contrast", "none")]),
    ("It is not uniform.", [("contrast", "high")]),
    ("The texture is moderate.", [("texture", "moderately textured")]),
    ("There is some texture.", [("texture", "moderately textured")]),
    ("No texture at all.", [("texture", "smooth")]),
    ("The surface is very textured.", [("texture", "strongly textured")]),
    ("The surface is moderately textured.", [("texture", "moderately textured")]),
    ("The surface is patchy.", [("texture", "uneven")]),
    ("No line breaks the surface.", [("texture", "featureless")]),
    ("The edges are sharp.", [("texture", "sharp")]),
    ("The outlines are not sharp.", [("texture", "soft")]),
    ("Nearly all of the image is dark.", [("level", "dark")]),
    ("Most of the pixels are white.", [("share", "mostly white")]),
    ("The image is bright everywhere.", [("level", "bright"), ("share", "all bright")]),
    ("Nothing is dark.", [("share", "no dark")]),
    ("The image is not dark, it is bright.", [("level", "not dark"), ("level", "bright")]),
    ("The image is neither dark nor bright.", [("level", "medium")]),
    ("A dark image with low contrast.", [("contrast", "low"), ("level", "dark")]),
    ("The lower left quarter is dark.", [("dark", "south-west")]),
    (
        "The north-west corner is the darkest, the south the brightest.",
        [("darkest", "north-west"), ("brightest", "south")],
    ),
    ("The right edge is brighter than the left edge.", [("compare", "east side > west side")]),
    ("It brightens towards the bottom.", [("compare", "south side > north side")]),
    ("No dark spot in the south.", [("dark", "no: south")]),
    ("Bright spots are scattered over the image.", []),
    ("There are no small bright dots.", [("targets", "absent")]),
    ("The infrared is much darker than the RGB.", [("relation", "darker")]),
    ("The south is brighter than the visible image suggests.", [("disagreement", "south brighter")]),
    ("In the north the infrared is darker than the visible.", [("local relation", "north darker")]),
    ("The centre is less bright than the edges.", [("compare", "margins > centre")]),
    ("Apart from the north, it is bright.", [("level", "bright")]),
]


READ += [  # of small things, and of the one that is white
    ("A tiny bright dot lies near the left edge.", [("bright", "spot: west side")]),
    ("The white spot is in the upper right corner.", [("brightest", "north-east")]),
    ("A pale line comes down from the top right of centre.", [("bright", "north side")]),
    ("A bright rim runs along it without a gap.", [("bright", "margins")]),
]


READ += [  # what is denied after its noun, of a part, or of a comparison
    ("The contrast is not low.", [("contrast", "high")]),
    ("The contrast is far from high.", [("contrast", "low")]),
    ("Contrast is hardly high.", [("contrast", "low")]),
    ("The contrast is neither high nor low.", [("contrast", "moderate")]),
    ("The contrast could not be higher.", [("contrast", "high")]),
    ("The upper half is not brighter than the lower half.", [("compare", "south half > north half")]),
    ("The north is no darker than the south.", [("compare", "north > south")]),
    ("Everything but the east is dark.", [("level", "dark")]),
    ("All but the north-west corner is bright.", [("level", "bright")]),
    ("Everything except the roofs that are pale is dark.", [("level", "dark")]),
    ("Nothing but the north is bright.", [("brightest", "north")]),
    ("The dark areas do not dominate.", [("level", "not dark")]),
    ("Not all of the image is dark.", []),
    ("Less than half of the image is bright.", [("level", "not bright")]),
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
        "In the visible image the north is bright.",
        "Left to itself, the river meanders.",
        "A wide expanse of woodland beside an unbroken stretch of water.",
        "Many small patches of water.",
        "The field that is green in the visible lies next to a river.",
        "It rained for much of the day.",
    ],
)
def test_what_is_no_claim_about_the_infrared_is_left_out(text):
    assert claims(text) == []


@pytest.mark.parametrize(("expected", "text"), WORDINGS)
def test_many_more_wordings_are_read_in_their_direction(expected, text):
    found = {plain(kind, value) for kind, value in claims(text)}
    assert expected in found
    opposite = {"bright": "dark", "smooth": "rough", "low contrast": "high contrast"}
    opposite |= {value: key for key, value in opposite.items()}
    assert opposite.get(expected) not in found


def grain(mean, deviation, blur):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(96, 96)), blur)
    return np.clip(mean + deviation * noise / noise.std(), 0, 255).astype(np.uint8)


def known_images():
    """Facts of images whose look is known by construction."""
    halves = ndimage.gaussian_filter(np.repeat([[20.0, 225.0]], 48, axis=1).repeat(96, axis=0), 1.5).astype(np.uint8)
    corners = np.full((96, 96), 120.0)
    corners[:28, 68:], corners[70:, :26] = 230, 15
    corners = ndimage.gaussian_filter(corners, 1) + np.random.default_rng(3).normal(0, 4, (96, 96))
    corners = corners.clip(0, 255).astype(np.uint8)
    return {
        "flat": measure(np.full((96, 96), 130, np.uint8)),
        "slopes": measure(grain(195, 18, 4)),
        "fields": measure(landscape(0, 96)),
        "gritty": measure(grain(125, 45, 0.9)),
        "inky": measure(grain(12, 6, 2)),
        "white": measure(grain(247, 7, 2)),
        "half": measure(halves, gray_rgb(halves // 2)),
        "corner": measure(corners, gray_rgb(255 - corners)),
        "same": measure(corners, gray_rgb(corners // 2)),
    }


def test_wordings_of_every_kind_are_never_judged_the_wrong_way_round():
    """What cannot be judged is no error; the share of it is bounded."""
    images, outcomes = known_images(), []
    for names, truth, text in JUDGED:
        for name in names.split():
            found = {judged.verdict for judged in judge(text, images[name])}
            said = "F" if "contradicted" in found else "T" if "supported" in found else "abstained"
            outcomes.append(said)
            assert said in (truth, "abstained"), f"{text} [{name}]"
    assert len(outcomes) > 700 and outcomes.count("abstained") < 0.08 * len(outcomes)


def test_no_text_stops_the_judge():
    """Random words of the vocabulary, with and without RGB, and on a flat image."""
    words = [word for entry in WORDS.values() for word in entry.replace(";", " ").split()]
    words += ["north", "upper", "left", "half", "corner", "middle", "margins", "river", "field", ",", ".", "but"] * 40
    generator = np.random.default_rng(0)
    image = landscape(0)
    for facts in (measure(image, gray_rgb(landscape(1))), measure(image), measure(image * 0, gray_rgb(image))):
        for length in generator.integers(1, 25, 150):
            text = " ".join(generator.choice(words, length))
            assert {judged.verdict for judged in judge(text, facts)} <= {"supported", "contradicted", "unverifiable"}


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


def test_words_between_right_and_wrong_are_unverifiable():
    facts = measure(np.full((48, 48), 118, np.uint8))
    assert verdicts("The image is dark.", facts) == {("level", "dark"): "unverifiable"}
    assert verdicts("The image is very dark.", facts) == {("level", "very dark"): "contradicted"}
    facts = measure(np.full((48, 48), 130, np.uint8))
    assert verdicts("The image is dark.", facts) == {("level", "dark"): "contradicted"}
    facts = measure(np.full((48, 48), 10, np.uint8))  # "dark" is weak, not wrong
    assert verdicts("The image is dark.", facts) == {("level", "dark"): "supported"}
    facts = measure(cells_image([150, 100, 146, 100, 100, 100, 100, 100, 50]))
    assert verdicts("brightest north-east", facts) == {("brightest", "north-east"): "unverifiable"}
    assert verdicts("brightest at the top", facts) == {("brightest", "north side"): "supported"}
    assert verdicts("brightest south", facts) == {("brightest", "south"): "contradicted"}


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("The left half is brighter than the right half.", "supported"),
        ("It gets brighter towards the east.", "contradicted"),
        ("A black patch lies in the lower right corner.", "supported"),
        ("A black patch lies in the upper left corner.", "contradicted"),
        ("No dark area in the north-west.", "supported"),
        ("White fills the left third.", "supported"),
        ("White fills the right third.", "contradicted"),
        ("The brightest spot is at the left edge.", "supported"),
        ("Hardly any dark areas.", "contradicted"),
        ("The dark field in the visible is bright here.", "supported"),
        ("The pale east of the visible stays pale in infrared.", "contradicted"),
        ("The tones are reversed with respect to the visible.", "supported"),
        ("Light and dark are arranged as in the visible.", "contradicted"),
        ("In the west the infrared is brighter than the visible.", "supported"),
        ("The west is darker than in the visible image.", "contradicted"),
        ("Smooth surfaces, nowhere any grain", "supported"),
        ("The surface is rough all over.", "contradicted"),
    ],
)
def test_places_and_the_visible_image_are_judged_where_they_are_named(text, verdict):
    infrared = cells_image([230, 140, 30] * 3)
    visible = cells_image([40, 120, 210] * 3)
    assert {judged.verdict for judged in judge(text, measure(infrared, gray_rgb(visible)))} == {verdict}


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


@pytest.mark.parametrize("half", ["open", "practice", "rehearsal"])
def test_the_committed_figures_are_what_the_judge_gives_on_the_shipped_tiles(half):
    """People wrote these statements with their truth; whoever changes a verdict scores the parts anew."""
    committed = json.loads((score.RESULTS / f"grounded_claims_{half}.json").read_text())
    assert score.report(half) == committed
