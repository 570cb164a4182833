"""Recall on the validation rows while a CLIP is trained."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
from datasets import Dataset
from transformers import EvalPrediction

from dataset_builder.groups.keys import caption_key
from training.data.pairs import PairCollator
from training.metrics.cross_modal_recall.cross_modal_recall import both_ranks, equal_id_positives
from training.scoring.chance import KS


def make_recall(rows: Dataset, collator: PairCollator) -> Callable[[EvalPrediction], dict[str, float]]:
    """Returns `compute_metrics` for these validation rows: R@1, R@5, R@10 in the published directions, and their mean.

    Rows are ranked within their `ir_band`, and bands count alike. Each row's text is the one that the collator draws;
    rows of one image group are no wrong answers, nor are, for a text, rows with an equal one.
    """
    bands, groups = np.asarray(rows["ir_band"]), np.asarray(rows["image_group_id"])
    captions = rows.select_columns(["sample_id", "captions", "ir_captions"])
    keys = np.asarray([caption_key(text) for row in captions for text in collator.captions(row)])

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        embeds = dict(zip(("rgb", "ir", "text"), prediction.predictions))
        ranks = defaultdict(list)
        for inside in (bands == band for band in np.unique(bands)):
            alike = equal_id_positives(groups[inside], groups[inside])
            text_positives = ((alike + equal_id_positives(keys[inside], keys[inside])) > 0).tocsr()
            for left, right, positives in (("rgb", "ir", alike), ("ir", "text", text_positives)):
                forward, backward = both_ranks(embeds[left][inside], embeds[right][inside], positives)
                ranks[f"{left}_to_{right}"].append(forward)
                ranks[f"{right}_to_{left}"].append(backward)
        scores = {
            f"{name}_R@{k}": float(np.mean([(band < k).mean() for band in band_ranks]))
            for name, band_ranks in ranks.items()
            for k in KS
        }
        return {**scores, "mean_recall": float(np.mean(list(scores.values())))}

    return compute
