"""Finds the rows of an index that are nearest to a text or an image."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dataset_builder.search.store import ROW_FEATURES, EmbeddingStore
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.exported_text import embed_text, export_facts
from fusionrs_hf.images import Limits, open_image, readable_infrared
from fusionrs_hf.output_folder import reading
from fusionrs_hf.processing_fusionrs_images import BROKEN, check_rgb

if TYPE_CHECKING:
    from fusionrs_hf.encoders import Encoder

logger = logging.getLogger(__name__)

ROWS_COMPARED = 2**16  # at a time


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


def embed_query(query: Query, encoder: "Encoder", ir_range: Limits) -> np.ndarray:
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
        model: Hub id or folder of the index's model, where it is not at the place it was; or of its export, which
            answers texts without torch.
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
    vector = _vector(store, query, model or store.meta.model)
    return nearest_rows(rows, gallery, vector, k, query.ir_band)


def _vector(store: EmbeddingStore, query: Query, model: str) -> np.ndarray:
    """Returns the query's embedding by the index's own model, or by its export; raises InputError for another's."""
    if (facts := export_facts(Path(model))) is not None:
        if query.text is None:
            raise InputError(f"{model} holds exported encoders, which answer --text; for images give the model itself")
        _check_own(store, model, facts.fingerprint)
        return embed_text(Path(model), facts, query.text)
    from fusionrs_hf.encoders import Encoder, load_clip, model_fingerprint

    clip, processor = load_clip(model)
    _check_own(store, model, model_fingerprint(clip, processor))
    return embed_query(query, Encoder(clip, processor, bf16=store.meta.bf16), store.meta.ir_range)


def _check_own(store: EmbeddingStore, model: str, fingerprint: str) -> None:
    if fingerprint != store.meta.fingerprint:
        raise InputError(
            f"{model} has the fingerprint {fingerprint[:12]}, but {store.folder} was embedded with "
            f"{store.meta.fingerprint[:12]} ({store.meta.model}); give that model by --model, or embed again"
        )


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
