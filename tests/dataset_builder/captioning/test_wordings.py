import pytest

from dataset_builder.captioning import wordings
from dataset_builder.claims.reading import read_claims

SUBJECT = "The dark ground in the upper left"
FORMS = {"s": "s", "es": "es", "is": "is", "image": "infrared image"}


@pytest.mark.parametrize("verb", (*wordings.VERBS, *wordings.STAYING))
def test_each_verb_of_comparison_is_read_as_an_extreme(verb):
    claims = read_claims(f"{SUBJECT} {verb.format(**FORMS)} darker than everything else.")
    assert [(claim.thing.aspect, claim.thing.value) for claim in claims] == [("extreme", "darkest")]


@pytest.mark.parametrize("rest", wordings.ALL_ELSE)
def test_whatever_is_compared_with_is_read_as_all_else(rest):
    claims = read_claims(f"{SUBJECT} is darker than {rest}.")
    assert [(claim.thing.aspect, claim.thing.value) for claim in claims] == [("extreme", "darkest")]


@pytest.mark.parametrize("tone", wordings.TONES)
def test_each_verb_of_a_tone_is_read_as_that_tone(tone):
    for said in wordings.TONES[tone]:
        claims = read_claims(f"{SUBJECT} {said.format(**FORMS)} in the infrared.")
        assert [(claim.thing.aspect, claim.thing.value) for claim in claims] == [("tone", tone)], said


@pytest.mark.parametrize("place", wordings.PLACES)
def test_each_wording_of_a_place_is_read_as_that_place(place):
    cell = "centre" if place == "across" else place
    for said in wordings.PLACES[place]:
        claims = read_claims(f"A white patch lies {said}.")
        assert [claim.value.removesuffix(" side") for claim in claims] == ["white: " + cell.removesuffix(" side")], (
            said
        )
