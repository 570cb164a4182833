import numpy as np

from dataset_builder.captioning.turned import turned, turned_places
from dataset_builder.claims import judge, measure
from tests.dataset_builder.captioning.made.pairs import reversed_pair


def test_what_lies_in_a_corner_is_not_there_in_any_turned_pair():
    facts = measure(*reversed_pair())
    caption = "A white patch lies in the upper left."
    assert [judged.verdict for judged in judge(caption, facts)] == ["supported"]
    assert {judged.verdict for pair in turned(facts) for judged in judge(caption, pair)} == {"contradicted"}


def test_turning_moves_the_infrared_and_leaves_the_rgb():
    facts = measure(*reversed_pair())
    pairs = turned(facts)
    grids = [bytes.fromhex(pair.grid) for pair in (facts, *pairs)]
    assert len(set(grids)) == len(grids) and len({bytes(sorted(grid)) for grid in grids}) == 1
    assert {pair.luminance_grid for pair in pairs} == {facts.luminance_grid}
    assert np.isclose([pair.mean for pair in pairs], facts.mean).all()


def test_places_of_a_sentence_are_mirrored_and_the_same_line_is_not_asked_for_twice():
    assert turned_places("A line runs from the upper left to the middle.") == [
        "a line runs from the upper right to the middle.",
        "a line runs from the lower left to the middle.",
        "a line runs from the lower right to the middle.",
    ]
    assert turned_places("A line runs from the left to the right.") == []
