"""What a build tells at its end: rows and reasons of all shards, and what they take."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def by_reason(reasons: Counter) -> str:
    """Returns counts of rows that left as words, by reason."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "none"


def total_results(read: Iterable[Mapping[str, Any]]) -> tuple[int, int, Counter, Counter]:
    """Returns rows read, captions left out of kept rows, rows that left by reason, seconds by stage, of all shards."""
    rows, left_out, reasons, seconds = 0, 0, Counter(), Counter()
    for result in read:
        rows += result["rows"]
        left_out += result["left_out"]
        reasons.update(result["reasons"])
        seconds.update(result["seconds"])
    return rows, left_out, reasons, seconds


def folder_bytes(folder: Path) -> int:
    """Returns the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
