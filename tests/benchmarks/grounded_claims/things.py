"""Makes the set of statements about things from what two annotators and a second reader wrote.

    python -m tests.benchmarks.grounded_claims.things blind --annotations A.jsonl B.jsonl --out second.jsonl
    python -m tests.benchmarks.grounded_claims.things join --annotations A.jsonl B.jsonl --second second_read.jsonl

An annotator writes a line per statement: {"tile", "writer", "kind", "statement", "truth"}. `blind` gives each an id
and writes id, tile and statement for the second reader, who answers a line per id: {"id", "truth"}, which is true,
false, or null where the sheet does not tell. `join` writes a `things_<part>.jsonl` beside this file for each part that
the tiles are of: that was drawn with the tiles. No statement is printed.
"""

import argparse
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError
from tests.benchmarks.grounded_claims.tiles import HERE, SEED, read_index

KINDS = ("part", "line", "change", "pair", "place", "size")
WRITTEN = ("tile", "writer", "kind", "statement", "truth")
Row = dict[str, Any]


def read_lines(path: Path, fields: Sequence[str]) -> list[tuple[str, Row]]:
    """Reads JSON lines of exactly these fields, each with where it stands."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}, line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{where} is not JSON ({error}); write one object a line") from error
        names = list(row) if isinstance(row, dict) else type(row).__name__
        if sorted(names) != sorted(fields):
            raise InputError(f"{where} has {names}, expected exactly the fields {', '.join(fields)}")
        rows.append((where, row))
    return rows


def read_statements(paths: Sequence[Path], tiles: Mapping[str, Row]) -> list[Row]:
    """Reads what annotators wrote, checks it and gives ids, which tell nothing of the order of writing.

    Raises:
        InputError: A line has other fields, an unknown tile or kind, a truth that is none, or is there twice.
    """
    by_tile: dict[str, list[Row]] = defaultdict(list)
    for path in paths:
        for where, row in read_lines(path, WRITTEN):
            tile = tiles.get(row["tile"])
            if tile is None:
                raise InputError(
                    f"{where} has tile {row['tile']!r}, expected one of things_tiles.jsonl (t01, t02, ...)"
                )
            if row["writer"] != tile["annotator"]:
                raise InputError(
                    f"{where} is by writer {row['writer']!r} about {row['tile']}, a tile of annotator "
                    f"{tile['annotator']}; write about the sheets of your own list"
                )
            if row["kind"] not in KINDS:
                raise InputError(f"{where} has kind {row['kind']!r}, expected one of {', '.join(KINDS)}")
            if not isinstance(row["truth"], bool):
                raise InputError(f"{where} has truth {row['truth']!r}, expected true or false")
            if not isinstance(row["statement"], str) or not row["statement"].strip():
                raise InputError(f"{where} has no text in `statement`; write a sentence")
            if any(row["statement"] == other["statement"] for other in by_tile[row["tile"]]):
                raise InputError(f"{where} says of {row['tile']} what another line says; drop one")
            by_tile[row["tile"]].append(row)
    rows = []
    for tile, members in sorted(by_tile.items()):
        members.sort(key=lambda row: hashlib.sha256(row["statement"].encode()).hexdigest())
        rows += [{"id": f"{tile}-{number}", **row} for number, row in enumerate(members, 1)]
    return rows


def blind(rows: Sequence[Row]) -> list[Row]:
    """What the second reader sees: no truth, no kind, no writer, in random order of tiles."""
    tiles = np.random.default_rng(SEED).permutation(sorted({row["tile"] for row in rows})).tolist()
    shown = ("id", "tile", "statement")
    return [{name: row[name] for name in shown} for tile in tiles for row in rows if row["tile"] == tile]


def join(rows: Sequence[Row], readings: Mapping[str, bool | None], tiles: Mapping[str, Row]) -> dict[str, list[Row]]:
    """Adds the second reader's verdict and the scene, and deals the statements to the parts of their tiles."""
    ids = [row["id"] for row in rows]
    if missing := [name for name in ids if name not in readings]:
        raise InputError(f"{len(missing)} statements have no second reading, such as {missing[0]}; read them too")
    if strays := sorted(set(readings) - set(ids)):
        raise InputError(f"second readings name {strays[0]}, which is no statement; read the ids of `blind` again")
    parts: dict[str, list[Row]] = {part: [] for part in sorted({tiles[row["tile"]]["part"] for row in rows})}
    for row in rows:
        tile = tiles[row["tile"]]
        order = ("id", "tile", "writer", "kind", "statement", "truth")
        line = {name: row[name] for name in order} | {"second_reader": readings[row["id"]]}
        parts[tile["part"]].append({**line, "scene": tile["scene"]})
    return parts


def read_readings(path: Path) -> dict[str, bool | None]:
    """The second reader's truths by id."""
    readings: dict[str, bool | None] = {}
    for where, row in read_lines(path, ("id", "truth")):
        if row["truth"] is not None and not isinstance(row["truth"], bool):
            raise InputError(f"{where} has truth {row['truth']!r}, expected true, false or null")
        if row["id"] in readings:
            raise InputError(f"{where} reads {row['id']} a second time; keep one reading")
        readings[row["id"]] = row["truth"]
    return readings


def write_lines(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows as JSON lines, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def counts(parts: Mapping[str, Sequence[Row]]) -> str:
    """How many statements each part holds; says nothing of any one."""
    out = []
    for part, rows in parts.items():
        kept = [row for row in rows if row["second_reader"] is row["truth"]]
        truths, scenes = Counter(row["truth"] for row in kept), Counter(row["scene"] for row in kept)
        out.append(
            f"{part}: {len(rows)} statements on {len({row['tile'] for row in rows})} tiles, {len(rows) - len(kept)} "
            f"disputed; of the others {truths[True]} true, {truths[False]} false; "
            + ", ".join(f"{scene} {count}" for scene, count in sorted(scenes.items()))
        )
    return "".join(f"{line}\n" for line in out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads, checks and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, explanation in (("blind", "what the second reader sees"), ("join", "write the set")):
        verb = verbs.add_parser(name, help=explanation)
        verb.add_argument("--annotations", type=Path, nargs="+", required=True, help="what annotators wrote")
        if name == "blind":
            verb.add_argument("--out", type=Path, required=True, help="statements without truths")
        else:
            verb.add_argument("--second", type=Path, required=True, help="what the second reader answered")
            verb.add_argument("--out", type=Path, default=HERE, help="folder for the two parts")
    chosen = parser.parse_args(arguments)
    tiles = read_index()
    try:
        rows = read_statements(chosen.annotations, tiles)
        if chosen.verb == "blind":
            write_lines(chosen.out, blind(rows))
            return
        parts = join(rows, read_readings(chosen.second), tiles)
    except (InputError, FileNotFoundError) as error:
        parser.error(str(error))
    for part, members in parts.items():
        write_lines(chosen.out / f"things_{part}.jsonl", members)
    parser.exit(0, counts(parts))


if __name__ == "__main__":
    main()
