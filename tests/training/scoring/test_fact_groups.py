import numpy as np
import pytest

from dataset_builder.claims.grounding import FACT_KINDS, measure
from training.data.fact_texts import VALUES
from training.scoring.fact_groups import (
    MARGIN,
    chosen_values,
    group_accuracies,
    margin,
    match_choices,
    written_choices,
)


def facts_of(ir, rgb=0):
    cells = np.kron(np.array(ir, np.uint8).reshape(3, 3), np.ones((16, 16), np.uint8))
    return measure(cells, np.full((48, 48, 3), rgb, np.uint8))


FIRST = facts_of([10, 20, 30, 40, 50, 60, 70, 80, 100])
SECOND = facts_of([200, 190, 180, 170, 160, 150, 140, 130, 110])
NEAR = facts_of([200, 198, 180, 170, 160, 150, 140, 130, 110])  # the brightest by two grey levels
CONDITIONS = ("own_images", "ir_shuffled", "ir_inverted", "rgb_shuffled")


def choice(*facts):
    return {kind: np.array([VALUES[kind].index(getattr(fact, kind)) for fact in facts]) for kind in FACT_KINDS}


def groups(first, second, answers):
    facts = {name: [first] if name == "own_images" else [second] for name in CONDITIONS}
    return group_accuracies({name: choice(answer) for name, answer in zip(CONDITIONS, answers)}, facts, ["tile"])


def test_a_group_is_right_only_if_both_pairs_are():
    right = groups(FIRST, SECOND, [FIRST, SECOND, SECOND, SECOND])["infrared_of_another_tile"]["brightest"]
    assert (right.groups, right.accuracy, right.chance) == (1, 1.0, pytest.approx(1 / 81))
    by_heart = groups(FIRST, SECOND, [FIRST, FIRST, FIRST, FIRST])["infrared_of_another_tile"]["brightest"]
    assert (by_heart.groups, by_heart.accuracy) == (1, 0.0)


def test_equal_answers_and_narrow_margins_make_no_group():
    alike = groups(FIRST, FIRST, [FIRST] * 4)["infrared_of_another_tile"]
    assert {score.groups for score in alike.values()} == {0} and alike["level"].accuracy is None
    assert groups(FIRST, NEAR, [FIRST, NEAR, NEAR, NEAR])["infrared_of_another_tile"]["brightest"].groups == 0


@pytest.mark.parametrize(("gap", "groups"), [(4, 0), (5, 1)])
def test_answers_apart_by_the_margin_make_a_group(gap, groups):
    second = facts_of([200, 200 - gap, 180, 170, 160, 150, 140, 130, 110])
    assert margin(second, "brightest") == pytest.approx(gap) and MARGIN == 5
    facts = {name: [FIRST] if name == "own_images" else [second] for name in CONDITIONS}
    choices = {name: choice(facts[name][0]) for name in CONDITIONS}
    found = group_accuracies(choices, facts, ["tile"])["infrared_of_another_tile"]["brightest"]
    assert found.groups == groups


def test_margins_are_grey_levels_to_the_next_answer():
    assert margin(NEAR, "brightest") == pytest.approx(2)
    assert margin(FIRST, "level") == pytest.approx(80 - FIRST.mean)
    assert margin(facts_of([100] * 9, rgb=30), "relation") == pytest.approx(5)  # 70 above, 75 would be brighter
    assert margin(facts_of([100] * 9), "brightest") == 0


def test_one_blind_answer_is_compared_with_every_row():
    table = match_choices(choice(FIRST), [FIRST, SECOND])
    assert table.shape == (2, len(FACT_KINDS)) and table[0].all() and not table[1, FACT_KINDS.index("brightest")]


def test_what_was_not_written_is_right_of_nothing():
    told = {kind: getattr(FIRST, kind) for kind in FACT_KINDS}
    choices = written_choices([told, told | {"brightest": None}])
    assert chosen_values(choices) == [told, told | {"brightest": None}]
    table = match_choices(choices, [FIRST, FIRST])
    assert table[0].all() and not table[1, FACT_KINDS.index("brightest")] and table[1].sum() == len(FACT_KINDS) - 1
