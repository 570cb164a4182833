"""A finished dataset with infrared-style images in the place of its infrared, shard by shard."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataset_builder.images.decoding import DecodeStage
from dataset_builder.schema import LIST_COLUMNS
from dataset_builder.shards.batches import read_batches
from dataset_builder.shards.layout import DATA_SCHEMA
from dataset_builder.shards.parquet import shard_writer
from dataset_builder.translators.stage import TranslateStage

# What speaks of, or was measured from, the infrared that a row had.
OF_INFRARED = (
    *("ir", "ir_origin", "ir_band", "ir_unit", "ir_captions", "ir_caption_form", "joint_captions", "ir_phash"),
    *("captioner", "captioner_revision", "captioner_settings"),
)


def translate_shard(
    source: Path, target: Path, stage: TranslateStage, gate: Callable[[Any, Any], str | None]
) -> dict[str, Any]:
    """Writes a shard anew: one row for each RGB image, its infrared translated, what spoke of the old one empty.

    Args:
        source: Parquet in the record's schema.
        target: To write; appears whole or not at all.
        stage: Translates rows without infrared.
        gate: Why a translation, given RGB and infrared, is none; None: it is one.

    Returns:
        `rows` written, `left_out` by reason, and over the rows the mean `translator_interval` and the share that is
        `translator_in_domain`.
    """
    decode, seen = DecodeStage({}, {}), set()
    reasons: Counter[str] = Counter()
    widths: list[float] = []
    inside: list[bool] = []
    with shard_writer(target, DATA_SCHEMA) as writer:
        for _, batch in read_batches(source):
            rows = list(range(len(batch["sample_id"])))
            places = [(batch["source_dataset"][row], batch["source_locator"][row]) for row in rows]
            first = [row for row in rows if places[row] not in seen and not seen.add(places[row])]
            batch = stage(decode(_without_infrared(batch, first)))
            keep = []
            for row, reason in enumerate(batch["_reason"]):
                if reason is None:
                    reason = gate(batch["_rgb"][row], batch["_ir"][row])
                if reason is None:
                    keep.append(row)
                else:
                    reasons[reason] += 1
            columns = [pa.array([batch[field.name][row] for row in keep], field.type) for field in DATA_SCHEMA]
            writer.write(pa.Table.from_arrays(columns, schema=DATA_SCHEMA))
            widths += [batch["translator_interval"][row] for row in keep]
            inside += [batch["translator_in_domain"][row] for row in keep]
        rows_written = writer.close()
    facts: dict[str, Any] = {"rows": rows_written, "left_out": dict(sorted(reasons.items()))}
    if widths:
        facts |= {"translator_interval": sum(widths) / len(widths), "translator_in_domain": sum(inside) / len(inside)}
    return facts


def _without_infrared(batch: Mapping[str, list], rows: list[int]) -> dict[str, list]:
    """Returns some rows of a batch as if they had no infrared."""
    emptied = {name: [[] if name in LIST_COLUMNS else None for _ in rows] for name in OF_INFRARED}
    emptied["_reason"] = [None] * len(rows)  # a row that had no infrared is a row, too
    return {name: [values[row] for row in rows] for name, values in batch.items()} | emptied
