"""RGB to infrared-style images: the translator protocol, a weight-free translator, and the stage that fills `ir`.

Translated images are infrared-*style*: guesses from colour, not measurements. Rows say so in `ir_origin`, and nothing
may call them thermal, near-infrared or calibrated.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from dataset_builder.images.png import encode_png
from dataset_builder.schema import stable_seed
from fusionrs_hf.errors import InputError, shown


class InfraredTranslator(Protocol):
    """Turns RGB images into infrared-style images of the same sizes.

    Attributes:
        name, revision: What is recorded with each image.
        bands: The `ir_band` values it can imitate.
        settings: JSON-able settings that, with name, revision, band and seed, determine the result.
    """

    name: str
    revision: str
    bands: tuple[str, ...]
    settings: Mapping[str, Any]

    def translate(self, images: Sequence[np.ndarray], band: str, seeds: Sequence[int]) -> list[np.ndarray]:
        """Returns uint8 `(h, w)` for each uint8 `(h, w, 3)`; `seeds` has one integer an image."""
        ...


@dataclass(frozen=True, slots=True)
class Translation:
    """An infrared-style image and how far it can be trusted.

    Args:
        image, low, high: Median and ends of the stated interval, uint8 `(h, w)`.
        in_domain: Whether the RGB image is of the kind that the translator was made from.
    """

    image: np.ndarray
    low: np.ndarray
    high: np.ndarray
    in_domain: bool

    @property
    def width(self) -> np.ndarray:
        """Width of the interval at each pixel, uint8 `(h, w)`."""
        return self.high - self.low


@runtime_checkable
class TrustedTranslator(Protocol):
    """A translator that states how far each of its images can be trusted."""

    def translate_with_trust(self, images: Sequence[np.ndarray], band: str) -> list[Translation]:
        """Returns what `translate` gives, each image with its interval and verdict."""
        ...


def check_band(translator: InfraredTranslator, band: str) -> None:
    """Raises an `InputError` unless the translator can imitate the band."""
    if band not in translator.bands:
        raise InputError(
            f"translator {translator.name} cannot imitate band {shown(band)}; choose one of "
            f"{', '.join(translator.bands)}"
        )


class TranslateStage:
    """Batch stage: gives every row without infrared a translated one, as lossless PNG, and says where it came from."""

    def __init__(self, translator: InfraredTranslator, band: str, seed: int = 0) -> None:
        check_band(translator, band)
        self.translator, self.band, self.seed = translator, band, seed
        self._settings = json.dumps(dict(translator.settings), sort_keys=True)

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        """Fills `ir`, `_ir`, `ir_*` and `translator*` where `ir` is null, `_rgb` decoded and no `_reason` given."""
        size = len(batch["sample_id"])
        images = batch.setdefault("_ir", [None] * size)
        reasons = batch.get("_reason", [None] * size)
        todo = [
            i for i in range(size) if batch["ir"][i] is None and reasons[i] is None and batch["_rgb"][i] is not None
        ]
        seeds = [stable_seed(batch["sample_id"][i], self.band, self.seed) for i in todo]
        images_of_rows = [batch["_rgb"][i] for i in todo]
        trust: list[dict[str, Any]] = [{}] * len(todo)
        if isinstance(self.translator, TrustedTranslator):
            translations = self.translator.translate_with_trust(images_of_rows, self.band)
            translated = [translation.image for translation in translations]
            trust = [
                {"translator_interval": float(part.width.mean()), "translator_in_domain": bool(part.in_domain)}
                for part in translations
            ]
        else:
            translated = self.translator.translate(images_of_rows, self.band, seeds)
        for index, seed, image, stated in zip(todo, seeds, translated, trust, strict=True):
            images[index] = image
            columns = {
                "ir": {"bytes": encode_png(image), "path": None},
                "ir_origin": "translated",
                "ir_band": self.band,
                "ir_unit": "display",
                "translator": self.translator.name,
                "translator_revision": self.translator.revision,
                "translator_seed": seed,
                "translator_settings": self._settings,
                **stated,
            }
            for name, value in columns.items():
                batch[name][index] = value
        return batch
