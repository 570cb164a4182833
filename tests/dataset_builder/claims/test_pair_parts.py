import colorsys

import numpy as np
import pytest

from dataset_builder.claims.pair_facts import HUES, TONES
from dataset_builder.claims.pair_parts import Grids, hues_of, segments, tones_of


def hue_name(red, green, blue):
    """The hue of a pixel among greys, so that there is no haze."""
    pixels = np.full((1, 5, 3), 100.0, np.float32)
    pixels[0, 0] = red, green, blue
    return HUES[hues_of(pixels)[0, 0]]


@pytest.mark.parametrize(
    ("degrees", "hue"),
    [
        (0, "warm"), (63, "warm"), (67, "green"), (148, "green"), (152, "teal"), (198, "teal"), (202, "blue"),
        (263, "blue"), (267, "neutral"), (328, "neutral"), (332, "warm"),
    ],
)  # fmt: skip
def test_hues_are_angles(degrees, hue):
    # The angle here is that in the plane of opponents, which is near to the hexagon's and equal at each sixth.
    angle = np.radians(degrees)
    alpha, beta = np.cos(angle), np.sin(angle)  # (2r - g - b) / 2 and sqrt(3) (g - b) / 2
    red, green, blue = 2 / 3 * alpha, -alpha / 3 + beta / np.sqrt(3), -alpha / 3 - beta / np.sqrt(3)
    assert hue_name(*(150 + 60 * np.array([red, green, blue]))) == hue


def test_sixths_of_the_circle_are_those_of_the_hexagon():
    for sixth, hue in enumerate(("warm", "warm", "green", "teal", "blue", "neutral")):
        assert hue_name(*(200 * part for part in colorsys.hsv_to_rgb(sixth / 6, 0.5, 1))) == hue


@pytest.mark.parametrize(
    ("colour", "hue"),
    [
        ((48, 56, 48), "green"),  # a chroma of 8
        ((48, 55.9, 48), "neutral"),
        ((86, 100, 86), "green"),  # a saturation of 0.14
        ((87, 100, 87), "neutral"),
        ((100, 100, 100), "neutral"),
    ],
)
def test_a_hue_needs_chroma_and_saturation(colour, hue):
    assert hue_name(*colour) == hue


def test_a_blue_that_half_of_the_image_shares_is_haze_up_to_25_levels():
    veiled = np.full((8, 8, 3), 100.0, np.float32)
    for veil, hue in ((25, "neutral"), (45, "blue")):  # of 45, 20 are left
        veiled[..., 2] = 100 + veil
        assert {HUES[index] for index in np.unique(hues_of(veiled))} == {hue}
    veiled[..., 2] = 120
    veiled[0, 0] = 100, 100, 160
    assert HUES[hues_of(veiled)[0, 0]] == "blue"
    yellow = np.full((8, 8, 3), (120.0, 120.0, 60.0), np.float32)  # no veil is negative
    assert {HUES[index] for index in np.unique(hues_of(yellow))} == {"warm"}


@pytest.mark.parametrize(
    ("levels", "names"),
    [
        ((40, 120, 200), ("dark", "medium", "pale")),
        ((40, 200), ("dark", "pale")),
        ((120,), ("medium",)),
        ((40,), ("medium",)),  # one tone stands against nothing
        ((60, 75), ("medium", "medium")),  # 15 levels apart: one
        ((60, 76), ("dark", "medium")),  # 16; but nothing here is pale
        ((110, 160), ("dark", "pale")),
        ((111, 160), ("medium", "pale")),
        ((40, 100), ("dark", "pale")),
        ((40, 99), ("dark", "medium")),
    ],
)
def test_tones_are_the_image_s_own_and_dark_and_pale_absolute_too(levels, names):
    grey = np.repeat(np.array(levels, np.float32), 48 * 48 // len(levels)).reshape(48, 48)
    found = tones_of(grey)
    assert [TONES[found[grey == level][0]] for level in levels] == list(names)
    assert all(len(np.unique(found[grey == level])) == 1 for level in levels)


def test_segments_are_connected_solid_and_the_largest_first():
    looks = np.zeros((48, 48), int)
    looks[4:16, 4:16] = 3  # 144
    looks[30:44, 30:44] = 3  # 196
    looks[30:44, 4:6] = 5  # two pixels wide: all outline
    looks[4:8, 40:44] = 7  # 16: below 1.5 % of 2304, and rounded
    found = list(segments(looks))
    assert [look for look, _ in found] == [0, 3, 3]
    sizes = [int(mask.sum()) for _, mask in found]
    assert sizes == sorted(sizes, reverse=True)
    assert found[1][1][36, 36] and found[2][1][8, 8] and not found[1][1][8, 8]
    assert all(
        abs(size - wanted) <= 12 for size, wanted in zip(sizes[1:], (196, 144), strict=True)
    )  # corners round off


def test_at_most_eight_segments_are_told():
    looks = np.zeros((48, 48), int)
    for place in range(12):
        row, column = divmod(place, 4)
        looks[2 + 16 * row : 12 + 16 * row, 1 + 12 * column : 11 + 12 * column] = 1 + place
    assert len(list(segments(looks))) == 8


def grids(infrared, rgb):
    return Grids(infrared.astype(np.float32), rgb.astype(np.float32))


def test_a_part_is_measured_where_it_lies():
    rgb = np.full((48, 48, 3), 120.0)
    rgb[8:20, 26:44] = 40, 90, 40
    infrared = np.full((48, 48), 100.0)
    infrared[6:22, 24:46] = 160  # two pixels wider: as far as a look may reach, and the ring leaves out
    part = next(part for part in grids(infrared, rgb).parts() if part.hue == "green")
    rows, columns = np.nonzero(part.pixels)
    assert (part.image, part.place, part.shape) == ("rgb", "north-east", "compact")
    assert part.share == pytest.approx(len(rows) / 2304)
    assert part.centre == pytest.approx(((rows.mean() + 0.5) / 48, (columns.mean() + 0.5) / 48))
    assert part.box == (rows.min() / 48, columns.min() / 48, (rows.max() + 1) / 48, (columns.max() + 1) / 48)
    assert np.multiply(part.box, 48) == pytest.approx((8, 26, 20, 44), abs=1)
    assert (part.infrared.mean, part.infrared.step, part.infrared.auc) == pytest.approx((160, 60, 1), abs=3)
    assert (part.rgb.against, part.infrared.against, part.change.ring) == ("darker", "brighter", "reversed")
    assert not part.only


def test_regions_stand_out_and_are_not_the_image_itself():
    flat = np.full((48, 48, 3), 110.0)
    infrared = np.full((48, 48), 120.0)
    infrared[4:16, 4:16], infrared[28:42, 28:42] = 210, 30
    found = grids(infrared, flat).regions()
    assert [(region.tone, region.place, region.only) for region in found] == [
        ("dark", "south-east", True),
        ("pale", "north-west", True),
    ]
    assert {region.hue for region in found} == {"neutral"}
    tinted = flat.copy()
    tinted[28:42, 28:42] = 130, 105, 102  # as light, but of another colour: the RGB shows it
    shown = {region.place: region.only for region in grids(infrared, tinted).regions()}
    assert shown == {"south-east": False, "north-west": True}
    mostly = np.full((48, 48), 30.0)
    mostly[:12] = 210
    assert [region.tone for region in grids(mostly, flat).regions()] == ["pale"]  # three quarters are the image
