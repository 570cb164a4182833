import numpy as np
import pytest

from dataset_builder.captioning.scene_facts import CoverFacts, SceneCaptionRule, hidden_bands, measure_scene

COVERS = [
    {"cover": "water", "A": [None, 10]},
    {"cover": "green", "A": [10, 100], "A-B": [0.2, None]},
    {"cover": "dry"},
]
TREND = {"measure": "dryness", "of": "A", "least": 5}


def rule_of(**changes):
    return SceneCaptionRule(**{"name": "x/nir", "covers": COVERS, "trend": TREND, "hidden": frozenset()} | changes)


def tile(value=50.0, side=30):
    return np.full((side, side), value)


@pytest.mark.parametrize(
    ("sensor", "shown", "hidden"),
    [
        (
            "Sentinel-2 MSI",
            {"B02", "B03", "B04", "B08"},
            {"B02", "B03", "B04", "B06", "B07", "B08", "B8A", "B09"},
        ),
        ("Sentinel-2 MSI", {"B02", "B03", "B04", "B11"}, {"B02", "B03", "B04", "B11", "B12"}),
        ("Landsat 7 ETM+", {"B1", "B2", "B3", "B6"}, {"B1", "B2", "B3", "B8", "B6"}),
        ("Landsat 8 OLI/TIRS", {"B2", "B3", "B4", "B10"}, {"B2", "B3", "B4", "B8", "B10", "B11"}),
    ],
)
def test_what_a_row_shows_hides_its_near_twins_too(sensor, shown, hidden):
    assert hidden_bands(sensor, shown) == hidden


def test_a_rule_that_would_leak_is_refused():
    with pytest.raises(ValueError, match=r"caption rule x/nir uses \['B'\], which the row shows or whose near twin"):
        rule_of(hidden=frozenset({"B", "C"}))
    with pytest.raises(ValueError, match=r"uses \['C'\]"):
        rule_of(hidden=frozenset({"C"}), trend=TREND | {"of": "A-C"})


def test_the_bands_of_a_rule_are_those_of_its_covers_and_its_trend():
    assert rule_of(trend=TREND | {"of": "D"}).bands == ["A", "B", "D"]


def test_only_the_bands_of_the_rule_are_read():
    bands = {"A": tile(), "B": tile()}
    assert measure_scene(rule_of(), bands) == measure_scene(rule_of(), bands | {"Z": tile(7)})


def test_the_first_cover_that_fits_holds_and_shares_are_of_the_tile():
    a, b = tile(), tile(50)
    a[:3] = 9  # a tenth: water
    b[3:12] = 25  # (50 - 25) / 75 = 1/3 of normalised difference on three tenths: green
    facts = measure_scene(rule_of(), {"A": a, "B": b})
    assert [(cover.cover, cover.share) for cover in facts.covers] == [("dry", 0.6), ("green", 0.3), ("water", 0.1)]


def test_limits_take_the_lower_and_leave_the_upper_bound():
    a, b = tile(100), tile(10)
    a[:15] = 10
    facts = measure_scene(rule_of(), {"A": a, "B": b})  # 10 is not water; 100 is not green
    assert {cover.cover for cover in facts.covers} == {"dry"}  # and (10 - 10) / 20 is no 0.2


def test_what_covers_less_than_a_fiftieth_is_not_told():
    a = tile()
    a[:1, :10] = 0  # 10 of 900 pixels
    assert [cover.cover for cover in measure_scene(rule_of(), {"A": a, "B": tile()}).covers] == ["dry"]


def masked(rows, columns, side=30):
    a = tile(side=side)
    a[rows, columns] = 0
    return {"A": a, "B": tile(side=side)}


@pytest.mark.parametrize(
    ("rows", "columns", "place", "shape"),
    [
        (slice(0, 8), slice(0, 8), "north-west", "block"),
        (slice(11, 19), slice(11, 19), "centre", "block"),
        (slice(0, 3), slice(0, 30), "north", "strip"),
        (slice(0, 30), slice(27, 30), "east", "strip"),
        (slice(0, 30), slice(0, 15), "western half", "block"),
        (slice(0, 30), slice(0, 24), "everywhere", "block"),
    ],
)
def test_place_and_shape_of_one_piece(rows, columns, place, shape):
    water = next(c for c in measure_scene(rule_of(), masked(rows, columns)).covers if c.cover == "water")
    assert (water.place, water.shape) == (place, shape)


def test_place_of_two_opposite_sides_and_shape_of_few_and_many_pieces():
    both = masked(slice(0, 30), np.r_[0:4, 26:30])
    assert CoverFacts("water", 0.27, "west and east", "few") in measure_scene(rule_of(), both).covers
    many = masked(np.arange(0, 30, 3)[:, None], np.arange(30))
    assert CoverFacts("water", 0.33, "everywhere", "scattered") in measure_scene(rule_of(), many).covers


def test_a_single_pixel_patch_has_a_shape_too():
    a = tile(side=3)
    a[0, 0] = 0
    facts = measure_scene(rule_of(), {"A": a, "B": tile(side=3)})
    assert facts.covers[1] == CoverFacts("water", 0.11, "north-west", "block")


def test_the_pattern_follows_the_borders_between_covers():
    patterns = []
    for width in (1, 3, 15):  # stripes of water: a border every `width` columns
        stripes = masked(slice(None), np.flatnonzero(np.arange(30) // width % 2))
        patterns.append(measure_scene(rule_of(), stripes).pattern)
    assert patterns == ["mixture", "mixture", "blocks"]
    assert measure_scene(rule_of(), masked(slice(None), np.flatnonzero(np.arange(30) // 6 % 2))).pattern == "patchwork"
    assert measure_scene(rule_of(), masked(slice(0, 3), slice(0, 30))).pattern == "even"


def test_the_trend_names_the_highest_and_the_lowest_cell_if_they_differ_enough():
    a = tile()
    a[:10, 20:] += 4
    a[20:, 10:20] -= 2
    assert measure_scene(rule_of(), {"A": a, "B": tile()}).trend == ("dryness", "north-east", "south")
    a[20:, 10:20] += 2
    assert measure_scene(rule_of(), {"A": a, "B": tile()}).trend is None
