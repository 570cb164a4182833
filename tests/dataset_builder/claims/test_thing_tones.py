import numpy as np
import pytest

from dataset_builder.claims.grounding import measure
from dataset_builder.claims.image_view import View
from dataset_builder.claims.thing_tones import kindest, mean_rank, tone_verdict

RIGHT, WRONG, OPEN = "supported", "contradicted", "unverifiable"


@pytest.mark.parametrize(
    ("right", "wrong", "other", "verdict"),
    [
        (1, 0, 9, RIGHT),
        (2, 1, 0, RIGHT),  # a third say the opposite
        (1, 1, 0, OPEN),
        (33, 34, 33, RIGHT),
        (33, 35, 32, OPEN),
        (0, 3, 1, WRONG),
        (0, 2, 1, OPEN),
        (0, 0, 1, OPEN),
        (0, 0, 0, OPEN),
    ],
)
def test_the_kindest_verdict_holds_unless_several_say_the_opposite(right, wrong, other, verdict):
    assert kindest([RIGHT] * right + [WRONG] * wrong + [OPEN] * other) == verdict


def view_of(level, share=16, rest=120):
    """A block of one level in the first lines of an image of another."""
    image = np.full((48, 48), rest, np.uint8)
    image[:share] = level
    mask = np.zeros((48, 48), bool)
    mask[:share] = True
    return mask, View(measure(image))


def test_a_mean_rank_counts_half_of_what_is_equal():
    mask, view = view_of(200)
    assert mean_rank(mask, view) == pytest.approx((200, 5 / 6))
    assert mean_rank(~mask, view) == pytest.approx((120, 1 / 3))
    assert mean_rank(np.ones((48, 48), bool), view)[1] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("value", "level", "verdict"),
    [
        ("black", 82, RIGHT),
        ("black", 83, OPEN),
        ("black", 105, OPEN),
        ("black", 106, WRONG),
        ("white", 175, RIGHT),
        ("white", 174, OPEN),
        ("white", 148, OPEN),
        ("white", 147, WRONG),
        ("medium", 70, RIGHT),
        ("medium", 180, RIGHT),
        ("medium", 69, OPEN),
        ("medium", 50, OPEN),
        ("medium", 49, WRONG),
        ("medium", 205, OPEN),
        ("medium", 206, WRONG),
    ],
)
def test_black_white_and_medium_are_levels(value, level, verdict):
    mask, view = view_of(level)
    assert tone_verdict(value, mask, view) == verdict


@pytest.mark.parametrize(
    ("level", "rest", "verdict"),
    [
        (150, 200, RIGHT),  # whatever the rest is
        (149, 200, OPEN),
        (149, 120, RIGHT),  # above two thirds of the image
        (115, 100, RIGHT),
        (114, 100, OPEN),
        (131, 200, OPEN),
        (130, 200, WRONG),  # below two thirds of it
        (96, 80, OPEN),
        (95, 80, WRONG),
    ],
)
def test_bright_is_a_level_or_a_rank_and_dark_its_mirror(level, rest, verdict):
    mask, view = view_of(level, rest=rest)
    assert tone_verdict("bright", mask, view) == verdict
    mask, view = view_of(255 - level, rest=255 - rest)
    assert tone_verdict("dark", mask, view) == verdict
