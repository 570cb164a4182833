import numpy as np
import pytest

from dataset_builder.claims.grounding import CELLS, FACT_KINDS, measure
from training.scoring.places import Following, PlaceAccuracy, place_scores


def facts_of(*means):
    """Facts of an image whose nine cells have these grey levels."""
    return measure(np.kron(np.array(means, np.uint8).reshape(3, 3), np.ones((16, 16), np.uint8)))


RAMP = facts_of(10, 20, 30, 40, 50, 60, 70, 96, 100)  # brightest south-east, then south


def test_a_named_cell_is_scored_strictly_nearly_and_by_row_and_column():
    scores = {cell: PlaceAccuracy.of_cells([cell], [RAMP], "brightest") for cell in CELLS}
    assert scores["south-east"] == PlaceAccuracy(1, 1, 1, 1, 1)
    assert scores["south"] == PlaceAccuracy(0, 1, 1, 0, 2)
    assert scores["east"] == PlaceAccuracy(0, 0, 0, 1, 4)
    assert scores["north-west"] == PlaceAccuracy(0, 0, 0, 0, 9)
    assert PlaceAccuracy.of_cells(["north-west"], [RAMP], "darkest").strict == 1


def test_rows_that_name_none_count_and_rows_without_an_extreme_do_not():
    flat = facts_of(*[50] * 9)
    score = PlaceAccuracy.of_cells(["south-east", None, "north"], [RAMP, RAMP, flat], "brightest")
    assert score == PlaceAccuracy(0.5, 0.5, 0.5, 0.5, 5.0)


def test_places_are_scored_by_kind():
    scores = place_scores([{"brightest": "south-east", "darkest": "centre", "level": "dark"}], [RAMP])
    assert {kind: score.strict for kind, score in scores.items()} == {"brightest": 1, "darkest": 0}


def test_following_counts_rows_where_both_places_were_right():
    own, inverted = np.zeros((4, len(FACT_KINDS)), bool), np.zeros((4, len(FACT_KINDS)), bool)
    columns = [FACT_KINDS.index("brightest"), FACT_KINDS.index("darkest")]
    own[:, columns] = [[1, 1], [1, 1], [1, 0], [1, 1]]
    inverted[:, columns] = [[1, 0], [1, 1], [1, 1], [0, 0]]
    assert Following.of_matches(own, inverted) == Following(3, pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert Following.of_matches(own & False, inverted).rows == 0
