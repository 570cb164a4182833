"""Whether what a dataset's folder holds may be published: every row against its code, by light columns alone.

`publish` asks before it writes, `fusionrs push` before it uploads.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dataset_builder.rights.notices import NOTICES
from dataset_builder.rights.table import PARTS, RightsTable, folder_policy, held_parts
from dataset_builder.shards.folder import find_shards, light_batches
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.folder_manifest import require_finished

SHOWN = 3
LIGHT = ("sample_id", "rights", "ir_origin", "captions", "ir_captions", "joint_captions")
HOW_TO_ADD = (
    "add it with licence, images, infrared, captions, ir_captions and index to a YAML file that the recipe names as "
    "`rights_policy` (dataset_builder/rights/rights.yaml shows how)"
)


@dataclass(slots=True)
class Refusals:
    """Rows that may not be published as asked.

    Args:
        rows: How many.
        parts: Refused parts by code, counted in rows; `{}` for a code that is not listed.
        by_code: Refused rows by code.
        examples: The first few ids by code.
    """

    rows: int = 0
    parts: dict[str, Counter] = field(default_factory=dict)
    by_code: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def sentence(self) -> str:
        """Returns the counts by code with the first ids, for an error."""
        lines = []
        for code, rows in sorted(self.by_code.items()):
            ids = ", ".join(self.examples[code]) + (", ..." if rows > len(self.examples[code]) else "")
            held = ", ".join(f"{name} of {count}" for name, count in self.parts[code].items())
            lines.append(
                f"{shown(code)}: {f'{held} rows not allowed' if held else f'{rows} rows, code not listed'} ({ids})"
            )
        return f"{self.rows} rows: {'; '.join(lines)}"

    def remedy(self) -> str:
        """Returns what to do about it."""
        unlisted = [code for code, parts in sorted(self.parts.items()) if not parts]
        advice = (
            "publish less of it (`fusionrs build OUT --publish redacted` or index), or allow it in a `rights_policy`"
        )
        ways = [advice] if len(unlisted) < len(self.parts) else []
        return "; ".join([*ways, *([f"code {shown(unlisted[0])} is not listed: {HOW_TO_ADD}"] if unlisted else [])])


def refused_rows(
    folder: Path,
    shards: Sequence[str],
    policy: RightsTable,
    whole: bool = True,
    tell: Callable[[str, str, str], None] = lambda *row: None,
) -> Refusals:
    """Finds the rows whose code does not allow what they hold.

    Args:
        folder: Dataset with `data/`.
        shards: Names of its files there.
        policy: What is allowed.
        whole: Whether all that a row holds is to be published; else its index alone.
        tell: Called with sample id, code and parts (comma separated; `unlisted` for a code that is not listed) of each
            refused row.
    """
    refusals = Refusals()
    for name in shards:
        for table in light_batches(folder / "data" / name, (*LIGHT, "rgb", "ir")):
            held = held_parts(table)
            for code in pc.unique(table["rights"]).to_pylist():
                code_mask = table["rights"].is_null() if code is None else pc.equal(table["rights"], code)
                _refuse(refusals, table, held, code_mask, str(code), policy, whole, tell)
    return refusals


def _refuse(
    refusals: Refusals,
    table: pa.Table,
    held: dict[str, pa.ChunkedArray],
    code_mask: pa.ChunkedArray,
    code: str,
    policy: RightsTable,
    whole: bool,
    tell: Callable[[str, str, str], None],
) -> None:
    """Adds the refused rows of one code, `code_mask`, of one batch."""
    entry = policy.get(code)
    forbidden = [part for part in (PARTS if whole else ("index",)) if entry is not None and not entry.allows(part)]
    masks = {part: pc.fill_null(pc.and_(code_mask, held[part]), False) for part in forbidden}
    if entry is None:
        masks = {"unlisted": pc.fill_null(code_mask, False)}
    if not any(pc.any(mask).as_py() for mask in masks.values()):
        return
    rows = {name: pc.indices_nonzero(mask).to_pylist() for name, mask in masks.items()}
    parts = refusals.parts.setdefault(code, Counter())
    parts.update({name: len(where) for name, where in rows.items() if where and entry is not None})
    ids = table["sample_id"]
    refused = sorted({row for where in rows.values() for row in where})
    names = {row: [] for row in refused}
    for name, where in rows.items():
        for row in where:
            names[row].append(name)
    for row in refused:
        tell(str(ids[row].as_py()), code, ",".join(names[row]))
    refusals.rows += len(refused)
    refusals.by_code[code] += len(refused)
    shown = refusals.examples.setdefault(code, [])
    shown += [str(ids[row].as_py()) for row in refused[: SHOWN - len(shown)]]


def check_folder(folder: Path) -> None:
    """Refuses a dataset that holds what its rows' codes do not allow, or lacks a notice that they ask for.

    Args:
        folder: With `data/*.parquet`; a `rights.yaml` kept there changes the shipped table.

    Raises:
        InputError: Rows may not be published, their notices are missing, or the folder is not finished.
    """
    require_finished(folder)
    shards, policy = find_shards(folder, ("sample_id", "rights", "rgb", "ir")), folder_policy(folder)
    refused = refused_rows(folder, shards, policy)
    if refused.rows:
        raise InputError(f"{folder} may not be published: {refused.sentence()}; {refused.remedy()}")
    written = folder / NOTICES
    text = " ".join(written.read_text(encoding="utf-8").split()) if written.exists() else ""
    for code in _codes(folder, shards):
        if (entry := policy.get(code)) and entry.notice not in text:
            raise InputError(
                f"{written} does not hold the notice that rows of code {shown(code)} ask for; run `fusionrs build OUT "
                "--publish full` (redacted, index) on the build and push the folder OUT/publish/full"
            )


def _codes(folder: Path, shards: Sequence[str]) -> list[str]:
    """Returns the codes of rows none of which was refused: none is null."""
    codes = set()
    for name in shards:
        for table in light_batches(folder / "data" / name, ("rights",)):
            codes.update(pc.unique(table["rights"]).to_pylist())
    return sorted(codes)
