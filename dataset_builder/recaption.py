"""Writes the captions of a finished dataset anew, shard by shard: every other column, row and name stays as it is."""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features
from tqdm.auto import tqdm

from dataset_builder.building.identity import fingerprint, identity_of
from dataset_builder.building.work_folder import start
from dataset_builder.captioning import CaptionStage, make_caption_stage
from dataset_builder.captioning.funnel import CAPTIONER_COLUMNS, Funnel, caption_and_count, merged_report
from dataset_builder.card.croissant import write_croissant
from dataset_builder.card.readme import caption_readme, write_dataset_card
from dataset_builder.engine.run import run_shards
from dataset_builder.images.decoding import DecodeStage
from dataset_builder.recipe import BuildRecipe, CaptionRecipe
from dataset_builder.schema import FEATURES
from dataset_builder.shards.counts import Counts, add_sizes, new_sizes, sizes_by_split
from dataset_builder.shards.folder import TRAVELS, find_shards, footer_sha256, open_dataset, read_batches
from dataset_builder.shards.lines import REJECTED, join_lines, write_lines
from dataset_builder.shards.parquet import file_sha256, shard_writer
from dataset_builder.shards.report import BuildReport, build_report, check_whole
from fusionrs_hf import __version__
from fusionrs_hf.atomic import atomic_path, write_json
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)

CAPTION_COLUMNS = ("captions", "caption_origin", "ir_captions", "ir_caption_form", *CAPTIONER_COLUMNS)


