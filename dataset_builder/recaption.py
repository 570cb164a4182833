"""Writes the captions of a finished dataset anew, shard by shard: every other column, row and name stays as it is."""

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from dataset_builder.building.identity import fingerprint, identity_of
from dataset_builder.building.rewriting import RewriteWorker, RowBar
from dataset_builder.building.work_folder import WORK, is_begun, start
from dataset_builder.captioning import make_caption_stage
from dataset_builder.captioning.funnel import left_without, merged_report
from dataset_builder.captioning.stage import CaptionStage
from dataset_builder.card.croissant import write_croissant
from dataset_builder.card.readme import caption_readme, write_dataset_card
from dataset_builder.engine.run import run_shards
from dataset_builder.engine.tasks import result_file
from dataset_builder.recipe import CaptionRecipe
from dataset_builder.schema import FEATURES
from dataset_builder.shards.counts import Counts, sizes_by_split
from dataset_builder.shards.folder import TRAVELS, find_shards, footer_sha256
from dataset_builder.shards.limits import declared_ir_range, with_limits
from dataset_builder.shards.lines import REJECTED, join_lines, rejected_file
from dataset_builder.shards.opening import open_dataset
from dataset_builder.shards.report import BuildReport, build_report, check_whole, former_manifest
from dataset_builder.shards.report_parts import CaptionReport
from fusionrs_hf import __version__
from fusionrs_hf.atomic import atomic_path, write_json
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError
from fusionrs_hf.output_folder import OutputFolder, manifest_of, reading, writing
from fusionrs_hf.records import read_record
from fusionrs_hf.stops import stops_in_a_line

logger = logging.getLogger(__name__)

REPORT = "caption_report.json"


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of `caption_dataset`: what is captioned, by whom, and where to; `built` is the dataset's own report."""

    name: str
    folder: Path
    shards: list[str]
    built: BuildReport | None
    schema: pa.Schema
    recipe: CaptionRecipe
    stage: CaptionStage
    ir_range: dict[str, Sequence[float]]
    out: Path

    @property
    def work(self) -> Path:
        return self.out / WORK

    def work_files(self) -> list[str]:
        """Names of what is written in the work folder."""
        rejected = (rejected_file(Path(), name).as_posix() for name in self.shards)
        return [*rejected, *(f"shards/{result_file(index)}" for index in range(len(self.shards)))]

    def identity(self) -> dict[str, Any]:
        """What the output is a function of. Not the options that only say how fast or where a model is asked."""
        asked = {
            "captioner": {"name": self.stage.captioner.name, "revision": self.stage.captioner.revision},
            "settings": dict(self.stage.captioner.settings),
            "repairs": self.recipe.repairs,
            "rules": dict(self.recipe.rules),
            "ir_range": {band: list(limits) for band, limits in sorted(self.ir_range.items())},
        }
        inputs = {name: footer_sha256(self.folder / "data" / name) for name in self.shards}
        return identity_of(json.loads(json.dumps(asked)), self.out) | {"inputs": inputs}


