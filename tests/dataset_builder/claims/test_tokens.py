import subprocess
import sys

from dataset_builder.claims.kinds import Kind
from dataset_builder.claims.sentences import sentences
from dataset_builder.claims.tokens import (
    Pattern,
    begins,
    denied_before,
    ends,
    last_position,
    only,
    pieces_of,
    position,
    said,
    without_leading,
    without_trailing,
)
from dataset_builder.claims.words import WORDS


def tokens(text):
    (sentence,) = sentences(text)
    return sentence


def kinds(text):
    return [token.kind for token in tokens(text)]


def test_every_kind_of_the_legend_has_words_but_the_comma():
    assert {kind for kind, _ in WORDS} == set(Kind) - {Kind.COMMA}


def test_words_are_classified_by_the_longest_phrase_and_unknown_ones_are_of_the_ground():
    assert kinds("The upper left corner is darkest, not grey") == [
        Kind.FUNCTION, Kind.PLACE, Kind.COPULA, Kind.SUPERLATIVE, Kind.COMMA, Kind.NEGATION, Kind.BRIGHTNESS
    ]  # fmt: skip
    assert kinds("zebra light grey") == [Kind.GROUND, Kind.TONE]


def test_questions_about_kinds():
    row = tokens("the image is not dark in the north")
    assert said(row, Kind.CONTRAST, Kind.TONE) and not said(row, Kind.CONTRAST) and not said([], *Kind)
    assert (position(row, Kind.FUNCTION), last_position(row, Kind.FUNCTION)) == (0, 6)
    assert position(row, Kind.CONTRAST) == last_position(row, Kind.CONTRAST) == -1
    assert begins(row, Kind.FUNCTION) and ends(row, Kind.PLACE) and not begins([], *Kind) and not ends([], *Kind)
    assert only(row[:2], Kind.FUNCTION, Kind.IMAGE) and only([], Kind.TONE) and not only(row, Kind.FUNCTION)
    assert (
        without_leading(row, Kind.FUNCTION) == row[1:] and without_trailing(row, Kind.PLACE, Kind.FUNCTION) == row[:5]
    )


def test_a_denial_counts_before_what_is_asked_for_and_not_behind_it():
    assert denied_before(tokens("it is not dark"), Kind.TONE)
    assert not denied_before(tokens("dark and not smooth"), Kind.TONE)
    assert not denied_before(tokens("not smooth"), Kind.TONE)  # there is no tone


def test_a_pattern_is_written_in_the_names_of_kinds():
    pattern = Pattern("NEGATION [^PLACE]* TONE | THAN")
    assert pattern.matches(tokens("no image is dark")) and not pattern.matches(tokens("no image is dark here"))
    assert pattern.occurs(tokens("there no image is dark here")) and not pattern.occurs(tokens("no north is dark"))
    assert pattern.occurs(tokens("it is than"))


def test_pieces_end_at_commas_unless_a_noun_is_still_to_come():
    assert [len(piece) for piece in pieces_of(tokens("a dark, smooth image, rough but bright"))] == [4, 1, 1]


def test_the_face_gives_the_functions_whatever_was_imported_before():
    code = "import dataset_builder.claims.judging, dataset_builder.claims.reading; " \
        "from dataset_builder.claims import judge, measure, read_claims; " \
        "assert all(callable(f) for f in (judge, measure, read_claims))"  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)
