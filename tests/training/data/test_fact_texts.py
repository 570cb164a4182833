import math
from collections import Counter

import pytest

from dataset_builder.claims.grounding import FACT_KINDS
from dataset_builder.claims.reading import read_claims
from training.data.fact_texts import (
    VALUES,
    count_values,
    facts_sentence,
    question_weights,
    unread_entropy,
    value_words,
)

FACTS = {
    "level": "bright",
    "contrast": "low",
    "brightest": "north-west",
    "darkest": "south",
    "relation": "darker",
}


def test_the_sentence_tells_all_facts_in_a_fixed_order_and_leaves_out_what_is_unknown():
    assert facts_sentence(FACTS) == (
        "Infrared: bright, low contrast, brightest north-west, darkest south, darker than visible."
    )
    unknown = {**FACTS, "brightest": None, "darkest": None, "relation": None}
    assert facts_sentence(unknown) == "Infrared: bright, low contrast."


@pytest.mark.parametrize("kind", FACT_KINDS)
def test_every_value_in_a_sentence_is_read_back_by_the_judge(kind):
    for value in VALUES[kind]:
        claims = {claim.kind: claim.value for claim in read_claims(facts_sentence({**FACTS, kind: value}))}
        assert claims == {**FACTS, kind: value}


def test_answers_of_a_kind_differ_and_none_begins_another_but_by_a_hyphen():
    for kind, values in VALUES.items():
        words = [value_words(kind, value) for value in values]
        assert len({*words}) == len(words)


def test_questions_balance_kinds_and_answers():
    rows = [{**FACTS, "level": "bright"}] * 90 + [{**FACTS, "level": "dark"}] * 10
    counts = count_values(rows)
    rare, common = (question_weights(row, counts)["level"] for row in (rows[-1], rows[0]))
    assert sum(question_weights(rows[0], counts).values()) == pytest.approx(1)
    # asked with weight 100 / (2 * 10) = 5 and 100 / (2 * 90) = 5 / 9 beside four kinds of weight 1
    assert rare == pytest.approx(5 / 9)
    assert common == pytest.approx((5 / 9) / (4 + 5 / 9))


def test_what_was_not_measured_is_not_asked_for():
    counts = count_values([FACTS, {**FACTS, "brightest": None}])
    assert counts["brightest"] == Counter({"north-west": 1})
    assert "brightest" not in question_weights({**FACTS, "brightest": None}, counts)


def test_entropy_of_an_unread_sentence_is_the_sum_of_its_facts_entropies():
    rows = [{**FACTS, "level": level, "darkest": cell} for level in ("dark", "bright") for cell in ("north", "south")]
    assert unread_entropy(count_values(rows)) == pytest.approx(2 * math.log(2))
