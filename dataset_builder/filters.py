"""Rules that decide whether a row is kept: each answers None or a reason code, which the runner counts.

A rule reads what it needs from the row and answers None where that is missing, so image rules may run before there
are captions or even infrared. `unreadable` is not here: sources set it.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from PIL import Image
from scipy import ndimage

from dataset_builder.recipe_rules import Thresholds, build_rules, threshold
from dataset_builder.translation import GRAY_R2, is_only_gray


class Rule(Protocol):
    """A frozen dataclass of thresholds; `reason` is its name in recipes, in `_reason` and on the card."""

    reason: ClassVar[str]

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Returns None, or the reason for which the row leaves."""
        ...


@dataclass(frozen=True, slots=True)
class ImageTooLarge:
    """An encoded image claims more pixels than any honest tile (a decompression bomb); reads headers only."""

    reason: ClassVar[str] = "image_too_large"
    max_pixels: int = threshold(50_000_000, "pixels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Looks at `rgb` and `ir` as encoded."""
        encoded = [row[name]["bytes"] for name in ("rgb", "ir") if row.get(name) and row[name].get("bytes")]
        return self.reason if any(_pixels(data) > self.max_pixels for data in encoded) else None


def _pixels(encoded: bytes) -> float:
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return float("inf")
    except OSError:
        return 0  # not an image at all: the source has called it unreadable


@dataclass(frozen=True, slots=True)
class ImageTooSmall:
    """A side of the RGB or infrared image is shorter than what any tower reads."""

    reason: ClassVar[str] = "image_too_small"
    min_side: int = threshold(32, "pixels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb` and `_ir`."""
        sides = [min(row[name].shape[:2]) for name in ("_rgb", "_ir") if row.get(name) is not None]
        return self.reason if sides and min(sides) < self.min_side else None


@dataclass(frozen=True, slots=True)
class RgbTooFlat:
    """The RGB image is nearly one colour: open water, cloud, an empty frame."""

    reason: ClassVar[str] = "rgb_too_flat"
    min_std: float = threshold(2.0, "grey levels of 255, largest of the channels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb`."""
        rgb = row.get("_rgb")
        return self.reason if rgb is not None and rgb.std((0, 1)).max() < self.min_std else None


@dataclass(frozen=True, slots=True)
class RgbIsGray:
    """The RGB image has no colour: its channels agree nearly everywhere, as in a panchromatic or mislabelled image."""

    reason: ClassVar[str] = "rgb_is_gray"
    max_difference: float = threshold(2.0, "grey levels between channels of a pixel")
    min_share: float = threshold(0.99, "share of the pixels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb`."""
        rgb = row.get("_rgb")
        if rgb is None:
            return None
        share = (rgb.max(-1) - rgb.min(-1) <= self.max_difference).mean()
        return self.reason if share >= self.min_share else None


@dataclass(frozen=True, slots=True)
class InfraredTooFlat:
    """The infrared image is nearly uniform: a failed translation, saturation, open water."""

    reason: ClassVar[str] = "ir_too_flat"
    min_std: float = threshold(2.0, "grey levels of 255")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_ir`."""
        ir = row.get("_ir")
        return self.reason if ir is not None and ir.std() < self.min_std else None


@dataclass(frozen=True, slots=True)
class TooMuchNodata:
    """Too much of the tile is empty: zero in all RGB channels and, where there is one, in the infrared."""

    reason: ClassVar[str] = "too_much_nodata"
    max_share: float = threshold(0.5, "share of the pixels")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb` and `_ir`."""
        rgb, ir = row.get("_rgb"), row.get("_ir")
        if rgb is None:
            return None
        empty = (rgb == 0).all(-1)
        if ir is not None and ir.shape == empty.shape:
            empty &= ir == 0
        return self.reason if empty.mean() > self.max_share else None


@dataclass(frozen=True, slots=True)
class InfraredIsColormapped:
    """The encoded infrared image has colours: a false-colour rendering, whose grey values mean nothing."""

    reason: ClassVar[str] = "ir_is_colormapped"
    max_difference: float = threshold(2.0, "grey levels between channels of a pixel")
    max_share: float = threshold(0.01, "share of the pixels above that")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `ir` as encoded; decodes only what has colour channels or a palette."""
        encoded = (row.get("ir") or {}).get("bytes")
        if encoded is None:
            return None
        try:
            with Image.open(io.BytesIO(encoded)) as image:
                if image.mode not in ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr"):
                    return None
                rgb = np.asarray(image.convert("RGB"))
        except OSError:
            return None  # not an image, or cut short: the source has called it unreadable
        share = (rgb.max(-1) - rgb.min(-1) > self.max_difference).mean()
        return self.reason if share > self.max_share else None


@dataclass(frozen=True, slots=True)
class SizesDiffer:
    """RGB and infrared have different sizes, so they are not aligned by pixel."""

    reason: ClassVar[str] = "sizes_differ"

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb` and `_ir`."""
        rgb, ir = _pair(row)
        return self.reason if rgb is not None and rgb.shape[:2] != ir.shape else None


@dataclass(frozen=True, slots=True)
class InfraredIsGrayOfRgb:
    """The infrared image is only the gray of the RGB image, possibly scaled or inverted."""

    reason: ClassVar[str] = "ir_is_gray_of_rgb"
    min_r2: float = threshold(GRAY_R2, "share of the infrared's variance explained by one gray")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb` and `_ir`."""
        rgb, ir = _pair(row)
        if rgb is None or rgb.shape[:2] != ir.shape:
            return None
        return self.reason if is_only_gray(ir, rgb, self.min_r2) else None


@dataclass(frozen=True, slots=True)
class Misaligned:
    """The edges of the infrared image fit those of the RGB image much better when shifted.

    Normalised correlation of windowed gradient images over shifts up to `max_shift`. A tile is hit only if the best
    shift is at least `min_shift`, scores `min_score` and `min_gain` above no shift (one pixel of play), and each half
    of the tile (upper, lower, left, right) finds the same shift by itself: meant to miss many rather than to hit a
    good pair, whose bands may well show different edges.
    """

    reason: ClassVar[str] = "rgb_ir_misaligned"
    min_shift: int = threshold(3, "pixels")
    max_shift: int = threshold(8, "pixels")
    min_score: float = threshold(0.3, "correlation, 0 to 1")
    min_gain: float = threshold(0.1, "correlation, 0 to 1")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `_rgb` and `_ir`; tiles narrower than six times `max_shift` are not judged."""
        rgb, ir = _pair(row)
        if rgb is None or rgb.shape[:2] != ir.shape or min(ir.shape) < 6 * self.max_shift:
            return None
        a, b = _edges(ir), _edges(np.asarray(Image.fromarray(rgb).convert("L")))
        scores = _shift_scores(a, b, self.max_shift)
        dy, dx = best = _best_shift(scores)
        middle = slice(self.max_shift - 1, self.max_shift + 2)
        gain = scores.max() - scores[middle, middle].max()
        if max(abs(dy), abs(dx)) < self.min_shift or scores.max() < self.min_score or gain < self.min_gain:
            return None
        half, across = ir.shape[0] // 2, ir.shape[1] // 2
        for part in (np.s_[:half], np.s_[half:], np.s_[:, :across], np.s_[:, across:]):
            y, x = _best_shift(_shift_scores(a[part], b[part], self.max_shift))
            if max(abs(y - best[0]), abs(x - best[1])) > 1:
                return None
        return self.reason


def _edges(grey: np.ndarray) -> np.ndarray:
    """Square root of the gradient magnitude after slight smoothing, `(h, w)` float32: strong edges don't dominate."""
    dy, dx = np.gradient(ndimage.gaussian_filter(grey.astype(np.float32), 1))
    return np.sqrt(np.hypot(dy, dx))


def _shift_scores(a: np.ndarray, b: np.ndarray, reach: int) -> np.ndarray:
    """Correlation of `a` with `b` moved by up to `reach` pixels, `(2 reach + 1, 2 reach + 1)`; zeros if flat."""
    window = np.outer(np.hanning(a.shape[0]), np.hanning(a.shape[1])).astype(np.float32)
    a, b = (a - a.mean()) * window, (b - b.mean()) * window
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if norm < 1e-6:
        return np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    scores = np.fft.irfft2(np.fft.rfft2(a) * np.conj(np.fft.rfft2(b)), a.shape) / norm
    return np.roll(scores, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]


def _best_shift(scores: np.ndarray) -> tuple[int, int]:
    reach = scores.shape[0] // 2
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return int(row) - reach, int(column) - reach


def _pair(row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    rgb, ir = row.get("_rgb"), row.get("_ir")
    return (None, None) if rgb is None or ir is None else (rgb, ir)


@dataclass(frozen=True, slots=True)
class CaptionEmpty:
    """The row has no caption of either kind, or one that is blank."""

    reason: ClassVar[str] = "caption_empty"

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `captions` and `ir_captions`."""
        texts = _captions(row)
        return self.reason if not texts or not all(text and text.strip() for text in texts) else None


@dataclass(frozen=True, slots=True)
class CaptionTooShort:
    """A caption says next to nothing."""

    reason: ClassVar[str] = "caption_too_short"
    min_words: int = threshold(2, "words")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `captions` and `ir_captions`; blank ones are `caption_empty`'s."""
        counts = [len(text.split()) for text in _captions(row) if text]
        return self.reason if any(0 < count < self.min_words for count in counts) else None


@dataclass(frozen=True, slots=True)
class CaptionTooLong:
    """A caption is longer than text towers read."""

    reason: ClassVar[str] = "caption_too_long"
    max_words: int = threshold(150, "words")

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Reads `captions` and `ir_captions`."""
        return self.reason if any(len(text.split()) > self.max_words for text in _captions(row) if text) else None


def _captions(row: Mapping[str, Any]) -> list[str | None]:
    return [*(row.get("captions") or []), *(row.get("ir_captions") or [])]


IMAGE_RULES: tuple[type[Rule], ...] = (
    ImageTooLarge,
    ImageTooSmall,
    RgbTooFlat,
    RgbIsGray,
    InfraredTooFlat,
    TooMuchNodata,
    InfraredIsColormapped,
)
PAIR_RULES: tuple[type[Rule], ...] = (SizesDiffer, InfraredIsGrayOfRgb, Misaligned)
TEXT_RULES: tuple[type[Rule], ...] = (CaptionEmpty, CaptionTooShort, CaptionTooLong)


def make_rules(
    thresholds: Thresholds | None = None,
    classes: Sequence[type[Rule]] = (*IMAGE_RULES, *PAIR_RULES, *TEXT_RULES),
) -> list[Rule]:
    """Builds rules from a recipe's `{rule: {threshold: value} | false}`; what it does not name keeps its defaults.

    Args:
        thresholds: By reason code; `false` leaves the rule out, `true` or null means its defaults. May name any rule,
            also one that is not among `classes`: one recipe entry serves several stages.
        classes: Rules to build, in the order in which they will be asked.

    Raises:
        InputError: A rule or threshold is unknown, or a value is not a number of at least zero.
    """
    return build_rules(thresholds, classes, (*IMAGE_RULES, *PAIR_RULES, *TEXT_RULES), "filter")


class FilterStage:
    """Batch stage: writes into `_reason` the first rule's reason that hits; rows that have a reason keep it."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = list(rules)

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        """Judges each row of the batch in the order of the rules."""
        reasons = batch.setdefault("_reason", [None] * len(batch["sample_id"]))
        for index, known in enumerate(reasons):
            if known is None:
                row = {name: values[index] for name, values in batch.items()}
                reasons[index] = next((reason for rule in self.rules if (reason := rule(row))), None)
        return batch
