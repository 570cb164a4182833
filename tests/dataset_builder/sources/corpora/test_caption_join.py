import random

import numpy as np
import pytest

from dataset_builder.sources.corpora import caption_join
from dataset_builder.sources.corpora.caption_join import EntryCaptions, find_places, key_of, places_of, same_image
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.corpora import put


@pytest.mark.parametrize("batch", [7, 100_000])
def test_places_are_those_that_a_search_one_by_one_finds(monkeypatch, batch):
    monkeypatch.setattr(caption_join, "BATCH", batch)
    draw = random.Random(0)
    names = [f"folder{draw.randrange(9)}/{draw.randrange(60)}.jpg" for _ in range(300)]
    rows = [f"other/{draw.randrange(90)}.jpg" for _ in range(80)]
    keys = [key_of(row, by_id=False) for row in rows]
    found = find_places(np.array(keys, np.uint64), enumerate(names), by_id=False)
    last = [name.split("/")[1] for name in names]
    expected = tuple(tuple(place for place, name in enumerate(last) if name == row.split("/")[1]) for row in rows)
    assert places_of(keys, *found) == expected
    assert sum(map(len, expected)) > 100 and () in expected


def test_nothing_wanted_or_nothing_there_finds_nothing():
    nothing = np.zeros(0, np.uint64)
    assert places_of([], *find_places(nothing, enumerate(["a.jpg"]), by_id=False)) == ()
    keys = [key_of("a.jpg", by_id=False)]
    assert places_of(keys, *find_places(np.array(keys, np.uint64), [], by_id=False)) == ((),)


def test_ids_are_whole_and_names_are_their_last_part():
    assert key_of("a/1.jpg", by_id=False) == key_of("b\\1.jpg", by_id=False)
    assert key_of("a/1", by_id=True) != key_of("b/1", by_id=True)


@pytest.mark.parametrize(
    ("locator", "name", "same"),
    [
        ("NWPU_images/airport/airport_1.jpg", "airport/airport_1.jpg", True),
        ("airport_1.jpg", "airport/airport_1.jpg", True),
        ("a\\1.jpg", "x/a/1.jpg", True),
        ("./a/1.jpg", "a/1.jpg", True),
        ("a/1.jpg", "b/1.jpg", False),
        ("big/1.jpg", "g/1.jpg", False),
        ("a/1.jpg", "", False),
    ],
)
def test_two_names_can_mean_one_image_where_one_ends_in_the_other(locator, name, same):
    assert same_image(locator, name) is same


def test_captions_of_entries_are_found_again_by_place(tmp_path):
    put(tmp_path / "a.jsonl", '{"sample_id": "x", "captions": ["1", 2]}\n\n{"sample_id": "y", "text": "3"}\n')
    book = EntryCaptions("a.jsonl", base=tmp_path)
    assert [book.at(place) for place, _ in book.names()] == [("x", ["1", 2]), ("y", ["3"])]
    put(tmp_path / "a.csv", 'img_name,caption\n1.jpg,"a, b"\n')
    book = EntryCaptions("a.csv", key="img_name", base=tmp_path)
    assert [book.at(place) for place, _ in book.names()] == [("1.jpg", ["a, b"])]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "entry 1 of .* is not JSON"),
        ("[", "a.jsonl is a JSON array whose element at byte 2 does not end"),
        ('{"captions": []}', "entry 1 of .* needs sample_id and one of captions, caption, text"),
        ('{"sample_id": "x"}', "entry 1 of .* needs sample_id and one of captions, caption, text"),
        ('{"sample_id": 5, "text": "x"}', "entry 1 of .* needs sample_id"),
    ],
)
def test_entries_that_name_nothing_are_told(tmp_path, line, message):
    put(tmp_path / "a.jsonl", line + "\n")
    with pytest.raises(InputError, match=message):
        list(EntryCaptions("a.jsonl", base=tmp_path).names())
