"""Embeds the rows of a dataset or a scene into an index, and finds the nearest to a text or an image."""

import hashlib
import itertools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dataset_builder.search.row_embedder import RowEmbedder
from dataset_builder.search.rows import Rows, reading_rows
from dataset_builder.search.store import (
    DTYPES,
    MODALITIES,
    ROW_FEATURES,
    EmbeddingStore,
    IndexMeta,
    check_factory,
    former_index,
    import_faiss,
)
from dataset_builder.shards.limits import declared_ir_range, reading_limits
from fusionrs_hf.encoders import Encoder, load_clip, model_fingerprint
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.images import Limits, open_image, readable_infrared
from fusionrs_hf.output_folder import manifest_of, reading, writing
from fusionrs_hf.processing_fusionrs_images import BROKEN, check_rgb
from fusionrs_hf.stops import stops_in_a_line

logger = logging.getLogger(__name__)

ROWS_COMPARED = 2**16  # at a time
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
    embedder = RowEmbedder(encoder, meta.modalities, meta.ir_range)
    with writing(folder, "embed", former=former_index) as output:
        store = EmbeddingStore.begin(output, meta, overwrite)
        output.refuse_strays("data")
        for number in range(meta.shards if store.meta.rows is None else 0):
            if not store.path(number).exists():
                store.write(number, map(embedder, _batches(rows, number, meta.batch_size)))
                logger.info("embedded %d of %d shards", number + 1, meta.shards)
        if store.meta.rows is None:
            store.finish()
        output.delete(f"{name}.faiss" for name in meta.modalities if not store.meta.embedded[name])
        output.finish()
    return store.meta


def _batches(rows: Rows, number: int, size: int) -> Iterator[list[dict[str, Any]]]:
    """Yields the rows of one file of the index, some at a time, each with its place in the source."""
    start = number * SHARDS_PER_FILE
    placed = (
        row | {"source_shard": shard, "source_row": place}
        for shard in range(start, min(start + SHARDS_PER_FILE, len(rows.shards)))
        for place, row in enumerate(rows.read(shard))
    )
    while batch := list(itertools.islice(placed, size)):
        yield batch


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: a text, or an RGB image, an infrared image, or the pair of them.

    Args:
        text: A sentence.
        rgb, ir: Image files.
        ir_band: Band of `ir`, for its limits above 8 bit; only rows of this band are found. None: all.
    """

    text: str | None = None
    rgb: Path | None = None
    ir: Path | None = None
    ir_band: str | None = None

    def __post_init__(self) -> None:
        """Raises InputError unless it is one text or at least one image."""
        images = self.rgb is not None or self.ir is not None
        if (self.text is not None) == images or (self.text is not None and not self.text.strip()):
            raise InputError("look for a --text that is not empty, or for --rgb FILE, --ir FILE or both of one place")

    def images(self, ir_range: Limits) -> dict[str, Image.Image]:
        """Returns the images as the processor takes them, by `rgb` and `ir`; raises InputError for others."""
        images = {}
        for name, path in (("rgb", self.rgb), ("ir", self.ir)):
            if path is None:
                continue
            try:
                image = open_image(path)
                images[name] = (
                    check_rgb(image) if name == "rgb" else readable_infrared(image, ir_range, self.ir_band)[0]
                )
            except InputError:
                raise
            except BROKEN as error:
                raise InputError(f"--{name} {path} cannot be read as such an image: {error}") from error
        return images


@dataclass(frozen=True, slots=True)
class Hit:
    """One row found: its rank from 1, the cosine with the query, and its columns without embeddings."""

    rank: int
    score: float
    row: dict[str, Any]


def embed_query(query: Query, encoder: Encoder, ir_range: Limits) -> np.ndarray:
    """Returns the query's unit-length embedding, `(size,)`; of a pair, the fused one."""
    if query.text is not None:
        try:
            return encoder.text([query.text])[0]
        except ValueError as error:
            raise InputError(f"--text: {error}") from error
    encode = {"rgb": encoder.rgb, "ir": encoder.ir}
    embeddings = [encode[name]([image]) for name, image in query.images(ir_range).items()]
    return (encoder.fuse(*embeddings) if len(embeddings) == 2 else embeddings[0])[0]


