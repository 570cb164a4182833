"""Where the seconds of a build go: told to the log and to a file of its own, never part of the output."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")


class Clock:
    """Adds up wall-clock seconds by name.

    Attributes:
        seconds: By name, in the order of their first use.
    """

    def __init__(self) -> None:
        self.seconds: Counter = Counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Counts the seconds of the block, however it ends."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def each(self, name: str, items: Iterable[Item]) -> Iterator[Item]:
        """Yields the items; counts the seconds it takes to get them."""
        items = iter(items)
        while True:
            with self(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item


def timings(steps: Mapping[str, float], stages: Mapping[str, float], rows: int, sizes: Mapping[str, int]) -> dict:
    """Returns what `--timings` writes.

    Args:
        steps: Seconds of this run by step of the build; a run that continues has only what it did itself.
        stages: Seconds of reading by stage, summed over all workers and runs.
        rows: Rows read.
        sizes: Bytes by name.
    """
    by_row = {name: round(1000 * spent / max(rows, 1), 4) for name, spent in stages.items()}
    rounded = {name: round(spent, 3) for name, spent in steps.items()}
    return {"rows": rows, "seconds": rounded, "worker_ms_per_row": by_row, "bytes": dict(sizes)}


def timings_line(report: Mapping[str, Any]) -> str:
    """Returns what `timings` gives in a line for the log."""
    steps = ", ".join(f"{name} {spent:.1f}" for name, spent in report["seconds"].items())
    stages = ", ".join(f"{name} {spent:.2f}" for name, spent in report["worker_ms_per_row"].items())
    return f"{report['rows']} rows; seconds: {steps}; worker milliseconds a row: {stages}"