def caption_dataset(
    dataset: Path | str,
    out: Path | str,
    recipe: CaptionRecipe | None = None,
    *,
    ir_range: Mapping[str, Sequence[float]] | None = None,
    workers: int | None = None,
    retry: bool = False,
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

    Returns:
        What `caption_report.json` holds.

    Raises:
        InputError: `dataset` has no such shards or columns, no row has infrared that can be read, an option cannot be,
            or `out` holds something else or cannot be written.
        ChildProcessError: A worker process died; the same call continues.
    """
    recipe, out, folder = recipe or CaptionRecipe(), Path(out), open_dataset(dataset)
    if out.resolve() == folder.resolve():
        raise InputError(f"{out} is the dataset itself, which stays as it is; give another output folder")
    shards, built = find_shards(folder), build_report(folder)
    schema = _schema([pq.read_schema(folder / "data" / name) for name in shards])
    limits = {**(built.identity["recipe"].get("ir_range", {}) if built else {}), **(ir_range or {})}
    stage = make_caption_stage(recipe)
    identity, work = _identity(folder, shards, recipe, stage, limits, out), out / ".work"
    if (done := _finished(out, identity)) is not None and not (retry and done["unanswered"]):
        again = f"; {done['unanswered']} rows got no answer: --retry asks for them again" if done["unanswered"] else ""
        logger.info("%s already holds these captions (%s rows); nothing to do%s", out, done["rows"], again)
        if not done["unanswered"]:
            shutil.rmtree(work, ignore_errors=True)
        return done
    if done is None:
        start(out, work, identity)
    if retry:
        _forget_unanswered(out, work)
    if workers is None and recipe.captioner != "grounded":
        workers = 1
    bar = _RowBar(folder, shards, work / "shards") if workers == 1 else None
    make_worker = partial(RewriteWorker, folder, out, schema, recipe, limits, stage if bar else None, bar)
    with bar or nullcontext():
        parts = run_shards(shards, make_worker, workers, work / "shards", "captioning", show=bar is None)
    captions = merged_report(stage, [part["funnel"] for part in parts])
    if not sum(part["measured"] for part in parts):
        for folder_made in (work, out / "data"):
            shutil.rmtree(folder_made)
        raise InputError(
            f"none of {captions['total']['rows']} rows has infrared that can be read ({_listed(captions, 'failed')}); "
            "captions describe measured infrared: check the column `ir`, and `ir_range` for infrared above 8 bit"
        )
    name = str(dataset) if folder != Path(dataset) else folder.resolve().name
    report = _report(built, name, recipe, identity, parts, captions)
    lines = join_lines([_lines_file(work, name) for name in shards], out / REJECTED)
    report.files.update({REJECTED: lines} if lines else {})
    _publish(folder, out, built, report, schema)
    result = {
        "identity": identity,
        "fingerprint": fingerprint(identity),
        "rows": report.rows_kept,
        "unanswered": sum(part["unanswered"] for part in parts),
        "captions": captions,
        "files": report.files,
    }
    write_json(out / "caption_report.json", result)  # last: it says that all is there
    if not result["unanswered"]:  # what each shard gave is needed to ask again
        shutil.rmtree(work)
    total = captions["total"]
    logger.info("%d of %d rows captioned; %s", total["captioned"], total["rows"], summary(captions))
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


class RewriteWorker:
    """Writes one shard anew with other captions; returns what was written and what became of the captions."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        schema: pa.Schema,
        recipe: CaptionRecipe,
        ir_range: Mapping[str, Sequence[float]],
        stage: CaptionStage | None = None,
        bar: "_RowBar | None" = None,
    ) -> None:
        self.folder, self.out, self.schema, self.bar = folder, out, schema, bar
        self.decode, self.stage = DecodeStage(ir_range, {}), stage or make_caption_stage(recipe)

    def __call__(self, name: str) -> dict:
        """Does the shard of this name; image bytes pass through untouched."""
        path, split = self.out / "data" / name, name.split("-")[0]
        sizes, counts, funnel, lines = new_sizes(), Counts(), Funnel(), []
        measured = unanswered = 0
        with shard_writer(path, self.schema) as writer:
            for table, batch in read_batches(self.folder / "data" / name):
                batch, counted, rejected = caption_and_count(self.stage, self.decode(batch))
                table = self._with_captions(table, batch)
                writer.write(table)
                add_sizes(sizes, table)
                counts.add(split, table)
                funnel.merge(counted)
                lines += rejected
                measured += sum(facts is not None for facts in batch["_facts"])
                unanswered += sum(failure is not None for failure in batch["_caption_failure"])
                if self.bar:
                    self.bar.advance(len(table), counted)
            rows = writer.close()
        write_lines(_lines_file(self.out / ".work", name), lines)
        return {
            "name": f"data/{name}",
            "rows": rows,
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
            "configs": sizes,
            "counts": counts.report(),
            "funnel": funnel.as_dict(),
            "measured": measured,
            "unanswered": unanswered,
        }

    def _with_captions(self, table: pa.Table, batch: Mapping[str, list]) -> pa.Table:
        """Returns the table in the schema of the output, with the caption columns of the batch."""
        written = set(CAPTION_COLUMNS if any(batch["_scene_captions"]) else CAPTION_COLUMNS[2:])
        columns = []
        for item in self.schema:
            if item.name in written or item.name not in table.column_names:
                columns.append(pa.array(batch[item.name], item.type))
            else:
                columns.append(table[item.name].cast(item.type))
        return pa.table(columns, schema=self.schema)


class _RowBar:
    """Progress by row, over all shards, with the share of accepted captions, failed rows and the cost so far."""

    def __init__(self, folder: Path, shards: Sequence[str], manifest: Path) -> None:
        rows = sum(pq.read_metadata(folder / "data" / name).num_rows for name in shards)
        self.funnel = Funnel()
        for path in manifest.glob("*.json"):
            self.funnel.merge(Funnel.from_dict(json.loads(path.read_text())["funnel"]))
        self.bar = tqdm(desc="captioning", total=rows, initial=self.funnel.total().rows, unit="row")

    def advance(self, rows: int, counted: Funnel) -> None:
        """Adds a batch."""
        total = self.funnel.merge(counted).total()
        shown = {"accepted": f"{total.accepted / max(total.written, 1):.1%}"}
        shown |= {"failed": total.failed.total()} if total.failed else {}
        shown |= {"cost": f"${total.usage['cost_usd']:.4f}"} if total.usage else {}
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


