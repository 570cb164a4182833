"""Facts of the pair on the sample: what may be claimed, what noise moves, what another tile bears out, and the speed.

    make bench        (or: python -m tests.benchmarks.pair_facts)

Thresholds in `dataset_builder/claims/pair_floors.py` were set by looking at the training part of this table, which is
what is measured by default; `--split validation` and `--split test` show that they hold elsewhere. Every statement
that may be claimed of a pair is asked again of the pair with another tile's infrared, and RGB, of one scene, band and
split but another image group (its tiles do not overlap), and of the pair itself after JPEG at quality 90, a shift of
the infrared by a pixel, and of both images by half a pixel. Writes tests/benchmarks/results/pair_facts.json.
"""

import argparse
import io
import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dataset_builder.claims.grounding import measure
from dataset_builder.claims.pair_facts import PairFacts
from dataset_builder.claims.pair_images import measure_pair
from dataset_builder.claims.pair_statements import KINDS, statements_of, verdict
from tests.benchmarks.sides import HARDWARE
from tests.dataset_builder.made.sample_tiles import sample_rows

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "pair_facts.json"
QUALITY = 90
SPEED_SIDE, SPEED_TILES = 128, 100
DONORS = ("another infrared", "another RGB")
NOISE = ("JPEG 90", "a pixel", "half a pixel")


