"""Random changes of a training pair that keep RGB and infrared aligned, and its caption true."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageEnhance

from dataset_builder.claims.place_names import DIRECTION_WORDS, PLACE_WORDS
from dataset_builder.claims.reading import read_claims
from training.data.radiometry import RADIOMETRY_DRAWS, other_radiometry

DRAWS = 7 + 2 * RADIOMETRY_DRAWS
SYMMETRIES = (None, *Image.Transpose)  # of the square: four turns, each as it is or mirrored
# Said of a turned image these would be false, too; of a mirrored one not all.
_ORIENTATION = {"horizontal", "horizontally", "vertical", "vertically", "diagonal", "diagonally", "clockwise"}
_BESIDE_VISIBLE = {
    "relation",
    "local relation",
    "object relation",
    "disagreement",
    "visible",
    "thing",
}  # kinds of claims
_WORD = re.compile("[a-z]+")


@dataclass(frozen=True, slots=True)
class PairAugmentation:
    """One random window and one random symmetry for both images of a pair; other colours, another radiometry for each.

    A pair whose caption names a direction is not turned, one whose caption names any place is not cut, and one whose
    caption compares infrared with the visible image keeps its colours. Infrared of which a caption states anything
    keeps its values. A pair that would be left without colour stays as it is, all of it: the processor would take its
    RGB for infrared.

    Args:
        crop: Smallest share of the image's area that a window keeps, in (0, 1]. It has the image's proportions and is
            not brought back to the image's size: the processor does that.
        flip: Draw one of the square's eight symmetries.
        color: Brightness, contrast and saturation of the RGB are each multiplied by 1 - color to 1 + color, in [0, 1).
        radiometry: Strength by which RGB and infrared of 8 bit, apart, are changed as `other_radiometry` does.
    """

    crop: float = 1.0
    flip: bool = False
    color: float = 0.0
    radiometry: float = 0.0

    def __bool__(self) -> bool:
        return self.crop < 1 or self.flip or self.color > 0 or self.radiometry > 0

    def __call__(
        self, rgb: Image.Image, ir: Image.Image, caption: str, draw: Sequence[float]
    ) -> tuple[Image.Image, Image.Image]:
        """Returns both images changed alike.

        Args:
            rgb: Mode RGB.
            ir: One channel, 8 or, without `radiometry`, 16 bit; it shows what the RGB shows, if of another size, too.
            caption: The text that the pair is shown with.
            draw: `DRAWS` numbers in [0, 1) that decide everything.
        """
        words, pair = set(_WORD.findall(caption.casefold())), (rgb, ir)
        if self.flip and not words & (DIRECTION_WORDS | _ORIENTATION):
            symmetry = SYMMETRIES[int(draw[0] * len(SYMMETRIES))]
            pair = tuple(image if symmetry is None else image.transpose(symmetry) for image in pair)
        if self.crop < 1 and not words & PLACE_WORDS:
            side = math.sqrt(self.crop + draw[1] * (1 - self.crop))  # share of the image's
            left, top = draw[2] * (1 - side), draw[3] * (1 - side)
            pair = tuple(_window(image, left, top, side) for image in pair)
        changed, infrared = pair
        recolours = self.color or self.radiometry
        if recolours and not any(claim.kind in _BESIDE_VISIBLE for claim in read_claims(caption, False)):
            changed = self._other_colours(changed, draw[4:])
        if self.radiometry and not read_claims(caption):
            infrared = other_radiometry(infrared, self.radiometry, draw[-RADIOMETRY_DRAWS:])
        return (changed, infrared) if _has_colour(changed) else (rgb, ir)

    def _other_colours(self, rgb: Image.Image, draw: Sequence[float]) -> Image.Image:
        if self.color:
            for enhance, number in zip((ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), draw):
                rgb = enhance(rgb).enhance(1 + self.color * (2 * number - 1))
        return other_radiometry(rgb, self.radiometry, draw[3:][:RADIOMETRY_DRAWS]) if self.radiometry else rgb


def _window(image: Image.Image, left: float, top: float, side: float) -> Image.Image:
    width, height = image.size
    x, y = round(left * width), round(top * height)
    return image.crop((x, y, x + max(1, round(side * width)), y + max(1, round(side * height))))


def _has_colour(image: Image.Image) -> bool:
    first, *others = (band.tobytes() for band in image.split())
    return any(band != first for band in others)
