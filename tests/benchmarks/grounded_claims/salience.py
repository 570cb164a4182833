"""Do captions tell what the eye sees first? Those of the default captioner beside its former revision's.

    python -m tests.benchmarks.grounded_claims.salience captions --packages FOLDER --out captions.jsonl
    python -m tests.benchmarks.grounded_claims.salience blind --captions A.jsonl B.jsonl --out blind.jsonl
    python -m tests.benchmarks.grounded_claims.salience join --captions A.jsonl B.jsonl --matched matched.jsonl
    python -m tests.benchmarks.grounded_claims.salience score

`captions` writes the fluent caption of each sealed tile of the first draw; a former revision's come from a checkout
of its day. `blind` mixes the captions of two revisions and writes them beside the first looks of `first_looks.jsonl`,
which were written before a caption was shown. A matcher, who sees the sheets and not who wrote what, answers a line
per id: {"id", "told", "statements", "false"}: a boolean per first look, the number of statements about the infrared,
and how many of them are plainly false. `join` writes `salience.jsonl` beside this file, and `score` its figures, with
Wilson intervals, to tests/benchmarks/results/caption_salience.json.
"""

import argparse
import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dataset_builder.captioning import GroundedCaptioner
from dataset_builder.claims import measure
from fusionrs_hf.errors import InputError
from tests.benchmarks.grounded_claims.score import HERE, RESULTS, SAMPLE, proportion
from tests.benchmarks.grounded_claims.things import read_lines, write_lines
from tests.benchmarks.grounded_claims.tiles import read_index, read_pairs

PART, FILE = "sealed", HERE / "salience.jsonl"
CAPTION = ("tile", "scene", "revision", "caption")
ANSWER = ("id", "told", "statements", "false")
Row = dict[str, Any]


def captions(packages: Path) -> list[Row]:
    """The fluent caption of each tile by the captioner of today; tiles of packages have no scene caption."""
    tiles = [tile for tile in read_index().values() if tile["part"] == PART]
    scene_captions = {}
    for path in sorted(SAMPLE.glob("test-*.parquet")):
        for row in pq.read_table(path, columns=["sample_id", "captions"]).to_pylist():
            scene_captions[row["sample_id"]] = row["captions"]
    captioner, pairs, out = GroundedCaptioner(), read_pairs(tiles, packages), []
    for tile in tiles:
        name = tile.get("sample_id", f"{tile['scene']}/{tile['tile']}")
        row = {"sample_id": name, "ir_origin": "sensor", "ir_band": tile["band"]}
        row["captions"] = scene_captions.get(name, [])
        written = captioner.caption([row], [measure(*pairs[tile["tile"]])])[0]
        fluent = dict(zip(written.forms, written.ir_captions, strict=True))["fluent"]
        values = (tile["tile"], tile["scene"], captioner.revision, fluent)
        out.append(dict(zip(CAPTION, values, strict=True)))
    return out


def with_ids(paths: Sequence[Path]) -> dict[str, Row]:
    """Captions by an id that tells nothing of who wrote them: their order on a tile is that of their hashes."""
    by_tile = defaultdict(list)
    for path in paths:
        for _, row in read_lines(path, CAPTION):
            by_tile[row["tile"]].append(row)
    rows = {}
    for tile, members in sorted(by_tile.items()):
        members.sort(key=lambda row: hashlib.sha256(row["caption"].encode()).hexdigest())
        rows |= {f"{tile}-{letter}": row for letter, row in zip("abcdef", members, strict=False)}
    return rows


def first_looks() -> dict[str, list[str]]:
    """What was seen first, by tile, most salient first."""
    lines = map(json.loads, (HERE / "first_looks.jsonl").read_text().splitlines())
    return {line["tile"]: line["first"] for line in lines}


def blind(rows: dict[str, Row]) -> list[Row]:
    """What the matcher sees."""
    looks = first_looks()
    return [
        {"id": name, "tile": row["tile"], "first_looks": looks[row["tile"]], "caption": row["caption"]}
        for name, row in rows.items()
    ]


def join(rows: dict[str, Row], matched: Path) -> list[Row]:
    """Captions with what the matcher said of each.

    Raises:
        InputError: A caption has no answer, or an answer is not of its first looks.
    """
    answers = {row["id"]: (where, row) for where, row in read_lines(matched, ANSWER)}
    looks, out = first_looks(), []
    for name, row in rows.items():
        if name not in answers:
            raise InputError(f"{matched.name} has no answer to {name}; have it matched too")
        where, answer = answers[name]
        if len(answer["told"]) != len(looks[row["tile"]]) or answer["false"] > answer["statements"]:
            raise InputError(f"{where} does not fit {len(looks[row['tile']])} first looks and its own statements")
        out.append({"id": name, **row, **{key: answer[key] for key in ANSWER[1:]}})
    return out


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """By revision: captions that tell the first look, that tell any, looks told a statement, and false statements."""
    by_revision = defaultdict(list)
    for row in rows:
        by_revision[row["revision"]].append(row)
    return {
        revision: {
            "tiles": len(members),
            "tells_the_first_look": proportion(sum(row["told"][0] for row in members), len(members)),
            "tells_a_look": proportion(sum(any(row["told"]) for row in members), len(members)),
            "statements_a_caption": round(sum(row["statements"] for row in members) / len(members), 2),
            "looks_told_a_statement": round(
                sum(sum(row["told"]) for row in members) / sum(row["statements"] for row in members), 3
            ),
            "false_statements": proportion(
                sum(row["false"] for row in members), sum(row["statements"] for row in members)
            ),
        }
        for revision, members in sorted(by_revision.items())
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes captions, mixes them, joins the answers, or scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    adding = {name: verbs.add_parser(name) for name in ("captions", "blind", "join", "score")}
    adding["captions"].add_argument("--packages", type=Path, required=True, help="folder of requirements-tiles.txt")
    for name in ("captions", "blind"):
        adding[name].add_argument("--out", type=Path, required=True)
    for name in ("blind", "join"):
        adding[name].add_argument("--captions", type=Path, nargs="+", required=True)
    adding["join"].add_argument("--matched", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.verb == "captions":
            write_lines(chosen.out, captions(chosen.packages))
        elif chosen.verb == "blind":
            write_lines(chosen.out, blind(with_ids(chosen.captions)))
        elif chosen.verb == "join":
            write_lines(FILE, join(with_ids(chosen.captions), chosen.matched))
        else:
            rows = [json.loads(line) for line in FILE.read_text().splitlines()]
            result = {"tiles": PART, "revisions": figures(rows)}
            (RESULTS / "caption_salience.json").write_text(json.dumps(result, indent=1) + "\n")
            parser.exit(0, json.dumps(result["revisions"], indent=1) + "\n")
    except (InputError, FileNotFoundError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
