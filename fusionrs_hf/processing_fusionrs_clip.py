"""The dual-modal CLIP's processor, and the one place where infrared above 8 bit becomes grey levels.

Copied to the Hub as remote code: imports numpy, Pillow and transformers only.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

logger = logging.getLogger(__name__)

WIDE_MODES = ("I;16", "I;16B", "I;16L", "I", "F")


def scale_infrared(ir: np.ndarray, limits: tuple[float, float]) -> tuple[np.ndarray, float]:
    """Scales infrared linearly between declared limits to grey levels; never by the image's own minimum and maximum.

    Args:
        ir: Any real dtype, `(height, width)`.
        limits: `(low, high)` in the image's unit; low becomes 0 and high 255, what lies beyond is clipped.

    Returns:
        uint8 `(height, width)`, and the share of pixels clipped, in [0, 1].

    Raises:
        ValueError: The limits are not increasing, the array has not two dimensions, or a value is NaN or infinite.
    """
    low, high = limits
    if not low < high:
        raise ValueError(f"ir_range must be (low, high) with low < high, got {limits}")
    if ir.ndim != 2:
        raise ValueError(f"an infrared image has two dimensions (height, width), got shape {ir.shape}")
    values = ir.astype(np.float64)
    if ir.dtype.kind == "f" and (missing := values.size - np.isfinite(values).sum()):
        raise ValueError(
            f"{missing} of {values.size} values of an infrared image are NaN or infinite; fill them first, or leave "
            "the image out: what was not measured is not dark"
        )
    clipped_ratio = float(((values < low) | (values > high)).mean())
    scaled = np.clip((values - low) / (high - low), 0.0, 1.0) * 255.0
    return np.rint(scaled).astype(np.uint8), clipped_ratio


def check_rgb(image: Image.Image) -> Image.Image:
    """Returns an RGB image, refusing one without colour: converted infrared would lose its modality unseen.

    Raises:
        ValueError: It is no PIL image, its mode is not RGB, or its three channels are equal.
    """
    mode = getattr(image, "mode", None)
    if mode is None:
        raise ValueError(f"an RGB image is a PIL image of mode RGB, got {_kind(image)}; open or make it with PIL")
    if mode != "RGB":
        is_infrared = mode == "L" or mode in WIDE_MODES
        remedy = "infrared goes into ir_images=" if is_infrared else 'give image.convert("RGB")'
        raise ValueError(f"an RGB image has mode RGB, got mode {mode!r}; {remedy}")
    red, green, blue = np.moveaxis(np.asarray(image), -1, 0)
    if np.array_equal(red, green) and np.array_equal(green, blue):
        raise ValueError(
            "an RGB image has three equal channels: give infrared and grey images in mode L. A path, a URL and "
            'pipeline(images=[...]) convert to RGB: open the image with PIL and pass it as {"type": "image", "image": '
            "image} in messages, or in ir_images="
        )
    return image


def check_infrared(image: Image.Image | np.ndarray, ir_range: Sequence[float] | None = None) -> Image.Image:
    """Returns an infrared image in mode L; above 8 bit it is scaled between its limits, and what that clips is logged.

    Args:
        image: PIL image of mode L or 16 bit (I;16, I, F), or a 2-D array of dtype uint8 or wider.
        ir_range: `(low, high)` in the image's unit; required above 8 bit.

    Raises:
        ValueError: The image has not one channel, has more than 8 bit and no `ir_range`, or holds NaN or infinity.
            Grey kept in three channels (mode RGB) is refused, too: `image.convert("L")` says that it is infrared.
    """
    mode = getattr(image, "mode", None)
    if mode == "L":
        return image
    if mode not in WIDE_MODES and getattr(image, "ndim", None) != 2:
        remedy = ""
        if mode == "RGB":
            remedy = '; RGB goes into images=, and infrared kept in three grey channels goes in as image.convert("L")'
        raise ValueError(
            "an image must be of mode RGB (RGB) or of one channel, mode L or I;16 (infrared), got "
            f"{_kind(image)}{remedy}"
        )
    array = np.asarray(image)
    if array.dtype == np.uint8:
        return Image.fromarray(array)
    if ir_range is None:
        raise ValueError(
            f"infrared of dtype {array.dtype} needs limits: build the processor with ir_range=(low, high) in its own "
            "unit, or with a pair for each band and name ir_bands= in the call; in messages give 8 bit"
        )
    scaled, clipped_ratio = scale_infrared(array, tuple(ir_range))
    if clipped_ratio:
        logger.warning("ir_range %s clips %.1f %% of an infrared image", tuple(ir_range), 100 * clipped_ratio)
    return Image.fromarray(scaled)


class FusionRSCLIPProcessor(ProcessorMixin):
    """RGB images, infrared images and texts in, what `FusionRSCLIPModel` takes out; any subset.

    Args:
        image_processor, ir_image_processor: Stock transformers image processors, one a modality.
        tokenizer: The text tower's tokenizer.
        ir_range: Limits for infrared above 8 bit: `[low, high]`, or a dict of such pairs by `ir_band`.
    """

    def __init__(
        self,
        image_processor: object = None,
        ir_image_processor: object = None,
        tokenizer: object = None,
        ir_range: Sequence[float] | dict[str, Sequence[float]] | None = None,
    ) -> None:
        self.ir_range = ir_range
        super().__init__(image_processor, ir_image_processor, tokenizer)

    def __call__(
        self,
        images: Image.Image | Sequence[Image.Image] | None = None,
        ir_images: Image.Image | np.ndarray | Sequence | None = None,
        text: str | Sequence[str] | None = None,
        ir_bands: str | Sequence[str] | None = None,
        return_tensors: str | None = "pt",
        **text_kwargs: object,
    ) -> BatchFeature:
        """Prepares any subset of the three modalities.

        Args:
            images: RGB image or images, mode RGB, 8 bit.
            ir_images: Infrared image or images: mode L, 16 bit (then `ir_range` must be known), or 2-D arrays.
            text: Text or texts.
            ir_bands: `ir_band` of each infrared image (or one for all), where `ir_range` has limits by band.
            return_tensors: As in transformers.
            **text_kwargs: For the tokenizer; `padding=True` unless given. Text beyond the position table is an error
                unless `truncation=True` is asked for.

        Returns:
            `pixel_values` and `ir_pixel_values` `(images, 3, height, width)`, `input_ids` and `attention_mask`
            `(texts, length)`, as given.

        Raises:
            ValueError: Nothing is given, an image is of the other modality, limits are missing, or a text is empty or
                too long; the message says which image or text.
        """
        if images is None and ir_images is None and text is None:
            raise ValueError("give at least one of images=, ir_images= and text=, got none")
        data = {}
        if images is not None:
            checked = _checked("images", _as_list("images", images), check_rgb)
            data["pixel_values"] = self.image_processor(checked, return_tensors=return_tensors)["pixel_values"]
        if ir_images is not None:
            batch = _as_list("ir_images", ir_images)
            pairs = zip(batch, self.limits(ir_bands, len(batch)), strict=True)
            checked = _checked("ir_images", pairs, lambda pair: check_infrared(*pair))
            grey = [image.convert("RGB") for image in checked]  # one channel, replicated to the tower's three
            data["ir_pixel_values"] = self.ir_image_processor(grey, return_tensors=return_tensors)["pixel_values"]
        if text is not None:
            data.update(self._tokenize(text, return_tensors, text_kwargs))
        return BatchFeature(data)

    def limits(self, ir_bands: str | Sequence[str] | None, count: int) -> list[Sequence[float] | None]:
        """Returns the limits for infrared above 8 bit of `count` images; None where there are none for its band.

        Raises:
            ValueError: There are more bands than images, or fewer.
        """
        if not isinstance(self.ir_range, dict) or ir_bands is None:
            return [None if isinstance(self.ir_range, dict) else self.ir_range] * count
        bands = [ir_bands] * count if isinstance(ir_bands, str) else list(ir_bands)
        if len(bands) != count:
            raise ValueError(f"ir_bands must name a band for each of {count} images, got {bands}")
        return [self.ir_range.get(band) for band in bands]

    def _tokenize(self, text: str | Sequence[str], return_tensors: str | None, kwargs: dict) -> dict:
        texts = _as_list("text", text)
        for index, given in enumerate(texts):
            if not isinstance(given, str) or not given.strip():
                raise ValueError(f"text[{index}] must be a text that is not empty, got {given!r}")
        encoded = self.tokenizer(texts, **{"padding": True, **kwargs})
        longest, limit = max(map(len, encoded["input_ids"])), self.tokenizer.model_max_length
        if longest > limit:
            index = int(np.argmax([sum(mask) for mask in encoded["attention_mask"]]))
            raise ValueError(
                f"a text has {longest} tokens but the text tower reads {limit}: text[{index}], {texts[index][:40]!r}; "
                "shorten it, pass truncation=True, or stretch the positions by model.with_options(text_positions=...)"
            )
        wanted = {name: encoded[name] for name in ("input_ids", "attention_mask")}
        return BatchFeature(wanted, tensor_type=return_tensors)

    @property
    def model_input_names(self) -> list[str]:
        """Names of the tensors the model takes."""
        return ["pixel_values", "ir_pixel_values", "input_ids", "attention_mask"]


def _as_list(name: str, given: object) -> list:
    """Returns one thing, or several, as a list; raises ValueError where it is empty."""
    several = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not several:
        raise ValueError(f"{name}= is empty; leave it out, or give at least one")
    return several


def _checked(name: str, images: Iterable, check: Callable[[object], Image.Image]) -> list[Image.Image]:
    """Returns the checked images; an error says which of them it is about."""
    found = []
    for index, image in enumerate(images):
        try:
            found.append(check(image))
        except ValueError as error:
            raise ValueError(f"{name}[{index}]: {error}") from error
    return found


def _kind(image: object) -> str:
    """Returns what an image is, for an error: its mode, or its type with the shape where it has one."""
    shape = f" of shape {tuple(image.shape)}" if hasattr(image, "shape") else ""
    return getattr(image, "mode", None) or f"{type(image).__name__}{shape}"
