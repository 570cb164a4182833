import pytest
from datasets import Dataset

from fusionrs_hf.errors import InputError
from training.data.scenes import scene_of, without_scenes

ROWS = Dataset.from_dict({"source_locator": ["a@r0c0s64", "b_c@r64c0s64", "a@r0c64s64", "photo.png"]})


def test_the_scene_is_what_stands_before_the_place():
    assert [scene_of(locator) for locator in ROWS["source_locator"]] == ["a", "b_c", "a", "photo.png"]


def test_rows_of_a_scene_are_left_out():
    assert without_scenes(ROWS, ["a"])["source_locator"][:] == ["b_c@r64c0s64", "photo.png"]
    assert without_scenes(ROWS, []) is ROWS


@pytest.mark.parametrize(
    ("scenes", "says"),
    [
        (["d"], "has 'd', but the scenes are 'a, b_c, photo.png'"),
        (["a", "b_c", "photo.png"], "leaves no training row"),
    ],
)
def test_scenes_that_are_not_there_and_a_rest_of_none_are_refused(scenes, says):
    with pytest.raises(InputError, match=says):
        without_scenes(ROWS, scenes)
