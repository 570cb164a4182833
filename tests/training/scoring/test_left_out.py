import pytest
from datasets import Dataset

from dataset_builder.schema import FEATURES
from fusionrs_hf.errors import InputError
from tests.made import tiny_dataset
from training.scoring.left_out import MOST_SCENES, left_out_rows, training_scenes


def write_scenes(folder, scenes):
    """Writes a training split of one tile a scene, in two bands."""
    (folder / "data").mkdir(parents=True)
    rows = tiny_dataset.rows("train", len(scenes), 0)
    for index, row in enumerate(rows):
        row["source_locator"] = f"{scenes[index // 2]}@r0c0s32"
    Dataset.from_list(rows, features=FEATURES).to_parquet(folder / "data/train-00000-of-00001.parquet")
    return str(folder)


@pytest.mark.parametrize(("scenes", "refused"), [(1, True), (2, False), (MOST_SCENES, False), (MOST_SCENES + 1, True)])
def test_scenes_to_leave_out_are_those_of_training_sorted_and_two_to_twenty(tmp_path, scenes, refused):
    names = [f"s{number:02d}" for number in range(scenes)]
    folder = write_scenes(tmp_path / "rows", names[::-1])
    if refused:
        with pytest.raises(InputError, match=f"training rows of 2 to 20 scenes.*got {scenes} ..s00"):
            training_scenes(folder, "sensor")
    else:
        assert training_scenes(folder, "sensor") == names


def test_rows_of_a_scene_that_was_left_out_stand_by_band_where_there_are_two(tmp_path):
    folder = str(tiny_dataset.write(tmp_path / "rows", held_out=4, unseen=1))
    parts = left_out_rows(folder, "test", "sensor", "scene")
    assert list(parts) == ["left_out_scene/scene/nir", "left_out_scene/scene/swir"]
    for name, rows in parts.items():
        assert set(rows["ir_band"]) == {name.split("/")[-1]} and len(rows) == 3
        assert {locator.split("@")[0] for locator in rows["source_locator"]} == {"scene"}
    assert left_out_rows(folder, "test", "sensor", "other") == {}  # one row a band is no gallery
    assert left_out_rows(folder, "no_split", "sensor", "scene") == {}
