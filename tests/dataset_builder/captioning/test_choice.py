import random

from dataset_builder.captioning.choice import MOST_TOLD, image_name, is_supported, joined, tell
from dataset_builder.claims import measure
from tests.dataset_builder.captioning.made.pairs import line_pair, reversed_pair, row_of
from tests.dataset_builder.made.sample_tiles import sample_rows


def test_what_is_told_is_supported_and_is_told_once():
    for row in sample_rows(120):
        facts = measure(row["_ir"], row["_rgb"])
        told = list(tell(row, facts, random.Random(0)))
        assert len(told) <= MOST_TOLD
        assert all(is_supported(item.text, facts) for item in told)
        extremes = [item.telling.value for item in told if item.telling.value in ("brightest", "darkest")]
        assert len(extremes) == len(set(extremes))


def test_a_line_that_only_the_infrared_shows_is_told_first():
    told = next(tell(row_of(), measure(*line_pair()), random.Random(0)))
    assert told.telling.kind.startswith("line")


def test_without_rgb_nothing_is_told():
    infrared, _ = reversed_pair()
    assert not list(tell(row_of(), measure(infrared), random.Random(0)))


def test_only_what_a_sensor_took_is_called_infrared():
    assert image_name({"ir_origin": "sensor"}) == "infrared image"
    assert image_name({"ir_origin": "translated"}) == "infrared-style image"


def test_a_lead_in_is_kept_only_where_the_same_is_read():
    facts = measure(*reversed_pair())
    text = "A white patch lies in the upper left."
    assert joined("In infrared, ", text, facts) == "In infrared, a white patch lies in the upper left."
    assert joined("The south is black and ", text, facts) is None
