import random

import pytest

from dataset_builder.captioning.tellings import cell_of, extreme_of, overlaps, sentence, tellings_of
from dataset_builder.claims import judge, measure
from dataset_builder.claims.pair_images import pair_of
from tests.dataset_builder.captioning.made.pairs import line_pair, reversed_pair, row_of


def test_what_is_reversed_is_told_before_what_is_merely_bright():
    kinds = [telling.kind for telling in tellings_of(pair_of(measure(*reversed_pair())))]
    assert kinds[0] in ("part reversed", "part extreme")
    assert kinds.index("part reversed") < kinds.index("part against ring")


def test_the_brightest_part_is_so_beside_all_others():
    pair = pair_of(measure(*reversed_pair()))
    square = next(part for part in pair.parts if part.place == "north-west")
    assert extreme_of(square, pair) == "brightest"
    assert [extreme_of(part, pair) for part in pair.parts if part is not square] == [None] * (len(pair.parts) - 1)


def test_a_line_that_only_the_infrared_shows_is_told_with_both_ends():
    facts = measure(*line_pair())
    telling = next(telling for telling in tellings_of(pair_of(facts)) if telling.kind == "line in infrared only")
    for seed in range(20):
        text, _ = sentence(telling, row_of(), "infrared image", random.Random(seed))
        assert " from " in text and " to " in text, text


def test_nothing_is_told_twice_nor_two_things_called_the_darkest():
    tellings = tellings_of(pair_of(measure(*reversed_pair())))
    assert overlaps(tellings[0], [tellings[0]])
    extremes = [telling for telling in tellings if telling.value == "brightest"]
    assert all(overlaps(telling, extremes[:1]) for telling in extremes)


def test_most_wordings_are_read_and_supported_on_their_pair():
    facts = measure(*reversed_pair())
    telling = tellings_of(pair_of(facts))[0]
    texts = [sentence(telling, row_of(), "infrared image", random.Random(seed))[0] for seed in range(60)]
    verdicts = [{judged.verdict for judged in judge(text, facts)} for text in texts]
    assert sum(verdict == {"supported"} for verdict in verdicts) >= 0.5 * len(texts), texts
    assert len(set(texts)) > 40


@pytest.mark.parametrize(
    ("point", "cell"), [((0.1, 0.1), "north-west"), ((0.5, 0.5), "centre"), ((1.0, 0.4), "south")]
)
def test_positions_lie_in_cells(point, cell):
    assert cell_of(point) == cell
