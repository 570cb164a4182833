import numpy as np

from dataset_builder.captioning import GroundedCaptioner
from dataset_builder.captioning.fates import fate, fates_of, strikes
from dataset_builder.claims import measure
from dataset_builder.claims.pair_images import pair_of
from tests.dataset_builder.captioning.made.pairs import row_of


def halves(left, right, lower):
    """Infrared and RGB of a tile by grey levels `(RGB, infrared)` of its left half, upper and lower right quarter."""
    noise = np.random.default_rng(0).normal(0, 2, (64, 64))
    rgb, infrared = np.empty((64, 64)), np.empty((64, 64))
    for window, (before, after) in ((np.s_[:, :32], left), (np.s_[:32, 32:], right), (np.s_[32:, 32:], lower)):
        rgb[window], infrared[window] = before, after
    rgb = np.repeat((rgb + noise)[..., None], 3, axis=2)
    return infrared.clip(4, 250).astype(np.uint8) + 2, rgb.clip(0, 255).astype(np.uint8)


PAIR = halves(left=(40, 150), right=(185, 185), lower=(185, 190))  # dark to bright; pale as it was


def part_of(pair, place):
    return next(part for part in pair.parts if place in part.place)


def test_the_part_that_changes_is_told_and_what_stays_is_no_fate():
    (fates,) = fates_of(pair_of(measure(*PAIR)))
    assert [(telling.kind, telling.value) for telling in fates] == [
        ("part extreme", "darkest"),
        ("part turns", "bright"),
    ]
    assert {telling.subjects[0].place for telling in fates} == {"west side"}


def test_a_part_strikes_by_size_and_change():
    pair = pair_of(measure(*PAIR))
    west, east = part_of(pair, "west"), part_of(pair, "east")
    assert strikes(west) == 1.0  # more than LARGE of the area, more than FULL_CHANGE grey levels
    assert strikes(east) < 0.1
    assert (fate(west), fate(east)) == ("bright", "bright")


def test_what_was_nearly_black_and_is_dark_grey_is_told_as_lifted():
    pair = pair_of(measure(*halves(left=(15, 90), right=(200, 205), lower=(120, 126))))
    tellings = [telling for fates in fates_of(pair) for telling in fates]
    assert "dark grey" in [telling.value for telling in tellings if telling.subjects[0].place.startswith("west")]


def test_what_was_dark_and_is_still_darkest_is_told_with_its_tone():
    pair = pair_of(measure(*halves(left=(40, 140), right=(200, 235), lower=(190, 215))))
    extreme = next(telling for fates in fates_of(pair) for telling in fates if telling.kind == "part extreme")
    assert (extreme.value, extreme.tone) == ("darkest", "medium")


def test_the_caption_leads_with_it():
    facts = measure(*PAIR)
    for seed in range(10):
        told = GroundedCaptioner(seed).told(row_of(), facts)
        assert told[0].telling.subjects[0].place.startswith("west"), told[0].text
