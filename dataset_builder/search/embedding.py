"""Embeds the rows of a dataset or a scene into an index; brings torch, which a search may do without."""

import hashlib
import itertools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from dataset_builder.search.row_embedder import RowEmbedder
from dataset_builder.search.rows import Rows, reading_rows
from dataset_builder.search.store import (
    DTYPES,
    MODALITIES,
    EmbeddingStore,
    IndexMeta,
    check_factory,
    former_index,
    import_faiss,
)
from dataset_builder.shards.limits import declared_ir_range, reading_limits
from fusionrs_hf.encoders import Encoder, load_clip, model_fingerprint
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.images import Limits
from fusionrs_hf.output_folder import manifest_of, reading, writing
from fusionrs_hf.stops import stops_in_a_line

logger = logging.getLogger(__name__)

SHARDS_PER_FILE = 10  # shards of the source in one file of the index: about 1,000 rows of a dataset


@dataclass(frozen=True, slots=True)
class EmbedSettings:
    """How rows are embedded.

    Args:
        modalities: Of `rgb, ir, fused, text`.
        dtype: Of the stored embeddings: `float32` or `float16`.
        batch_size: Rows at a time.
        ir_range: Limits of infrared above 8 bit, `[low, high]` or by `ir_band`, which go before the model's
            processor's and those before the dataset's.
        bf16: Compute in bfloat16.
        device: None: a GPU where there is one.
        factory: FAISS's description of the index, such as `IVF1024,Flat`; `Flat` is exact.
    """

    modalities: Sequence[str] = ("rgb", "ir", "fused", "text")
    dtype: str = "float32"
    batch_size: int = 64
    ir_range: Limits = None
    bf16: bool = False
    device: str | None = None
    factory: str = "Flat"

    def __post_init__(self) -> None:
        """Raises InputError for a value that cannot be."""
        if not self.modalities or (unknown := sorted(set(self.modalities) - set(MODALITIES))):
            wrong = ", ".join(unknown) if self.modalities else "none"
            raise InputError(f"modalities must be of {', '.join(MODALITIES)}, got {wrong}")
        if self.dtype not in DTYPES:
            raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {shown(self.dtype)}")
        if self.batch_size < 1:
            raise InputError(f"batch_size must be positive, got {self.batch_size}")


def embed(
    place: Mapping[str, Any], model: str, folder: Path, settings: EmbedSettings, overwrite: bool = False
) -> IndexMeta:
    """Embeds rows into an index folder; what an interrupted run left there is continued, to the same bytes.

    Args:
        place: See `describe_rows`.
        model: Hub id or folder of a FusionRS-CLIP or a plain CLIP.
        folder: Of the index.
        settings: How.
        overwrite: Replace another index, or this one where it is finished: the files that `embed` wrote, no others.

    Returns:
        What is in the index, with the counts of rows, embeddings and what was skipped.

    Raises:
        InputError: Nothing to read, no limits for infrared above 8 bit, or the folder holds something else.
    """
    import_faiss()
    manifest_of(folder, "embed", former_index)
    with reading_rows(place) as rows, stops_in_a_line(folder, "embed"):
        clip, processor = load_clip(model)
        check_factory(settings.factory, clip.config.projection_dim)
        encoder = Encoder(clip, processor, settings.batch_size, settings.device, settings.bf16)
        ir_range = settings.ir_range
        if ir_range is None or isinstance(ir_range, Mapping):
            told = declared_ir_range(place["dataset"]) if "dataset" in place else {}
            ir_range = reading_limits(ir_range or {}, processor.ir_range, told)
        meta = IndexMeta(
            model=str(Path(model).resolve()) if Path(model).is_dir() else model,
            fingerprint=model_fingerprint(clip, processor),
            dim=encoder.size,
            modalities=[name for name in MODALITIES if name in settings.modalities],
            dtype=settings.dtype,
            source={**place, "shards_sha256": hashlib.sha256(repr(rows.shards).encode()).hexdigest()},
            shards=-(-len(rows.shards) // SHARDS_PER_FILE),
            batch_size=settings.batch_size,
            bf16=settings.bf16,
            ir_range=json.loads(json.dumps(ir_range)),
            factory=settings.factory,
        )
        return _finished(folder, meta, overwrite) or _embed(rows, encoder, folder, meta, overwrite)


def _finished(folder: Path, meta: IndexMeta, overwrite: bool) -> IndexMeta | None:
    """Returns what is in an index of this identity that is done; raises InputError for another."""
    manifest = manifest_of(folder, "embed", former_index)
    if overwrite or manifest is None or not manifest.finished:
        return None
    with reading(folder):
        if (store := EmbeddingStore.held(folder, meta)) is None:
            raise InputError(f"{folder} was finished, but index.json is gone; give --overwrite to embed anew")
    logger.info("%s is complete: nothing to do", folder)
    return store.meta


def _embed(rows: Rows, encoder: Encoder, folder: Path, meta: IndexMeta, overwrite: bool) -> IndexMeta:
    with writing(folder, "embed", former=former_index) as output:
        store = EmbeddingStore.begin(output, meta, overwrite)
        output.refuse_strays("data")
        left = [number for number in range(meta.shards) if store.meta.rows is None and not store.path(number).exists()]
        with tqdm(desc="embedding", total=len(rows.shards), unit="shard", disable=not left) as bar:
            bar.update(len(rows.shards) - sum(len(_shards(rows, number)) for number in left))
            for number in left:
                embedder = RowEmbedder(encoder, meta.modalities, meta.ir_range)  # one a file, whatever came before it
                store.write(number, map(embedder, _batches(rows, number, meta.batch_size, bar)))
        if store.meta.rows is None:
            store.finish()
        output.delete(f"{name}.faiss" for name in meta.modalities if not store.meta.embedded[name])
        output.finish()
    return store.meta


def _shards(rows: Rows, number: int) -> range:
    """Returns the places, in the source, of the shards in one file of the index."""
    return range(len(rows.shards))[number * SHARDS_PER_FILE :][:SHARDS_PER_FILE]


def _batches(rows: Rows, number: int, size: int, bar: tqdm) -> Iterator[list[dict[str, Any]]]:
    """Yields the rows of one file of the index, some at a time, each with its place in the source."""

    def placed() -> Iterator[dict[str, Any]]:
        for shard in _shards(rows, number):
            for place, row in enumerate(rows.read(shard)):
                yield row | {"source_shard": shard, "source_row": place}
            bar.update()

    read = placed()
    while batch := list(itertools.islice(read, size)):
        yield batch
