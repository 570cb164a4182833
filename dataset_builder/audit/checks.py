"""Questions to a built dataset: of each row, of its ids, of its groups by components found anew."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset_builder.audit.overlaps import EXAMPLES, Rows, frames
from dataset_builder.audit.pairs import Components, join_near, overlapping_pairs
from dataset_builder.audit.report import FAILED, PASSED, SKIPPED, Check
from dataset_builder.schema import SPLITS

FAULTS = {  # of a row by itself, by check; see `keys.Keys`
    "images": ("rgb_missing", "ir_missing", "rgb_undecodable", "ir_undecodable"),
    "image_modes": ("rgb_mode", "ir_mode", "ir_depth"),
    "image_sizes": ("sizes",),
    "hashes": ("rgb_phash", "ir_phash", "rgb_unhashed", "ir_unhashed"),
    "captions": ("captions",),
    "footprints": ("bbox",),
}
OF_IMAGES = ("images", "image_modes", "image_sizes", "hashes")
WITHHELD = ("rgb_withheld", "ir_withheld")
NOTED = {"images": WITHHELD, "hashes": (*WITHHELD, "ir_range")}  # counted, but no fault


def check_files(folder: Path, built: Mapping[str, Any] | None) -> Check:
    """Asks whether `data/` holds the files of the build report, with as many rows."""
    if built is None:
        return Check("files", SKIPPED, note="there is no build_report.json")
    stated = {name: file["rows"] for name, file in built.get("files", {}).items() if name.startswith("data/")}
    row_counts = {f"data/{path.name}": pq.read_metadata(path).num_rows for path in (folder / "data").glob("*.parquet")}
    wrong = [
        f"{name}: {row_counts.get(name, 'no file')} where {stated.get(name, 'none')} is stated, in rows"
        for name in sorted(stated | row_counts)
        if row_counts.get(name) != stated.get(name)
    ]
    return _check("files", wrong, len(stated | row_counts))


def check_rows(rows: Rows, withheld: bool) -> list[Check]:
    """Asks what each row tells by itself: images, hashes, captions, footprints, ids and split names.

    Args:
        rows: Of the dataset.
        withheld: Whether images may be left out where their hashes are there, as in a redacted copy.
    """
    ids = rows.table["sample_id"]
    faults = rows.table["faults"].combine_chunks()
    at, names = pc.list_parent_indices(faults).to_numpy(), pc.list_flatten(faults).to_numpy(zero_copy_only=False)
    checks = [_check("split_names", sorted(set(rows.splits()) - set(SPLITS)), len(rows.splits()))]
    checks += _check_ids(rows, [f"row {row}" for row in at[names == "sample_id"]])
    count = dict(zip(*np.unique(names.astype(str), return_counts=True), strict=True))
    for name, codes in FAULTS.items():
        codes = codes if withheld or name != "images" else (*codes, *WITHHELD)
        wrong = [f"{ids[int(row)]}: {fault}" for row, fault in zip(at, names, strict=True) if fault in codes]
        fault_codes = dict.fromkeys((*codes, *NOTED.get(name, ())))
        note = ", ".join(f"{count[fault]} {fault}" for fault in fault_codes if fault in count)
        if count.get("rgb_withheld") == len(rows) and withheld and name in OF_IMAGES:
            checks.append(Check(name, SKIPPED, note="no images are stored"))
        elif name == "hashes" and count.get("rgb_unhashed") == len(rows):
            checks.append(Check(name, SKIPPED, note="no hashes are stored"))
        else:
            checks.append(_check(name, wrong, len(rows), note))
    return checks


def _check(name: str, wrong: Sequence[str], of: int, note: str = "") -> Check:
    return Check(name, FAILED if wrong else PASSED, len(wrong), of, list(wrong[:EXAMPLES]), note)


def _check_ids(rows: Rows, unnamed: list[str]) -> list[Check]:
    counts = pc.value_counts(rows.table["sample_id"].drop_null())
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    again = rows.table.filter(pc.is_in(rows.table["sample_id"], repeated)).select(["sample_id", "split"])
    splits = again.group_by("sample_id").aggregate([("split", "count_distinct")])
    across = splits.filter(pc.greater(splits["split_count_distinct"], 1))["sample_id"].to_pylist()
    return [
        _check("sample_ids", [*unnamed, *repeated.to_pylist()], len(rows)),
        _check("ids_in_one_split", sorted(across), len(rows)),
    ]


def find_components(
    rows: Rows, relations: Sequence[str], radius: int, threads: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Joins all rows, those that left included, by every pair that is related.

    Returns:
        Labels of image groups and of joint groups `(n,)`, and how many pairs of hashes were compared.
    """
    image, compared = Components(len(rows)), 0
    if "bytes" in relations:
        image.join_equal(*rows.known("bytes"))
    if "rgb_phash" in relations:
        compared += join_near(image, *rows.known("rgb"), radius, threads)
    if "ir_phash" in relations:
        for hashes in rows.by_band("ir").values():
            compared += join_near(image, *hashes, radius, threads)
    if "footprint" in relations:
        tiles, scenes, boxes = rows.footprints()
        for left, right in overlapping_pairs(tiles, frames(scenes), boxes):
            image.join(left, right)
    joint = image.copy()
    if "caption" in relations:
        joint.join_equal(*rows.known("captions"))
    return image.label, joint.label, compared


