import math

import pytest

from tests.benchmarks.ngrams import bleu


def test_bleu_of_a_sentence_by_hand():
    reference = "the bright field lies in the north"
    assert bleu(reference, reference) == pytest.approx(1)
    # the bright field lies south: 4 of 5 words, 3 of 4 pairs, 2 of 3 triples, 1 of 2 fours; 5 words for 7
    precisions = 4 / 5 * 3 / 4 * 2 / 3 * 1 / 2
    assert bleu("The bright field lies south.", reference) == pytest.approx(precisions**0.25 * math.exp(1 - 7 / 5))
    assert bleu("one two three", reference) == 0


def test_a_repeated_word_matches_as_often_as_the_reference_has_it():
    # 2 of 4 words; no pair, triple or four of 3, 2, 1, each counted as a tenth
    expected = (2 / 4 * 0.1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25 * math.exp(1 - 7 / 4)
    assert bleu("the the the the", "the bright field lies in the north") == pytest.approx(expected)
