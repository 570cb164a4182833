import itertools
from functools import partial

import numpy as np
import pytest

from dataset_builder.groups.quotas import MAX_SUM_PAIRS, UNREACHED, Contents, _bundles, choose_sums, draw

VALIDATION, TEST = 1, 2


def sums(sizes, codes):
    return tuple(int(sizes[codes == split].sum()) for split in (VALIDATION, TEST))


def every_pair_of_sums(weights):
    """Slow reference: what two disjoint subsets can sum to."""
    found = {(0, 0)}
    for weight in weights:
        found |= {pair for a, b in found for pair in ((a + weight, b), (a, b + weight))}
    return found


@pytest.mark.parametrize("count", range(1, 30))
def test_bundles_hold_any_two_disjoint_numbers_of_equal_values(count):
    assert sum(_bundles(1, count)) == count
    pairs = {(a, b) for a in range(count + 1) for b in range(count + 1 - a)}
    assert every_pair_of_sums(_bundles(1, count)) == pairs


def only(goal, a, b):
    return np.where((a == goal[0]) & (b == goal[1]), 0, UNREACHED)


def test_sums_are_chosen_exactly_where_two_disjoint_subsets_give_them():
    rng = np.random.default_rng(0)
    for _ in range(60):
        weights = rng.integers(1, rng.integers(2, 9), rng.integers(1, 8))
        reachable = every_pair_of_sums(weights.tolist())
        for goal in itertools.product(range(9), repeat=2):
            codes = choose_sums(weights, (9, 9), partial(only, goal))
            assert (codes is not None) == (goal in reachable)
            assert codes is None or sums(weights, codes) == goal


def test_of_equal_weights_the_first_are_taken():
    weights = np.array([5, 2, 2, 5, 2, 2])
    codes = choose_sums(weights, (4, 2), lambda a, b: abs(a - 4) + abs(b - 2))
    assert codes.tolist() == [0, 1, 1, 0, 2, 0]


def nearest(sizes, targets):
    """Smallest total difference from the targets that leaves something to train, unless the targets ask for all."""
    whole = sum(sizes)
    pairs = [(a, b) for a, b in every_pair_of_sums(sizes) if a + b < whole or whole <= sum(targets)]
    return min(abs(a - targets[0]) + abs(b - targets[1]) for a, b in pairs)


