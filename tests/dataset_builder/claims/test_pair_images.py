"""Facts of made pairs whose answers are known by construction."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from dataset_builder.claims import judge, measure
from dataset_builder.claims.pair_facts import PairFacts
from dataset_builder.claims.pair_images import pair_of
from dataset_builder.claims.pair_statements import statements_of, verdict

WOODS, FIELD, TEAL, BARE, PALE = (18, 44, 16), (60, 120, 50), (30, 95, 100), (150, 95, 60), (225, 222, 215)


def scene(side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Green field; dark woods in the west third; a teal pond in the south-east; a pale road from side to side.

    In the infrared the field is mid grey, the woods bright, the pond black and the road black, too.
    """
    unit = side // 64
    rgb = np.empty((side, side, 3), np.uint8)
    infrared = np.full((side, side), 120, np.uint8)
    rgb[:] = FIELD
    rgb[:, : 21 * unit], infrared[:, : 21 * unit] = WOODS, 215
    rgb[44 * unit : 60 * unit, 42 * unit : 60 * unit], infrared[44 * unit : 60 * unit, 42 * unit : 60 * unit] = (
        TEAL,
        15,
    )
    rgb[15 * unit : 17 * unit], infrared[15 * unit : 17 * unit] = PALE, 20
    noise = np.random.default_rng(0).integers(-2, 3, (64, 64)).repeat(unit, 0).repeat(unit, 1)
    return (infrared + noise).astype(np.uint8), (rgb + noise[..., None]).astype(np.uint8)


def facts_of(infrared: np.ndarray, rgb: np.ndarray) -> PairFacts:
    facts = pair_of(measure(infrared, rgb))
    assert facts is not None
    return facts


def kept(facts: PairFacts) -> bool:
    """Whether all that may be claimed of the scene is borne out by facts of a variant of it."""
    statements = statements_of(facts_of(*scene()))
    assert len(statements) >= 6
    return all(verdict(statement, facts) == "supported" for statement in statements)


def test_parts_are_named_by_look_and_place():
    parts = {part.appearance: part for part in facts_of(*scene()).parts}
    assert {"dark green", "teal"} <= set(parts)
    assert parts["teal"].place == "south-east" and parts["teal"].shape == "compact"
    assert parts["teal"].share == pytest.approx(16 * 18 / 64**2, rel=0.15)
    assert parts["teal"].box == pytest.approx((44 / 64, 42 / 64, 60 / 64, 60 / 64), abs=0.04)
    assert np.allclose(parts["teal"].centre, (52 / 64, 51 / 64), atol=0.02)
    assert parts["teal"].pixels[39, 38] and not parts["teal"].pixels[5, 5]


def test_a_part_stands_against_its_ring_and_among_all_tones_in_both_images():
    pond = next(part for part in facts_of(*scene()).parts if part.hue == "teal")
    assert (pond.infrared.against, pond.infrared.tone) == ("darker", "dark")
    assert pond.infrared.auc == pytest.approx(0, abs=0.02)
    assert pond.infrared.step == pytest.approx(15 - 120, abs=6)
    assert pond.infrared.rank < 0.08  # of all tones, only the road's are as dark


def test_a_line_that_turns_is_one_line_of_both_images():
    line = facts_of(*scene()).lines[0]
    assert (line.image, line.rgb_tone, line.infrared_tone) == ("both", "bright", "dark")
    assert line.course == "across" and min(line.angle, 180 - line.angle) == pytest.approx(0, abs=3)
    assert line.length == pytest.approx(1, abs=0.12) and line.width == pytest.approx(2 / 64, rel=0.35)
    assert line.centre[0] == pytest.approx(16 / 64, abs=0.02) and line.start[1] < 0.1 and line.end[1] > 0.9
    assert line.change.ring == "reversed"


def flat(rgb: tuple[int, int, int]) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, np.uint8), (64, 64, 3)).copy()


@pytest.mark.parametrize(
    ("colour", "hue"),
    [(FIELD, "green"), (TEAL, "teal"), (BARE, "warm"), ((40, 70, 130), "blue"), ((128, 128, 126), "neutral")],
)
def test_hues_are_told_apart(colour, hue):
    rgb = flat((110, 110, 110))
    rgb[20:44, 20:44] = colour
    part = next(part for part in facts_of(np.full((64, 64), 90, np.uint8), rgb).parts if part.share < 0.3)
    assert part.hue == hue


def test_haze_is_no_blue_but_a_blue_part_under_haze_is():
    grey = np.random.default_rng(0).integers(80, 121, (64, 64, 1)) + np.array([0, 4, 20])  # a veil over all of it
    hazy = grey.astype(np.uint8)
    infrared = np.full((64, 64), 90, np.uint8)
    assert {part.hue for part in facts_of(infrared, hazy).parts} == {"neutral"}
    hazy[8:30, 8:30] = (40, 70, 150)
    assert [part.place for part in facts_of(infrared, hazy).parts if part.hue == "blue"] == ["north-west"]


def test_what_the_infrared_alone_shows_is_told():
    infrared, rgb = np.full((64, 64), 120, np.uint8), flat(FIELD)
    infrared[6:24, 38:58] = 220
    infrared[40:42, 4:60] = 20
    facts = facts_of(infrared, rgb)
    assert [(region.tone, region.place, region.only) for region in facts.regions] == [("pale", "north-east", True)]
    assert [(line.image, line.rgb_tone, line.infrared_tone) for line in facts.lines] == [
        ("infrared", "absent", "dark")
    ]
    assert len(facts.infrared_only) == 2 and facts.rgb_only == ()
    assert facts.edges.infrared_shared == 0


