import itertools
import random
import re

import pytest

from dataset_builder.captioning.scene_captions import (
    COVERS,
    MAX_CHARACTERS,
    PLACES,
    SHAPES,
    TRENDS,
    WORDS,
    write_captions,
)
from dataset_builder.captioning.scene_facts import CoverFacts, SceneFacts

FACTS = SceneFacts(
    (
        CoverFacts("dry", 0.71, "everywhere", "block"),
        CoverFacts("water", 0.2, "east", "strip"),
        CoverFacts("marsh", 0.09, "south-east", "scattered"),
    ),
    "blocks",
    ("dryness", "west", "south-east"),
)


def some_facts(count, seed=0):
    draw = random.Random(seed)
    for _ in range(count):
        shares = sorted((draw.random() for _ in range(draw.choice((1, 2, 3, 4)))), reverse=True)
        shapes = [shape for shape in SHAPES if shape != "large block"]
        covers = tuple(
            CoverFacts(cover, round(share / sum(shares), 2), draw.choice(list(PLACES)), draw.choice(shapes))
            for cover, share in zip(draw.sample(list(COVERS), len(shares)), shares, strict=True)
        )
        pattern = "even" if covers[0].share >= 0.9 else draw.choice(["blocks", "patchwork", "mixture"])
        cells = draw.sample([place for place in PLACES if " " not in place and place != "everywhere"], 2)
        yield SceneFacts(covers, pattern, draw.choice([None, (draw.choice(list(TRENDS)), *cells)]))


def test_the_same_facts_and_id_give_the_same_words_and_another_id_others():
    assert write_captions(FACTS, "a") == write_captions(FACTS, "a")
    assert len({tuple(write_captions(FACTS, f"tile {number}")) for number in range(50)}) == 50


def test_captions_name_what_is_there_and_where():
    for number in range(50):
        first, second = write_captions(FACTS, str(number))
        assert any(name in first.lower() for name in COVERS["dry"]) and any(name in first for name in COVERS["water"])
        assert any(place in first for place in PLACES["east"])
        assert "driest" in second and any(place in second for place in PLACES["west"])
        assert all(any(name in second.lower() for name in COVERS[cover]) for cover in ("dry", "water", "marsh"))


@pytest.mark.parametrize("number", [0, 1])
def test_captions_name_no_cover_that_is_not_there(number):
    for facts in some_facts(200):
        text = write_captions(facts, "x")[number].lower()
        there = {cover.cover for cover in facts.covers}
        told = {cover for cover, names in COVERS.items() for name in names if re.search(rf"(?<![\w-]){name}", text)}
        allowed = there | {other for cover in there for other in COVERS if _contains(cover, other)}
        assert told <= allowed, (text, told - allowed)


def _contains(cover, other):
    """Whether a name of `other` is part of one of `cover`: "dry open ground" of "very dry open ground"."""
    return any(b in a for a, b in itertools.product(COVERS[cover], COVERS[other]))


def test_captions_are_sentences_of_the_length_that_text_towers_read():
    for facts in some_facts(300, seed=1):
        for text in write_captions(facts, "x"):
            assert re.fullmatch(r"[A-Z][a-z, -]+(, [a-z -]+)*\.", text) and "  " not in text, text
            assert len(text.split()) in range(WORDS.start - 4, WORDS.stop + 8)
    lengths = [len(text) for facts in some_facts(300, seed=2) for text in write_captions(facts, "x")]
    assert sum(length <= MAX_CHARACTERS + 1 for length in lengths) >= 0.9 * len(lengths)


def test_one_place_of_two_patches_is_named_once():
    covers = (
        CoverFacts("dry", 0.8, "everywhere", "block"),
        CoverFacts("water", 0.1, "north", "few"),
        CoverFacts("marsh", 0.1, "north", "few"),
    )
    for number in range(30):
        first, _ = write_captions(SceneFacts(covers, "blocks", None), str(number))
        assert sum(first.count(place) for place in PLACES["north"]) == 1


def test_every_phrase_reads_as_a_sentence_part():
    for names in COVERS.values():
        assert all(name == name.lower() and not name.startswith(("a ", "the ")) for name in names)
