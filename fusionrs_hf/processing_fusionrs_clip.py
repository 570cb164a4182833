"""The dual-modal CLIP's processor: it refuses images of the other modality, and texts that are too long.

Copied to the Hub as remote code: imports numpy, Pillow, transformers and siblings only.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

from .processing_fusionrs_images import check_infrared, check_rgb


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
        for index, entry in enumerate(texts):
            if not isinstance(entry, str) or not entry.strip():
                raise ValueError(f"text[{index}] must be a text that is not empty, got {entry!r}")
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


def _as_list(name: str, value: object) -> list:
    """Returns one thing, or several, as a list; raises ValueError where it is empty."""
    several = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not several:
        raise ValueError(f"{name}= is empty; leave it out, or give at least one")
    return several


def _checked(name: str, images: Iterable, check: Callable[[object], Image.Image]) -> list[Image.Image]:
    """Returns the checked images; an error says which of them it is about."""
    checked_images = []
    for index, image in enumerate(images):
        try:
            checked_images.append(check(image))
        except ValueError as error:
            raise ValueError(f"{name}[{index}]: {error}") from error
    return checked_images
