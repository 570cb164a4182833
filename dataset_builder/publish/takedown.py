"""Takes rows down from a finished dataset: only the shards concerned are written anew, every other byte stays.

First a plan (`.removal/plan.json`), then the shards, then what describes them, then published copies. Each step may be
killed: the same call continues, and until it has ended the folder's manifest keeps all others out.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import date as calendar
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset_builder.card.croissant import write_croissant
from dataset_builder.card.readme import write_dataset_card
from dataset_builder.engine.run import run_shards
from dataset_builder.engine.tasks import result_file
from dataset_builder.publish.copies import FOLDER, NotAllowedError, copy_folder, write_copy
from dataset_builder.publish.removal_plan import Removal, plan_removal, without_examples
from dataset_builder.recipe import BuildRecipe
from dataset_builder.rights.notices import LEVELS
from dataset_builder.rights.tombstones import PENDING, PLAN, TOMBSTONES, read_tombstones, write_tombstones
from dataset_builder.shards.counts import shard_sizes
from dataset_builder.shards.folder import light_batches
from dataset_builder.shards.layout import split_of, stored_schema
from dataset_builder.shards.parquet import file_sha256, shard_writer
from dataset_builder.shards.report import BuildReport, build_report, check_whole, former_manifest
from dataset_builder.shards.report_parts import CaptionReport
from fusionrs_hf.atomic import atomic_path, write_json
from fusionrs_hf.bounded_json import parse_json
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.folder_manifest import require_finished
from fusionrs_hf.output_folder import OutputFolder, writing
from fusionrs_hf.records import read_record
from fusionrs_hf.stops import stops_in_a_line

VERB = "build --remove"

logger = logging.getLogger(__name__)


def remove(
    out: Path | str,
    ids: Mapping[str, str],
    date: str | None = None,
    recipe: BuildRecipe | None = None,
    workers: int | None = None,
) -> BuildReport:
    """Removes rows from a finished dataset, or ends a removal that was interrupted.

    Rows go from `data/` and `quarantine/`, rejected captions with them; each leaves a line in `tombstones.jsonl`. The
    version's last number is raised, all counts and the card follow, another row represents a group whose
    representative left, and copies in `publish/` lose the rows, too. Ids of groups stay, also where a row that joined
    two halves is gone: a group may be too large, never too small.

    Args:
        out: Folder of the dataset.
        ids: Reasons by sample id, as of `tombstones.read_ids`.
        date: Day of the removal for the tombstones, `YYYY-MM-DD`. None: they have none; no clock is read, so that the
            same removal gives the same bytes.
        recipe: Of the build, if it is to be checked that the folder holds that one.
        workers: Processes; None: one per CPU.

    Returns:
        The report of what is there now.

    Raises:
        InputError: There is no finished build, or another; an id is not there; no row would stay; no such date.
    """
    out = Path(out)
    if not (out / "build_report.json").exists() and out.is_dir():
        require_finished(out)
    _finished(out)
    with stops_in_a_line(out, VERB), ExitStack() as held:
        output = held.enter_context(writing(out, VERB, of=("build", "caption"), former=former_manifest))
        levels = [level for level in LEVELS if os.path.lexists(out / FOLDER / level)]
        copies = [held.enter_context(copy_folder(out, level)) for level in levels]
        if output.has(f"{PENDING}/{PLAN}"):
            plan = read_record(out / PENDING / PLAN, Removal, "bring the plan, or the dataset, back")
            logger.info("ending the removal of %d ids from %s that was interrupted", len(plan.ids), out)
            done = _carry_out(output, plan, copies, workers)
            if plan.ids == dict(ids):
                return done
        _end(output)  # whole, but for the plan, which was not written or is gone
        report = _finished(out)
        _check_recipe(out, report, recipe)
        _check_date(date)
        stones = {stone["sample_id"] for stone in read_tombstones(out)}
        if not set(ids) - stones and not _left(out, report, ids):
            logger.info(
                "all %d rows were removed before: %s is version %s; nothing to do", len(ids), out, report.version
            )
            return report
        plan = plan_removal(out, report, ids, date)
        output.claim(_changing(plan))
        for copy in copies:  # first: what is stale is read and pushed by nobody
            copy.reopen()
        output.reopen()
        names = [PLAN, *(f"shards/{result_file(index)}" for index in range(len(plan.files)))]
        output.claim(f"{PENDING}/{name}" for name in names)
        write_json(out / PENDING / PLAN, asdict(plan))
        return _carry_out(output, plan, copies, workers)


def _changing(plan: Removal) -> list[str]:
    return [*plan.files, TOMBSTONES, "README.md", "croissant.json", "build_report.json"]


def _end(output: OutputFolder) -> None:
    output.delete(output.listed(PENDING))
    output.finish()


def _finished(out: Path) -> BuildReport:
    if (report := build_report(out)) is None:
        raise InputError(f"{out} holds no finished build (no build_report.json); rows are removed from finished ones")
    if report.rights:
        raise InputError(f"{out} is a published copy; remove from the build it was made of, and the copy follows")
    return report


def _check_recipe(out: Path, report: BuildReport, recipe: BuildRecipe | None) -> None:
    check_whole(out, report.files, "bring it back first")
    if recipe is not None:
        stored_recipe, echo = report.identity.get("recipe", {}), recipe.echo()
        if changed := sorted(key for key in {*stored_recipe, *echo} if stored_recipe.get(key) != echo.get(key)):
            raise InputError(
                f"{out} was built by another recipe ({', '.join(changed)} differ); give its own, or leave it out"
            )


def _check_date(date: str | None) -> None:
    try:
        if date is not None and calendar.fromisoformat(date).isoformat() != date:
            raise ValueError
    except ValueError:
        raise InputError(f"date {shown(date)} is no day; expected YYYY-MM-DD") from None


def _left(out: Path, report: BuildReport, ids: Mapping[str, str]) -> bool:
    """Whether one of the ids is in the dataset (again)."""
    wanted = pa.array(sorted(ids), pa.string())
    names = [name for name in report.files if name.endswith(".parquet")]
    parts = (part["sample_id"] for name in names for part in light_batches(out / name, ("sample_id",)))
    return any(pc.any(pc.is_in(part, wanted)).as_py() for part in parts)


def _carry_out(
    output: OutputFolder, plan: Removal, copies: Sequence[OutputFolder], workers: int | None
) -> BuildReport:
    """Does what is planned; every step gives the same when it is done again."""
    out = output.path
    output.claim(_changing(plan))
    for copy in copies:
        for name in {"README.md", *plan.files}.intersection(copy.manifest.files):
            (copy.path / name).unlink(missing_ok=True)
    worker = partial(RemovalWorker, out, plan.files)
    parts = run_shards(list(plan.files), worker, workers, out / PENDING / "shards", "removing")
    kept = [stone for stone in read_tombstones(out) if stone["version"] != plan.version]
    write_tombstones(out, [*kept, *plan.tombstones])
    report = _report(plan, parts)
    _mend_caption_report(out, report, set(plan.ids))
    write_dataset_card(out, report)
    write_croissant(out, report)
    write_json(out / "build_report.json", report.as_dict())
    for copy in (copy for copy in copies if copy.listed("data")):
        try:
            write_copy(out, report, copy, workers)
        except NotAllowedError as error:
            copy.leave()
            logger.warning(
                "the copy %s is gone, as its rows may not be published so any more: %s", copy.path.name, error
            )
    _end(output)
    logger.info("%s is version %s now, %d rows fewer", out, report.version, len(plan.tombstones))
    if plan.siblings["rows"]:
        logger.warning(
            "%d rows stay that are of the same image groups as those removed (%s, ...): remove them, too, if they "
            "show what was to go",
            plan.siblings["rows"],
            ", ".join(plan.siblings["first"]),
        )
    return report


class RemovalWorker:
    """Writes one file without the rows that leave; returns what is there now."""

    def __init__(self, out: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
        self.out, self.files = out, files

    def __call__(self, name: str) -> dict:
        """Does the file of this name; a file that is done already comes out the same."""
        path, change = self.out / name, self.files[name]
        rows = (_filter_lines if path.suffix == ".jsonl" else _filter_rows)(path, change)
        sizes = shard_sizes(path) if name.startswith("data/") else {}
        entry = {"name": name, "rows": rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
        return {**entry, "configs": sizes}


def _filter_rows(path: Path, change: Mapping[str, Any]) -> int:
    remove, mark = (pa.array(change[name], pa.string()) for name in ("remove", "mark"))
    schema = stored_schema(pq.read_schema(path))
    with pq.ParquetFile(path, pre_buffer=False) as file, shard_writer(path, schema) as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            table = table.filter(pc.invert(pc.is_in(table["sample_id"], remove)))
            if len(mark):
                marked = pc.or_kleene(pc.is_in(table["sample_id"], mark), table["is_eval_representative"])
                column = table.schema.get_field_index("is_eval_representative")
                table = table.set_column(column, table.schema.field(column), marked)
            writer.write(table)
        return writer.close()


def _filter_lines(path: Path, change: Mapping[str, Any]) -> int:
    remove, rows = set(change["remove"]), 0
    with atomic_path(path) as temporary, open(path, "rb") as lines, open(temporary, "wb") as kept:
        for line in lines:
            if _id_of(line, path) not in remove:
                kept.write(line)
                rows += 1
    return rows


def _id_of(line: bytes, path: Path) -> str:
    try:
        row = parse_json(line.decode("utf-8", "surrogateescape"))
        return row["sample_id"]
    except (InputError, TypeError, LookupError):
        raise InputError(f"{path} holds {shown(line)}, expected rows with `sample_id`; bring the file back") from None


def _report(plan: Removal, parts: list[dict]) -> BuildReport:
    """The planned report with what the written files tell."""
    report = BuildReport(**plan.report)
    files, configs = dict(report.files), json.loads(json.dumps(report.configs))
    for part in parts:
        files[part["name"]] = {key: part[key] for key in ("rows", "bytes", "sha256")}
        split = split_of(part["name"])
        for config, after in part["configs"].items():
            for unit, number in after.items():
                configs[config][split][unit] += number - plan.files[part["name"]]["before"][config][unit]
    return replace(report, files=files, configs=configs)


def _mend_caption_report(out: Path, report: BuildReport, ids: set[str]) -> None:
    """Brings `caption_report.json`, where `fusionrs caption` wrote the dataset, to what is there now."""
    path = out / "caption_report.json"
    if path.exists():
        caption_report = read_record(path, CaptionReport, "bring it back, or delete it")
        changed = {
            "files": report.files,
            "rows": report.rows_kept,
            "captions": without_examples(caption_report.get("captions", {}), ids),
        }
        write_json(path, {**caption_report, **changed})
