"""Another radiometry for an image: gamma, contrast, level and, in colour, a gain for each channel."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

RADIOMETRY_DRAWS = 6


def other_radiometry(image: Image.Image, strength: float, draw: Sequence[float]) -> Image.Image:
    """Returns an image as another stretch, sun or haze might have shown it; what was brighter stays so.

    Args:
        image: Mode L or RGB.
        strength: In [0, 1]. Gamma lies between exp(-strength) and exp(strength), contrast about the mean within 0.8
            strength of 1, the gain of each channel of RGB within 0.3 strength of 1, and the level is moved by up to
            0.3 strength of the range.
        draw: `RADIOMETRY_DRAWS` numbers in [0, 1) that decide everything.
    """
    gamma, contrast, level, *gains = strength * (2 * np.asarray(draw, np.float32) - 1)
    values = (np.asarray(image, np.float32) / 255) ** np.exp(gamma)  # (height, width) or (height, width, 3)
    mean = values.mean()
    values = (values - mean) * (1 + 0.8 * contrast) + mean + 0.3 * level
    if values.ndim == 3:
        values = values * (1 + 0.3 * np.asarray(gains))
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))