def caption_dataset(
    dataset: Path | str,
    out: Path | str,
    recipe: CaptionRecipe | None = None,
    *,
    ir_range: Mapping[str, Sequence[float]] | None = None,
    workers: int | None = None,
    retry: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes infrared-aware captions for every row of a dataset, or continues where it was interrupted.

    Args:
        dataset: Folder with `data/{split}-*.parquet` in the record's schema, or the id of such a dataset on the Hub.
        out: Folder for the same shards with new captions, `README.md`, `croissant.json`, `caption_report.json` and
            `quarantine/captions.jsonl`. Where it already holds this very result, nothing is done.
        recipe: Who captions, and what is asked of a caption; None: the defaults.
        ir_range: Limits by `ir_band` for infrared above 8 bit, where the dataset's own build report does not say.
        workers: Processes; None: one per CPU for `grounded`, else one.
        retry: Ask again for rows that got no answer. What was answered comes from the captioner's cache.
        overwrite: Replace what another captioning left in `out`, or this one where it is finished: the files that it
            wrote, no others.

    Returns:
        What `caption_report.json` holds.

    Raises:
        InputError: `dataset` has no such shards or columns, no row has infrared that can be read, an option cannot be,
            or `out` holds something else or cannot be written.
        ChildProcessError: A worker process died; the same call continues.
    """
    out = Path(out)
    if Path(dataset).is_dir() and os.path.realpath(out) == os.path.realpath(dataset):
        raise InputError(f"{out} is the dataset itself, which stays as it is; give another output folder")
    manifest_of(out, "caption", former_manifest)
    with open_dataset(dataset) as folder, stops_in_a_line(out, "caption"):
        run = _open(dataset, folder, out, recipe or CaptionRecipe(), ir_range)
        identity = run.identity()
        if not overwrite and (done := _finished(out, identity)) is not None and not (retry and done["unanswered"]):
            again = f"; {done['unanswered']} rows got no answer: --retry asks again" if done["unanswered"] else ""
            logger.info("%s already holds these captions (%s rows); nothing to do%s", out, done["rows"], again)
            return done
        with writing(out, "caption", former=former_manifest) as output:
            if overwrite and not is_begun(output, identity):
                output.make_way()
            if not output.has(REPORT):
                start(output, identity, lambda work: run.work_files())
            if retry:
                _forget_unanswered(run, output)
            if not output.has(REPORT) or (result := _written(out, identity)) is None:
                result = _caption(run, output, identity, workers)
            if not result["unanswered"]:  # what each shard gave is needed to ask again
                output.delete(output.listed(WORK))
            output.finish()
    total = result["captions"]["total"]
    logger.info("%d of %d rows captioned; %s", total["captioned"], total["rows"], summary(result["captions"]))
    logger.info("%s", left_without(result["captions"]))
    return result


def _caption(run: _Run, output: OutputFolder, identity: dict[str, Any], workers: int | None) -> dict[str, Any]:
    """Writes the shards and what describes them; the report comes last, and is returned."""
    output.refuse_strays("data")
    output.claim(f"data/{name}" for name in run.shards)
    parts = _rewrite(run, workers)
    captions = merged_report(run.stage, [part["funnel"] for part in parts])
    _check_measured(output, parts, captions)
    report = _report(run, identity, parts, captions)
    _describe(run, output, report)
    result = {
        "identity": identity,
        "fingerprint": fingerprint(identity),
        "rows": report.rows_kept,
        "unanswered": sum(part["unanswered"] for part in parts),
        "captions": captions,
        "files": report.files,
    }
    output.claim([REPORT])
    write_json(run.out / REPORT, result)  # last: it says that all is there
    return result


def summary(captions: Mapping[str, Any]) -> str:
    """Returns in a line what became of the captions of a report."""
    total = captions["total"]
    parts = [f"{total['accepted']} of {total['written']} captions accepted"]
    parts += [f"{what}: {_listed(captions, what)}" for what in ("rejected", "failed") if total[what]]
    return "; ".join(parts)


def _listed(captions: Mapping[str, Any], what: str) -> str:
    return (
        ", ".join(f"{count} {reason}" for reason, count in captions["total"][what].items()) or "the dataset is empty"
    )


def _open(
    dataset: Path | str, folder: Path, out: Path, recipe: CaptionRecipe, ir_range: Mapping[str, Sequence[float]] | None
) -> _Run:
    shards, built = find_shards(folder), build_report(folder)
    told = declared_ir_range(folder)
    return _Run(
        name=str(dataset) if folder != Path(dataset) else folder.resolve().name,
        folder=folder,
        shards=shards,
        built=built,
        schema=with_limits(_schema([pq.read_schema(folder / "data" / name) for name in shards]), told),
        recipe=recipe,
        stage=make_caption_stage(recipe),
        ir_range={**told, **(ir_range or {})},
        out=out,
    )


def _schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The record's columns as published, then whatever else the shards have: the same in all of them."""
    others = {}
    for schema in schemas:
        others |= {name: kind for name, kind in Features.from_arrow_schema(schema).items() if name not in FEATURES}
    return Features({**FEATURES, **others}).arrow_schema


def _finished(out: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the report of captions that are done; raises InputError where they are others."""
    manifest = manifest_of(out, "caption", former_manifest)
    if manifest is None or not manifest.finished:
        return None
    with reading(out):
        if (done := _written(out, identity)) is None:
            raise InputError(f"{out} was finished, but {REPORT} is gone; give --overwrite to write the captions anew")
    return done


def _written(out: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    path = out / REPORT
    if not path.exists():
        return None
    report = read_record(path, CaptionReport, "delete the folder and run again")
    before = report.get("identity", {})
    changed = [f"recipe: {k}" for k, v in identity["recipe"].items() if before.get("recipe", {}).get(k) != v]
    changed += [key for key in ("inputs", "code", "versions") if before.get(key) != identity[key]]
    if changed:
        raise InputError(
            f"{out} holds captions that differ from those asked for ({', '.join(changed)} changed); delete it, or "
            "choose another output folder, or give --overwrite to replace it"
        )
    check_whole(out, report["files"], "delete the folder and run again")
    return report


def _forget_unanswered(run: _Run, output: OutputFolder) -> None:
    """Lets the shards run again that have rows without an answer; until they have, the output is unfinished."""
    output.reopen()
    (run.out / REPORT).unlink(missing_ok=True)
    for index in range(len(run.shards)):
        path = run.work / "shards" / result_file(index)
        if path.exists() and read_object(path, "delete the folder and run again").get("unanswered", True):
            path.unlink()


def _rewrite(run: _Run, workers: int | None) -> list[dict]:
    """Writes the shards that are not there yet; returns what each gave. One process has a bar by row."""
    if workers is None and run.recipe.captioner != "grounded":
        workers = 1
    manifest = run.work / "shards"
    bar = RowBar(run.folder, run.shards, manifest) if workers == 1 else None
    stage = run.stage if bar else None  # a model is not loaded twice
    make_worker = partial(RewriteWorker, run.folder, run.out, run.schema, run.recipe, run.ir_range, stage, bar)
    with bar or nullcontext():
        return run_shards(run.shards, make_worker, workers, manifest, "captioning", show=bar is None)


def _check_measured(output: OutputFolder, parts: Sequence[dict], captions: Mapping[str, Any]) -> None:
    """Raises InputError, and leaves nothing behind, where no row has infrared that captions could describe."""
    if any(part["measured"] for part in parts):
        return
    output.discard()
    raise InputError(
        f"none of {captions['total']['rows']} rows has infrared that can be read ({_listed(captions, 'failed')}); "
        "captions describe measured infrared: check the column `ir`, and `ir_range` for infrared above 8 bit"
    )


def _report(run: _Run, identity: dict[str, Any], parts: Sequence[dict], captions: dict[str, Any]) -> BuildReport:
    """Returns the dataset's own report with what has changed, or one that knows only what the rows say."""
    counts = Counts()
    for part in parts:
        counts.merge(part["counts"])
    rows = counts.kept.total()
    measured = {
        **counts.report(),
        "rows_kept": rows,
        "configs": sizes_by_split(parts),
        "files": {part["name"]: {key: part[key] for key in ("rows", "bytes", "sha256")} for part in parts},
        "captions": captions,
        "fusionrs_version": __version__,
    }
    if run.built is None:
        bare = {"description": "", "attribution": {}, "fingerprint": fingerprint(identity), "rows_read": rows}
        bare |= {"identity": {"captioned": identity}, "quarantine": {}, "groups": {}}
        return BuildReport(name=run.name, **bare, **measured)
    recipe = {**run.built.identity["recipe"], "caption": run.recipe.echo()}
    whole = run.built.identity | {"recipe": recipe, "captioned": identity}
    return replace(run.built, identity=whole, fingerprint=fingerprint(whole), **measured)


def _describe(run: _Run, output: OutputFolder, report: BuildReport) -> None:
    """Writes card, Croissant, the rejected captions and what else belongs beside the data."""
    output.claim([REJECTED])
    lines = join_lines([rejected_file(run.work, name) for name in run.shards], run.out / REJECTED)
    report.files.update({REJECTED: lines} if lines else {})
    output.delete({REJECTED} - {*report.files})
    carried = sorted(path for pattern in TRAVELS for path in run.folder.glob(pattern))
    output.claim(["README.md", "croissant.json", *(path.name for path in carried)])
    for path in carried:
        with atomic_path(run.out / path.name) as temporary:
            shutil.copyfile(path, temporary)
    if run.built is not None:
        output.claim(["build_report.json"])
        write_dataset_card(run.out, report)
        write_json(run.out / "build_report.json", report.as_dict())
    else:
        kinds = Features.from_arrow_schema(run.schema)
        others = {name: kind for name, kind in kinds.items() if name not in FEATURES}
        caption_readme(run.folder / "README.md", run.out, report, others)
    write_croissant(run.out, report)
