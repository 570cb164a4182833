import datetime

import pytest

from dataset_builder.sources.formats.columns import box, identifier
from dataset_builder.sources.formats.facts import caption_texts, iso_date, known_facts, metres, split_in


@pytest.mark.parametrize(
    "text",
    ["2020", "2020-06", "2020-02-29", "2020-06-01T10:20", "2020-06-01 10:20:30.5", "2020-06-01T10:20:30Z"]
    + ["2020-06-01T10:20:30+02:00"],
)
def test_iso_dates_stay_as_they_are(text):
    assert iso_date(text) == text


def test_dates_as_yaml_and_parquet_read_them_become_iso():
    assert iso_date(datetime.date(2020, 6, 1)) == "2020-06-01"
    assert iso_date(datetime.datetime(2020, 6, 1, 10)) == "2020-06-01T10:00:00"
    assert iso_date(2020) == "2020"


@pytest.mark.parametrize(
    "value", ["2019-02-29", "2020-13", "01.06.2020", "2020-6-1", "20200601", "0000", "", True, 5.0]
)
def test_what_is_no_iso_date_is_told(value):
    with pytest.raises(ValueError):
        iso_date(value)


@pytest.mark.parametrize("value", [0, -1, "far", "nan", "inf", None, True, []])
def test_what_is_no_distance_is_told(value):
    with pytest.raises(ValueError, match="gsd_m"):
        metres(value)


def test_facts_that_are_empty_are_unknown():
    entry = {"sensor": "", "acquired_at": None, "gsd_m": "0.5", "other": 1}
    assert known_facts(entry) == {"gsd_m": 0.5}


def test_captions_are_found_in_lists_and_what_is_no_text_is_told():
    assert caption_texts("a field") == (["a field"], True)
    assert caption_texts(["a", ["b", [None, "c"]]]) == (["a", "b", "c"], True)
    assert caption_texts(["a", 5]) == (["a"], False)
    assert caption_texts({"raw": "a"}) == ([], False)
    assert caption_texts("half \ud83d") == ([], False)
    assert caption_texts("") == ([""], True)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("a/VAL/x.png", "validation"),
        ("test/train/x.png", "test"),
        ("tests/x.png", None),
        ("x.png", None),
        ("train_001.jpg", "train"),
        ("site-test.JPG", "test"),
        ("a/dev.2.png", "validation"),
        ("train/test_001.png", "train"),
        ("testament.png", None),
        ("", None),
    ],
)
def test_the_first_folder_with_a_word_for_a_split_tells_it_else_the_file(name, split):
    assert split_in(name) == split


def test_boxes_and_ids():
    assert box((1, 2, 3, 4)) == [1.0, 2.0, 3.0, 4.0]
    assert box([179, -1, -179, 1]) == [179, -1, -179, 1]  # across the date line, west is above east
    for value in ([1, 2, 3], "1234", [1, 5, 3, 4], [1, 2, 3, float("nan")], None):
        with pytest.raises(ValueError):
            box(value)
    assert identifier(7) == "7" and identifier("x") == "x"
    for value in ("", True, 1.5, None):
        with pytest.raises(ValueError):
            identifier(value)
