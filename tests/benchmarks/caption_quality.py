"""The default captioner on every real tile of the sample: what passes, how varied it is, does a caption find its tile.

    make bench        (or: python -m tests.benchmarks.caption_quality)

A sanity check, not a result: captions come from the facts they are matched against. It shows how much of a tile's
identity they carry. Writes tests/benchmarks/results/caption_quality.json.
"""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from dataset_builder.captioning import GroundedCaptioner
from dataset_builder.captioning.rules.caption_rules import first_fault, make_caption_rules
from dataset_builder.captioning.variety import distinct_n, self_bleu
from dataset_builder.claims.grounding import InfraredFacts, measure
from dataset_builder.claims.judging import judge
from tests.dataset_builder.made.sample_tiles import sample_rows

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "caption_quality.json"
FORMS = ("compact", "fluent")
SUBSAMPLE = 500  # captions for self-BLEU, evenly spaced
TILES = 60  # of a band, evenly spaced: every caption is judged on every tile


def identification(captions: list[str], facts: list[InfraredFacts]) -> dict[str, float]:
    """How often a caption's own tile is the one its claims fit best, among `TILES` of one band of the test split.

    A tile scores the supported minus the contradicted claims; ties count by their expectation over random order.
    """
    points = {"supported": 1, "contradicted": -1, "unverifiable": 0}
    expected_ranks, hits = [], Counter()
    fits = np.array(  # (tiles, captions)
        [[sum(points[judged.verdict] for judged in judge(caption, fact)) for caption in captions] for fact in facts]
    )
    for own, scores in enumerate(fits.T):
        above, tied = int((scores > scores[own]).sum()), int((scores == scores[own]).sum())
        expected_ranks.append(above + (tied + 1) / 2)
        for k in (1, 5, 10):
            hits[k] += min(1.0, max(0, k - above) / tied)
    return {
        "tiles": len(facts),
        "median_rank": float(np.median(expected_ranks)),
        **{f"R@{k}": round(hits[k] / len(captions), 4) for k in (1, 5, 10)},
        **{f"chance_R@{k}": round(k / len(facts), 4) for k in (1, 5, 10)},
    }


def main() -> None:
    """Measures and writes the result."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rules, captioner = make_caption_rules(), GroundedCaptioner()
    rows = [{**row, "_facts": measure(row["_ir"], row["_rgb"])} for row in sample_rows(1)]
    written = [answer.ir_captions for answer in captioner.caption(rows, [row["_facts"] for row in rows])]
    report: dict[str, Any] = {
        "what": "the default captioner on all rows of the sample",
        "rows": len(rows),
        "forms": {},
    }
    passing = 0
    for row, captions in zip(rows, written, strict=True):
        row["_faults"] = [first_fault(caption, row, rules) for caption in captions]
        passing += not any(row["_faults"])
    report["rows_whose_captions_all_pass"] = round(passing / len(rows), 5)
    test = [
        index for index, row in enumerate(rows) if row["_split"] == "test" and row["source_dataset"] != "l8_alabama"
    ]
    for position, form in enumerate(FORMS):
        texts = [captions[position] for captions in written]
        reasons = Counter(row["_faults"][position].reason for row in rows if row["_faults"][position])
        report["forms"][form] = {
            "accepted": round(1 - reasons.total() / len(rows), 5),
            "rejected_by_reason": dict(reasons),
            "distinct_texts": round(len(set(texts)) / len(texts), 4),
            "distinct_1": round(distinct_n(texts, 1), 4),
            "distinct_2": round(distinct_n(texts, 2), 4),
            "self_bleu_4": round(self_bleu(texts[:: len(texts) // SUBSAMPLE][:SUBSAMPLE]), 4),
            "mean_words": round(float(np.mean([len(text.split()) for text in texts])), 1),
            "identification": {},
        }
        for band in sorted({row["ir_band"] for row in rows}):
            own = [index for index in test if rows[index]["ir_band"] == band]
            own = own[:: len(own) // TILES][:TILES]
            found = identification([texts[index] for index in own], [rows[index]["_facts"] for index in own])
            report["forms"][form]["identification"][band] = found
            logger.info("%s, %s: %s", form, band, found)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
