"""Scores the judge on one part of the claims.

    python -m tests.benchmarks.grounded_claims.score open|practice|rehearsal|sealed|sealed_second

Writes tests/benchmarks/results/grounded_claims_<half>.json. A text is contradicted if one of the claims read in it is,
else supported if one is, else abstained: nothing was read, or nothing could be judged. Of the sealed parts no text is
printed or written.
"""

import argparse
import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from scipy.stats import binomtest

from dataset_builder.claims.grounding import InfraredFacts, measure
from dataset_builder.claims.judging import judge

HERE = Path(__file__).parent
SAMPLE = HERE.parents[2] / "dataset_builder" / "sample" / "data"
RESULTS = HERE.parent / "results"
VERDICTS = ("supported", "contradicted", "abstained")


def measured(rows: Sequence[dict[str, Any]]) -> dict[str, InfraredFacts]:
    """Facts of each tile that these claims are about, by `sample_id`."""
    facts = {}
    for split in sorted({row["split"] for row in rows}):
        wanted = sorted({row["sample_id"] for row in rows if row["split"] == split})
        for path in sorted(SAMPLE.glob(f"{split}-*.parquet")):
            tiles = pq.read_table(path, columns=["sample_id", "rgb", "ir"], filters=[("sample_id", "in", wanted)])
            for tile in tiles.to_pylist():
                ir, rgb = (np.asarray(Image.open(io.BytesIO(tile[name]["bytes"]))) for name in ("ir", "rgb"))
                facts[tile["sample_id"]] = measure(ir, rgb)
    return facts


def verdict(text: str, facts: InfraredFacts) -> str:
    """The judge's one verdict on a text: one of `VERDICTS`."""
    verdicts = {judged.verdict for judged in judge(text, facts)}
    return next((name for name in ("contradicted", "supported") if name in verdicts), "abstained")


def proportion(hits: int, of: int) -> dict[str, Any]:
    """A share with its 95 % Wilson interval; both None where there is nothing to share."""
    if not of:
        return {"hits": hits, "of": of, "share": None, "interval": None}
    interval = binomtest(hits, of).proportion_ci(method="wilson")
    return {
        "hits": hits,
        "of": of,
        "share": round(hits / of, 4),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
    }


def scores(rows: Sequence[dict[str, Any]], verdicts: Sequence[str]) -> dict[str, Any]:
    """Confusion, precision and recall of `contradicted` among judged claims, and abstentions."""
    counts = Counter((bool(row["truth"]), name) for row, name in zip(rows, verdicts, strict=True))
    kinds = Counter((row["kind"], bool(row["truth"]), name) for row, name in zip(rows, verdicts, strict=True))
    true_negatives, false_hits = counts[False, "contradicted"], counts[True, "contradicted"]
    return {
        "claims": len(rows),
        "confusion": {str(truth).lower(): {name: counts[truth, name] for name in VERDICTS} for truth in (True, False)},
        "by_kind": {
            kind: {
                str(truth).lower(): {name: kinds[kind, truth, name] for name in VERDICTS} for truth in (True, False)
            }
            for kind in sorted({row["kind"] for row in rows})
        },
        "precision": proportion(true_negatives, true_negatives + false_hits),
        "recall": proportion(true_negatives, true_negatives + counts[False, "supported"]),
        "abstained_true": proportion(counts[True, "abstained"], sum(counts[True, name] for name in VERDICTS)),
        "abstained_false": proportion(counts[False, "abstained"], sum(counts[False, name] for name in VERDICTS)),
    }


def agreed(row: dict[str, Any]) -> bool:
    """Whether a second reader of the tile came to the same truth."""
    return str(row["second_reader"]).lower() == str(row["truth"]).lower()


def report(half: str) -> dict[str, Any]:
    """Scores one half; errors are named by `claim_id` and verdict."""
    rows = [json.loads(line) for line in (HERE / f"{half}.jsonl").read_text().splitlines() if line.strip()]
    facts = measured(rows)
    verdicts = [verdict(row["text"], facts[row["sample_id"]]) for row in rows]
    right = {True: "supported", False: "contradicted"}
    result = {"half": half, **scores(rows, verdicts)}
    if any("second_reader" in row for row in rows):
        both = [(row, name) for row, name in zip(rows, verdicts, strict=True) if agreed(row)]
        result["second_reader_agrees"] = scores([row for row, _ in both], [name for _, name in both])
    result["errors"] = [
        {"claim_id": row["claim_id"], "kind": row["kind"], "truth": row["truth"], "verdict": name}
        for row, name in zip(rows, verdicts, strict=True)
        if name not in (right[bool(row["truth"])], "abstained")
    ]
    return result


def lines(result: dict[str, Any]) -> list[str]:
    """The figures as text."""
    out = [f"{result.get('half', 'where a second reader agrees')}: {result['claims']} claims"]
    out.append(f"{'':24}{''.join(f'{name:>14}' for name in VERDICTS)}")
    for kind, table in {"all": result["confusion"], **result["by_kind"]}.items():
        for truth, counts in table.items():
            out.append(f"{kind + ', ' + truth:24}{''.join(f'{counts[name]:>14}' for name in VERDICTS)}")
    for name in ("precision", "recall", "abstained_true", "abstained_false"):
        part = result[name]
        if part["share"] is None:
            out.append(f"{name}: none")
        else:
            low, high = part["interval"]
            out.append(f"{name}: {part['share']:.3f} [{low:.3f}, {high:.3f}] ({part['hits']}/{part['of']})")
    return out


def main() -> None:
    """Scores, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("half", choices=("open", "practice", "rehearsal", "sealed", "sealed_second"))
    half = parser.parse_args().half
    result = report(half)
    (RESULTS / f"grounded_claims_{half}.json").write_text(json.dumps(result, indent=1) + "\n")
    out = lines(result)
    if "second_reader_agrees" in result:
        out += ["", *lines(result["second_reader_agrees"])]
    texts = {}
    if not half.startswith("sealed"):
        rows = map(json.loads, (HERE / f"{half}.jsonl").read_text().splitlines())
        texts = {row["claim_id"]: row["text"] for row in rows}
    for error in result["errors"]:
        out.append(f"{error['claim_id']} {error['verdict']} {texts.get(error['claim_id'], '')}".rstrip())
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