def test_draws_are_exact_where_whole_groups_allow_it_and_else_nearest():
    rng = np.random.default_rng(1)
    exact = 0
    for _ in range(150):
        sizes = rng.integers(1, rng.integers(2, 12), rng.integers(2, 9))
        targets = tuple(int(rows) for rows in rng.integers(0, sizes.sum() // 2 + 1, 2))
        found = sums(sizes, draw(sizes, dict(zip((VALIDATION, TEST), targets))))
        difference = sum(abs(a - b) for a, b in zip(found, targets))
        assert difference == nearest(sizes.tolist(), targets), (sizes, targets, found)
        exact += difference == 0
    assert 30 < exact < 140


def test_groups_that_fit_are_taken_in_the_order_of_the_draw():
    codes = draw(np.array([1, 4, 1, 1, 1, 1]), {VALIDATION: 2, TEST: 3})
    assert codes.tolist() == [2, 0, 2, 2, 1, 1]  # test first; four rows do not fit


def test_the_last_groups_are_exchanged_where_they_leave_a_gap():
    # In order, 3 and 3 leave one row of 7 open; 3 + 4 closes it, and the first group stays.
    assert draw(np.array([3, 3, 4, 4]), {VALIDATION: 0, TEST: 7}).tolist() == [2, 0, 2, 0]
    # One after the other, test takes 2 + 2 and leaves validation no 2.
    assert sums(np.array([2, 2, 4, 8]), draw(np.array([2, 2, 4, 8]), {VALIDATION: 2, TEST: 4})) == (2, 4)


def test_of_two_equally_near_sizes_it_is_the_smaller_and_train_is_not_emptied():
    assert sums(np.array([3, 5, 9]), draw(np.array([3, 5, 9]), {VALIDATION: 0, TEST: 4})) == (0, 3)
    assert sums(np.array([5, 9]), draw(np.array([5, 9]), {VALIDATION: 0, TEST: 4})) == (0, 5)
    assert draw(np.array([10]), {VALIDATION: 0, TEST: 6}).tolist() == [0]


def test_targets_beyond_one_exact_search_are_met_split_by_split():
    rng = np.random.default_rng(2)
    sizes = 2 * rng.integers(900, 1100, 60)
    targets = {VALIDATION: 24_000, TEST: 24_002}
    assert targets[VALIDATION] * targets[TEST] > MAX_SUM_PAIRS
    assert sums(sizes, draw(sizes, targets)) == (24_000, 24_002)


def contents_of(groups):
    """Contents of groups that are given as rows by source."""
    entries = [(place, *item) for place, group in enumerate(groups) for item in sorted(group.items())]
    return Contents(*(np.array(column) for column in zip(*entries)))


def minima_of(groups, least, targets):
    """Draws, and returns rows by split and source."""
    sizes = np.array([sum(group.values()) for group in groups])
    count = 1 + max(source for group in groups for source in group)
    codes = draw(sizes, dict(zip((VALIDATION, TEST), targets)), contents_of(groups), np.full((3, count), least))
    rows = np.zeros((3, count), int)
    for code, group in zip(codes, groups):
        for source, own in group.items():
            rows[code, source] += own
    return codes, rows


def test_each_source_has_its_minimum_before_the_rest_is_drawn():
    groups = [{0: 1}] * 200 + [{1: 2}] * 20 + [{1: 1, 0: 1}] * 5
    codes, rows = minima_of(groups, 8, (20, 20))
    assert (rows[1:] >= 8).all()
    assert rows[1:].sum(1).tolist() == [20, 20]
    assert not codes[220:].any()  # groups of one source come before those of two


def test_a_scarce_source_is_shared_by_turns_and_not_exceeded_by_others():
    codes, rows = minima_of([{0: 1}] * 50 + [{1: 1}] * 5, 4, (10, 10))
    assert rows[1:, 1].tolist() == [3, 2]  # five rows for two minima of four: validation and test in turn
    assert rows[1:].sum(1).tolist() == [10, 10]


def test_minima_are_met_whenever_the_source_s_own_groups_can():
    rng = np.random.default_rng(3)
    met = 0
    for _ in range(150):
        sources = [rng.integers(1, 7, rng.integers(1, 7)).tolist() for _ in range(2)]
        least = int(rng.integers(1, 9))
        groups = [{number: rows} for number, own in enumerate(sources) for rows in own]
        _, rows = minima_of(groups, least, (40, 40))
        for number, own in enumerate(sources):
            feasible = any(a >= least and b >= least for a, b in every_pair_of_sums(own))
            assert (rows[1:, number] >= least).all() >= feasible, (own, least, rows)
            met += feasible
    assert 30 < met < 270


def test_minima_do_not_break_the_targets():
    _, rows = minima_of([{0: 1}] * 30 + [{1: 1}] * 30 + [{2: 1}] * 30, 10, (20, 20))
    assert rows[1:].sum(1).tolist() == [20, 20]
    assert sorted(rows[1]) == [0, 10, 10]


@pytest.mark.parametrize("scarce", [0, 1])
def test_the_scarcest_source_is_served_first(scarce):
    groups = [{1 - scarce: 1}] * 10 + [{scarce: 1}] * 4
    _, rows = minima_of(groups, 2, (2, 2))  # room for one source's minima
    assert rows[1:, scarce].tolist() == [2, 2] and rows[1:, 1 - scarce].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("groups", "target", "codes"),
    [
        ([{1: 3}, {1: 1}, {1: 1, 0: 1}], 3, [0, 2, 2]),  # the small one before the large one; then what fits
        ([{1: 1, 0: 1}, {1: 3}], 3, [0, 2]),  # of that source alone before a smaller one of two
        ([{1: 1, 0: 3}, {1: 3, 0: 1}], 4, [0, 2]),  # mostly of that source
        ([{1: 2, 0: 2}, {1: 2, 0: 2}], 4, [2, 0]),  # early in the draw
        ([{1: 3}, {0: 4}, {0: 9}], 4, [2, 0, 0]),  # what a minimum took stays, though 4 would fit exactly
        ([{1: 5}, {0: 4}, {0: 9}], 4, [0, 2, 0]),  # a minimum does not break the target
    ],
)
def test_a_minimum_takes_groups_in_the_documented_order(groups, target, codes):
    needs = np.zeros((3, 2), int)
    needs[TEST, 1] = 1
    sizes = np.array([sum(group.values()) for group in groups])
    found = draw(sizes, {VALIDATION: 0, TEST: target}, contents_of(groups), needs)
    assert found.tolist() == codes
    assert needs.sum() == 1  # the caller's are left alone


def test_a_minimum_that_another_source_s_groups_met_takes_no_more():
    groups = [{0: 1}] * 30 + [{1: 2, 2: 2}] * 2 + [{2: 1}] * 30  # source 1 brings what source 2 needs
    codes, rows = minima_of(groups, 2, (10, 10))
    assert codes[30:32].tolist() in ([1, 2], [2, 1])
    assert rows[1:, 1].tolist() == [2, 2] and rows[1:].sum(1).tolist() == [10, 10]


def test_a_minimum_gives_nothing_to_a_split_that_asks_for_none():
    needs = np.zeros((3, 2), int)
    needs[TEST, 1] = 1
    groups = [{1: 1}] * 4 + [{0: 1}] * 20
    codes = draw(np.ones(24, int), {VALIDATION: 2, TEST: 2}, contents_of(groups), needs)
    assert codes.tolist() == [2, 2, 1, 1] + [0] * 20
