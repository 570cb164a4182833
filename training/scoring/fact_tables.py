"""Which measured facts captions tell: tables, constants and draws."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from datasets import Dataset

from dataset_builder.claims.grounding import FACT_KINDS, InfraredFacts, measure
from dataset_builder.claims.judging import fact_matches
from dataset_builder.claims.reading import read_claims
from fusionrs_hf.processing_fusionrs_images import check_infrared
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from training.data.fact_features import measure_row
from training.data.fact_texts import VALUES


def balanced_sample(bands: Sequence[str], count: int, seed: int) -> list[int]:
    """Draws row indices, as many of each band as there are, up to an equal share.

    Args:
        bands: `ir_band` of each row.
        count: Rows wanted in all; 0 for all rows.
        seed: Of the draw.

    Returns:
        Sorted indices. A band with too few rows leaves its share to the others.
    """
    generator = np.random.default_rng(seed)
    members = [generator.permutation(np.flatnonzero(np.asarray(bands) == band)) for band in sorted(set(bands))]
    chosen: list[int] = []
    wanted = count or len(bands)
    for index, band_rows in enumerate(sorted(members, key=len)):  # the smallest band first
        share = math.ceil((wanted - len(chosen)) / (len(members) - index))
        chosen.extend(band_rows[:share].tolist())
    return sorted(chosen)


def measured_facts(rows: Dataset, processor: FusionRSVLMProcessor) -> list[InfraredFacts]:
    """Measures each row's infrared and its relation to the RGB; deeper than 8 bit is scaled as the processor does."""
    return [measure_row(row, processor) for row in rows]


def facts_by_condition(
    rows: Dataset, processor: FusionRSVLMProcessor, donors: np.ndarray
) -> dict[str, list[InfraredFacts]]:
    """Measures the images that a model is shown under each condition that has facts of its own.

    Args:
        rows: With `rgb`, `ir` and `ir_band`.
        processor: As for `measured_facts`.
        donors: Of `other_of_band`, for `ir_shuffled` and `rgb_shuffled`.

    Returns:
        Facts of each row by condition: `own_images`, `ir_inverted`, `ir_shuffled`, `rgb_shuffled`.
    """
    facts: dict[str, list[InfraredFacts]] = {}
    images = [
        (
            np.asarray(check_infrared(row["ir"], processor.limits(row["ir_band"]))),
            np.asarray(row["rgb"].convert("RGB")),
        )
        for row in rows
    ]
    for (infrared, rgb), donor in zip(images, donors):
        others = images[donor]
        shown = {
            "own_images": (infrared, rgb),
            "ir_inverted": (255 - infrared, rgb),
            "ir_shuffled": (others[0], rgb),
            "rgb_shuffled": (infrared, others[1]),
        }
        for name, pair in shown.items():
            facts.setdefault(name, []).append(measure(*pair))
    return facts


def other_of_band(bands: Sequence[str], image_groups: Sequence[str], seed: int) -> np.ndarray:
    """Returns for each row another row of its band that shows another tile, `(rows,)`; itself if there is none."""
    bands, groups = np.asarray(bands), np.asarray(image_groups)
    donors = np.arange(len(bands))
    generator = np.random.default_rng(seed)
    for index in range(len(bands)):
        others = np.flatnonzero((bands == bands[index]) & (groups != groups[index]))
        if len(others):
            donors[index] = generator.choice(others)
    return donors


def match_table(captions: Sequence[str], facts: Sequence[InfraredFacts]) -> np.ndarray:
    """Returns bool `(rows, len(FACT_KINDS))`: which facts each caption states as measured."""
    return np.array([list(fact_matches(text, fact).values()) for text, fact in zip(captions, facts)])


def written_values(captions: Sequence[str]) -> list[dict[str, str | None]]:
    """Returns the value of each kind of fact that each caption claims; None where it claims none, or several."""
    values = []
    for caption in captions:
        claimed: dict[str, set[str]] = {kind: set() for kind in FACT_KINDS}
        for claim in read_claims(caption):
            if claim.kind in claimed and claim.value in VALUES[claim.kind]:
                claimed[claim.kind].add(claim.value)
        values.append({kind: said.copy().pop() if len(said) == 1 else None for kind, said in claimed.items()})
    return values


def best_constant(training_facts: Sequence[InfraredFacts]) -> dict[str, str]:
    """Returns the most frequent measured value of each fact: what the best constant caption says."""
    values = {kind: [getattr(fact, kind) for fact in training_facts] for kind in FACT_KINDS}
    return {kind: Counter(value for value in column if value).most_common(1)[0][0] for kind, column in values.items()}


def constant_matches(constant: Mapping[str, str], facts: Sequence[InfraredFacts]) -> np.ndarray:
    """Returns bool `(rows, len(FACT_KINDS))`: which facts one and the same caption states as measured."""
    return np.array([[getattr(fact, kind) == constant[kind] for kind in FACT_KINDS] for fact in facts])
