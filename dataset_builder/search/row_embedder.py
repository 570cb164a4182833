"""Rows in, columns of an index out: decoding, refusing and embedding, a batch at a time."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dataset_builder.search.store import ROW_FEATURES
from fusionrs_hf.errors import InputError
from fusionrs_hf.images import Limits, open_image, readable_infrared
from fusionrs_hf.processing_fusionrs_images import BROKEN, check_rgb

if TYPE_CHECKING:
    from fusionrs_hf.encoders import Encoder

NOT_FINITE = "embedding_not_finite"


class RowEmbedder:
    """Rows in, columns of the index out; a text is encoded once, and an image once for the rows of a batch.

    A row's text embedding is the normalised mean of those of its captions of both kinds. What cannot be decoded, or is
    too long, is left out with a reason in `skipped`: `rgb: unreadable`, `rgb: not_rgb`, `ir: unreadable`,
    `ir: not_infrared`, `text: too_long`, `rgb: embedding_not_finite` (and of the others), or the source's own reason,
    such as `row: nodata`, which skips the row.

    Args:
        encoder: Of the model.
        modalities: To embed.
        ir_range: Limits of infrared above 8 bit, or by `ir_band`.
    """

    def __init__(self, encoder: "Encoder", modalities: Sequence[str], ir_range: Limits) -> None:
        self.encoder, self.modalities, self.ir_range = encoder, modalities, ir_range
        self.known: dict[str, np.ndarray] = {}  # embeddings of texts

    def __call__(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns a batch's columns, see `EmbeddingStore.write`."""
        nothing = {"rgb": None, "ir": None, "captions": [], "ir_captions": []}
        usable = [row | nothing if row.get("_reason") else row for row in batch]
        columns = {name: [row.get(name) for row in batch] for name in ROW_FEATURES}
        columns["split"] = [row.get("_split") for row in batch]
        columns["skipped"] = [[f"row: {row['_reason']}"] if row.get("_reason") else [] for row in batch]
        columns["rgb_sha256"] = [_digest(row["rgb"]) for row in usable]
        vectors = {}
        if {"rgb", "fused"} & set(self.modalities):
            vectors["rgb"] = self._images(usable, columns, "rgb")
        if {"ir", "fused"} & set(self.modalities):
            vectors["ir"] = self._images(usable, columns, "ir")
        if "fused" in self.modalities:
            vectors["fused"] = np.full_like(vectors["rgb"], np.nan)
            both = ~np.isnan(vectors["rgb"] + vectors["ir"]).any(axis=1)  # (rows,)
            if both.any():
                vectors["fused"][both] = self.encoder.fuse(vectors["rgb"][both], vectors["ir"][both])
        if "text" in self.modalities:
            vectors["text"] = self._texts(usable, columns["skipped"])
        return columns | {f"{name}_embedding": vectors[name] for name in self.modalities}

    def _images(self, rows: list[dict], columns: dict[str, list], modality: str) -> np.ndarray:
        """Returns `(rows, size)`, NaN where a row has no image or one that cannot be read; notes why."""
        # Limits differ by band, so the same file read as another band is another image.
        keys = [
            row[modality] and (_digest(row[modality]), row["ir_band"] if modality == "ir" else None) for row in rows
        ]
        seen: dict[Any, tuple[Image.Image | str, float | None]] = {}
        for index, (row, key) in enumerate(zip(rows, keys)):
            if key is None:
                continue
            if key not in seen:
                seen[key] = self._decode(row, modality)
            if isinstance(seen[key][0], str):
                columns["skipped"][index].append(f"{modality}: {seen[key][0]}")
            if modality == "ir":
                columns["ir_clipped_ratio"][index] = seen[key][1]
        usable = {key: image for key, (image, _) in seen.items() if not isinstance(image, str)}
        encode = self.encoder.rgb if modality == "rgb" else self.encoder.ir
        vectors = dict(zip(usable, encode(list(usable.values()))))
        for index, key in enumerate(keys):
            if key in vectors and not np.isfinite(vectors[key]).all():
                columns["skipped"][index].append(f"{modality}: {NOT_FINITE}")
        return self._column([vectors.get(key) for key in keys])

    def _decode(self, row: dict[str, Any], modality: str) -> tuple[Image.Image | str, float | None]:
        """Returns what the processor takes, or the reason why there is none; and the share clipped above 8 bit."""
        try:
            image = open_image(io.BytesIO(row[modality]["bytes"] or b""))
        except BROKEN:
            return "unreadable", None
        try:
            return (
                (check_rgb(image), None)
                if modality == "rgb"
                else readable_infrared(image, self.ir_range, row["ir_band"])
            )
        except InputError:
            raise
        except ValueError:
            return "not_rgb" if modality == "rgb" else "not_infrared", None

    def _texts(self, rows: list[dict], skipped: list[list[str]]) -> np.ndarray:
        """Returns `(rows, size)`, NaN where a row has no caption; notes those that are too long."""
        tokenizer = self.encoder.processor.tokenizer
        texts = [
            [text for kind in ("captions", "ir_captions") for text in row.get(kind) or [] if text.strip()]
            for row in rows
        ]
        every = sorted({text for row_texts in texts for text in row_texts} - self.known.keys())
        tokens = tokenizer(every)["input_ids"] if every else []
        short = [text for text, ids in zip(every, tokens) if len(ids) <= tokenizer.model_max_length]
        self.known |= zip(short, self.encoder.text(short))
        means = []
        for row_texts, reasons in zip(texts, skipped):
            vectors = [self.known[text] for text in row_texts if text in self.known]
            if len(vectors) < len(row_texts):
                reasons.append("text: too_long")
            mean = np.mean(vectors, axis=0) if vectors else None
            means.append(None if mean is None else mean / np.linalg.norm(mean))
            if mean is not None and not np.isfinite(means[-1]).all():
                reasons.append(f"text: {NOT_FINITE}")
        return self._column(means)

    def _column(self, vectors: Sequence[np.ndarray | None]) -> np.ndarray:
        nothing = np.full(self.encoder.size, np.nan, np.float32)
        return np.stack([nothing if vector is None or not np.isfinite(vector).all() else vector for vector in vectors])


def _digest(image: Mapping[str, Any] | None) -> str | None:
    data = (image or {}).get("bytes")
    return hashlib.sha256(data).hexdigest() if data else None
