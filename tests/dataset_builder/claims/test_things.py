"""Statements about things: how they are read, and what made pairs of known content make of them."""

import numpy as np
import pytest
from scipy import ndimage

from dataset_builder.claims.grounding import measure
from dataset_builder.claims.judging import judge
from dataset_builder.claims.reading import read_claims

SIDE = 96
GREEN, BARE, TEAL, WHITE = (20, 55, 25), (170, 130, 95), (30, 90, 100), (235, 232, 228)


def things(text):
    return [claim.value for claim in read_claims(text) if claim.kind == "thing"]


def others(text):
    return [(claim.kind, claim.value) for claim in read_claims(text) if claim.kind != "thing"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("In the near-infrared view the sea appears almost black.", ("level", "very dark")),
        ("Roads show up dark in an otherwise bright image.", ("level", "dark")),
        ("The vegetation is bright in the near-infrared image, whereas water is dark.", ("level", "bright")),
        ("The sea is featureless and black.", ("texture", "featureless")),
        ("It is more textured.", ("texture", "moderately textured")),
        ("The lake absorbs most of the near-infrared light.", ("share", "mostly bright")),
        ("The image shows no water and is bright.", ("share", "no bright")),
        ("A view of a piece of land.", ("contrast", "low")),
        # and others of each kind
        ("In this shortwave picture the lagoon looks nearly black.", ("level", "very dark")),
        ("Tracks come out black in a pale scene.", ("level", "very dark")),
        ("The lake is smooth and dark.", ("texture", "smooth")),
        ("The scene has no roads and looks dark.", ("share", "no dark")),
        ("A picture of a piece of farmland.", ("contrast", "low")),
    ],
)
def test_a_things_property_is_never_the_images(text, wrong):
    assert wrong not in others(text)


def test_a_denial_ends_at_a_coordinated_verb():
    assert others("The image shows no water and is bright.") == [("level", "bright")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The sea is featureless and black.", ["[sea] tone black"]),
        (
            "The vegetation is bright in infrared, whereas water is dark.",
            ["[vegetation] tone bright", "[water] tone dark"],
        ),
        (
            "The river, teal in RGB, turns black; the fields stay bright.",
            ["[teal river] tone black", "[field] tone bright"],
        ),
        (
            "The woods in the upper right outshine the field, which is almost black.",
            ["[wood, north-east] than brighter [field]", "[field] tone black"],
        ),
        ("The sand is lighter than the water to its east.", ["[sand] than brighter [water, east]"]),
        ("The ground is dark grey to black in infrared.", ["[ground] tone dark"]),
        ("The pond in the lower left quarter remains dark.", ["[pond, south-west] tone dark"]),
        ("Forest that looks black in the colour shot lights up in infrared.", ["[black forest] tone bright"]),
        ("The white clearing disappears in the infrared.", ["[white clearing] apart lost"]),
        ("The road cannot be seen in infrared.", ["[road] apart lost"]),
        ("The river stands out more than in the visible image.", ["[river] apart more"]),
        ("The woods lose their contrast with the fields in infrared.", ["[wood] contrast weaker [field]"]),
        ("The woods and the sand swap brightness.", ["[wood] swap swapped [sand]"]),
        ("The field is nearly as bright as the sand in infrared.", ["[field] than same [sand]"]),
        ("A dark line runs from the left edge to the upper right.", None),
        ("The upper left is taken up by dark woods.", ["[dark wood] fills north-west"]),
        ("The beach is the brightest thing in the infrared image.", ["[beach] extreme brightest"]),
        ("The wooded area on the right is not black.", ["[area, east side] tone not black"]),
        ("The fields are light, with the woods next to them clearly darker.", None),
        # what they become, what they stand out as, which of them is meant
        ("The track stands out as a crisp black line in infrared.", ["[track] tone black"]),
        ("The road turns from pale in RGB to a dark line in infrared.", ["[bright road] tone dark"]),
        ("The lane bordering the orange field is dark in infrared.", ["[lane] tone dark"]),
        ("The fields go black in infrared.", ["[field] tone black"]),
        ("The road is no longer seen as a dark line in infrared.", ["[road] apart lost"]),
        ("The sand disappears into a black field in infrared.", ["[sand] apart lost", "[sand] tone black"]),
        ("A white road is the most striking line of the infrared image.", ["[white road] line white"]),
        ("The darker band lies in the upper right corner.", ["[dark band, north-east] line dark"]),
        ("The patches in the west are darker than the diagonal line.", ["[patch, west] than darker [line]"]),
    ],
)
def test_statements_about_things_are_read(text, expected):
    if expected is not None:
        assert things(text) == expected
    else:
        assert read_claims(text)


