import numpy as np
import pytest
from datasets import Dataset

from dataset_builder.schema import FEATURES
from fusionrs_hf.errors import InputError
from tests.made import tiny_dataset
from training.data.scenes import scene_of
from training.scoring.held_out import TrainedOn, held_out, representative_rows, training_log


def test_rows_are_told_apart_by_whether_the_dataset_s_training_saw_their_scene(tmp_path):
    folder = tiny_dataset.write(tmp_path / "dataset", held_out=5, unseen=2)
    parts = held_out(str(folder), "test")
    scenes = {name: {scene_of(locator) for locator in rows["source_locator"]} for name, rows in parts.items()}
    expected = {"held_out_region": {"scene"}, "held_out_scene": {"other"}}
    assert scenes == {f"{part}/{band}": names for part, names in expected.items() for band in tiny_dataset.BANDS}
    assert [len(rows) for rows in parts.values()] == [3, 3, 2, 2]
    assert list(parts) == sorted(parts)


def test_the_model_s_own_training_goes_before_the_dataset_s(tmp_path):
    folder = str(tiny_dataset.write(tmp_path / "dataset", held_out=5, unseen=2))
    elsewhere = TrainedOn.of_log({"scenes": ["other"], "source_datasets": ["a"]})
    sizes = {name: len(rows) for name, rows in held_out(folder, "test", trained_on=elsewhere).items()}
    assert sizes == {
        f"held_out_{part}/{band}": n for part, n in (("region", 2), ("scene", 3)) for band in ("nir", "swir")
    }
    assert {name.split("/")[0] for name in held_out(folder, "train", trained_on=elsewhere)} == {"held_out_scene"}
    here = TrainedOn.of_log({"scenes": ["scene"], "source_datasets": ["scene"]})
    assert {name.split("/")[0] for name in held_out(folder, "train", trained_on=here)} == {"trained_on"}
    assert {name.split("/")[0] for name in held_out(folder, "train")} == {"train_split"}


def test_a_log_that_tells_no_scenes_and_a_model_without_a_log_tell_nothing(tmp_path):
    assert TrainedOn.of_log({"recipe": {}}) is None
    assert training_log(str(tmp_path)) == {}
    (tmp_path / "training_log.json").write_text("[]")
    assert training_log(str(tmp_path)) == {}


def test_where_no_row_is_marked_one_a_group_and_band_stands_for_it(tmp_path):
    (tmp_path / "data").mkdir()
    rows = tiny_dataset.rows("test", 4, 0)
    for index, row in enumerate(rows):  # two tiles a joint group, two bands each
        row |= {"joint_group_id": f"j{index // 4}", "is_eval_representative": None}
    Dataset.from_list(rows, features=FEATURES).to_parquet(tmp_path / "data/test-00000-of-00001.parquet")
    found = representative_rows(str(tmp_path), "test", None)
    assert found["sample_id"][:] == [rows[index]["sample_id"] for index in (0, 1, 4, 5)]
    assert np.unique(found["joint_group_id"]).tolist() == ["j0", "j1"]


def test_rows_without_groups_are_refused(tmp_path):
    (tmp_path / "data").mkdir()
    rows = [row | {"image_group_id": None} for row in tiny_dataset.rows("test", 2, 0)]
    Dataset.from_list(rows, features=FEATURES).to_parquet(tmp_path / "data/test-00000-of-00001.parquet")
    with pytest.raises(InputError, match="4 of 4 rows have no image_group_id"):
        held_out(str(tmp_path), "test")
