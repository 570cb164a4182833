"""A copy of a finished build that may be published: all of it, of each row what its rights allow, or the index alone.

The build stays as it is. A copy lies in `publish/{full,redacted,index}/` of its folder, in the published layout, shard
by shard under the same names; until it is whole it has no card, and its manifest keeps readers and `push` out.
"""

import filecmp
import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset_builder.captioning.funnel import CAPTIONER_COLUMNS
from dataset_builder.card.croissant import write_croissant
from dataset_builder.card.readme import write_dataset_card
from dataset_builder.engine.run import run_shards
from dataset_builder.engine.tasks import result_file
from dataset_builder.publish.clearance import refused_rows
from dataset_builder.rights.notices import LEVELS, NOTICES, rights_facts, write_notices
from dataset_builder.rights.table import POLICY, RightsTable, folder_policy
from dataset_builder.rights.tombstones import TOMBSTONES
from dataset_builder.schema import LIST_COLUMNS
from dataset_builder.shards.counts import Counts, add_sizes, new_sizes, sizes_by_split, total_counts
from dataset_builder.shards.folder import light_batches
from dataset_builder.shards.layout import DATA_SCHEMA, complete, split_of
from dataset_builder.shards.limits import limits_of, with_limits
from dataset_builder.shards.parquet import file_sha256, shard_writer
from dataset_builder.shards.report import BuildReport, build_report, check_whole, former_manifest
from fusionrs_hf import __version__
from fusionrs_hf.atomic import atomic_path, write_json
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError, nearest, shown
from fusionrs_hf.output_folder import OutputFolder, files_below, reading, writing
from fusionrs_hf.stops import stops_in_a_line

logger = logging.getLogger(__name__)

FOLDER, VERB = "publish", "build --publish"
REFUSED = "refused.txt"
RECORDS = ".shards"  # hidden: what each written shard was made of
TRAVELS = ("LICENSE*", POLICY, TOMBSTONES)
# What goes with a column that is emptied: origins are as many as captions, and `ir_aware` is found by the captioner.
FOLLOWS = {"captions": ("caption_origin",), "ir_captions": ("ir_caption_form", *CAPTIONER_COLUMNS)}


class NotAllowedError(InputError):
    """The rights of rows do not allow a copy."""


def publish_dataset(out: Path | str, level: str, workers: int | None = None) -> Path:
    """Writes a publishable copy of a finished build, or brings one up to date: shards that are right stay.

    Args:
        out: Folder of the build. Its `rights.yaml`, kept from the recipe's `rights_policy`, changes the shipped table.
        level: `full`, `redacted` or `index`; see `notices.LEVELS`.
        workers: Processes; None: one per CPU.

    Returns:
        The copy's folder, `OUT/publish/LEVEL`.

    Raises:
        InputError: There is no finished build, rows may not be published so (all are in `refused.txt` of the copy's
            folder), or another level is asked for.
    """
    out = Path(out)
    if level not in LEVELS:
        raise InputError(f"there is no level {shown(level)} to publish; {nearest(level, list(LEVELS))}")
    if not out.is_dir():
        _finished(out)  # says that there is none
    with reading(out), stops_in_a_line(out, VERB):
        report = _finished(out)
        with copy_folder(out, level) as copy:
            return write_copy(out, report, copy, workers)


@contextmanager
def copy_folder(out: Path, level: str) -> Iterator[OutputFolder]:
    """Holds the folder of a copy alone; see `writing`.

    Raises:
        InputError: A link is in the way, or files that `publish` did not write.
    """
    if (out / FOLDER).is_symlink():
        raise InputError(f"{out / FOLDER} is a link, expected a folder; move it away")
    with writing(out / FOLDER / level, VERB, former=former_manifest) as copy:
        yield copy