def test_what_the_rgb_alone_shows_is_told_even_if_only_its_colour_differs():
    rgb = flat((100, 100, 100))
    rgb[8:28, 8:28] = (130, 85, 100)  # as light as what is around it: luminance is 100
    rgb[48:50, :] = PALE
    facts = facts_of(np.full((64, 64), 120, np.uint8), rgb)
    assert {(only.place if hasattr(only, "place") else only.course) for only in facts.rgb_only} == {
        "north-west",
        "across",
    }
    assert facts.infrared_only == ()


def test_changes_of_rank_and_against_the_ring():
    rgb, infrared = flat((120, 120, 120)), np.full((64, 64), 120, np.uint8)
    for row, column, in_rgb, in_infrared in (
        (6, 6, 220, 220),
        (6, 40, 220, 30),
        (40, 6, 220, 120),
        (40, 40, 120, 220),
    ):
        rgb[row : row + 16, column : column + 16] = in_rgb
        infrared[row : row + 16, column : column + 16] = in_infrared
    facts = facts_of(infrared, rgb)
    changes = {part.place: part.change.ring for part in facts.parts if part.share < 0.2}
    assert changes == {"north-west": "kept", "north-east": "reversed", "south-west": "lost"}
    assert {r.place: r.change.ring for r in facts.regions}["south-east"] == "gained"
    assert [part.place for part in facts.parts if part.only] == ["south-west"]


def test_edges_are_shared_both_ways():
    rgb, infrared = flat((60, 60, 60)), np.full((64, 64), 60, np.uint8)
    rgb[:, 32:], infrared[:, 32:] = 200, 10  # the same border, turned round
    both = facts_of(infrared, rgb).edges
    assert both.rgb_shared == both.infrared_shared == 1 and both.rgb_chance < 0.15
    infrared[32:] = 250  # one border more
    assert facts_of(infrared, rgb).edges.infrared_shared < 0.7


def turned(count: int, image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(image, count))


def mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def saved(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90, subsampling=0)
    return np.asarray(Image.open(file))


def names(facts: PairFacts) -> set[tuple]:
    """What survives turns: looks and changes without places."""
    parts = {(part.appearance, part.infrared.against, part.change.ring) for part in facts.parts}
    return parts | {(line.image, line.rgb_tone, line.infrared_tone) for line in facts.lines}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_quarter_turns_turn_places_only(count):
    infrared, rgb = scene()
    facts = facts_of(turned(count, infrared), turned(count, rgb))
    assert names(facts) == names(facts_of(infrared, rgb))
    pond = next(part for part in facts.parts if part.hue == "teal")
    assert pond.place == {1: "north-east", 2: "north-west", 3: "south-west"}[count]
    assert facts.lines[0].course == ("down" if count % 2 else "across")


def test_a_mirror_swaps_east_and_west():
    infrared, rgb = scene()
    facts = facts_of(mirrored(infrared), mirrored(rgb))
    assert names(facts) == names(facts_of(infrared, rgb))
    assert next(part for part in facts.parts if part.hue == "teal").place == "south-west"


def test_size_jpeg_and_a_shift_by_a_pixel_change_nothing_that_is_told():
    infrared, rgb = scene()
    assert kept(facts_of(*scene(128)))
    assert kept(facts_of(saved(infrared), saved(rgb)))
    assert kept(facts_of(np.roll(infrared, 1, axis=1), rgb))
    assert kept(facts_of(np.roll(infrared, 1, axis=0), rgb))


def test_gain_and_gamma_of_the_infrared_change_nothing_that_is_told():
    infrared, rgb = scene()
    assert kept(facts_of((infrared * 0.7 + 20).astype(np.uint8), rgb))
    curved = 255 * (infrared / 255) ** 1.5
    assert kept(facts_of(curved.astype(np.uint8), rgb))


def test_noise_alone_has_no_lines_and_no_regions():
    draw = np.random.default_rng(0)
    infrared, grey = draw.normal(120, 12, (2, 128, 128)).clip(0, 255).astype(np.uint8)
    facts = facts_of(infrared, np.repeat(grey[..., None], 3, 2))
    assert facts.lines == () and facts.regions == ()


def test_sizes_may_differ_and_need_not_be_square():
    infrared, rgb = scene()
    larger = np.asarray(Image.fromarray(rgb).resize((128, 128), Image.Resampling.NEAREST))
    assert facts_of(infrared, larger).lines[0].infrared_tone == "dark"
    assert facts_of(infrared[:, :40], rgb[:, :40]).lines[0].rgb_tone == "bright"
    assert facts_of(infrared[:5, :7], rgb[:5, :7]).lines == ()


def test_without_rgb_there_are_no_facts_of_a_pair():
    infrared, rgb = scene()
    assert measure(infrared).images is None and pair_of(measure(infrared)) is None
    assert judge("The image is bright.", measure(infrared)) == judge("The image is bright.", measure(infrared, rgb))


def test_facts_compare_and_travel_with_their_images():
    infrared, rgb = scene()
    facts = measure(infrared, rgb)
    assert pickle.loads(pickle.dumps(facts)) == facts and hash(facts) == hash(measure(infrared, rgb))
    assert pair_of(pickle.loads(pickle.dumps(facts))) == pair_of(facts)
    other = rgb.copy()
    other[0, 0] ^= 1
    assert measure(infrared, other) != facts


def test_large_pairs_are_kept_at_a_limited_size():
    infrared, rgb = (np.repeat(np.repeat(image, 10, 0), 10, 1) for image in scene())
    facts = measure(infrared, rgb)
    assert facts.images.size == (256, 256) and len(facts.images.infrared) == 256**2
    assert pair_of(facts).lines[0].rgb_tone == "bright"
