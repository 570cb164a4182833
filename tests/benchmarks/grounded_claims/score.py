"""Scores the judge on one part of the claims.

    python -m tests.benchmarks.grounded_claims.score open|practice|rehearsal|sealed|sealed_second
    python -m tests.benchmarks.grounded_claims.score things_open|things_sealed|things_practice|things_sealed_second
        |model_sentences --packages FOLDER

Writes tests/benchmarks/results/grounded_claims_<half>.json. A text is contradicted if one of the claims read in it is,
else supported if one is, else abstained: nothing was read, or nothing could be judged. Of the sealed parts no text is
printed or written; of sealed statements about things nothing but figures is. Those about things that the second reader
disputes are dropped before scoring; FOLDER is that of requirements-tiles.txt.

Sentences in the manner of a model are all true: how many the judge contradicts, and how many another caption rule
rejects. A colour word is rejected rightly, as captions of the infrared keep to greys; every other reason is wrong.
"""

import argparse
import hashlib
import io
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from scipy.stats import binomtest

from dataset_builder.captioning.rules.caption_rules import make_caption_rules
from dataset_builder.claims.grounding import InfraredFacts, measure
from dataset_builder.claims.judging import judge
from fusionrs_hf.errors import InputError
from tests.benchmarks.grounded_claims.tiles import read_index, read_pairs

HERE = Path(__file__).parent
SAMPLE = HERE.parents[2] / "dataset_builder" / "sample" / "data"
RESULTS = HERE.parent / "results"
VERDICTS = ("supported", "contradicted", "abstained")
PLAIN = ("open", "practice", "rehearsal", "sealed", "sealed_second")
THINGS = ("things_open", "things_sealed", "things_practice", "things_sealed_second")
SENTENCES = "model_sentences"
SENTENCE_PARTS = ("open", "sealed", "sealed_second")
RIGHT_REASON = "rgb_color"  # of a true sentence that names a colour


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


def things_report(rows: Sequence[dict[str, Any]], facts: Mapping[str, InfraredFacts], sealed: bool) -> dict[str, Any]:
    """Scores statements about things, all and by scene; errors are named by id and verdict, of sealed ones none is.

    Args:
        rows: Lines of a part, with the second reader's verdict.
        facts: Of each tile.
        sealed: Whether to keep to figures.
    """
    kept = [row for row in rows if row["second_reader"] is row["truth"]]
    verdicts = [verdict(row["statement"], facts[row["tile"]]) for row in kept]
    judged = list(zip(kept, verdicts, strict=True))
    result = {"statements": len(rows), "disputed": len(rows) - len(kept), **scores(kept, verdicts), "by_scene": {}}
    for scene in sorted({row["scene"] for row in kept}):
        there = [(row, name) for row, name in judged if row["scene"] == scene]
        figures = scores([row for row, _ in there], [name for _, name in there])
        result["by_scene"][scene] = {name: part for name, part in figures.items() if name != "by_kind"}
    if not sealed:
        right = {True: "supported", False: "contradicted"}
        result["errors"] = [
            {"id": row["id"], "kind": row["kind"], "truth": row["truth"], "verdict": name}
            for row, name in judged
            if name not in (right[row["truth"]], "abstained")
        ]
    return result


def score_things(half: str, packages: Path | None, folder: Path) -> dict[str, Any]:
    """Scores a committed part of the statements about things."""
    path = folder / f"{half}.jsonl"
    if not path.is_file():
        raise InputError(f"{path.name} is missing; write it with tests.benchmarks.grounded_claims.things join")
    content = path.read_bytes()
    rows = [json.loads(line) for line in content.decode().splitlines()]
    tiles = read_index()
    pairs = read_pairs([tiles[name] for name in sorted({row["tile"] for row in rows})], packages)
    facts = {tile: measure(ir, rgb) for tile, (ir, rgb) in pairs.items()}
    figures = things_report(rows, facts, sealed="sealed" in half)
    return {"half": half, "sha256": hashlib.sha256(content).hexdigest(), **figures}


