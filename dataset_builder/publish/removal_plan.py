"""What it takes to remove rows from a finished dataset, found out before anything is written: files, marks, counts.

Light columns are read twice, image bytes of the shards concerned once. Memory grows with the rows removed alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset_builder.groups.grouping import large_components
from dataset_builder.groups.splits import REASONS, asked_splits, below_minimum
from dataset_builder.rights.tombstones import REMOVED, read_tombstones
from dataset_builder.schema import HELD_OUT, IMAGE_COLUMNS
from dataset_builder.shards.counts import COUNTED, Counts, shard_sizes
from dataset_builder.shards.folder import light_batches
from dataset_builder.shards.layout import split_of
from dataset_builder.shards.lines import REJECTED
from dataset_builder.shards.report import BuildReport
from fusionrs_hf.errors import InputError

SHOWN = 5
GROUPS = {"image_groups": "image_group_id", "joint_groups": "joint_group_id"}
GROUPED_LEAVERS = tuple(REASONS.values())  # quarantined rows that a build's groups count
PLACE = ("sample_id", "reason", "image_group_id", "joint_group_id", "ir_band", "ir_origin")


@dataclass
class Removal:
    """A planned removal; JSON holds it between a kill and the run that continues.

    Args:
        ids: Reasons by sample id.
        date: Day of the removal, as given, or None.
        version: Of the dataset without the rows.
        files: By name, of each file that changes: ids that leave it (`remove`), ids that become representatives
            (`mark`), and rows and Arrow bytes by config `before`.
        tombstones: Those to add.
        report: The dataset's report after it, but for what the written files will tell.
        siblings: Rows that stay and are of the same image group as one that leaves: how many, and the first ids.
    """

    ids: dict[str, str]
    date: str | None
    version: str
    files: dict[str, dict[str, Any]]
    tombstones: list[dict[str, Any]]
    report: dict[str, Any]
    siblings: dict[str, Any]


@dataclass
class _Scan:
    """What a second look at all rows that stay finds."""

    groups: dict[str, set[str]]  # groups of rows that leave, by column: those that are met again are taken out
    best: dict[tuple, tuple] = field(default_factory=dict)  # (split, joint group, band) -> rank, file, id
    first: dict[str, str] = field(default_factory=dict)  # joint group that loses a row -> first id that stays
    joint_of: dict[str, str] = field(default_factory=dict)  # first id of a large component -> its joint group
    siblings: int = 0
    shown: list[str] = field(default_factory=list)


def plan_removal(out: Path, report: BuildReport, ids: Mapping[str, str], date: str | None) -> Removal:
    """Plans the removal of rows from a finished dataset.

    Args:
        out: Its folder.
        report: What its `build_report.json` holds.
        ids: Reasons by sample id; rows in `quarantine/` count, too.
        date: For the tombstones; None: no date.

    Raises:
        InputError: An id is not there (what was removed before is said), or no row would stay.
    """
    leavers = _rows(out, report, ids)
    _check_found(out, ids, {row["sample_id"] for rows in leavers.values() for row in rows})
    published = {name: rows for name, rows in leavers.items() if name.startswith("data/")}
    leaving = sum(map(len, published.values()))
    if leaving >= report.rows_kept:
        raise InputError(f"all {report.rows_kept} rows of {out} would leave; delete the folder instead")
    files = {
        name: {"remove": sorted({row["sample_id"] for row in rows}), "mark": []} for name, rows in leavers.items()
    }
    scan = _scan(out, report, ids, leavers)
    for _, name, marked in scan.best.values():
        files.setdefault(name, {"remove": [], "mark": []})["mark"].append(marked)
    for name, file in files.items():
        file["mark"].sort()
        file["before"] = shard_sizes(out / name) if name.startswith("data/") else {}
    if REJECTED in report.files:
        files[REJECTED] = {"remove": sorted(ids), "mark": [], "before": {}}
    version = _next(report.version)
    stones = [
        {
            "sample_id": row["sample_id"],
            "split": split_of(name) if name in published else None,
            "file": name,
            "version": version,
            "reason": ids[row["sample_id"]] or None,
            "date": date,
        }
        for name, rows in leavers.items()
        for row in rows
    ]
    after = replace(_counted(report, leavers, scan), version=version, removed=report.removed + len(stones))
    siblings = {"rows": scan.siblings, "first": scan.shown}
    return Removal(dict(ids), date, version, dict(sorted(files.items())), stones, after.as_dict(), siblings)


def _parquet(report: BuildReport) -> list[str]:
    return [name for name in report.files if name.endswith(".parquet")]


def _rows(out: Path, report: BuildReport, ids: Mapping[str, str]) -> dict[str, list[dict]]:
    """The rows to remove by file, in the order of the files, without their images."""
    wanted, leavers = pa.array(sorted(ids), pa.string()), {}
    for name in _parquet(report):
        if not any(
            pc.any(pc.is_in(part["sample_id"], wanted)).as_py() for part in light_batches(out / name, PLACE[:1])
        ):
            continue
        columns = [column for column in pq.read_schema(out / name).names if column not in IMAGE_COLUMNS]
        rows = (part.filter(pc.is_in(part["sample_id"], wanted)) for part in light_batches(out / name, columns))
        leavers[name] = [row for part in rows for row in part.to_pylist()]
    return leavers


def _check_found(out: Path, ids: Mapping[str, str], stored_ids: set[str]) -> None:
    if not (missing := [name for name in ids if name not in stored_ids]):
        return
    before = {stone["sample_id"]: stone["version"] for stone in read_tombstones(out)}
    mentions = [f"{name} (removed in version {before[name]})" if name in before else name for name in missing[:SHOWN]]
    more = f", and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    raise InputError(
        f"{len(missing)} of {len(ids)} sample ids are not in {out}: {', '.join(mentions)}{more}; nothing was removed: "
        "take them off the list"
    )


def _next(version: str) -> str:
    major, minor, patch = version.split(".")
    return f"{major}.{minor}.{int(patch) + 1}"


def _grouped(name: str, rows: Iterable[dict]) -> Iterator[dict]:
    """Rows that the report's groups count: those published, and those that left for their group."""
    return (row for row in rows if name.startswith("data/") or row["reason"] in GROUPED_LEAVERS)


