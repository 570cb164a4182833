from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import pytest

from fusionrs_hf.errors import InputError
from fusionrs_hf.records import fits, make_record, read_record


class Part(TypedDict):
    rows: int


@dataclass
class Made:
    name: str
    files: dict[str, Part]
    share: float = 0.5
    names: list[str] = field(default_factory=list)
    more: dict[str, Any] | None = None

    def __post_init__(self):
        if self.share < 0:
            raise ValueError("share is negative")


@pytest.mark.parametrize(
    ("value", "hint", "does"),
    [
        (1, int, True),
        (True, int, False),
        (2**63, int, False),
        (-(2**63), int, False),
        (1, float, True),
        (float("nan"), float, True),
        ("1", float, False),
        (None, int | None, True),
        ("a", int | None, False),
        ([1, 2], list[int], True),
        ((1, 2), Sequence[float], True),
        ([1, "2"], list[int], False),
        ("ab", Sequence[str], False),
        ({"a": [1]}, Mapping[str, Sequence[float]], True),
        ({1: [1]}, Mapping[str, Sequence[float]], False),
        ({"a": {"rows": 1, "other": 2}}, dict[str, Part], True),
        ({"a": {"row": 1}}, dict[str, Part], False),
        ([], dict, False),
        (object(), Any, True),
        ({"name": "a", "files": {}}, Made, True),
        ({"name": "a"}, Made, False),
        ({"name": "a", "files": {}, "x": 1}, Made, False),
    ],
)
def test_a_value_fits_its_hint_down_to_the_last_part(value, hint, does):
    assert fits(value, hint) is does


def test_numbers_that_are_not_finite_fit_unless_asked():
    assert not fits(float("inf"), float, finite=True)
    assert not fits({"a": [1, float("nan")]}, Mapping[str, Sequence[float]], finite=True)


def test_a_record_is_read_from_its_file(tmp_path):
    path = tmp_path / "made.json"
    path.write_text('{"name": "a", "files": {"x": {"rows": 3}}}')
    assert read_record(path, Made, "make it again") == Made("a", {"x": {"rows": 3}})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], r"is \[\], expected an object"),
        ({}, "files is missing; name is missing"),
        ({"name": 5, "files": {}}, "name is 5"),
        ({"name": "a", "files": {"x": {"rows": "3"}}}, "files is {'x': {'rows': '3'}}"),
        ({"name": "a", "files": {}, "zzz": 1}, "'zzz' is unknown"),
        ({"name": "a", "files": {}, "share": -1}, "share is negative"),
    ],
)
def test_any_other_is_one_line_with_the_remedy(values, said):
    with pytest.raises(InputError, match=f"^made .*{said}.*; make it again$"):
        make_record(Made, values, "made", "make it again")