def search_index(
    index: Path | str, query: Query | str, model: str | None = None, gallery: str | None = None, k: int = 10
) -> list[Hit]:
    """Finds the rows of an index nearest to a query.

    Args:
        index: Folder that `embed` wrote.
        query: What is looked for; a string is a text.
        model: Hub id or folder of the index's model, where it is not at the place it was.
        gallery: Which embeddings are searched: `rgb, ir, fused` or `text`; None: the first there is of fused, rgb, ir.
        k: How many; fewer where the index has fewer.

    Returns:
        Hits, best first; equal scores in the order of the rows.

    Raises:
        InputError: There is no index, the model is not its own, or it has no such embeddings.
    """
    if k < 1:
        raise InputError(f"k must be positive, got {k}")
    query = Query(query) if isinstance(query, str) else query
    store = EmbeddingStore.open(Path(index))
    with reading(index):
        return _search(store, query, model, gallery, k)


def _search(store: EmbeddingStore, query: Query, model: str | None, gallery: str | None, k: int) -> list[Hit]:
    if gallery is None:
        gallery = next((name for name in ("fused", "rgb", "ir") if store.meta.embedded.get(name)), "text")
    rows = store.searchable(gallery)
    if query.ir_band is not None:
        _places_of(rows, query.ir_band)  # told before a model is loaded, or limits of the band are asked for
    clip, processor = load_clip(model or store.meta.model)
    loaded = model_fingerprint(clip, processor)
    if loaded != store.meta.fingerprint:
        raise InputError(
            f"{model or store.meta.model} has the fingerprint {loaded[:12]}, but {store.folder} was embedded with "
            f"{store.meta.fingerprint[:12]} ({store.meta.model}); give that model by --model, or embed again"
        )
    vector = embed_query(query, Encoder(clip, processor, bf16=store.meta.bf16), store.meta.ir_range)
    return nearest_rows(rows, gallery, vector, k, query.ir_band)


def nearest_rows(dataset: Any, gallery: str, vector: np.ndarray, k: int, ir_band: str | None = None) -> list[Hit]:
    """Finds the rows of the largest inner product with a vector, see `search_index`.

    Rows of one tile in several bands have one RGB image: in `rgb` it is found once. Rows of one band are compared one
    by one, exactly; so are all where an approximate index finds fewer than there are, and the log says so.

    Args:
        dataset: Of `EmbeddingStore.searchable`.
        gallery: Its modality.
        vector: `(size,)`, float32.
        k: How many.
        ir_band: Only rows of this band; None: all.

    Raises:
        InputError: No row is of this band.
    """
    rows, column = dataset.select_columns(list(ROW_FEATURES)), f"{gallery}_embedding"
    if ir_band is not None:
        return _kept(rows, gallery, _exact(dataset, column, vector, _places_of(rows, ir_band)), k)
    asked = k
    while True:
        asked = min(asked, len(dataset))
        scores, places = dataset.search(column, vector, k=asked)
        order = sorted((-float(score), int(place)) for score, place in zip(scores, places) if place >= 0)
        hits = _kept(rows, gallery, order, k)
        if len(hits) >= k or (asked == len(dataset) == len(order)):
            return hits
        if asked == len(dataset):
            logger.warning("the approximate index finds %d of %d rows: all are compared instead", len(order), asked)
            return _kept(rows, gallery, _exact(dataset, column, vector, np.arange(len(dataset))), k)
        asked *= 4


def _places_of(rows: Any, ir_band: str) -> np.ndarray:
    """Returns the places of the rows of a band; raises InputError, which names the bands that are there, for none."""
    bands = np.array([str(band) for band in rows["ir_band"]])
    if ir_band not in bands:
        raise InputError(f"no row of the index has the band {shown(ir_band)}; it has {', '.join(sorted(set(bands)))}")
    return np.flatnonzero(bands == ir_band)


def _exact(dataset: Any, column: str, vector: np.ndarray, places: np.ndarray) -> list[tuple[float, int]]:
    """Returns the negative inner product and the place of these rows, best first."""
    embeddings = dataset.select_columns([column]).with_format("numpy")
    scores = [
        np.asarray(embeddings[places[start : start + ROWS_COMPARED].tolist()][column], np.float32) @ vector
        for start in range(0, len(places), ROWS_COMPARED)
    ]
    return sorted(zip((-np.concatenate(scores)).tolist(), places.tolist()))


def _kept(rows: Any, gallery: str, order: Sequence[tuple[float, int]], k: int) -> list[Hit]:
    """Returns the first k rows in an order, in `rgb` each image once."""
    kept: dict[Any, tuple[float, dict]] = {}
    for score, place in order:
        if len(kept) == k:
            break
        row = rows[place]
        kept.setdefault(row["rgb_sha256"] if gallery == "rgb" else place, (-score, row))
    return [Hit(rank, score, row) for rank, (score, row) in enumerate(kept.values(), 1)]
