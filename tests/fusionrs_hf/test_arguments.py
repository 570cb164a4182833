import argparse

import pytest

from fusionrs_hf.arguments import Arguments, device, number, path, whole
from fusionrs_hf.errors import InputError


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (whole(), "0", 0),
        (whole(1, 5), "5", 5),
        (number(), "-0.5", -0.5),
        (number(0, 1), "1", 1.0),
        (device, "cpu", "cpu"),
    ],
)
def test_a_value_within_its_bounds_is_taken(kind, text, value):
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (whole(), "-1", "whole number from 0 to"),
        (whole(1), "0", "whole number from 1 to"),
        (whole(), "1.5", "got '1.5'"),
        (whole(), "9" * 5000, "in all"),
        (whole(), "1" * 200, "in all"),
        (whole(), "", "got ''"),
        (number(), "nan", "must be a number"),
        (number(), "1e999", "must be a number"),
        (number(0, 1), "1.5", "from 0 to 1"),
        (number(), "half", "got 'half'"),
        (path, "", "must be a path"),
        (path, "a\0b", "must be a path"),
        (path, "a" * 5000, "must be a path"),
        (device, "bogus", "must be a device that is here"),
        (device, "cuda:99", "must be a device that is here"),
        (device, "meta", "must be a device that computes"),
        (device, "", "must be a device"),
    ],
)
def test_any_other_value_is_refused_in_a_short_line(kind, text, said):
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        kind(text)
    assert said in str(refused.value) and len(str(refused.value)) < 400 and "\n" not in str(refused.value)


def test_a_parser_raises_its_sentence_with_where_to_look():
    parser = Arguments(prog="fusionrs made")
    parser.add_argument("--k", type=whole(1, 3))
    with pytest.raises(InputError, match=r"^argument --k: must be a whole number from 1 to 3, got '7'; see `fusionrs"):
        parser.parse_args(["--k", "7"])


def test_words_of_an_option_are_joined_either_way():
    parser = Arguments(prog="fusionrs x")
    verbs = parser.add_subparsers(dest="verb")
    verb = verbs.add_parser("embed")
    verb.add_argument("--batch-size", type=int)
    verb.add_argument("--ir_range")
    verb.add_argument("--plain", action="store_true")
    for command in (["--batch_size", "3", "--ir-range=a-b_c"], ["--batch-size=3", "--ir_range", "a-b_c"]):
        found = parser.parse_args(["embed", *command])
        assert (found.batch_size, found.ir_range, found.plain) == (3, "a-b_c", False)
    with pytest.raises(InputError, match="unrecognized arguments: --batch__size"):
        parser.parse_args(["embed", "--batch__size", "3"])
