"""The weight-free translator: infrared-style images by a formula of the colours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dataset_builder.translators.stage import check_band

STRIP_PIXELS = 1 << 18  # that are translated at a time


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


def _radiometric(rgb: np.ndarray, band: str) -> np.ndarray:
    value = np.empty(rgb.shape[:2], np.float32)
    lines = max(1, STRIP_PIXELS // max(1, rgb.shape[1]))
    for top in range(0, len(rgb), lines):  # memory stays small for large tiles
        value[top : top + lines] = _formula(rgb[top : top + lines], band)
    if band == "lwir":
        from scipy import ndimage  # slow to import, for one band

        value = ndimage.gaussian_filter(value, 1.5)
    np.clip(value, 0, 1, out=value)
    return np.rint(np.multiply(value, 255, out=value), out=value).astype(np.uint8)


def _formula(rgb: np.ndarray, band: str) -> np.ndarray:
    r, g, b = np.ascontiguousarray(np.moveaxis(rgb, -1, 0)).astype(np.float32) / 255
    y = 0.299 * r + 0.587 * g + 0.114 * b
    s = r + g + b + 0.15
    v = np.maximum(0, g - np.maximum(r, b)) / s
    w = np.maximum(0, np.minimum(g, b) - r) / s
    d = np.maximum(0, r - b) / s
    if band == "nir":
        return 0.2 + 0.6 * y + 1.5 * v - 1.5 * w + 0.5 * d
    if band == "swir":
        return 0.15 + 0.8 * y - 0.5 * v - 2.0 * w + 0.8 * d
    return 0.45 - 1.0 * v - 1.5 * w + 1.5 * d - 0.3 * y
