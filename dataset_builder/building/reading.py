"""The first half of a build: the stages in their order, and the worker that takes a shard of a source through them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataset_builder.building.timing import Clock
from dataset_builder.building.work_files import WORK_SCHEMA, work_file
from dataset_builder.captioning import make_caption_stage
from dataset_builder.captioning.funnel import CaptionTally
from dataset_builder.filters import IMAGE_RULES, PAIR_RULES, TEXT_RULES, FilterStage, make_rules
from dataset_builder.filters.leaving_out import LeaveOutStage
from dataset_builder.filters.text_rules import CaptionTooShort
from dataset_builder.groups.grouping import JOINING_ORIGINS
from dataset_builder.groups.keys import caption_digest, perceptual_hash
from dataset_builder.images.decoded_size import DECODED_BYTES, decoded_bytes
from dataset_builder.images.decoding import DecodeStage, sha256, store_rgb
from dataset_builder.recipe import BuildRecipe
from dataset_builder.rights.tombstones import excluded_ids, without
from dataset_builder.schema import IMAGE_COLUMNS
from dataset_builder.shards.lines import rejected_file, write_lines
from dataset_builder.shards.parquet import ShardWriter, shard_writer
from dataset_builder.sources import Source
from dataset_builder.translators import make_translate_stage

BATCH_ROWS, BATCH_BYTES = 64, 64 * 2**20  # of encoded images; a batch ends at the first of both, or `DECODED_BYTES`

Stage = Callable[[dict[str, list]], dict[str, list]]


def make_stages(recipe: BuildRecipe) -> list[Stage]:
    """Returns the stages that a batch of rows passes, in order; each is at home in the folder beside it.

    Raises:
        InputError: The recipe names a translator, captioner, filter or threshold that there is not.
    """
    stages = [
        DecodeStage(recipe.ir_range, recipe.filters),  # images/
        recipe.translate and make_translate_stage(recipe.translate, recipe.base),  # translators/
        require_infrared,  # below
        FilterStage(make_rules(recipe.filters, (*IMAGE_RULES, *PAIR_RULES))),  # filters/
        add_hashes,  # below, of groups/
        recipe.caption and make_caption_stage(recipe.caption),  # captioning/
        *map(LeaveOutStage, make_rules(recipe.filters, (CaptionTooShort,))),  # filters/
        FilterStage(make_rules(recipe.filters, TEXT_RULES)),  # filters/
    ]
    return [stage for stage in stages if stage is not None]


def decoding_by(recipe: BuildRecipe, stages: Sequence[Stage]) -> list[Stage]:
    """Returns stages of `make_stages` whose first decodes by the recipe's limits, settled since; the others stay."""
    return [DecodeStage(recipe.ir_range, recipe.filters), *stages[1:]]


def caption_stage(stages: Sequence[Stage]) -> Stage | None:
    """Returns the stage that writes captions; None where there is none, and then its module is not imported."""
    return next((stage for stage in stages if _label(stage) == "caption"), None)


def require_infrared(batch: dict[str, list]) -> dict[str, list]:
    """Batch stage: a row that has no infrared by now leaves with the reason `ir_missing`."""
    for index, image in enumerate(batch["ir"]):
        if image is None and batch["_reason"][index] is None:
            batch["_reason"][index] = "ir_missing"
    return batch


def add_hashes(batch: dict[str, list]) -> dict[str, list]:
    """Batch stage: fills `rgb_phash`, `ir_phash`, `_ir_sha256`; an RGB image that rows share is hashed once."""
    first = {digest: index for index, digest in reversed(list(enumerate(batch["_rgb_sha256"])))}
    hashes = dict(zip(first, perceptual_hash([batch["_grey"][index] for index in first.values()]), strict=True))
    batch["rgb_phash"] = [hashes[digest] for digest in batch["_rgb_sha256"]]
    batch["ir_phash"] = perceptual_hash(batch["_ir"])
    batch["_ir_sha256"] = [sha256(image["bytes"]) for image in batch["ir"]]
    return batch


def add_caption_keys(batch: dict[str, list]) -> dict[str, list]:
    """Batch stage, the last: fills `_caption_keys` with digests of the captions that may join rows."""
    batch["_caption_keys"] = [
        [
            digest
            for text, origin in zip(texts or [], origins or [], strict=True)
            if origin in JOINING_ORIGINS and (digest := caption_digest(text)) is not None
        ]
        for texts, origins in zip(batch["captions"], batch["caption_origin"], strict=True)
    ]
    return batch


