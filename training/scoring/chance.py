"""What retrieval in random order would score, and how large the galleries are: without these a recall says nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from training.metrics.cross_modal_recall.cross_modal_recall import equal_id_positives
from training.scoring.embedded_rows import EmbeddedRows, text_positives

KS = (1, 5, 10)
SMALL_GALLERY = 100  # items; below, one item more or less moves a recall by over a point


def chance_of(positives: sparse.csr_array, ks: Sequence[int] = KS) -> dict[str, float]:
    """Returns the expected recall of a random order of the gallery, as `positive_ranks` counts.

    A query with p positives of n items is missed at k when k of the n - p others all come before its first positive:
    by the product of (n - p - i) / (n - i) over i below k. Queries without a positive are not asked.

    Args:
        positives: Bool `(queries, gallery)`.
        ks: Cut-offs.

    Returns:
        `R@k` for each k and their mean `mean_recall`, in [0, 1], and `gallery`, the number of items.
    """
    items = positives.shape[1]
    counts = np.diff(positives.tocsr().indptr)
    others = items - counts[counts > 0]  # (queries,)
    recalls = {}
    for k in ks:
        steps = np.arange(min(k, items))
        missed = np.clip(others[:, None] - steps, 0, None) / (items - steps)  # (queries, k)
        recalls[f"R@{k}"] = float(1 - missed.prod(1).mean())
    return {**recalls, "mean_recall": float(np.mean(list(recalls.values()))), "gallery": items}


def chances(part: EmbeddedRows, ranks: Mapping[str, np.ndarray], extra: int = 0) -> dict[str, dict[str, float]]:
    """Returns `chance_of` for each direction that was ranked.

    Args:
        part: The rows that were ranked.
        ranks: By direction; of `_hard` ones the gallery has `extra` items more.
        extra: Distractors.
    """
    images, found = equal_id_positives(part.groups, part.groups), {}
    texts = {kind: text_positives(part, kind) for kind in part.texts}
    for direction in ranks:
        pair, _, kind = direction.partition("/")
        positives = texts[kind].T if pair.startswith("text_") else texts[kind] if kind else images
        if pair.endswith("_hard"):
            empty = sparse.csr_array((positives.shape[0], extra), dtype=bool)
            positives = sparse.hstack([positives, empty], format="csr")
        found[direction] = chance_of(sparse.csr_array(positives))
    return found
