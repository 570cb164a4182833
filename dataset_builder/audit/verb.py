"""The whole audit: opens what is compared, runs every check, finds leaks between splits and with other datasets."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from dataset_builder.audit.checks import check_files, check_groups, check_representatives, check_rows, find_components
from dataset_builder.audit.overlaps import EXAMPLES, RELATIONS, TURNED, Overlap, Rows, find_overlaps
from dataset_builder.audit.reading import WHOLE, Opened, dataset_rows, open_other
from dataset_builder.audit.report import CHECKS, AuditReport, Check, Contamination
from dataset_builder.shards.limits import declared_ir_range
from dataset_builder.shards.opening import open_dataset, reading_all
from dataset_builder.shards.report_parts import Told
from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError
from fusionrs_hf.records import read_record

logger = logging.getLogger(__name__)

FULL_ROWS = 1_000_000  # up to here all pairs are compared: some minutes
RADIUS = 4


def audit_dataset(
    dataset: Path | str,
    against: Sequence[Path | str] = (),
    *,
    radius: int | None = None,
    flips: bool = False,
    full: bool | None = None,
    workers: int | None = None,
    report: Path | str | None = None,
) -> AuditReport:
    """Checks a dataset anew, and compares it with others; it stays as it is.

    Every image is decoded and hashed again; then all pairs of hashes are compared, which costs n (n - 1) / 2 steps for
    n images (about 2e9 a second and processor). For more than a million rows only rows of different splits are
    compared, which finds every leak, but not whether the stored groups are the components. Within the dataset infrared
    is compared within one `ir_band`, with others across bands. Memory: about 200 bytes a row, and no images.

    Args:
        dataset: Folder as `fusionrs build` writes it, or the id of such a dataset on the Hub.
        against: Others: such folders or ids, any Parquet, folders of images, recipes in YAML.
        radius: Hamming radius of perceptual hashes, of 64 bits; None: the build's, else 4.
        flips: Also find images of `against` that are near once flipped or turned: seven times the comparisons.
        full: Whether to compare all pairs; None: up to a million rows.
        workers: Processes that read, and threads that compare; None: one per CPU.
        report: JSON file for the result, outside the dataset.

    Raises:
        InputError: The dataset, one of the others or an option is not as described.
        ChildProcessError: A worker process died.
    """
    workers = _checked(workers, radius, flips, against)
    with open_dataset(dataset) as folder, reading_all(path for path in map(Path, against) if path.is_dir()):
        if report is not None and Path(os.path.realpath(folder)) in Path(os.path.realpath(report)).parents:
            raise InputError(f"{report} lies within the dataset, which stays as it is; give a file elsewhere")
        opened = [(str(other), open_other(other)) for other in against]  # a wrong name is known before all is read
        result = _audit(dataset, folder, opened, radius, flips, full, workers)
    if report is not None:
        write_json(Path(report), result.as_dict())
    return result


def _audit(
    dataset: Path | str,
    folder: Path,
    opened: Sequence[tuple[str, Opened]],
    radius: int | None,
    flips: bool,
    full: bool | None,
    workers: int,
) -> AuditReport:
    built = _build_report(folder)
    recipe = (built or {}).get("identity", {}).get("recipe", {})
    groups = {"radius": RADIUS, "relations": RELATIONS} | recipe.get("groups", {})
    relations = [name for name in RELATIONS if name in groups["relations"]]
    title = f"reading {Path(dataset).name}"
    whole = Rows(Opened(dataset_rows(folder), declared_ir_range(folder)).keys(workers, title=title))
    rows = Rows(whole.table.filter(pc.is_valid(whole.table["split"])))
    if not len(rows):
        raise InputError(f"{dataset} has no rows; give a dataset with some")
    components, compared = _components(whole, relations, groups["radius"], full, workers)
    reach = groups["radius"] if radius is None else radius
    leaks, crossing = _leaks(rows, relations, reach, workers)
    return AuditReport(
        dataset=str(dataset),
        rows=rows.splits(),
        radius=reach,
        relations=relations,
        comparisons=compared + crossing,
        checks=_checks(folder, built, whole, rows, components),
        leaks=leaks,
        against=[_compare(rows, name, other, reach, flips, workers) for name, other in opened],
    )


def _checked(workers: int | None, radius: int | None, flips: bool, against: Sequence[Any]) -> int:
    workers = workers if workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    if radius is not None and not 0 <= radius <= 64:
        raise InputError(f"radius must be 0 to 64 bits, got {radius}")
    if flips and not against:
        raise InputError("flips are sought in other datasets: name one in `against`, or leave flips out")
    return workers


def _build_report(folder: Path) -> Told | None:
    path = folder / "build_report.json"
    return read_record(path, Told, "build again, or delete it") if path.exists() else None


def _is_complete(folder: Path, built: Told | None) -> bool:
    """Whether all rows that were grouped are still there, in `data/` or in `quarantine/`, with what joined them."""
    if built is None or built.get("rights") or (folder / "tombstones.jsonl").exists():
        return False
    return (folder / "quarantine").is_dir() or not built.get("quarantine")


def _components(
    whole: Rows, relations: Sequence[str], radius: int, full: bool | None, workers: int
) -> tuple[list[Any] | None, int]:
    """Finds image and joint components anew, and how many pairs that took; None and 0 where not all are compared."""
    if not (full or (full is None and len(whole) <= FULL_ROWS)):
        return None, 0
    logger.info("comparing up to %.2g pairs of hashes", len(whole) ** 2)  # half of that for each of two hashes
    *components, compared = find_components(whole, relations, radius, workers)
    return components, compared


def _checks(
    folder: Path, built: Told | None, whole: Rows, rows: Rows, components: Sequence[Any] | None
) -> list[Check]:
    """Runs every check, in the order of `CHECKS`; without components, those of the groups are skipped."""
    checks = [
        check_files(folder, built),
        *check_rows(rows, withheld=built is None or bool(built.get("rights"))),
        *check_groups(whole, components, "not all pairs were compared", _is_complete(folder, built)),
        check_representatives(whole, components and components[1]),
    ]
    return sorted(checks, key=lambda check: list(CHECKS).index(check.name))


def _leaks(rows: Rows, relations: Sequence[str], radius: int, threads: int) -> tuple[list[Overlap], int]:
    """Compares every two splits, the smaller with the larger; returns what they share, and the pairs of hashes."""
    splits, overlaps, compared = list(rows.splits()), [], 0
    for number, other in enumerate(splits):
        for split in splits[number + 1 :]:
            ours, theirs = rows.of_split(split), rows.of_split(other)
            compared += len(ours) * len(theirs) * len({"rgb_phash", "ir_phash"} & set(relations))
            overlaps += find_overlaps(ours, theirs, (split, other), relations, radius, threads, within_band=True)
    return [overlap for overlap in overlaps if overlap.rows], compared


def _compare(rows: Rows, name: str, other: Opened, radius: int, flips: bool, workers: int) -> Contamination:
    table = other.keys(workers, flips=flips, strict=False, title=f"reading {Path(name).name}")
    at = table.schema.get_field_index("split")
    theirs = Rows(table.set_column(at, "split", table["split"].fill_null(WHOLE)))
    if not len(theirs):
        raise InputError(f"{name} has no rows to compare with; check its splits")
    relations = (*RELATIONS, *TURNED) if flips else RELATIONS
    faulty = theirs.table.filter(pc.greater(pc.list_value_length(theirs.table["faults"]), 0))
    faults = Counter(fault for row in faulty["faults"].to_pylist() for fault in row)
    return Contamination(
        other=name,
        rows=theirs.splits(),
        faults=dict(sorted(faults.items())),
        named=[str(one) for one in faulty["sample_id"].to_pylist()[:EXAMPLES]],
        overlaps=[
            overlap
            for split in rows.splits()
            for their in theirs.splits()
            for overlap in find_overlaps(
                rows.of_split(split), theirs.of_split(their), (split, their), relations, radius, workers
            )
        ],
    )