def _scan(out: Path, report: BuildReport, ids: Mapping[str, str], leavers: Mapping[str, list[dict]]) -> _Scan:
    """Looks at the rows that stay: which groups live on, who represents them, who shows the same image."""
    counted = [row for name, rows in leavers.items() for row in _grouped(name, rows)]
    scan = _Scan({column: {row[column] for row in counted if row[column]} for column in GROUPS.values()})
    arrays = {column: pa.array(sorted(groups), pa.string()) for column, groups in scan.groups.items()}
    large = {component["sample_id"] for component in report.groups["largest"]}
    orphans = {
        (split_of(name), row["joint_group_id"], row["ir_band"])
        for name, rows in leavers.items()
        for row in rows
        if split_of(name) in HELD_OUT and row["is_eval_representative"]
    }
    leaving = pa.array(sorted(ids), pa.string())
    for name in _parquet(report):
        for part in light_batches(out / name, PLACE):
            part = part.filter(pc.invert(pc.is_in(part["sample_id"], leaving)))
            if not name.startswith("data/"):
                part = part.filter(pc.is_in(part["reason"], pa.array(GROUPED_LEAVERS, pa.string())))
            same = {column: part.filter(pc.is_in(part[column], groups)) for column, groups in arrays.items()}
            for column, rows in same.items():
                scan.groups[column] -= set(rows[column].to_pylist())
            siblings = same["image_group_id"]["sample_id"]
            scan.siblings += len(siblings)
            scan.shown += siblings.slice(0, SHOWN - len(scan.shown)).to_pylist()
            for row in same["joint_group_id"].to_pylist():
                _meet(scan, name, row, orphans, large)
    return scan


def _meet(scan: _Scan, name: str, row: Mapping[str, Any], orphans: set[tuple], large: set[str]) -> None:
    """Notes a row that stays in a joint group that loses one."""
    joint = row["joint_group_id"]
    scan.first[joint] = min(scan.first.get(joint, row["sample_id"]), row["sample_id"])
    if row["sample_id"] in large:
        scan.joint_of[row["sample_id"]] = joint
    key = (split_of(name), joint, row["ir_band"])
    if name.startswith("data/") and key in orphans:  # as a build chooses: sensor before translated, then by id
        rank = (row["ir_origin"] != "sensor", row["sample_id"])
        scan.best[key] = min(scan.best.get(key, (rank, name, row["sample_id"])), (rank, name, row["sample_id"]))


