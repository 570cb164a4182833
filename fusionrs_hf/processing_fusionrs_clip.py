"""The dual-modal CLIP's processor: it refuses images of the other modality, and texts that are too long.

Copied to the Hub as remote code: imports numpy, Pillow, transformers and siblings only.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

from .processing_fusionrs_arrays import unbatched
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
        images: object = None,
        ir_images: object = None,
        text: str | Sequence[str] | None = None,
        ir_bands: str | Sequence[str] | None = None,
        return_tensors: str | None = "pt",
        **text_kwargs: object,
    ) -> BatchFeature:
        """Prepares any subset of the three modalities.

        Args:
            images: RGB image or images, 8 bit: PIL images of mode RGB, or arrays or tensors of three channels.
            ir_images: Infrared image or images of one channel: PIL images of mode L or 16 bit, or arrays or tensors;
                above 8 bit `ir_range` must be known. With `images`, as many of them: row i of both is one scene.
            text: Text or texts.
            ir_bands: `ir_band` of each infrared image (or one for all), where `ir_range` has limits by band.
            return_tensors: As in transformers.
            **text_kwargs: For the tokenizer; `padding=True` unless given. Text beyond the position table is an error
                unless `truncation=True` is asked for.

        Returns:
            `pixel_values` and `ir_pixel_values` `(images, 3, height, width)`, `input_ids` and `attention_mask`
            `(texts, length)`, as given.

        Raises:
            ValueError: Nothing is given, an image is missing or of the other modality, RGB and infrared differ in
                number, limits are missing, or a text is empty or too long; the message says which image or text.
        """
        if images is None and ir_images is None and text is None:
            raise ValueError("give at least one of images=, ir_images= and text=, got none")
        data = {}
        rgb = None if images is None else _as_list("images", images)
        infrared = None if ir_images is None else _as_list("ir_images", ir_images)
        if rgb and infrared and len(rgb) != len(infrared):
            raise ValueError(
                f"image i of images= and of ir_images= is one scene, got {len(rgb)} RGB and {len(infrared)} infrared "
                "images; give what has no partner in a call of its own"
            )
        if rgb is not None:
            checked = _checked("images", rgb, check_rgb)
            data["pixel_values"] = self.image_processor(checked, return_tensors=return_tensors)["pixel_values"]
        if infrared is not None:
            pairs = zip(infrared, self.limits(ir_bands, len(infrared)), strict=True)
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
    """Returns one thing, or several, also in one array, as a list; raises ValueError where it is empty."""
    several = unbatched(value)
    if several is None:
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