def write_copy(out: Path, report: BuildReport, copy: OutputFolder, workers: int | None = None) -> Path:
    """Does what `publish_dataset` does, of a build that is known to be whole.

    Args:
        out, workers: As of `publish_dataset`.
        report: What the build's `build_report.json` holds.
        copy: Of `copy_folder`; its folder has the name of the level.

    Raises:
        NotAllowedError: Rows may not be published so.
        InputError: Files of others are in the way.
    """
    shards = [Path(name).name for name in report.files if name.startswith("data/")]
    policy, target, level = folder_policy(out), copy.path, copy.path.name
    carried = sorted(path.name for pattern in TRAVELS for path in out.glob(pattern))
    written = {*carried, NOTICES, "README.md", "build_report.json", "croissant.json"}
    written |= {f"data/{name}" for name in shards} | {f"{RECORDS}/{name}.json" for name in shards}
    copy.refuse_strays("data")
    make_worker = partial(PublishWorker, out, target, level, policy, report.files)
    whole = copy.manifest.finished and {*copy.manifest.files} == written and written <= {*files_below(target)}
    if whole and _is_current(make_worker(), report, carried, shards):
        logger.info("%s holds this copy already (%s); nothing to do", target, level)
        return target
    _clear(out, level, shards, policy, copy)
    copy.reopen()
    for name in ("README.md", "build_report.json"):
        copy.claim([name])
        (target / name).unlink(missing_ok=True)
    copy.delete(copy.listed(".work"))
    copy.claim([*written, *(f".work/{result_file(index)}" for index in range(len(shards)))])
    parts = run_shards(shards, make_worker, workers, target / ".work", f"publishing {level}")
    copy.delete({*copy.manifest.files} - written)
    for name in carried:
        with atomic_path(target / name) as temporary:
            shutil.copyfile(out / name, temporary)
    facts = _copy_report(out, report, level, policy, parts)
    write_notices(target, f"{facts.name}, version {facts.version}", facts.rights)
    write_croissant(target, facts)
    write_json(target / "build_report.json", facts.as_dict())
    write_dataset_card(target, facts)
    copy.finish()
    logger.info("%s holds %d rows to publish as %s; NOTICE.md goes with them", target, facts.rows_kept, level)
    return target


def _is_current(worker: "PublishWorker", report: BuildReport, carried: Sequence[str], shards: Sequence[str]) -> bool:
    """Tells whether a copy with all its files is what would be written now."""
    out, target = worker.out, worker.target
    parts = [worker.kept(name) for name in shards]
    if None in parts or not all(filecmp.cmp(out / name, target / name, shallow=False) for name in carried):
        return False
    facts = _copy_report(out, report, worker.level, worker.policy, parts).as_dict()
    return json.loads(json.dumps(facts)) == read_object(target / "build_report.json", "delete it")


def _finished(out: Path) -> BuildReport:
    if (report := build_report(out)) is None:
        raise InputError(f"{out} holds no finished build (no build_report.json); run `fusionrs build RECIPE {out}`")
    if report.rights:
        raise InputError(f"{out} is a published copy already; publish from the build it was made of")
    check_whole(out, report.files, "delete the folder and build again")
    return report


def _clear(out: Path, level: str, shards: Sequence[str], policy: RightsTable, copy: OutputFolder) -> None:
    """Refuses rows that may not be published as asked, all of them listed in a file."""
    listed = copy.path / REFUSED
    copy.claim([REFUSED])
    with atomic_path(listed) as temporary, open(temporary, "w", encoding="utf-8") as file:
        refusals = refused_rows(out, shards, policy, level == "full", lambda *row: file.write("\t".join(row) + "\n"))
    if refusals.rows:
        raise NotAllowedError(
            f"{out} may not be published as {level}: {refusals.sentence()}; all are in {listed}; {refusals.remedy()}"
        )
    copy.delete([REFUSED])


