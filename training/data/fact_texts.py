"""What measured facts of the infrared say in words: the sentence of all, and the answer to a question about one."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from dataset_builder.claims.grounding import (
    CELLS,
    CONTRASTS,
    FACT_KINDS,
    LEVELS,
    RELATIONS,
    InfraredFacts,
)

VALUES: dict[str, tuple[str, ...]] = {  # of each of `FACT_KINDS`, all that can be measured
    "level": LEVELS,
    "contrast": CONTRASTS,
    "brightest": CELLS,
    "darkest": CELLS,
    "relation": RELATIONS,
}
PLACES = ("brightest", "darkest")  # kinds whose values are cells
RELATION_WORDS = {
    "brighter": "brighter than visible",
    "darker": "darker than visible",
    "different": "unlike visible",
    "follows": "follows visible",
}


def fact_values(facts: InfraredFacts) -> dict[str, str | None]:
    """Returns the measured value of each of `FACT_KINDS`; None where it was not measured."""
    return {kind: getattr(facts, kind) for kind in FACT_KINDS}


def value_words(kind: str, value: str) -> str:
    """Returns how a value is told: the answer to the question about its kind."""
    return RELATION_WORDS[value] if kind == "relation" else value


def facts_sentence(values: Mapping[str, str | None]) -> str:
    """Returns one sentence of all measured values in a fixed order; what is unknown is left out.

    "Infrared: bright, low contrast, brightest north-west, darkest south, darker than visible."
    """
    told = {
        "level": "{}",
        "contrast": "{} contrast",
        "brightest": "brightest {}",
        "darkest": "darkest {}",
        "relation": "{}",
    }
    parts = [
        form.format(value_words(kind, values[kind])) for kind, form in told.items() if values.get(kind) is not None
    ]
    return f"Infrared: {', '.join(parts)}."


def count_values(rows: Iterable[Mapping[str, str | None]]) -> dict[str, Counter[str]]:
    """Returns how often each value of each kind was measured."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in FACT_KINDS}
    for values in rows:
        for kind in FACT_KINDS:
            if values[kind] is not None:
                counts[kind][values[kind]] += 1
    return counts


def question_weights(values: Mapping[str, str | None], counts: Mapping[str, Counter[str]]) -> dict[str, float]:
    """Returns how likely a row is asked about each kind, adding up to 1: the rarer its answer, the likelier.

    Over many rows the kinds come about equally often, and within a kind its answers.

    Args:
        values: Of the row; kinds that were not measured are not asked for.
        counts: Of `count_values` over training rows.
    """
    weights = {
        kind: sum(counts[kind].values()) / (len(counts[kind]) * counts[kind][value])
        for kind, value in values.items()
        if value is not None and counts[kind][value]
    }
    total = sum(weights.values())
    return {kind: weight / total for kind, weight in weights.items()}


def unread_entropy(counts: Mapping[str, Counter[str]], kinds: Sequence[str] = FACT_KINDS) -> float:
    """Returns the nats that a sentence of facts costs who knows how often each value comes and reads no image."""
    total = 0.0
    for kind in kinds:
        shares = [count / sum(counts[kind].values()) for count in counts[kind].values()]
        total -= sum(share * math.log(share) for share in shares)
    return total