def _counted(report: BuildReport, leavers: Mapping[str, list[dict]], scan: _Scan) -> BuildReport:
    """The report without the rows that leave."""
    lost = Counts()
    reasons = Counter(report.quarantine)
    for name, rows in leavers.items():
        reasons[REMOVED] += len(rows)
        if name.startswith("data/"):
            lost.add(split_of(name), {column: [row[column] for row in rows] for column in rows[0]})
        else:
            reasons.subtract(row["reason"] for row in rows)
    reasons = {reason: count for reason, count in sorted(reasons.items()) if count}
    marked = Counter(split for split, _, _ in scan.best)
    before, less = report.as_dict(), lost.report()
    keys = {tuple(row[name] for name in COUNTED): row["rows"] for row in less["rows"]}
    left = [{**row, "rows": row["rows"] - keys.get(tuple(row[name] for name in COUNTED), 0)} for row in before["rows"]]
    facts = {
        name: {value: n for value, count in counts.items() if (n := count - less["facts"].get(name, {}).get(value, 0))}
        for name, counts in before["facts"].items()
    }
    left = [row for row in left if row["rows"]]
    rows_kept = sum(row["rows"] for row in left)
    groups = _groups(report, leavers, scan, rows_kept + sum(reasons.get(reason, 0) for reason in GROUPED_LEAVERS))
    return replace(
        report,
        rows_kept=rows_kept,
        rows=left,
        facts=facts,
        representatives={
            split: count - less["representatives"].get(split, 0) + marked[split]
            for split, count in report.representatives.items()
        },
        quarantine=reasons,
        groups=groups,
        split_report=_split_report(report.split_report, left, groups["largest"]),
        captions=without_examples(report.captions, {row["sample_id"] for rows in leavers.values() for row in rows}),
    )


def _split_report(report: Mapping[str, Any], rows: list[dict[str, Any]], largest: list[dict]) -> dict[str, Any]:
    """What a build says of its splits, with the rows that stay; targets and flags are the build's for good."""
    if not report:
        return {}
    sources = {name: dict.fromkeys(splits, 0) for name, splits in report["sources"].items()}
    for row in rows:
        sources[row["source_dataset"]][row["split"]] += row["rows"]
    asked = asked_splits(report["sources"], {split: target["wanted"] for split, target in report["targets"].items()})
    short = below_minimum(sources, asked, report["min_per_source"])
    return {**report, "sources": sources, "below_minimum": short, "large_components": large_components(largest)}


def _groups(report: BuildReport, leavers: Mapping[str, list[dict]], scan: _Scan, rows: int) -> dict[str, Any]:
    """Numbers of groups, and the largest of `rows` rows, without those that leave; ids of groups stay as they are."""
    counts = {name: report.groups[name] - len(scan.groups[column]) for name, column in GROUPS.items()}
    counted = [row for name, rows in leavers.items() for row in _grouped(name, rows)]
    lost = Counter(row["joint_group_id"] for row in counted)
    joint_of = scan.joint_of | {row["sample_id"]: row["joint_group_id"] for row in counted}
    largest = []
    for component in report.groups["largest"]:
        joint = joint_of.get(component["sample_id"])
        size = component["size"] - lost[joint]
        if size > 1:
            first = scan.first.get(joint, component["sample_id"]) if lost[joint] else component["sample_id"]
            largest.append({**component, "size": size, "share": size / rows, "sample_id": first})
    return {**report.groups, **counts, "largest": sorted(largest, key=lambda entry: -entry["size"])}


def without_examples(captions: Mapping[str, Any], ids: set[str]) -> dict[str, Any]:
    """Returns a report on captions without the rejected texts of some rows."""
    if not captions:
        return dict(captions)
    kept = {
        reason: [item for item in items if item["sample_id"] not in ids]
        for reason, items in (captions.get("examples") or {}).items()
    }
    return {**captions, "examples": kept}
