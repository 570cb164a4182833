"""The stages of a build in their order: read, decode, translate, judge, hash, caption, then group, split and write.

Each row ends either in `data/` or, with its reason, in `quarantine/`; the output is a function of the recipe, the
inputs and this code alone, whatever the number of workers and however often a build was killed.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataset_builder.captioning import CaptionStage, make_caption_stage
from dataset_builder.captioning.funnel import (
    REJECTED,
    Funnel,
    caption_and_count,
    join_lines,
    merged_report,
    write_lines,
)
from dataset_builder.card import BuildReport, write_croissant, write_dataset_card
from dataset_builder.decoding import DecodeStage, sha256
from dataset_builder.engine import run_shards
from dataset_builder.filters import IMAGE_RULES, PAIR_RULES, TEXT_RULES, FilterStage, make_rules
from dataset_builder.finish import WORK_SCHEMA, FinishWorker, Merged, merge, sizes_by_split, work_file
from dataset_builder.hashing import perceptual_hash
from dataset_builder.identity import fingerprint, finished_report, identity_of, start, write_json
from dataset_builder.recipe import BuildRecipe, nearest
from dataset_builder.shards import ShardWriter, shard_writer
from dataset_builder.sources import Source, open_source
from dataset_builder.translation import RadiometricTranslator, TranslateStage
from fusionrs_hf import __version__
from fusionrs_hf.errors import InputError

__all__ = ["BuildRecipe", "BuildReport", "build"]

logger = logging.getLogger(__name__)

TRANSLATORS = {"radiometric": RadiometricTranslator}
BATCH_ROWS = 64

Stage = Callable[[dict[str, list]], dict[str, list]]


def build(recipe: BuildRecipe, out: Path | str, workers: int | None = None) -> BuildReport:
    """Builds the dataset that a recipe describes, or continues a build that was interrupted.

    Args:
        recipe: What to read and how.
        out: Folder for `README.md`, `data/`, `quarantine/`, `croissant.json` and `build_report.json`. Where it already
            holds this very build, nothing is done.
        workers: Processes; None: one per CPU, but one where a model is asked for captions.

    Raises:
        InputError: A source cannot be opened, no row was kept, or `out` holds something else or cannot be written.
        ChildProcessError: A worker process died; the same call continues.
    """
    out = Path(out)
    stages = make_stages(recipe)  # an unknown translator, filter or threshold is known before anything is read
    sources = [open_source(spec, recipe.base) for spec in recipe.sources]
    tasks = [(number, shard) for number, source in enumerate(sources) for shard in source.shards()]
    tasks = [(index, *task) for index, task in enumerate(tasks)]
    identity = identity_of(recipe, out)
    work = out / ".work"
    if (report := finished_report(out, identity)) is not None:
        logger.info("%s already holds this build (%s rows); nothing to do", out, report.rows_kept)
        shutil.rmtree(work, ignore_errors=True)
        return report
    start(out, work, identity)
    if workers is None and recipe.caption and recipe.caption.captioner != "grounded":
        workers = 1
    here = stages if workers == 1 else None  # a model that captions is not loaded twice
    read = run_shards(tasks, partial(ReadWorker, recipe, sources, work, here), workers, work / "read", "reading")
    merged = merge(work, len(tasks), recipe)
    reasons = sum((Counter(result["reasons"]) for result in read), merged.reasons)
    rows_read = sum(result["rows"] for result in read)
    if not merged.counts.kept:
        shutil.rmtree(work)
        found = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "the sources are empty"
        raise InputError(f"none of {rows_read} rows was kept ({found}); check the sources and filters of the recipe")
    files = run_shards(merged.outputs, partial(FinishWorker, work, out), workers, work / "write", "writing")
    report = _report(recipe, identity, rows_read, merged, reasons, files)
    for stage in (stage for stage in stages if isinstance(stage, CaptionStage)):
        report.captions.update(merged_report(stage, [result["captions"] for result in read]))
        lines = join_lines([_lines_file(work, index) for index in range(len(tasks))], out / REJECTED)
        report.files.update({REJECTED: lines} if lines else {})
    write_dataset_card(out, report)
    write_croissant(out, report)
    write_json(out / "build_report.json", report.as_dict())  # last: it says that the build is whole
    shutil.rmtree(work)
    return report


def make_stages(recipe: BuildRecipe) -> list[Stage]:
    """Returns the stages that a batch of rows passes, in order.

    Raises:
        InputError: The recipe names a translator, captioner, filter or threshold that there is not.
    """
    stages: list[Stage] = [DecodeStage(recipe.ir_range, recipe.filters)]
    if recipe.translate:
        translator = _choose(TRANSLATORS, recipe.translate.translator, "translator")()
        stages.append(TranslateStage(translator, recipe.translate.band, recipe.translate.seed))
    stages += [require_infrared, FilterStage(make_rules(recipe.filters, (*IMAGE_RULES, *PAIR_RULES))), add_hashes]
    if recipe.caption:
        stages.append(make_caption_stage(recipe.caption))
    return [*stages, FilterStage(make_rules(recipe.filters, TEXT_RULES))]


def _choose(known: Mapping[str, Callable], name: str, what: str) -> Callable:
    if name not in known:
        raise InputError(f"there is no {what} {name!r}; {nearest(name, list(known))}")
    return known[name]


def require_infrared(batch: dict[str, list]) -> dict[str, list]:
    """Batch stage: a row that has no infrared by now leaves with the reason `ir_missing`."""
    for index, image in enumerate(batch["ir"]):
        if image is None and batch["_reason"][index] is None:
            batch["_reason"][index] = "ir_missing"
    return batch


def add_hashes(batch: dict[str, list]) -> dict[str, list]:
    """Batch stage: fills `rgb_phash`, `ir_phash`, `_ir_sha256`; an RGB image that rows share is hashed once."""
    first = {digest: index for index, digest in reversed(list(enumerate(batch["_rgb_sha256"])))}
    hashes = dict(zip(first, perceptual_hash([batch["_rgb"][index] for index in first.values()]), strict=True))
    batch["rgb_phash"] = [hashes[digest] for digest in batch["_rgb_sha256"]]
    batch["ir_phash"] = perceptual_hash(batch["_ir"])
    batch["_ir_sha256"] = [sha256(image["bytes"]) for image in batch["ir"]]
    return batch


class ReadWorker:
    """Reads one shard of a source through all stages into two work files: the rows kept, and those that left."""

    def __init__(
        self, recipe: BuildRecipe, sources: Sequence[Source], work: Path, stages: list[Stage] | None = None
    ) -> None:
        self.sources = sources
        self.stages = stages or make_stages(recipe)
        self.work = work

    def __call__(self, task: tuple[int, int, Any]) -> dict:
        """Does one task `(index, source, shard)`; returns rows read, rows that left by reason, and captions' fate."""
        index, source, shard = task
        reasons, read, funnel, lines = Counter(), 0, Funnel(), []
        kept_path, left_path = (work_file(self.work, kind, index) for kind in ("kept", "left"))
        with shard_writer(kept_path, WORK_SCHEMA) as kept, shard_writer(left_path, WORK_SCHEMA) as left:
            for batch in _batches(self.sources[source].read(shard)):
                read += len(batch["sample_id"])
                batch = _set_aside(batch, left, reasons)  # what the source could not read
                for stage in self.stages:
                    if batch["sample_id"] and isinstance(stage, CaptionStage):
                        batch, counted, rejected = caption_and_count(stage, batch)
                        funnel.merge(counted)
                        lines += rejected
                    elif batch["sample_id"]:
                        batch = _set_aside(stage(batch), left, reasons)
                _write(kept, batch)
        write_lines(_lines_file(self.work, index), lines)
        return {"rows": read, "reasons": reasons, "captions": funnel.as_dict()}


