"""Small faults, put one at a time into the packages, and whether the tests notice: a sample, drawn by a seed.

    make mutants [MODULES="dataset_builder/groups/splits.py ..."]
    python -m tests.mutants [MODULE ...] --count 300 --seed 1 --processes 2

A fault meets the tests of its file, then those of its room; what neither notices is a survivor. Every trial is written
down as it ends, in `runs/mutants`, and is not tried again while its file and its tests stay as they are. The table by
module and the survivors go to `tests/benchmarks/results/mutants.json`.
"""

import argparse
import json
import logging
import os
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fusionrs_hf.atomic import write_json
from tests.house import ROOT, source_files
from tests.mutants import trials
from tests.mutants.mutations import mutations

logger = logging.getLogger(__name__)
RESULT = ROOT / "tests/benchmarks/results/mutants.json"
FOLDER = ROOT / "runs/mutants"
EQUIVALENT = Path(__file__).with_name("equivalent.jsonl")
NAMED = ("module", "text", "was", "is")  # what tells a fault from all others, wherever its line moves


def sample(modules: Iterable[Path], count: int, seed: int) -> list[trials.Trial]:
    """Draws faults over all modules, each fault as likely as another; the same for the same source and seed."""
    every = [
        trials.Trial(module.relative_to(ROOT).as_posix(), fault)
        for module in sorted(modules)
        for fault in mutations(module.read_text())
    ]
    return random.Random(seed).sample(every, min(count, len(every)))


def try_all(wanted: Sequence[trials.Trial], log: Path, processes: int) -> list[dict[str, Any]]:
    """Tries what the log does not hold yet, and returns a record of every fault, in order."""
    known = {}
    if log.exists():
        known = {record["key"]: record for record in map(json.loads, log.read_text().splitlines())}
    pending = [trial for trial in wanted if trial.key not in known]
    spawn = get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, initializer=trials.load_libraries) as pool, log.open("a") as file:
        started = {pool.submit(trials.try_one, trial): trial for trial in pending}
        for number, future in enumerate(as_completed(started), 1):
            record = future.result()
            known[started[future].key] = record  # its own key is another where a file was changed meanwhile
            file.write(json.dumps(record) + "\n")
            file.flush()
            where = f"{record['module']}:{record['line']}"
            logger.info("%d/%d %s %s: %s", number, len(pending), where, record["kind"], record["end"])
    return [known[trial.key] for trial in wanted]


def equivalents() -> dict[tuple[str, ...], str]:
    """Faults that change nothing anyone could see, each with the reason, by (module, text of its line, was, is)."""
    rows = map(json.loads, EQUIVALENT.read_text().splitlines()) if EQUIVALENT.exists() else ()
    return {tuple(row[field] for field in NAMED): row["why"] for row in rows}


def summary(records: Iterable[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Counts by module; equivalent faults apart."""
    argued, modules, survivors, apart = equivalents(), {}, [], []
    for record in records:
        name = tuple(record.get(field) for field in NAMED)
        shown = {field: record.get(field) for field in ("module", "line", "kind", "text", "was", "is")}
        survived = record["end"] == trials.SURVIVED
        if survived and name in argued:
            apart.append(shown | {"why": argued[name]})
            continue
        counts = modules.setdefault(record["module"], {"tried": 0, "caught": 0})
        counts["tried"] += 1
        counts["caught"] += not survived
        survivors += [shown] if survived else []
    total = {field: sum(counts[field] for counts in modules.values()) for field in ("tried", "caught")}
    return {
        "seed": seed,
        **total,
        "share": round(total["caught"] / max(1, total["tried"]), 4),
        "modules": dict(sorted(modules.items())),
        "survivors": survivors,
        "equivalent": apart,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Draws, tries and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", type=Path, help="files or folders (default: all of the four packages)")
    parser.add_argument("--count", type=int, default=300, help="faults to draw")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    chosen = {module.resolve() for module in arguments.modules}
    modules = [path for path in source_files() if not chosen or chosen & {path, *path.parents}]
    FOLDER.mkdir(parents=True, exist_ok=True)
    records = try_all(sample(modules, arguments.count, arguments.seed), FOLDER / "trials.jsonl", arguments.processes)
    result = summary(records, arguments.seed)
    write_json(arguments.output, result)
    logger.info("caught %d of %d (%.0f %%)", result["caught"], result["tried"], 100 * result["share"])
    for survivor in result["survivors"]:
        logger.info("%s", "{module}:{line} {kind}: {was!r} -> {is!r}".format(**survivor))


if __name__ == "__main__":
    main()
