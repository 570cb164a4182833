"""Recall@k and median rank between two sets of embeddings: exact, group-aware, in memory that does not grow with n^2.

A self-contained `evaluate` module: `evaluate.load("training/metrics/cross_modal_recall")` or from the Hub.
"""

from collections.abc import Iterator

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
    Dict with `R@k` for each k and their mean `mean_recall`, in [0, 1], `median_rank` (1 is best) and `queries`.
"""
SCORES_AT_A_TIME = 2**24  # 64 MiB of float32, whatever the sizes
BLOCK_ROWS = 64  # rows whose comparisons stay in the processor's cache; below 256, as their sum is of bytes
NEAR_LIMIT = 2**22  # scores remembered because they are as good as a column's positive


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
    queries: np.ndarray, gallery: np.ndarray, positives: sparse.csr_array, chunk_size: int | None = None
) -> np.ndarray:
    """Returns the rank of each query's best positive among the gallery without its other positives.

    Ties are pessimistic: an item that scores exactly as the best positive counts as ahead of it, so that constant
    embeddings score as the worst, not the best. The positive's score is of the same matrix product as the others'.

    Args:
        queries: Unit-length embeddings, `(queries, size)`.
        gallery: Unit-length embeddings, `(gallery, size)`.
        positives: Bool, sparse `(queries, gallery)`, at least one a row.
        chunk_size: Queries scored at a time; default: as many as `SCORES_AT_A_TIME` allows.

    Returns:
        int64 `(queries,)`; 0 is a hit at 1.

    Raises:
        ValueError: Shapes do not agree, a value is not finite, or a query has no positive.
    """
    positives = _checked(queries, gallery, positives)
    alone = np.diff(positives.indptr) == 0
    if alone.any():
        raise ValueError(f"query {int(np.argmax(alone))} has no positive in the gallery")
    ranks = np.empty(len(queries), np.int64)
    for rows, scores in _chunks(queries, gallery, chunk_size):
        _, _, best = _take_positives(scores, positives[rows])
        ranks[rows] = _ahead(scores, best)
    return ranks


def both_ranks(
    left: np.ndarray, right: np.ndarray, positives: sparse.csr_array, chunk_size: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns ranks of left -> right and of right -> left from one matrix product, as `positive_ranks` counts them.

    A column's best positive is known only when all rows have passed. Until then it is bracketed: scores above the
    bracket are counted, those within are remembered and judged at the end. If the bracket did not hold, or too many
    scores are alike (collapsed embeddings), the columns are counted by a product of their own.

    Args:
        left, right: Unit-length embeddings, `(left, size)` and `(right, size)`.
        positives: Bool, sparse `(left, right)`.
        chunk_size: Rows of `left` scored at a time; default: as many as `SCORES_AT_A_TIME` allows.

    Returns:
        int64 `(left,)` and `(right,)`; 0 is a hit at 1; -1 for an item without a positive.

    Raises:
        ValueError: Shapes do not agree, or a value is not finite.
    """
    positives = _checked(left, right, positives)
    forward, backward = np.empty(len(left), np.int64), np.zeros(len(right), np.int64)
    expected = _expected_best(left, right, positives)  # (right,)
    margin = 32 * np.finfo(np.result_type(left, right)).eps * _longest(left) * _longest(right)
    low, high = expected - margin, expected + margin
    best_right = np.full(len(right), -np.inf, low.dtype)
    near: list[tuple[np.ndarray, np.ndarray]] = []
    for rows, scores in _chunks(left, right, chunk_size):
        columns, values, best = _take_positives(scores, positives[rows])
        np.maximum.at(best_right, columns, values)
        forward[rows] = _ahead(scores, best)
        if sum(len(columns) for columns, _ in near) <= NEAR_LIMIT:
            above, inside = _bracketed(scores, low, high)
            backward += above
            near += inside
    forward[np.diff(positives.indptr) == 0] = -1
    has = np.isfinite(best_right)
    held = np.abs(best_right[has] - expected[has]) <= margin
    if not held.all() or sum(len(columns) for columns, _ in near) > NEAR_LIMIT:
        backward[has] = positive_ranks(right[has], left, positives.T.tocsr()[has], chunk_size)
    else:
        for columns, values in near:
            np.add.at(backward, columns[values >= best_right[columns]], 1)
    backward[~has] = -1
    return forward, backward


def _bracketed(
    scores: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Returns how many scores of each column lie above its bracket, and columns and values of those within."""
    count, near = np.zeros(scores.shape[1], np.int64), []
    for start in range(0, len(scores), BLOCK_ROWS):
        block = scores[start : start + BLOCK_ROWS]
        above = block > high
        count += above.view(np.uint8).sum(0, dtype=np.uint8)
        inside = np.flatnonzero((block >= low) != above)
        near.append((inside % scores.shape[1], block.ravel()[inside]))
    return count, near


def _checked(left: np.ndarray, right: np.ndarray, positives: sparse.csr_array) -> sparse.csr_array:
    if positives.shape != (len(left), len(right)) or left.shape[1] != right.shape[1]:
        raise ValueError(f"shapes do not agree: {left.shape}, {right.shape}, positives {positives.shape}")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("embeddings hold values that are not finite")
    positives = positives.tocsr(copy=True)
    positives.eliminate_zeros()
    return positives


def _chunks(left: np.ndarray, right: np.ndarray, chunk_size: int | None) -> Iterator[tuple[slice, np.ndarray]]:
    step = chunk_size or max(1, min(len(left), SCORES_AT_A_TIME // max(1, len(right))))
    for start in range(0, len(left), step):
        rows = slice(start, start + step)
        yield rows, left[rows] @ right.T  # (chunk, right)


def _take_positives(scores: np.ndarray, positives: sparse.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Takes the positives out of a chunk of scores (-inf is left): their columns, scores, and the best of each row."""
    rows, columns = np.repeat(np.arange(len(scores)), np.diff(positives.indptr)), positives.indices
    values = scores[rows, columns]
    scores[rows, columns] = -np.inf
    best = np.full(len(scores), -np.inf, scores.dtype)
    np.maximum.at(best, rows, values)
    return columns, values, best


def _ahead(scores: np.ndarray, best: np.ndarray) -> np.ndarray:
    return np.array([np.count_nonzero(row >= limit) for row, limit in zip(scores, best)], np.int64)


def _expected_best(left: np.ndarray, right: np.ndarray, positives: sparse.csr_array) -> np.ndarray:
    """Returns the best positive's score of each column up to rounding, `(right,)`; inf for a column without one."""
    rows, columns = positives.nonzero()
    best = np.full(len(right), -np.inf, np.result_type(left, right))
    for start in range(0, len(rows), 2**14):
        part = slice(start, start + 2**14)
        np.maximum.at(best, columns[part], np.einsum("ij,ij->i", left[rows[part]], right[columns[part]]))
    return np.where(np.isfinite(best), best, np.inf)


def _longest(vectors: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max(initial=0)))


def summarize(ranks: np.ndarray, ks: tuple[int, ...] = (1, 5, 10)) -> dict[str, float]:
    """Returns `R@k` in [0, 1] for each k, their mean, the median rank counted from 1, and the number of queries."""
    recalls = {f"R@{k}": float((ranks < k).mean()) for k in ks}
    mean = float(np.mean(list(recalls.values())))
    return {**recalls, "mean_recall": mean, "median_rank": float(np.median(ranks) + 1), "queries": len(ranks)}


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
