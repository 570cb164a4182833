import numpy as np
import pytest
import torch

from tests.benchmarks import unseen_trials
from tests.benchmarks.unseen_trials import Trial, make_fold, read_split, score, share, train, versions_of
from tests.made import tiny, tiny_dataset
from training.data.pairs import PairCollator


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """A tiny model with its training rows."""
    monkeypatch.setattr(unseen_trials, "STEPS", 3)
    dataset = str(tiny_dataset.write(tmp_path / "dataset", train=12, held_out=2, unseen=1))
    model = tiny.clip_model(feature_norm=True, projection_dim=4, text_pooling="mean")
    return model, read_split(model, PairCollator(tiny.clip_processor(), texts_per_row=0), dataset, "train", 2)


def test_versions_begin_with_the_rows_as_they_are_and_share_the_rgb_of_a_tile(trial):
    _, split = trial
    assert split.rgb.shape == split.ir.shape and split.rgb.shape[:2] == (3, len(split.rows))
    plain, *others = versions_of(split.rows, 2)
    assert all(np.array_equal(np.asarray(old["rgb"]), np.asarray(new["rgb"])) for old, new in zip(split.rows, plain))
    first, twin = (index for index, row in enumerate(plain) if row["image_group_id"] == plain[0]["image_group_id"])
    for rows in others:
        assert rows[first]["rgb"].tobytes() == rows[twin]["rgb"].tobytes() != plain[first]["rgb"].tobytes()
        assert rows[first]["ir"].tobytes() != plain[first]["ir"].tobytes()


def test_a_fold_leaves_a_scene_out_and_a_head_that_is_kept_whole_is_its_start(trial):
    model, split = trial
    split.scenes[: len(split.scenes) // 3] = "other"
    fold = make_fold(model, split, "other")
    assert len(fold.ids) == fold.rgb.shape[1] == len(split.rows) - len(split.scenes) // 3
    train(model, fold, split.texts, Trial(kept=1.0), seed=0)
    torch.testing.assert_close(model.visual_projection.weight.detach(), fold.whitened)
    train(model, fold, split.texts, Trial(), seed=0)
    assert not torch.allclose(model.visual_projection.weight, fold.whitened)


def test_every_image_and_first_caption_asks_and_shares_are_of_all(trial):
    model, split = trial
    make_fold(model, split, "none")
    counts = score(model, split, sorted(set(split.scenes)))
    assert counts["images"][1] == 2 * len(split.rows) and counts["texts"][1] == 8 * len(split.rows)
    assert share([{"images": (1, 4)}, {"images": (2, 2)}], "images") == 0.5
