from collections import Counter

import numpy as np
import pytest

from dataset_builder.claims.grounding import FACT_KINDS, measure
from tests.made import tiny
from tests.training.test_train_vlm import vlm_run  # noqa: F401 - a fixture
from training.scoring.fact_tables import balanced_sample, best_constant, match_table, other_of_band, written_values


@pytest.mark.parametrize("count, expected", [(9, (2, 4, 3)), (6, (2, 2, 2)), (0, (2, 5, 13)), (100, (2, 5, 13))])
def test_sample_is_balanced_and_small_bands_leave_their_share(count, expected):
    bands = ["lwir"] * 2 + ["nir"] * 5 + ["swir"] * 13
    chosen = balanced_sample(bands, count, seed=0)
    counted = Counter(bands[index] for index in chosen)
    assert (counted["lwir"], counted["nir"], counted["swir"]) == expected
    assert len(set(chosen)) == len(chosen)
    assert chosen == balanced_sample(bands, count, seed=0)


def test_a_small_band_leaves_its_share_whatever_it_is_called():
    bands = ["lwir"] * 13 + ["nir"] * 5 + ["swir"] * 2
    counted = Counter(bands[index] for index in balanced_sample(bands, 9, seed=0))
    assert (counted["lwir"], counted["nir"], counted["swir"]) == (3, 4, 2)


def test_donor_is_another_tile_of_the_same_band():
    bands = ["nir", "nir", "nir", "lwir", "lwir", "swir"]
    tiles = ["a", "a", "b", "a", "c", "a"]
    for seed in range(20):
        donors = other_of_band(bands, tiles, seed)
        for row in range(5):
            assert bands[donors[row]] == bands[row] and tiles[donors[row]] != tiles[row]
        assert donors[5] == 5  # the only one of its band


def test_constant_is_the_majority_and_scores_as_its_caption_would():
    facts = [measure(np.full((9, 9), level, np.uint8)) for level in (10, 100, 100)]  # uniform: no brightest cell
    facts += [measure(np.asarray(tiny.ir_image(seed)), np.asarray(tiny.rgb_image(seed))) for seed in range(3)]
    constant = best_constant(facts)
    assert constant["contrast"] == Counter(fact.contrast for fact in facts).most_common(1)[0][0]
    as_caption = (
        f"Infrared: {constant['level']}, {constant['contrast']} contrast, brightest {constant['brightest']}, "
        f"darkest {constant['darkest']}."
    )
    table = match_table([as_caption] * len(facts), facts)
    for kind in ("level", "contrast", "brightest", "darkest"):
        by_value = [getattr(fact, kind) == constant[kind] for fact in facts]
        assert table[:, FACT_KINDS.index(kind)].tolist() == by_value


def test_written_values_are_those_claimed_once():
    first, second = written_values(["Infrared: dark, low contrast, brightest north, darker than visible.", "nothing"])
    assert first == {"level": "dark", "contrast": "low", "brightest": "north", "darkest": None, "relation": "darker"}
    assert set(second.values()) == {None}


def test_claims_of_other_kinds_and_of_no_measured_value_are_no_written_values():
    """The first is a claim that compares two places; the second says where, of what no row measures."""
    found = written_values(["Brighter in the north than in the south; high contrast.", "Brightest along the coast."])
    assert found[0] == {**dict.fromkeys(FACT_KINDS), "contrast": "high"} and set(found[1].values()) == {None}
