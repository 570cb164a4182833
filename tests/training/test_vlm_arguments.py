import pytest

from fusionrs_hf.errors import InputError
from training.vlm_arguments import layer_numbers


def test_ranges_and_numbers_become_ascending_layer_numbers():
    assert layer_numbers(["27-29", "0-2"]) == [0, 1, 2, 27, 28, 29]
    assert layer_numbers(["3", 5]) == [3, 5]
    assert layer_numbers(["0-2,", "4"]) == [0, 1, 2, 4]
    assert layer_numbers(None) is None


@pytest.mark.parametrize("ranges", [["first"], ["-1"], ["3-1"], ["0-2", "2"], []])
def test_what_names_no_layer_or_one_twice_is_refused(ranges):
    with pytest.raises(InputError, match="keep_language_layers"):
        layer_numbers(ranges)