class ReadWorker:
    """Reads one shard of a source through all stages into two work files: the rows kept, and those that left."""

    def __init__(
        self, recipe: BuildRecipe, sources: Sequence[Source], work: Path, stages: list[Stage] | None = None
    ) -> None:
        self.sources = sources
        self.stages = stages or make_stages(recipe)
        self.work = work
        self.excluded = excluded_ids(recipe.file("exclude"))

    def __call__(self, task: tuple[int, int, Any]) -> dict:
        """Does one task `(index, source, shard)`.

        Returns:
            `rows` read, those that left by `reasons`, the captions `left_out` of kept rows, what became of `captions`,
            and `seconds` by stage (`write`: what is no stage).
        """
        index, source, shard = task
        clock, start = Clock(), time.perf_counter()
        reasons, read, captions, captioning = Counter(), 0, CaptionTally(), caption_stage(self.stages)
        left_out = 0
        kept_path, left_path = (work_file(self.work, kind, index) for kind in ("kept", "left"))
        with shard_writer(kept_path, WORK_SCHEMA) as kept, shard_writer(left_path, WORK_SCHEMA) as left:
            for batch in clock.each("source", _batches(without(self.sources[source].read(shard), self.excluded))):
                read += len(batch["sample_id"])
                batch = _set_aside(batch, left, reasons)  # what the source could not read
                for stage in self.stages:
                    if not batch["sample_id"]:
                        break
                    with clock(_label(stage)):
                        batch = captions.caption(stage, batch) if stage is captioning else stage(batch)
                    batch = _set_aside(batch, left, reasons)
                left_out += sum(batch.get("_left_out") or ())
                _write(kept, add_caption_keys(store_rgb(batch)))
        write_lines(rejected_file(self.work, f"{index:06d}"), captions.lines)
        spent = {**clock.seconds, "write": time.perf_counter() - start - clock.seconds.total()}
        counts = {"rows": read, "reasons": reasons, "left_out": left_out}
        return counts | {"captions": captions.funnel.as_dict(), "seconds": spent}


def _label(stage: Stage) -> str:
    name = getattr(stage, "__name__", type(stage).__name__)
    return name.removesuffix("Stage").lower()


def _batches(rows: Iterator[dict]) -> Iterator[dict[str, list]]:
    for chunk in _chunks(rows):
        batch = {name: [row.get(name) for row in chunk] for name in WORK_SCHEMA.names if name != "reason"}
        batch |= {name: [row.get(name) for row in chunk] for name in ("_reason", "_unit_trusted")}
        # Captions that came with the source: `ir_aware` is found by the captioner, so it is never null beside them.
        named = zip(batch["captioner"], batch["ir_captions"], strict=True)
        batch["captioner"] = [name or ("source" if captions else None) for name, captions in named]
        yield batch


def _chunks(rows: Iterator[dict]) -> Iterator[list[dict]]:
    """Cuts rows into lists of `BATCH_ROWS`, or fewer where their images are large: a batch is decoded whole."""
    chunk, size, decoded = [], 0, 0
    for row in rows:
        chunk.append(row)
        images = [row.get(name) for name in IMAGE_COLUMNS]
        size += sum(len((image or {}).get("bytes") or b"") for image in images)
        decoded += decoded_bytes(*images)
        if len(chunk) == BATCH_ROWS or size >= BATCH_BYTES or decoded >= DECODED_BYTES:
            yield chunk
            chunk, size, decoded = [], 0, 0
    if chunk:
        yield chunk


def _set_aside(batch: dict[str, list], left: ShardWriter, reasons: Counter) -> dict[str, list]:
    """Moves the rows that have a reason to the quarantine; returns the others."""
    if not any(batch["_reason"]):
        return batch
    leaving = [index for index, reason in enumerate(batch["_reason"]) if reason]
    staying = [index for index, reason in enumerate(batch["_reason"]) if not reason]
    reasons.update(batch["_reason"][index] for index in leaving)
    _write(left, {name: [values[index] for index in leaving] for name, values in batch.items()})
    return {name: [values[index] for index in staying] for name, values in batch.items()}


def _write(writer: ShardWriter, batch: dict[str, list]) -> None:
    images = zip(batch["rgb"], batch["ir"], strict=True)
    batch["_bytes"] = [sum(len((image or {}).get("bytes") or b"") for image in pair) for pair in images]
    columns = {name: batch["_reason" if name == "reason" else name] for name in WORK_SCHEMA.names}
    writer.write(pa.table(columns, schema=WORK_SCHEMA))
