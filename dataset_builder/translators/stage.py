"""RGB to infrared-style images: the translator protocol, a weight-free translator, and the stage that fills `ir`.

Translated images are infrared-*style*: guesses from colour, not measurements. Rows say so in `ir_origin`, and nothing
may call them thermal, near-infrared or calibrated.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dataset_builder.images.png import encode_png
from dataset_builder.schema import stable_seed
from fusionrs_hf.errors import InputError


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


def check_band(translator: InfraredTranslator, band: str) -> None:
    """Raises an `InputError` unless the translator can imitate the band."""
    if band not in translator.bands:
        raise InputError(
            f"translator {translator.name} cannot imitate band {band!r}; choose one of {', '.join(translator.bands)}"
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
        translated = self.translator.translate([batch["_rgb"][i] for i in todo], self.band, seeds)
        for index, seed, image in zip(todo, seeds, translated, strict=True):
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
            }
            for name, value in columns.items():
                batch[name][index] = value
        return batch
