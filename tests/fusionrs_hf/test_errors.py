import datetime
import pickle

import pytest

from fusionrs_hf.bounds import MESSAGE_CHARACTERS, SHOWN_CHARACTERS
from fusionrs_hf.errors import InputError, escaped, nearest, one_line, shown


@pytest.mark.parametrize("value", ["a", 5, None, 0.5, ["a", 1], {"a": {"b": [1]}}, b"x", datetime.date(2020, 1, 2)])
def test_a_short_value_is_shown_as_python_writes_it(value):
    assert shown(value) == repr(value)


class Broken:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    ["x" * 10**7, b"\0" * 10**7, 10**100_000, list(range(10**6)), dict.fromkeys(range(1000), "y" * 1000), Broken()],
    ids=["text", "bytes", "number", "list", "mapping", "broken"],
)
def test_a_large_value_is_shown_in_a_few_characters(value):
    assert len(shown(value)) <= 3 * SHOWN_CHARACTERS + 3


def test_a_value_of_values_of_values_is_shown_without_walking_all_of_it():
    value = ["lol"] * 9
    for _ in range(40):  # 9^41 leaves
        value = [value] * 9
    assert len(shown(value)) <= 3 * SHOWN_CHARACTERS + 3
    value.append(value)
    assert shown(value)


HOSTILE = "a\x1b[2Jb\x07\x9bc\u202ed\u2066e\ud800\r\nf\u2028g"


def test_nothing_that_a_terminal_obeys_is_in_a_message():
    for text in (shown(HOSTILE), escaped(HOSTILE), one_line(HOSTILE), str(InputError(HOSTILE))):
        assert text.isprintable()
    assert one_line("a\n  b\tc") == "a b c"
    assert escaped("Grüße, 你好, שלום") == "Grüße, 你好, שלום"


def test_a_message_is_bounded_and_keeps_both_ends():
    said = str(InputError("begin " + "x" * 10**6 + " end"))
    assert len(said) <= MESSAGE_CHARACTERS + 5 and said.startswith("begin x") and said.endswith("x end")


def test_an_input_error_comes_back_from_a_worker_as_it_was():
    error = pickle.loads(pickle.dumps(InputError("a\nb")))
    assert isinstance(error, InputError) and str(error) == "a b"


def test_the_nearest_name_is_found_for_any_value():
    assert nearest("recal", ["recall", "split"]) == "did you mean 'recall'?"
    assert nearest("x" * 10**6, ["recall", "split"]) == "known are recall, split"
