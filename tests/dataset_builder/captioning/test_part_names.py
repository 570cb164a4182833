import dataclasses
import random

import pytest

from dataset_builder.captioning.part_names import line_name, look_name, object_name
from dataset_builder.claims import measure
from dataset_builder.claims.pair_images import pair_of
from tests.dataset_builder.captioning.made.pairs import reversed_pair, row_of


@pytest.fixture
def part():
    """A dark square in the upper left."""
    parts = pair_of(measure(*reversed_pair())).parts
    return next(part for part in parts if part.place == "north-west")


def named(part, hue, tone, *captions):
    part = dataclasses.replace(part, hue=hue, tone=tone)
    return object_name(part, row_of("a", captions), random.Random(0))


def test_an_object_of_the_scene_caption_names_the_part_that_looks_like_it_and_the_match_is_recorded(part):
    assert named(part, "green", "dark", "Dense forest beside a road.").match == ("forest", "forest")
    assert named(part, "teal", "medium", "A lake between meadows.").match == ("lake", "lake")
    assert named(part, "warm", "pale", "Sand along the sea.").match == ("sand", "sand")


def test_what_looks_otherwise_or_lies_elsewhere_names_nothing(part):
    assert named(part, "warm", "pale", "Dense forest beside a road.") is None
    assert named(part, "green", "dark", "Forest in the south-east, water in the west.") is None
    assert named(part, "green", "dark", "Forest in the north-west.").match == ("forest", "forest")


def test_a_part_without_hue_is_named_only_where_the_caption_says_where(part):
    assert named(part, "neutral", "dark", "Water and woods.") is None
    assert named(part, "neutral", "dark", "Water in the north-west.").match == ("water", "water")


def test_without_an_object_a_part_is_named_by_its_look_and_no_colour_is_said(part):
    for hue, tone, looks in (("neutral", "dark", {"dark", "darker", "darkish"}), ("green", "medium", {""})):
        names = {look_name(dataclasses.replace(part, hue=hue, tone=tone), random.Random(seed)) for seed in range(30)}
        assert {name.look for name in names} <= looks and all(name.match is None for name in names)
    assert line_name(random.Random(0)).match is None
