"""How varied a set of captions is."""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

BLEU_ORDER = 4
NO_MATCH = 0.1  # matches counted where there is none, as in the smoothing 1 of Chen and Cherry 2014


def distinct_n(captions: Sequence[str], n: int) -> float:
    """Returns the share of distinct word n-grams among all n-grams of the captions, 0 to 1 (Li et al. 2016)."""
    grams = [gram for text in captions for gram in _ngrams(text, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(captions: Sequence[str]) -> float | None:
    """Returns the mean BLEU-4 of each caption against all others, 0 (nothing shared) to 1 (Zhu et al. 2018).

    N-grams that a caption is too short for are left out. None for fewer than two captions with words. Linear in the
    number of words: a caption's matches are clipped by the largest count among the others, kept for each n-gram.
    """
    texts = [text for text in captions if _ngrams(text, 1)]
    if len(texts) < 2:
        return None
    logs: list[list[float]] = [[] for _ in texts]  # of the precisions of each caption
    for n in range(1, BLEU_ORDER + 1):
        counts = [Counter(_ngrams(text, n)) for text in texts]
        most: dict[tuple[str, ...], list[int]] = {}  # the two largest counts of an n-gram, over captions
        for gram_counts in counts:
            for gram, count in gram_counts.items():
                most[gram] = sorted([*most.get(gram, [0, 0]), count])[1:]
        for index, gram_counts in enumerate(counts):
            if gram_counts:
                others = (
                    (gram, most[gram][0 if count == most[gram][1] else 1]) for gram, count in gram_counts.items()
                )
                matched = sum(min(gram_counts[gram], other) for gram, other in others)
                logs[index].append(math.log((matched or NO_MATCH) / gram_counts.total()))
    lengths = [len(_ngrams(text, 1)) for text in texts]
    ordered = sorted(lengths)
    scores = [
        math.exp(sum(precision_logs) / len(precision_logs) + min(0.0, 1 - _nearest_other(length, ordered) / length))
        for precision_logs, length in zip(logs, lengths, strict=True)
    ]
    return sum(scores) / len(scores)


def _nearest_other(length: int, ordered: Sequence[int]) -> int:
    """Returns the length nearest to this caption's among the others', the shorter of two; `ordered` holds its own."""
    at = bisect_left(ordered, length)
    others = [*ordered[max(at - 1, 0) : at], *ordered[at + 1 : at + 2]]
    return min(others, key=lambda other: (abs(other - length), other))


def _ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    words = re.findall(r"[\w-]+", text.casefold())
    return list(zip(*(words[i:] for i in range(n))))