class PublishWorker:
    """Writes one shard of a copy; returns what was written and what was left out."""

    def __init__(
        self, out: Path, target: Path, level: str, policy: RightsTable, files: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.out, self.target, self.level, self.policy, self.files = out, target, level, policy, files

    def __call__(self, name: str) -> dict:
        """Does the shard of this name, unless it is there, made of the same bytes by the same rules."""
        if entry := self.kept(name):
            return entry
        facts = self._whole(name) if self.level == "full" else self._redacted(name)
        record, path = self._places(name)
        held = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        done = {"key": self._key(name), "name": f"data/{name}", **held, **facts}
        write_json(record, done)
        return done

    def kept(self, name: str) -> dict | None:
        """Returns what is known of a shard that is there, made of the same bytes by the same rules; else None."""
        record, path = self._places(name)
        if not (record.exists() and path.exists()):
            return None
        entry = read_object(record, "delete it")
        return entry if entry.get("key") == self._key(name) and entry.get("bytes") == path.stat().st_size else None

    def _places(self, name: str) -> tuple[Path, Path]:
        return self.target / RECORDS / f"{name}.json", self.target / "data" / name

    def _key(self, name: str) -> str:
        made_of = [self.files[f"data/{name}"]["sha256"], self.level, self.policy.as_dict(), __version__]
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def _whole(self, name: str) -> dict:
        with atomic_path(self.target / "data" / name) as temporary:
            temporary.unlink(missing_ok=True)
            try:
                os.link(self.out / "data" / name, temporary)  # shards are replaced, never written into
            except OSError:
                shutil.copyfile(self.out / "data" / name, temporary)
        return {"rows": self.files[f"data/{name}"]["rows"], "left_out": {}}

    def _redacted(self, name: str) -> dict:
        sizes, counts, left_out = new_sizes(), Counts(), {}
        with pq.ParquetFile(self.out / "data" / name, pre_buffer=False) as file:
            if other := sorted(set(file.schema_arrow.names) - set(DATA_SCHEMA.names)):
                raise InputError(
                    f"{self.out / 'data' / name} has columns that are no part of the record ({', '.join(other)}), "
                    "and nothing says whether they may be published; build again"
                )
            with shard_writer(
                self.target / "data" / name, with_limits(DATA_SCHEMA, limits_of(file.schema_arrow))
            ) as writer:
                for group in range(file.num_row_groups):
                    table, dropped = redact(complete(file.read_row_group(group)), self.policy, self.level)
                    for column, row_counts in dropped.items():
                        left_out.setdefault(column, Counter()).update(row_counts)
                    writer.write(table)
                    add_sizes(sizes, table)
                    counts.add(split_of(name), table)
                rows = writer.close()
        return {"rows": rows, "configs": sizes, "counts": counts.report(), "left_out": left_out}


def redact(table: pa.Table, policy: RightsTable, level: str) -> tuple[pa.Table, dict[str, Counter]]:
    """Takes out of rows what may not be published of them.

    Args:
        table: Rows with the record's columns; every code is listed.
        policy: What each code allows.
        level: `redacted`, or `index`: no image and no caption whatever the codes say.

    Returns:
        The table, images null and captions empty lists where they were taken out, everything else as it was; and rows
        by column and code that lost what they had there.
    """
    forbidden = {name: _forbidden(table["rights"], policy, name, level) for name in ("images", "infrared", *FOLLOWS)}
    joint = pc.or_(forbidden["captions"], forbidden["ir_captions"])  # speak of both images
    sensor = pc.fill_null(pc.equal(table["ir_origin"], "sensor"), False)
    translated = pc.fill_null(pc.equal(table["ir_origin"], "translated"), False)
    infrared = pc.or_(
        pc.and_(forbidden["images"], pc.invert(translated)), pc.and_(forbidden["infrared"], pc.invert(sensor))
    )
    drop = {
        "rgb": pc.and_(forbidden["images"], table["rgb"].is_valid()),
        "ir": pc.and_(infrared, table["ir"].is_valid()),
        **{
            name: pc.and_(mask, pc.fill_null(pc.greater(pc.list_value_length(table[name]), 0), False))
            for name, mask in (*((name, forbidden[name]) for name in FOLLOWS), ("joint_captions", joint))
        },
    }
    left_out = {}
    for column, mask in drop.items():
        left_out[column] = Counter(str(code) for code in table["rights"].filter(mask).to_pylist())
        for name in (column, *FOLLOWS.get(column, ())):
            kind = table.schema.field(name).type
            empty = pa.scalar([] if name in LIST_COLUMNS else None, kind)
            values = pc.if_else(mask, empty, table[name])
            table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
    return table, left_out


def _forbidden(codes: pa.ChunkedArray, policy: RightsTable, part: str, level: str) -> pa.ChunkedArray:
    """Mask of the rows of which a part may not be published."""
    distinct_codes = pc.unique(codes)
    entries = [policy.get(code) for code in distinct_codes.to_pylist()]
    allowed = pa.array(
        [level != "index" and entry is not None and entry.allows(part) for entry in entries], pa.bool_()
    )
    return pc.invert(pc.is_in(codes, distinct_codes.filter(allowed)))


def _copy_report(
    out: Path, report: BuildReport, level: str, policy: RightsTable, parts: Sequence[Mapping[str, Any]]
) -> BuildReport:
    """The build's report with what is in the copy."""
    left_out = {}
    for part in parts:
        for column, counts in part["left_out"].items():
            left_out.setdefault(column, Counter()).update(counts)
    measured = {}
    if level != "full":
        measured = {**total_counts(parts).report(), "configs": sizes_by_split(parts)}
    report = replace(
        report,
        files={part["name"]: {key: part[key] for key in ("rows", "bytes", "sha256")} for part in parts},
        captions=_captions(out, report, level, policy),
        **measured,
    )
    return replace(report, rights=rights_facts(level, report.rows, report.attribution, policy, left_out))


def _captions(out: Path, report: BuildReport, level: str, policy: RightsTable) -> dict[str, Any]:
    """What became of captions; of rejected ones those texts whose row is published with its captions."""
    if level == "index" or not report.captions:
        return {}
    examples = report.captions.get("examples") or {}
    wanted, shown = {item["sample_id"] for items in examples.values() for item in items}, set()
    for name in (name for name in report.files if name.startswith("data/") and wanted):
        for table in light_batches(out / name, ("sample_id", "rights")):
            rows = table.filter(pc.is_in(table["sample_id"], pa.array(sorted(wanted), pa.string())))
            rows = rows.filter(pc.invert(_forbidden(rows["rights"], policy, "ir_captions", level)))
            shown.update(rows["sample_id"].to_pylist())
    kept = {reason: [item for item in items if item["sample_id"] in shown] for reason, items in examples.items()}
    return {**report.captions, "examples": kept}
