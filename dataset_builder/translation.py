"""RGB to infrared-style images: the translator protocol, a weight-free translator, and the stage that fills `ir`.

Translated images are infrared-*style*: guesses from colour, not measurements. Rows say so in `ir_origin`, and nothing
may call them thermal, near-infrared or calibrated.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from scipy import ndimage

from dataset_builder.png import encode_png
from dataset_builder.schema import stable_seed
from fusionrs_hf.errors import InputError

# Grays that one might take for infrared: luminance (BT.601), the mean of the channels, and each of them.
GRAYS = np.array([[0.299, 0.587, 0.114], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
GRAY_R2 = 0.998  # share of explained variance from which an infrared image counts as nothing but the gray of its RGB


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


class RadiometricTranslator:
    """Weight-free formulas from display RGB to the look of one band; deterministic, the seeds are not used.

    With r, g, b in 0 to 1, brightness `y` (BT.601), sum `s = r + g + b + 0.15` (the constant calms dark pixels), and

        vegetation v = max(0, g - max(r, b)) / s      greenness, in the manner of excess green [1] and VARI [2]
        water      w = max(0, min(g, b) - r) / s      blue and cyan
        dryness    d = max(0, r - b) / s              reddish soil and rock

    - nir:  0.2 + 0.6 y + 1.5 v - 1.5 w + 0.5 d. Leaves scatter near-infrared, water absorbs it [3], soil rises on.
    - swir: 0.15 + 0.8 y - 0.5 v - 2.0 w + 0.8 d. Dry bare ground is bright, leaf and soil water absorb [4].
    - lwir: 0.45 - 1.0 v - 1.5 w + 1.5 d - 0.3 y, smoothed over three pixels. By day, bare dry ground stands above
      vegetation and water [5] and pale ground below dark ground; thermal sensors resolve less.

    What colour does not tell is missing: conifers, paint, shade, night, the time of day, and any temperature. The
    coefficients are rounded by hand, the same for every scene. Two images of equal RGB get equal results.

    [1] Woebbecke et al. 1995, doi:10.13031/2013.27838. [2] Gitelson et al. 2002, doi:10.1016/S0034-4257(01)00289-9.
    [3] McFeeters 1996, doi:10.1080/01431169608948714. [4] Lobell and Asner 2002, doi:10.2136/sssaj2002.7220.
    [5] Weng et al. 2004, doi:10.1016/j.rse.2003.11.005.
    """

    name = "radiometric"
    revision = "1"
    bands = ("nir", "swir", "lwir")

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {}

    def translate(self, images: Sequence[np.ndarray], band: str, seeds: Sequence[int]) -> list[np.ndarray]:
        """Returns uint8 `(h, w)` for each uint8 `(h, w, 3)`.

        Raises:
            InputError: The band is none of `bands`.
        """
        check_band(self, band)
        return [_radiometric(image, band) for image in images]


def check_band(translator: InfraredTranslator, band: str) -> None:
    """Raises an `InputError` unless the translator can imitate the band."""
    if band not in translator.bands:
        raise InputError(
            f"translator {translator.name} cannot imitate band {band!r}; choose one of {', '.join(translator.bands)}"
        )


def _radiometric(rgb: np.ndarray, band: str) -> np.ndarray:
    r, g, b = np.ascontiguousarray(np.moveaxis(rgb, -1, 0)).astype(np.float32) / 255
    y = 0.299 * r + 0.587 * g + 0.114 * b
    s = r + g + b + 0.15
    v = np.maximum(0, g - np.maximum(r, b)) / s
    w = np.maximum(0, np.minimum(g, b) - r) / s
    d = np.maximum(0, r - b) / s
    if band == "nir":
        value = 0.2 + 0.6 * y + 1.5 * v - 1.5 * w + 0.5 * d
    elif band == "swir":
        value = 0.15 + 0.8 * y - 0.5 * v - 2.0 * w + 0.8 * d
    else:
        value = ndimage.gaussian_filter(0.45 - 1.0 * v - 1.5 * w + 1.5 * d - 0.3 * y, 1.5)
    return np.rint(np.clip(value, 0, 1) * 255).astype(np.uint8)


def is_only_gray(ir: np.ndarray, rgb: np.ndarray, min_r2: float = GRAY_R2) -> bool:
    """Tells whether an infrared image is a brightness-scaled or inverted gray of its RGB image.

    Compared, each by the squared Pearson correlation, are luminance (BT.601), the channel mean and each channel; a
    free mixture of the channels is not, since real bands of desert tiles come near to one.

    Args:
        ir: uint8 `(h, w)`.
        rgb: uint8 `(h, w, 3)` of the same size.
        min_r2: Explained share of the variance from which the answer is yes, 0 to 1. A flat image gives no.
    """
    lines, _ = _fits(ir[::16], rgb[::16])
    if lines.min() > 1.01 * (1 - min_r2) * float(ir.var(dtype=np.float32)) * ir.size:
        return False  # all lines together leave no less than these alone
    errors, total = _fits(ir, rgb)
    return bool(total > 0 and errors.min() <= (1 - min_r2) * total)


def _fits(ir: np.ndarray, rgb: np.ndarray) -> tuple[np.ndarray, float]:
    """Squared error that the best scale and offset of each of the five grays leave, `(5,)`, and that of a constant."""
    values = np.column_stack([rgb.reshape(-1, 3), ir.ravel()]).astype(np.float32)  # (pixels, 4)
    values -= np.rint(values[::64].mean(0))  # small whole numbers: their sums are exact enough in float32
    sums = np.ones(len(values), np.float32) @ values
    moments = (values.T @ values).astype(np.float64) - np.outer(sums, sums) / len(values)
    energy = ((GRAYS @ moments[:3, :3]) * GRAYS).sum(1)
    explained = np.divide((GRAYS @ moments[:3, 3]) ** 2, energy, out=np.zeros(len(GRAYS)), where=energy > 1e-6)
    return moments[3, 3] - explained, moments[3, 3]


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
            known = {
                "ir": {"bytes": encode_png(image), "path": None},
                "ir_origin": "translated",
                "ir_band": self.band,
                "ir_unit": "display",
                "translator": self.translator.name,
                "translator_revision": self.translator.revision,
                "translator_seed": seed,
                "translator_settings": self._settings,
            }
            for name, value in known.items():
                batch[name][index] = value
        return batch
