import numpy as np
import pytest
from datasets import Dataset
from transformers import (
    EvalPrediction,
)

import fusionrs_hf.auto  # noqa: F401
from training.data.pairs import PairCollator
from training.scoring.validation_recall import make_recall


def test_recall_is_that_of_the_published_directions_within_bands():
    """By a double loop: an item is ahead if it scores as much, and is neither of the query's group nor of its text."""
    generator = np.random.default_rng(0)
    rows = Dataset.from_dict(
        {
            "sample_id": [f"r{index}" for index in range(24)],
            "ir_band": ["nir", "swir"] * 12,
            "image_group_id": [f"g{index // 4}" for index in range(24)],
            "captions": [[f"text {index % 10}"] for index in range(24)],
            "ir_captions": [[]] * 24,
        }
    )
    embeds = generator.normal(size=(3, 24, 5)).astype(np.float32)
    embeds /= np.linalg.norm(embeds, axis=-1, keepdims=True)
    named = dict(zip(("rgb", "ir", "text"), embeds))
    scores = make_recall(rows, PairCollator(None))(EvalPrediction(tuple(embeds), None))
    expected = []
    for left, right in (("rgb", "ir"), ("ir", "rgb"), ("ir", "text"), ("text", "ir")):
        for k in (1, 5, 10):
            hits = {"nir": [], "swir": []}
            for i, query in enumerate(rows):
                alike, ahead = [], []
                for j, item in enumerate(rows):
                    if item["ir_band"] != query["ir_band"]:
                        continue
                    same = item["image_group_id"] == query["image_group_id"]
                    told = "text" in (left, right) and item["captions"] == query["captions"]
                    (alike if same or told else ahead).append(named[left][i] @ named[right][j])
                hits[query["ir_band"]].append(sum(score >= max(alike) for score in ahead) < k)
            expected.append(np.mean([np.mean(band) for band in hits.values()]))
            assert scores[f"{left}_to_{right}_R@{k}"] == pytest.approx(expected[-1])
    assert scores["mean_recall"] == pytest.approx(np.mean(expected)) and len(scores) == 13
