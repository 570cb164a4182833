import json

import numpy as np
import pytest

from tests.benchmarks import scene_pairs
from tests.training.made.captioned_rows import make_rows
from training.data.pairs import load_pairs


@pytest.fixture
def dataset(tmp_path):
    """A dataset whose test split has one scene that the training split has, and one that it has not."""
    for split, locators in (("train", ["seen@r0c0s64"]), ("test", ["seen@r9c0s64", "new@r0c0s64"])):
        path = tmp_path / "dataset/data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = make_rows(2 * len(locators))
        places = [locator for locator in locators for _ in range(2)]
        rows.remove_columns("source_locator").add_column("source_locator", places).to_parquet(path)
    return tmp_path / "dataset"


def test_whole_tiles_of_further_scenes_join_the_near_infrared_of_the_unseen_scene(tmp_path, dataset, monkeypatch):
    bands = np.random.default_rng(0).integers(0, 4000, (4, 130, 64))
    path = tmp_path / "scenes/spyndex/data/S2_10m.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(bands.tolist()))
    monkeypatch.setitem(scene_pairs.SCENES, "satsense", partly_measured)
    folder = scene_pairs.write_scene_pairs(tmp_path / "scenes", dataset, tmp_path / "unseen")
    rows = load_pairs(str(folder), "test", representatives=True)
    assert rows["source_locator"][:] == ["new@r0c0s64", "spyndex@0/0", "spyndex@64/0", "satsense@0/0"]
    assert {*rows["ir_band"]} == {"nir"} and len({*rows["image_group_id"]}) == 4
    low, high = np.percentile(bands[3], [1, 99])
    expected = np.rint(np.clip((bands[3][:64] - low) / (high - low), 0, 1) * 255)
    assert np.array_equal(np.asarray(rows[1]["ir"]), expected) and rows[1]["ir"].mode == "L"


def partly_measured(scenes):
    rgb = np.random.default_rng(1).integers(0, 4000, (64, 128, 4)).astype(float)
    valid = np.ones((64, 128), bool)
    valid[0, 100] = False
    return rgb[..., :3], rgb[..., 3], valid


def test_a_scene_that_is_not_there_is_named(tmp_path, dataset):
    with pytest.raises(FileNotFoundError, match="no spyndex"):
        scene_pairs.write_scene_pairs(tmp_path, dataset, tmp_path / "unseen")