def _schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The record's columns as published, then whatever else the shards have: the same in all of them."""
    others = {}
    for schema in schemas:
        others |= {name: kind for name, kind in Features.from_arrow_schema(schema).items() if name not in FEATURES}
    return Features({**FEATURES, **others}).arrow_schema


def _identity(
    folder: Path,
    shards: Sequence[str],
    recipe: CaptionRecipe,
    stage: CaptionStage,
    ir_range: Mapping[str, Sequence[float]],
    out: Path,
) -> dict[str, Any]:
    """What the output is a function of. Not the options that only say how fast or where a model is asked."""
    known = identity_of(BuildRecipe(name="captions", sources=[{}]), out)
    asked = {
        "captioner": {"name": stage.captioner.name, "revision": stage.captioner.revision},
        "settings": dict(stage.captioner.settings),
        "repairs": recipe.repairs,
        "rules": dict(recipe.rules),
        "ir_range": {band: list(limits) for band, limits in sorted(ir_range.items())},
    }
    inputs = {name: footer_sha256(folder / "data" / name) for name in shards}
    return {"recipe": json.loads(json.dumps(asked)), "inputs": inputs} | {k: known[k] for k in ("code", "versions")}


def _finished(out: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    path = out / "caption_report.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    before = found.get("identity", {})
    changed = [f"recipe: {k}" for k, v in identity["recipe"].items() if before.get("recipe", {}).get(k) != v]
    changed += [key for key in ("inputs", "code", "versions") if before.get(key) != identity[key]]
    if changed:
        raise InputError(
            f"{out} holds captions that differ from those asked for ({', '.join(changed)} changed); delete it, or "
            "choose another output folder"
        )
    check_whole(out, found["files"], "delete the folder and run again")
    return found


def _forget_unanswered(out: Path, work: Path) -> None:
    """Lets the shards run again that have rows without an answer; until they have, the output is unfinished."""
    (out / "caption_report.json").unlink(missing_ok=True)
    for path in sorted((work / "shards").glob("*.json")):
        if json.loads(path.read_text())["unanswered"]:
            path.unlink()


def _lines_file(work: Path, name: str) -> Path:
    return work / "rejected" / f"{name}.jsonl"


def _report(
    built: BuildReport | None,
    name: str,
    recipe: CaptionRecipe,
    identity: dict[str, Any],
    parts: Sequence[dict],
    captions: dict[str, Any],
) -> BuildReport:
    """Returns the dataset's own report with what has changed, or one that knows only what the rows say."""
    counts = Counts()
    for part in parts:
        counts.merge(part["counts"])
    measured = {
        **counts.report(),
        "rows_kept": counts.kept.total(),
        "configs": sizes_by_split(parts),
        "files": {part["name"]: {key: part[key] for key in ("rows", "bytes", "sha256")} for part in parts},
        "captions": captions,
        "fusionrs_version": __version__,
    }
    if built is None:
        rows = counts.kept.total()
        bare = {"description": "", "attribution": {}, "fingerprint": fingerprint(identity), "rows_read": rows}
        bare |= {"identity": {"captioned": identity}, "quarantine": {}, "groups": {}}
        return BuildReport(name=name, **bare, **measured)
    echo = BuildRecipe(name="captions", sources=[{}], caption=recipe).echo()["caption"]
    known = built.identity | {"recipe": {**built.identity["recipe"], "caption": echo}, "captioned": identity}
    return replace(built, identity=known, fingerprint=fingerprint(known), **measured)


def _publish(folder: Path, out: Path, built: BuildReport | None, report: BuildReport, schema: pa.Schema) -> None:
    """Writes card, Croissant and what else belongs beside the data."""
    for pattern in TRAVELS:
        for path in sorted(folder.glob(pattern)):
            with atomic_path(out / path.name) as temporary:
                shutil.copyfile(path, temporary)
    if built is not None:
        write_dataset_card(out, report)
        write_json(out / "build_report.json", report.as_dict())
    else:
        others = {name: kind for name, kind in Features.from_arrow_schema(schema).items() if name not in FEATURES}
        caption_readme(folder / "README.md", out, report, others)
    write_croissant(out, report)