def jpeg(image: np.ndarray) -> np.ndarray:
    """The image after one save at `QUALITY`."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file))


def half_shifted(image: np.ndarray) -> np.ndarray:
    """The image moved by half a pixel along both axes, bilinear; the last row and column stay."""
    values = np.pad(image.astype(np.float32), ((0, 1), (0, 1)) + ((0, 0),) * (image.ndim - 2), mode="edge")
    mean = (values[:-1, :-1] + values[1:, :-1] + values[:-1, 1:] + values[1:, 1:]) / 4
    return (mean + 0.5).astype(np.uint8)


def position(row: dict[str, Any]) -> tuple[int, int]:
    """Row and column of a tile in its scene, pixels; in its id."""
    place = row["sample_id"].split("/")[1]
    return int(place[1:5]), int(place[6:10])


def donor(row: dict[str, Any], candidates: Sequence[dict[str, Any]], draw: np.random.Generator) -> dict[str, Any]:
    """Draws a tile of the same scene, band and split that does not overlap this one."""
    here, side = position(row), row["_ir"].shape[0]
    for index in draw.permutation(len(candidates)):
        there = position(candidates[index])
        if max(abs(there[0] - here[0]), abs(there[1] - here[1])) >= side:
            return candidates[index]
    raise ValueError(f"every tile of {row['sample_id']}'s scene, band and split overlaps it; take another split")


def varied(row: dict[str, Any], other: dict[str, Any]) -> dict[str, PairFacts]:
    """Facts of the pair and of what is put beside it, by name."""
    infrared, rgb = row["_ir"], row["_rgb"]
    pairs = {
        "own": (infrared, rgb),
        "another infrared": (other["_ir"], rgb),
        "another RGB": (infrared, other["_rgb"]),
        "JPEG 90": (jpeg(infrared), jpeg(rgb)),
        "a pixel": (np.roll(infrared, 1, axis=1), rgb),
        "half a pixel": (half_shifted(infrared), half_shifted(rgb)),
    }
    return {name: measure_pair(measure(*pair).images) for name, pair in pairs.items()}


def survey(candidates: Sequence[dict[str, Any]], every: int, seed: int) -> dict[str, Any]:
    """Counts statements by kind, on each n-th pair, on shuffled pairs, and as judged by what is put beside them."""
    draw = np.random.default_rng(seed)
    strata = defaultdict(list)
    rows = candidates[::every]
    for row in candidates:
        strata[row["source_dataset"], row["ir_band"]].append(row)
    claimed, shuffled, judged = Counter(), Counter(), defaultdict(Counter)
    held, things = 0, 0
    for row in rows:
        facts = varied(row, donor(row, strata[row["source_dataset"], row["ir_band"]], draw))
        statements = statements_of(facts["own"])
        held += bool(statements)
        things += any(statement.subject for statement in statements)
        claimed.update(statement.kind for statement in statements)
        shuffled.update(statement.kind for statement in statements_of(facts["another infrared"]))
        for statement in statements:
            for name in (*DONORS, *NOISE):
                for kind in (statement.kind, "all"):
                    judged[kind, name][verdict(statement, facts[name])] += 1
    return {
        "pairs": len(rows),
        "pairs_with_a_statement": round(held / len(rows), 4),
        "pairs_with_a_part_or_line": round(things / len(rows), 4),
        "statements_a_pair": round(claimed.total() / len(rows), 2),
        "kinds": {kind: by_kind(kind, claimed, shuffled, judged, len(rows)) for kind in ("all", *KINDS)},
    }


def by_kind(kind: str, claimed: Counter, shuffled: Counter, judged: dict, pairs: int) -> dict[str, Any]:
    """How often a kind is claimed a pair, and the shares of its statements that are supported or contradicted."""
    count, of_shuffled = (c.total() if kind == "all" else c[kind] for c in (claimed, shuffled))
    row: dict[str, Any] = {"a_pair": round(count / pairs, 3), "a_shuffled_pair": round(of_shuffled / pairs, 3)}
    for name in (*DONORS, *NOISE):
        counts = judged[kind, name]
        row[name] = {value: round(counts[value] / max(1, count), 3) for value in ("supported", "contradicted")}
    return row


def speed(rows: Sequence[dict[str, Any]], repeats: int = 5) -> dict[str, Any]:
    """Tiles a second of one process: measured facts without and with those of the pair; decoding excluded."""
    size = (SPEED_SIDE, SPEED_SIDE)
    pairs = [
        tuple(
            np.asarray(Image.fromarray(row[name]).resize(size, Image.Resampling.BICUBIC)) for name in ("_ir", "_rgb")
        )
        for row in rows[:: max(1, len(rows) // SPEED_TILES)][:SPEED_TILES]
    ]
    rates: dict[str, list[float]] = {"measure": [], "measure with pair": []}
    for _ in range(repeats):
        for name, ask in (("measure", False), ("measure with pair", True)):
            began = time.process_time()
            for infrared, rgb in pairs:
                facts = measure(infrared, rgb)
                if ask:
                    measure_pair(facts.images)
            rates[name].append(len(pairs) / (time.process_time() - began))
    return {"side_px": SPEED_SIDE, "tiles": len(pairs), "unit": "tiles a second of one core's time"} | {
        name: {"best": round(max(values), 1), "runs": [round(value, 1) for value in values]}
        for name, values in rates.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measures the splits asked for and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", nargs="+", default=["train"], choices=("train", "validation", "test"))
    parser.add_argument("--every", type=int, default=1, help="surveys each n-th row of a split")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of other tiles")
    parser.add_argument("--out", type=Path, default=RESULT, help="JSON file to write")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rows = list(sample_rows())
    report: dict[str, Any] = {
        "what": "facts of the pair on the sample: statements by kind, and shares of them that hold elsewhere",
        "hardware": HARDWARE,
        "seed": arguments.seed,
        "every": arguments.every,
        "splits": {},
        "speed": speed(rows),
    }
    logger.info("%s", report["speed"])
    for split in arguments.split:
        found = survey([row for row in rows if row["_split"] == split], arguments.every, arguments.seed)
        report["splits"][split] = found
        logger.info("%s: %d pairs, %.2f statements a pair", split, found["pairs"], found["statements_a_pair"])
        for kind, row in found["kinds"].items():
            shares = "  ".join(
                f"{name} {row[name]['supported']:.2f}/{row[name]['contradicted']:.2f}" for name in (*DONORS, *NOISE)
            )
            logger.info("%-22s %.2f (shuffled %.2f)  %s", kind, row["a_pair"], row["a_shuffled_pair"], shares)
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
