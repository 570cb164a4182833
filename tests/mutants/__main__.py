"""Small faults, put one at a time into the packages, and whether the tests notice: a sample, drawn by a seed.

    make mutants [MODULES="dataset_builder/groups/splits.py ..."]
    python -m tests.mutants [MODULE ...] --count 300 --seed 1 --processes 2

A fault meets the tests of its file, then all other fast tests that call the function it is in (the nearest by imports,
where none is seen to); what none notices is a survivor. What tests call is measured once, and again for test files
that have changed; with `--quick` it is not, and a few more survive. Every trial is written down as it ends, in
`runs/mutants`, and is not tried again while its file and its tests stay as they are. The table by module and the
survivors go to `tests/benchmarks/results/mutants.json`.
"""

import argparse
import json
import logging
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from typing import Any, TypeVar

from fusionrs_hf.atomic import write_json
from tests.house import ROOT, source_files
from tests.mutants import trials
from tests.mutants.mutations import Mutation, mutations
from tests.mutants.reach import Reached, fast_tests, read_reach

logger = logging.getLogger(__name__)
Work, Done = TypeVar("Work"), TypeVar("Done")
RESULT = ROOT / "tests/benchmarks/results/mutants.json"
FOLDER = ROOT / "runs/mutants"
EQUIVALENT = Path(__file__).with_name("equivalent.jsonl")
PART = 10  # test files that a process is watched over at a time
NAMED = ("module", "text", "was", "is")  # what tells a fault from all others, wherever its line moves


def sample(modules: Iterable[Path], count: int, seed: int) -> list[tuple[str, Mutation]]:
    """Draws faults over all modules, each fault as likely as another; the same for the same source and seed."""
    every = [
        (module.relative_to(ROOT).as_posix(), fault)
        for module in sorted(modules)
        for fault in mutations(module.read_text())
    ]
    return random.Random(seed).sample(every, min(count, len(every)))


def share(
    lanes: Sequence[trials.Lane], work: Iterable[Work], do: Callable[[trials.Lane, Work], Done]
) -> Iterator[tuple[Work, Done]]:
    """Yields what is done with its result, as it ends, one thing at a time in each lane."""
    free: Queue[trials.Lane] = Queue()
    for lane in lanes:
        free.put(lane)

    def one(item: Work) -> tuple[Work, Done]:
        lane = free.get()
        try:
            return item, do(lane, item)
        finally:
            free.put(lane)

    with ThreadPoolExecutor(len(lanes)) as pool:
        try:
            for future in as_completed([pool.submit(one, item) for item in work]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def measure_reach(lanes: Sequence[trials.Lane], log: Path) -> dict[str, Reached]:
    """Returns what each test file reaches; runs those that the log does not know as they are."""
    known = read_reach(log)
    pending = [test for test in fast_tests() if test not in known]
    logger.info("measuring what %d of %d test files reach", len(pending), len(known) + len(pending))
    parts = [pending[start : start + PART] for start in range(0, len(pending), PART)]
    for part, _ in share(lanes, parts, lambda lane, tests: lane.watch(tests, log)):
        logger.info("measured %s", " ".join(part))
    return read_reach(log)


def try_all(lanes: Sequence[trials.Lane], wanted: Sequence[trials.Trial], log: Path) -> list[dict[str, Any]]:
    """Tries what the log does not hold yet, and returns a record of every fault, in order."""
    known = {}
    if log.exists():
        known = {record["key"]: record for record in map(json.loads, log.read_text().splitlines())}
    pending = [trial for trial in wanted if trial.key not in known]
    ended = share(lanes, pending, lambda lane, trial: lane.run(trial))
    with log.open("a") as file:
        for number, (trial, end) in enumerate(ended, 1):
            known[trial.key] = trials.record(trial, end)
            file.write(json.dumps(known[trial.key]) + "\n")
            file.flush()
            logger.info(
                "%d/%d %s:%d %s: %s", number, len(pending), trial.module, trial.fault.line, trial.fault.kind, end
            )
    return [known[trial.key] for trial in wanted]


def equivalents() -> dict[tuple[str, ...], str]:
    """Faults that change nothing anyone could see, each with the reason, by (module, text of its line, was, is)."""
    rows = map(json.loads, EQUIVALENT.read_text().splitlines()) if EQUIVALENT.exists() else ()
    return {tuple(row[field] for field in NAMED): row["why"] for row in rows}


def summary(records: Iterable[dict[str, Any]], seed: int, quick: bool = False) -> dict[str, Any]:
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
        "quick": quick,
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
    parser.add_argument("--quick", action="store_true", help="do not measure which tests call what")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    chosen = {module.resolve() for module in arguments.modules}
    modules = [path for path in source_files() if not chosen or chosen & {path, *path.parents}]
    FOLDER.mkdir(parents=True, exist_ok=True)
    drawn = sample(modules, arguments.count, arguments.seed)
    with ExitStack() as held:
        lanes = [held.enter_context(trials.Lane()) for _ in range(arguments.processes)]
        reach = FOLDER / "reach.jsonl"
        known = read_reach(reach) if arguments.quick else measure_reach(lanes, reach)
        wanted = [trials.Trial.of(module, fault, known) for module, fault in drawn]
        records = try_all(lanes, wanted, FOLDER / "trials.jsonl")
    result = summary(records, arguments.seed, arguments.quick)
    write_json(arguments.output, result)
    logger.info("caught %d of %d (%.0f %%)", result["caught"], result["tried"], 100 * result["share"])
    for survivor in result["survivors"]:
        logger.info("%s", "{module}:{line} {kind}: {was!r} -> {is!r}".format(**survivor))


if __name__ == "__main__":
    main()