def sentences_report(
    rows: Sequence[dict[str, Any]], facts: Mapping[str, InfraredFacts], bands: Mapping[str, str]
) -> dict[str, Any]:
    """Verdicts on true sentences, and why caption rules other than the judge reject them; figures only.

    Args:
        rows: Lines of `model_sentences.jsonl` that the second reader found true.
        facts: Of each tile.
        bands: Infrared band of each tile.
    """
    rules = [rule for rule in make_caption_rules() if rule.reason != "contradicted"]
    verdicts = Counter(verdict(row["sentence"], facts[row["tile"]]) for row in rows)
    reasons: Counter[str] = Counter()
    rejected = 0
    for row in rows:
        record = {"captions": (), "ir_origin": "sensor", "ir_band": bands[row["tile"]]}
        faults = [rule.reason for rule in rules if rule(row["sentence"], record) is not None]
        reasons.update(faults)
        rejected += any(reason != RIGHT_REASON for reason in faults)
    return {
        "sentences": len(rows),
        "verdicts": {name: verdicts[name] for name in VERDICTS},
        "contradicted": proportion(verdicts["contradicted"], len(rows)),
        "rejected_wrongly": proportion(rejected, len(rows)),
        "reasons": dict(sorted(reasons.items())),
    }


def score_sentences(packages: Path | None) -> dict[str, Any]:
    """Scores the sentences in the manner of a model, those about open and about sealed tiles apart."""
    content = (HERE / f"{SENTENCES}.jsonl").read_bytes()
    rows = [row for row in map(json.loads, content.decode().splitlines()) if row["second_reader"] is True]
    tiles = read_index()
    pairs = read_pairs([tiles[name] for name in sorted({row["tile"] for row in rows})], packages)
    facts = {tile: measure(ir, rgb) for tile, (ir, rgb) in pairs.items()}
    bands = {name: tile["band"] for name, tile in tiles.items()}
    parts = {
        part: sentences_report([row for row in rows if tiles[row["tile"]]["part"] == part], facts, bands)
        for part in SENTENCE_PARTS
    }
    return {"half": SENTENCES, "sha256": hashlib.sha256(content).hexdigest(), **parts}


def sentence_lines(result: dict[str, Any]) -> list[str]:
    """The figures of `score_sentences` as text."""
    out = []
    for part in SENTENCE_PARTS:
        figures = result[part]
        out.append(f"{part}: {figures['sentences']} true sentences")
        for name in ("contradicted", "rejected_wrongly"):
            share = figures[name]
            low, high = share["interval"]
            out.append(f"{name}: {share['share']:.3f} [{low:.3f}, {high:.3f}] ({share['hits']}/{share['of']})")
        out.append(f"verdicts: {figures['verdicts']}; reasons: {figures['reasons']}")
    return out


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Scores, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("half", choices=(*PLAIN, *THINGS, SENTENCES))
    parser.add_argument("--packages", type=Path, help="folder of requirements-tiles.txt, for statements about things")
    chosen = parser.parse_args(arguments)
    half = chosen.half
    try:
        if half == SENTENCES:
            result = score_sentences(chosen.packages)
        else:
            result = score_things(half, chosen.packages, HERE) if half in THINGS else report(half)
    except InputError as error:
        parser.error(str(error))
    (RESULTS / f"grounded_claims_{half}.json").write_text(json.dumps(result, indent=1) + "\n")
    if half == SENTENCES:
        sys.stdout.write("\n".join(sentence_lines(result)) + "\n")
        return
    out = lines(result)
    if "second_reader_agrees" in result:
        out += ["", *lines(result["second_reader_agrees"])]
    for scene, part in result.get("by_scene", {}).items():
        out += ["", *lines({"half": scene, "by_kind": {}, **part})]
    texts = {}
    if "sealed" not in half:
        rows = map(json.loads, (HERE / f"{half}.jsonl").read_text().splitlines())
        texts = {row.get("claim_id") or row["id"]: row.get("text") or row["statement"] for row in rows}
    for error in result.get("errors", ()):
        name = error.get("claim_id") or error["id"]
        out.append(f"{name} {error['verdict']} {texts.get(name, '')}".rstrip())
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
