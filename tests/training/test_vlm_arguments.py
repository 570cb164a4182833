import pytest

from fusionrs_hf.errors import InputError
from training.vlm_arguments import VlmArguments, layer_numbers


def test_ranges_and_numbers_become_ascending_layer_numbers():
    assert layer_numbers(["27-29", "0-2"]) == [0, 1, 2, 27, 28, 29]
    assert layer_numbers(["3", 5]) == [3, 5]
    assert layer_numbers(["0-2,", "4"]) == [0, 1, 2, 4]
    assert layer_numbers(None) is None


@pytest.mark.parametrize("ranges", [["first"], ["-1"], ["3-1"], ["0-2", "2"], []])
def test_what_names_no_layer_or_one_twice_is_refused(ranges):
    with pytest.raises(InputError, match="keep_language_layers"):
        layer_numbers(ranges)


def test_what_is_shown_is_named_and_projectors_that_never_learn_are_refused_only_where_they_are_read():
    assert VlmArguments("", "", "", images="rgb").shown == ("rgb",)
    assert VlmArguments("", "", "", images="none", projector_steps=0).shown == ()
    with pytest.raises(InputError, match="projectors that skip their stage"):
        VlmArguments("", "", "", images="ir", projector_steps=0)
    with pytest.raises(InputError, match=r"images must be one of \('both', 'rgb', 'ir', 'none'\), got 'thermal'"):
        VlmArguments("", "", "", images="thermal")