def pair():
    """Woods on the left, bare ground on the right; a pond below left, a track above; infrared reverses the halves."""
    rgb = np.zeros((SIDE, SIDE, 3), np.uint8)
    rgb[:, : SIDE // 2], rgb[:, SIDE // 2 :] = GREEN, BARE
    rgb[70:90, 6:30] = TEAL
    rgb[14:17, SIDE // 2 :] = WHITE
    infrared = np.where(np.arange(SIDE) < SIDE // 2, 200, 95)[None, :].repeat(SIDE, 0).astype(np.uint8)
    infrared[70:90, 6:30] = 12
    infrared[14:17, SIDE // 2 :] = 35
    return infrared, rgb


TRUE = [
    "The dark woods on the left turn bright in infrared.",
    "The bare ground on the right, pale in RGB, is darker than the woods.",
    "The pond in the lower left corner is black.",
    "The pond is the darkest thing in the infrared image.",
    "The woods and the bare ground swap brightness.",
    "The track in the upper right, white in RGB, becomes a dark line.",
    "The woods are brighter in infrared than in RGB.",
    "The left half is filled by dark woods in RGB.",
]
FALSE = [
    "The dark woods on the left stay black in infrared.",
    "The bare ground on the right is brighter than the woods on the left.",
    "The pond in the lower left corner shines white.",
    "The pond is the brightest thing in the infrared image.",
    "The woods are darker in infrared than in RGB.",
    "The track in the upper right is a bright line in infrared.",
    "The brightest area lies in the lower right corner.",
    "The woods on the left are black in infrared, darker than the pond.",
]


def verdict(text, facts):
    verdicts = {judged.verdict for judged in judge(text, facts)}
    return next((name for name in ("contradicted", "supported") if name in verdicts), "unverifiable")


def turned(image, how):
    """An image under a change that alters no statement."""
    if how == "gamma":
        return (255 * (image / 255) ** 0.85).astype(np.uint8)
    if how == "gain":
        return np.clip(image * 0.9 + 4, 0, 255).astype(np.uint8)
    if how == "larger":
        return image.repeat(2, 0).repeat(2, 1)
    if how == "noise":
        noise = np.random.default_rng(0).normal(0, 3, image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


@pytest.mark.parametrize("how", ["plain", "gamma", "gain", "larger", "noise"])
def test_made_pairs_are_judged_right_whatever_their_gain_size_and_noise(how):
    infrared, rgb = (turned(image, how) for image in pair())
    facts = measure(infrared, rgb)
    wrong = [text for text in TRUE if verdict(text, facts) == "contradicted"]
    wrong += [text for text in FALSE if verdict(text, facts) == "supported"]
    assert wrong == []
    judged = [verdict(text, facts) != "unverifiable" for text in TRUE + FALSE]
    assert sum(judged) >= 0.75 * len(judged)


def test_mirrored_pairs_mirror_the_verdicts():
    infrared, rgb = (np.ascontiguousarray(image[:, ::-1]) for image in pair())
    facts = measure(infrared, rgb)
    swap = str.maketrans({"\0": "left", "\1": "right"})
    for text in TRUE:
        mirrored = text.replace("left", "\0").replace("right", "left").replace("\0", "right").translate(swap)
        assert verdict(mirrored, facts) != "contradicted", mirrored
    assert verdict("The pond in the lower left corner is black.", facts) != "supported"


def test_a_small_thing_is_held_against_what_is_around_it():
    """A dot of 3 x 3 pixels on a slope from 60 to 200: brighter than its surroundings, darker than the other end."""
    slope = np.linspace(60, 200, SIDE)[None].repeat(SIDE, 0)
    infrared = slope.copy()
    infrared[40:43, 10:13] += 60
    facts = measure(infrared.astype(np.uint8), np.full((SIDE, SIDE, 3), 90, np.uint8))
    without = measure(slope.astype(np.uint8), np.full((SIDE, SIDE, 3), 90, np.uint8))
    said = "A tiny bright dot lies near the left edge."
    assert [judged.verdict for judged in judge(said, facts)] == ["supported"]
    assert [judged.verdict for judged in judge(said, without)] == ["contradicted"]
    assert [judged.verdict for judged in judge("A tiny white dot lies near the left edge.", facts)] == ["contradicted"]


def test_black_fields_may_be_the_largest_part_of_a_place():
    """A field is looked for by bright colours; a large dark one is found as the part that takes up the place."""
    rgb = np.full((SIDE, SIDE, 3), (200, 190, 170), np.uint8)
    rgb[50:] = (25, 45, 20)
    infrared = np.where(np.arange(SIDE)[:, None] < 50, 170, 8) + np.zeros((SIDE, SIDE))
    facts = measure(infrared.astype(np.uint8), rgb)
    verdicts = [judged.verdict for judged in judge("The field in the lower half is black in infrared.", facts)]
    assert "contradicted" not in verdicts and verdicts


def test_without_rgb_nothing_is_said_of_looks():
    infrared, _ = pair()
    facts = measure(infrared)
    assert verdict("The dark woods on the left turn bright in infrared.", facts) != "contradicted"
    assert verdict("A dark pond lies in the lower left corner.", facts) == "supported"


def test_lines_want_their_tone_and_both_ends():
    rgb = np.full((SIDE, SIDE, 3), 120, np.uint8)
    base = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 12, (SIDE, SIDE)), 3) * 4 + 130
    infrared = base.clip(0, 255).astype(np.uint8)
    for column in range(SIDE):
        infrared[column // 2 + 20 : column // 2 + 23, column] = 15
    facts = measure(infrared, rgb)
    assert verdict("A black road crosses the infrared image from the left edge to the lower right corner.", facts) != (
        "contradicted"
    )
    assert verdict("A white road crosses the infrared image from the left edge to the right edge.", facts) == (
        "contradicted"
    )
