"""Recall@k and median rank between two sets of embeddings: exact, group-aware, in memory that does not grow with n^2.

A self-contained `evaluate` module: `evaluate.load("training/metrics/cross_modal_recall")` or from the Hub.
"""

import datasets
import evaluate
import numpy as np
from scipy import sparse

_DESCRIPTION = """Recall@k of queries against a gallery by cosine similarity. A query is a hit at k when any of its
positives ranks within the first k; other positives of the same query never count as ahead of it."""
_CITATION = """@article{radford2021learning, title={Learning Transferable Visual Models From Natural Language
Supervision}, author={Radford, Alec and others}, journal={arXiv:2103.00020}, year={2021}}"""
_INPUTS = """
Args:
    predictions: Query embeddings, one list of floats a query.
    references: Gallery embeddings, one list of floats an item; give as many as queries (pad with extra `add_batch`).
    query_ids, gallery_ids: Group id of every query and item; equal ids are positives. Default: row i matches row i.
    ks: Cut-offs.
Returns:
    Dict with `R@k` for each k, in [0, 1], `median_rank` (1 is best) and `queries`.
"""


def equal_id_positives(query_ids: np.ndarray, gallery_ids: np.ndarray) -> sparse.csr_array:
    """Returns which gallery items are positives of which query, from group ids.

    Args:
        query_ids: `(queries,)`, of any type that numpy can compare.
        gallery_ids: `(gallery,)`.

    Returns:
        Bool matrix `(queries, gallery)`, sparse.
    """
    ids, inverse = np.unique(np.concatenate([query_ids, gallery_ids]), return_inverse=True)
    rows, columns = inverse[: len(query_ids)], inverse[len(query_ids) :]
    member = [
        sparse.csr_array((np.ones(len(side), bool), (np.arange(len(side)), side)), shape=(len(side), len(ids)))
        for side in (rows, columns)
    ]
    return (member[0] @ member[1].T).tocsr()


def positive_ranks(
    queries: np.ndarray, gallery: np.ndarray, positives: sparse.csr_array, chunk_size: int = 1024
) -> np.ndarray:
    """Returns the rank of each query's best positive among the gallery without its other positives.

    Ties count against the query, so that constant embeddings score as the worst, not the best.

    Args:
        queries: Unit-length embeddings, `(queries, size)`.
        gallery: Unit-length embeddings, `(gallery, size)`.
        positives: Bool, sparse `(queries, gallery)`, at least one a row.
        chunk_size: Queries scored at a time; memory is `chunk_size * gallery` scores.

    Returns:
        int64 `(queries,)`; 0 is a hit at 1.

    Raises:
        ValueError: Shapes do not agree, a value is not finite, or a query has no positive.
    """
    if positives.shape != (len(queries), len(gallery)) or queries.shape[1] != gallery.shape[1]:
        raise ValueError(f"shapes do not agree: {queries.shape}, {gallery.shape}, positives {positives.shape}")
    if not (np.isfinite(queries).all() and np.isfinite(gallery).all()):
        raise ValueError("embeddings hold values that are not finite")
    ranks = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), chunk_size):
        rows = slice(start, start + chunk_size)
        scores = queries[rows] @ gallery.T  # (chunk, gallery)
        positive = positives[rows].toarray().astype(bool)  # (chunk, gallery)
        if not positive.any(1).all():
            raise ValueError(f"query {start + int(np.argmin(positive.any(1)))} has no positive in the gallery")
        best = np.where(positive, scores, -np.inf).max(1, keepdims=True)  # (chunk, 1)
        ranks[rows] = ((scores >= best) & ~positive).sum(1)
    return ranks


def summarize(ranks: np.ndarray, ks: tuple[int, ...] = (1, 5, 10)) -> dict[str, float]:
    """Returns `R@k` in [0, 1] for each k, the median rank counted from 1, and the number of queries."""
    recalls = {f"R@{k}": float((ranks < k).mean()) for k in ks}
    return {**recalls, "median_rank": float(np.median(ranks) + 1), "queries": len(ranks)}


class CrossModalRecall(evaluate.Metric):
    """`evaluate` module around `positive_ranks` and `summarize`."""

    def _info(self) -> evaluate.MetricInfo:
        vector = datasets.List(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": vector, "references": vector}),
        )

    def _compute(
        self,
        predictions: list[list[float]],
        references: list[list[float]],
        query_ids: list | None = None,
        gallery_ids: list | None = None,
        ks: tuple[int, ...] = (1, 5, 10),
    ) -> dict[str, float]:
        queries, gallery = _unit(predictions), _unit(references)
        query_ids = np.arange(len(queries)) if query_ids is None else np.asarray(query_ids)
        gallery_ids = np.arange(len(gallery)) if gallery_ids is None else np.asarray(gallery_ids)
        return summarize(positive_ranks(queries, gallery, equal_id_positives(query_ids, gallery_ids)), tuple(ks))


def _unit(vectors: list[list[float]]) -> np.ndarray:
    array = np.asarray(vectors, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)
