"""A model's encoders as functions from images and texts to unit-length embeddings, for all that scores a CLIP."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.processing_fusionrs_images import check_infrared


class Encoders:
    """A model's encoders; no image and no text is encoded twice.

    Rows of one tile in several bands repeat its RGB image, and tables by source and band repeat all: hence the memory,
    which holds embeddings only.

    Args:
        model, processor: A FusionRS-CLIP and its processor.
        pooled: Images give the tower's pooled features, without projection: control (a).
        standardise: With `pooled`, by the model's `feature_norm`.
        declared: What is given as RGB is RGB by where it comes from: the processor's check of its colours is left out,
            since public sets hold grey photographs. Infrared is checked as ever.
        batch_size: Items at a time.
    """

    def __init__(
        self,
        model: FusionRSCLIPModel,
        processor: Any,
        pooled: bool = False,
        standardise: bool = False,
        declared: bool = False,
        batch_size: int = 64,
    ) -> None:
        self.model, self.processor = model.eval(), processor
        self.pooled, self.standardise = pooled, standardise
        self.declared, self.batch_size = declared, batch_size
        self.seen: dict[tuple[str, bytes], Tensor] = {}

    def rgb(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embeddings `(images, size)` of RGB images; a lazy column of a dataset is decoded a batch at a time."""
        encode = self.model.get_pooled_features if self.pooled else self.model.get_rgb_features
        return self._images(images, "rgb", lambda batch: encode(self._pixels(images=batch)))

    def ir(self, images: Sequence[Image.Image], bands: Sequence[str] | None = None) -> np.ndarray:
        """Embeddings `(images, size)` of infrared images; above 8 bit by the processor's limits for their `bands`."""
        pooled = partial(self.model.get_pooled_features, modality="ir")
        encode = pooled if self.pooled else self.model.get_ir_features
        return self._images(images, "ir", lambda batch: encode(self._pixels(ir_images=batch)), bands)

    @torch.inference_mode()
    def text(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings `(texts, size)` of texts."""
        new = sorted({text for text in texts if ("text", text.encode()) not in self.seen}, key=lambda t: (len(t), t))
        for batch in _batches(new, self.batch_size):  # texts of one length need little padding
            inputs = self.processor(text=batch).to(self.model.device)
            self._remember([("text", text.encode()) for text in batch], self.model.get_text_features(**inputs))
        return _unit(torch.stack([self.seen["text", text.encode()] for text in texts]))

    def fuse(self, rgb: np.ndarray, ir: np.ndarray, weight: float | None = None) -> np.ndarray:
        """Unit-length embeddings of pairs.

        Args:
            rgb, ir: Unit-length embeddings of the same scenes, `(pairs, size)`.
            weight: Of infrared in the mean, in [0, 1]; None: as the model fuses.
        """
        first, second = torch.from_numpy(rgb), torch.from_numpy(ir)
        if weight is not None:
            return _unit(weight * second + (1 - weight) * first)
        with torch.inference_mode():
            return self.model.fuse(first.to(self.model.device), second.to(self.model.device)).cpu().numpy()

    def _pixels(self, **images: list) -> Tensor:
        if self.declared and "images" in images:
            found = self.processor.image_processor(images["images"], return_tensors="pt")
        else:
            found = self.processor(**images)
        (pixels,) = found.values()
        return pixels.to(self.model.device)

    @torch.inference_mode()
    def _images(
        self,
        images: Sequence[Image.Image],
        modality: str,
        encode: Callable[[list], Tensor],
        bands: Sequence[str] | None = None,
    ) -> np.ndarray:
        found = []
        for start, batch in enumerate(_batches(images, self.batch_size)):
            if bands is not None:
                place = start * self.batch_size
                limits = self.processor.limits(bands[place : place + len(batch)], len(batch))
                batch = [check_infrared(image, pair) for image, pair in zip(batch, limits)]
            keys = [(modality, _fingerprint(image)) for image in batch]
            new = {key: image for key, image in zip(keys, batch) if key not in self.seen}
            if new:
                self._remember(list(new), encode(list(new.values())))
            found += [self.seen[key] for key in keys]
        features = torch.stack(found)  # (images, size)
        if self.standardise:
            features = self.model.feature_norm(features.to(self.model.device), modality).cpu()
        return _unit(features)

    def _remember(self, keys: list[tuple[str, bytes]], features: Tensor) -> None:
        self.seen.update(zip(keys, features.float().cpu()))


def _fingerprint(image: Image.Image | np.ndarray) -> bytes:
    array = np.asarray(image)
    return hashlib.sha256(repr((array.shape, array.dtype.str)).encode() + array.tobytes()).digest()


def _batches(items: Sequence, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _unit(features: Tensor) -> np.ndarray:
    return F.normalize(features, dim=-1).detach().numpy()
