"""Files of JSON lines beside the shards, whole or not at all."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.shards.parquet import file_sha256
from fusionrs_hf.atomic import atomic_path

REJECTED = "quarantine/captions.jsonl"


def rejected_file(work: Path, shard: str) -> Path:
    """Returns where a shard's rejected captions lie until all are joined to `REJECTED`."""
    return work / "rejected" / f"{shard}.jsonl"


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Writes JSON lines, whole or not at all; characters that UTF-8 has not (lone surrogates) as JSON escapes."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def join_lines(parts: Sequence[Path], path: Path) -> dict[str, Any] | None:
    """Joins files of JSON lines into one; none is written where all are empty.

    Returns:
        `rows`, `bytes` and `sha256` of the file, or None.
    """
    if not any(part.stat().st_size for part in parts):
        path.unlink(missing_ok=True)
        return None
    rows = 0
    with atomic_path(path) as temporary, open(temporary, "wb") as joined:
        for part in parts:
            with open(part, "rb") as lines:
                for line in lines:
                    joined.write(line)
                    rows += 1
    return {"rows": rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