def _lines_file(work: Path, shard: int) -> Path:
    return work / "rejected" / f"{shard:06d}.jsonl"


def _batches(rows: Iterator[dict]) -> Iterator[dict[str, list]]:
    rows = iter(rows)
    while chunk := list(islice(rows, BATCH_ROWS)):
        batch = {name: [row.get(name) for row in chunk] for name in WORK_SCHEMA.names if name != "reason"}
        batch["_reason"] = [row.get("_reason") for row in chunk]
        # Captions that came with the source: `ir_aware` is found by the captioner, so it is never null beside them.
        named = zip(batch["captioner"], batch["ir_captions"], strict=True)
        batch["captioner"] = [name or ("source" if captions else None) for name, captions in named]
        yield batch


def _set_aside(batch: dict[str, list], left: ShardWriter, reasons: Counter) -> dict[str, list]:
    """Moves the rows that have a reason to the quarantine; returns the others."""
    if not any(batch["_reason"]):
        return batch
    gone = [index for index, reason in enumerate(batch["_reason"]) if reason]
    rest = [index for index, reason in enumerate(batch["_reason"]) if not reason]
    reasons.update(batch["_reason"][index] for index in gone)
    _write(left, {name: [values[index] for index in gone] for name, values in batch.items()})
    return {name: [values[index] for index in rest] for name, values in batch.items()}


def _write(writer: ShardWriter, batch: dict[str, list]) -> None:
    images = zip(batch["rgb"], batch["ir"], strict=True)
    batch["_bytes"] = [sum(len((image or {}).get("bytes") or b"") for image in pair) for pair in images]
    columns = {name: batch["_reason" if name == "reason" else name] for name in WORK_SCHEMA.names}
    writer.write(pa.table(columns, schema=WORK_SCHEMA))


def _report(
    recipe: BuildRecipe, identity: dict, rows_read: int, merged: Merged, reasons: Counter, files: list[dict]
) -> BuildReport:
    return BuildReport(
        name=recipe.name,
        description=recipe.description,
        attribution=dict(recipe.attribution),
        fingerprint=fingerprint(identity),
        identity=identity,
        fusionrs_version=__version__,
        rows_read=rows_read,
        rows_kept=merged.counts.kept.total(),
        quarantine=dict(sorted(reasons.items())),
        groups={
            "image_groups": len(set(merged.groups.image_group_id)),
            "joint_groups": len(set(merged.groups.joint_group_id)),
            "largest": merged.groups.components,
        },
        configs=sizes_by_split(files),
        files={file["name"]: {key: file[key] for key in ("rows", "bytes", "sha256")} for file in files},
        **merged.counts.report(),
    )