def check_groups(
    rows: Rows, components: tuple[np.ndarray, np.ndarray] | None, why: str, complete: bool
) -> list[Check]:
    """Asks whether the stored groups keep to one split, and are the components.

    Args:
        rows: Those of the dataset, and those that left after the grouping (without a split).
        components: Labels of image and joint components; None: they were not sought, for the reason `why`.
        why: As above.
        complete: Whether all rows that were grouped are there; else a stored group may have lost what joined it.
    """
    split, stored = _codes(rows, "split"), {name: _codes(rows, name) for name in ("image_group", "joint_group")}
    checks = [_one_value(rows, "groups_in_one_split", stored["joint_group"], split, "joint groups are not stored")]
    for number, name in enumerate(stored):
        groups = stored[name]
        if components is None or (groups < 0).all():
            note = why if components is None else f"no {name}_id is stored"
            checks.append(Check(f"{name}s", SKIPPED, note=note))
            continue
        label = np.where(groups < 0, -1, components[number])
        apart = _several(label, groups)
        merged = _several(groups, label) if complete else []
        notes = [f"{len(apart)} components in several groups"] if apart else []
        notes += [f"{len(merged)} groups of several components"] if merged else []
        notes += [] if complete else ["rows that left are not there: a group may be wider than its component"]
        wrong = [" and ".join(rows.ids(pair)) for pair in (*apart, *merged)]
        checks.append(_check(f"{name}s", wrong, len(np.unique(groups[groups >= 0])), "; ".join(notes)))
    if components is None:
        checks.append(Check("components_in_one_split", SKIPPED, note=f"{why}; see the leaks for single pairs"))
    else:
        checks.append(_one_value(rows, "components_in_one_split", components[1], split, ""))
    return checks


def _codes(rows: Rows, column: str) -> np.ndarray:
    """Integers that stand for the values of a column; -1 for null."""
    encoded = rows.table[column].combine_chunks().dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _one_value(rows: Rows, name: str, group: np.ndarray, value: np.ndarray, missing: str) -> Check:
    if (group < 0).all():
        return Check(name, SKIPPED, note=missing)
    label = np.where(value < 0, -1, group)
    wrong = [" and ".join(rows.ids(pair)) for pair in _several(label, value)]
    return _check(name, wrong, len(np.unique(label[label >= 0])))


def _several(group: np.ndarray, value: np.ndarray) -> list[tuple[int, int]]:
    """Two rows of different value for each group that has several; negative groups and values are left out."""
    rows = np.flatnonzero((group >= 0) & (value >= 0))
    rows = rows[np.lexsort((rows, value[rows], group[rows]))]
    first = np.r_[True, group[rows][1:] != group[rows][:-1]] if len(rows) else np.zeros(0, dtype=bool)
    start = np.flatnonzero(first)[np.cumsum(first) - 1] if len(rows) else np.zeros(0, dtype=np.int64)
    other = np.flatnonzero(value[rows] != value[rows][start])
    _, once = np.unique(start[other], return_index=True)
    return [(int(rows[start[at]]), int(rows[at])) for at in other[once]]


def check_representatives(rows: Rows, components: np.ndarray | None) -> Check:
    """Asks for exactly one representative per held-out joint group and `ir_band`, and none in train.

    Args:
        rows: Of the dataset, those that left included.
        components: Joint components, for a dataset that stores no joint groups.
    """
    marked = rows.table["representative"].fill_null(False).to_numpy(zero_copy_only=False)
    group = _codes(rows, "joint_group")
    group = components if (group < 0).all() and components is not None else group
    if rows.table["representative"].null_count == len(rows) or (group < 0).all():
        return Check("representatives", SKIPPED, note="neither marked nor grouped")
    split, band = np.array(rows.table["split"].fill_null("").to_pylist(), dtype=object), _codes(rows, "ir_band")
    held_out = np.isin(split, ("validation", "test"))
    wrong = [f"{name}: in {split[row]}" for row, name in _named(rows, np.flatnonzero(marked & (split == "train")))]
    pairs, member = np.unique(np.stack([group, band], axis=1)[held_out], axis=0, return_inverse=True)
    count = np.bincount(member.reshape(-1), weights=marked[held_out], minlength=len(pairs)).astype(int)
    first = np.flatnonzero(held_out)[np.unique(member.reshape(-1), return_index=True)[1]]
    bad = np.flatnonzero(count != 1)
    wrong += [f"{name}'s group and band: {count[at]}" for at, (_, name) in zip(bad, _named(rows, first[bad]))]
    return _check("representatives", wrong, len(pairs))


def _named(rows: Rows, at: np.ndarray) -> list[tuple[int, str]]:
    return list(zip(at.tolist(), rows.ids(at), strict=True))
