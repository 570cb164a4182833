"""The VLM's processor: it writes each image's modality into the text, and refuses images whose modality is in doubt.

Copied to the Hub as remote code: imports numpy, Pillow, transformers and siblings only.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer, BatchFeature, ProcessorMixin
from transformers.image_utils import load_image

from .configuration_fusionrs_vlm import IMAGE_TOKEN, MODALITY_TOKENS
from .processing_fusionrs_arrays import as_picture, unbatched
from .processing_fusionrs_images import check_infrared, check_rgb

# ChatML, which SmolLM2 and Qwen speak, without their default system prompt: images cost enough tokens.
CHAT_TEMPLATE = """\
{%- macro content_of(message) %}
{%- if message['content'] is string %}{{- message['content'] }}
{%- else %}{%- for block in message['content'] %}
{{- '<image>' if block['type'] == 'image' else block['text'] }}
{%- endfor %}{%- endif %}
{%- endmacro %}
{%- for message in messages %}
{{- ('' if loop.first else '\\n') + '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['role'] == 'assistant' %}
{%- generation %}{{- content_of(message) + '<|im_end|>' }}{%- endgeneration %}
{%- else %}{{- content_of(message) + '<|im_end|>' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '\\n<|im_start|>assistant\\n' }}{%- endif %}"""


class FusionRSVLMProcessor(ProcessorMixin):
    """Images and text in, what `FusionRSVLMForConditionalGeneration` takes out.

    Each `<image>` of the text becomes `<rgb>` or `<ir>`, by the image's mode, and `num_image_tokens` times `<image>`.
    Write `<ir><image>` to say which modality is meant: a contradicting image is refused.

    Args:
        image_processor, ir_image_processor: Stock transformers image processors, one a modality, of equal output size.
        tokenizer: Knows `<rgb>`, `<ir>` and `<image>`.
        num_image_tokens: `config.num_image_tokens` of the model.
        ir_range: Limits for infrared above 8 bit: `[low, high]`, or a dict of such pairs by `ir_band`.
        chat_template: Jinja template; None takes a short ChatML.
    """

    def __init__(
        self,
        image_processor: object = None,
        ir_image_processor: object = None,
        tokenizer: object = None,
        num_image_tokens: int = 9,
        ir_range: Sequence[float] | dict[str, Sequence[float]] | None = None,
        chat_template: str | None = None,
    ) -> None:
        self.num_image_tokens, self.ir_range = num_image_tokens, ir_range
        self.image_token = IMAGE_TOKEN
        self.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        super().__init__(
            image_processor,
            ir_image_processor,
            tokenizer,
            chat_template=chat_template or CHAT_TEMPLATE,
        )

    @classmethod
    def from_towers(
        cls, clip_model: str, language_model: str, num_image_tokens: int, **options: object
    ) -> "FusionRSVLMProcessor":
        """Takes image processors and `ir_range` from a CLIP, or a bare image tower, and a language model's tokenizer.

        Args:
            clip_model, language_model: As for `FusionRSVLMForConditionalGeneration.from_towers`, folders or Hub ids.
            num_image_tokens: Of that model's configuration.
            **options: Other arguments of the processor; they win over the CLIP's.
        """
        clip = AutoProcessor.from_pretrained(clip_model)
        if not hasattr(clip, "ir_image_processor"):
            clip = None
        rgb = clip.image_processor if clip else AutoImageProcessor.from_pretrained(clip_model)
        tokenizer = AutoTokenizer.from_pretrained(language_model, padding_side="left")
        tokenizer.add_tokens([*MODALITY_TOKENS.values(), IMAGE_TOKEN], special_tokens=True)
        options = {"ir_range": clip.ir_range if clip else None, **options}
        return cls(rgb, clip.ir_image_processor if clip else rgb, tokenizer, num_image_tokens, **options)

    def __call__(
        self,
        images: object = None,
        text: str | list[str] | None = None,
        ir_bands: str | Sequence[str] | None = None,
        **kwargs: object,
    ) -> BatchFeature:
        """Prepares text with any number of images.

        Args:
            images: One image, or several, flat or nested by text, in text order. Mode RGB, or an array or tensor of
                three channels, is RGB; mode L, 16 bit with known limits, or an array of one channel is infrared.
            text: With one `<image>` for each image, where images are nested of its own.
            ir_bands: `ir_band` of each infrared image (or one for all), where `ir_range` has limits by band.
            **kwargs: As in transformers, `padding=True` and `return_tensors="pt"` among them.

        Returns:
            `input_ids`, `attention_mask` `(texts, length)` and `pixel_values` `(images, 3, height, width)`.

        Raises:
            ValueError: An image is missing, its modality is in doubt or not the one the text says, limits are missing,
                or the counts of images and `<image>` differ, in all or, where images are nested, in one text.
        """
        if images is not None:
            images = self._checked(_in_text_order(images, text), ir_bands) or None
        return super().__call__(images=images, text=text, **kwargs)

    def _checked(self, images: list, ir_bands: str | Sequence[str] | None) -> list[Image.Image]:
        """Returns the images in mode RGB or L, in order; an error says which of them it is about."""
        one_band = ir_bands is None or isinstance(ir_bands, str)
        bands = [] if one_band else list(ir_bands)
        checked, infrared = [], 0
        for index, image in enumerate(images):
            band = None
            try:
                picture = as_picture(load_image(image) if isinstance(image, str) else image)
                if getattr(picture, "mode", None) == "RGB":
                    checked.append(check_rgb(picture))
                    continue
                band = ir_bands if one_band else bands[infrared] if infrared < len(bands) else None
                checked.append(check_infrared(picture, self.limits(band)))
                infrared += 1
            except ValueError as error:
                where = f"images[{index}]" if band is None else f"images[{index}] of ir_bands={band!r}"
                raise ValueError(f"{where}: {error}") from error
        if not one_band and len(bands) != infrared:
            raise ValueError(f"ir_bands must name a band for each of {infrared} infrared images, got {bands}")
        return checked

    def limits(self, ir_band: str | None) -> Sequence[float] | None:
        """Returns the known limits for a band, or None."""
        return self.ir_range.get(ir_band) if isinstance(self.ir_range, Mapping) else self.ir_range

    def _process_images(self, images: list[Image.Image], **kwargs: object) -> tuple[dict[str, np.ndarray], list[str]]:
        """Returns `pixel_values` in the order given, and the text that replaces each `<image>`."""
        kwargs |= {"return_tensors": "np"}
        is_rgb = np.array([image.mode == "RGB" for image in images])
        pixels: list[np.ndarray | None] = [None] * len(images)
        for processor, wanted in ((self.image_processor, is_rgb), (self.ir_image_processor, ~is_rgb)):
            members = np.flatnonzero(wanted)
            if len(members):
                batch = processor([images[index].convert("RGB") for index in members], **kwargs)["pixel_values"]
                for index, values in zip(members, batch):  # (3, height, width)
                    pixels[index] = values
        run = IMAGE_TOKEN * self.num_image_tokens
        return {"pixel_values": np.stack(pixels)}, [MODALITY_TOKENS["rgb" if rgb else "ir"] + run for rgb in is_rgb]

    def get_text_with_replacements(
        self, text: list[str], images_replacements: Sequence[str] = (), *others: list
    ) -> tuple[list[str], list]:
        """Writes each image's marker and run in place of `<image>`; a marker that the text already has is checked.

        Raises:
            ValueError: The text says another modality than the image has.
        """
        markers = "|".join(MODALITY_TOKENS.values())
        written = [marker for sample in text for marker in re.findall(f"({markers})?{IMAGE_TOKEN}", sample)]
        replacements = []
        for index, (marker, replacement) in enumerate(zip(written, images_replacements)):
            if marker and not replacement.startswith(marker):
                modality = replacement.split(">")[0].strip("<")
                raise ValueError(
                    f"image {index} is given as {marker} but its mode makes it {modality}: infrared has one channel "
                    "(mode L or I;16), RGB three"
                )
            replacements.append(replacement.removeprefix(marker))
        return super().get_text_with_replacements(text, replacements, *others)

    @property
    def model_input_names(self) -> list[str]:
        """Names of the tensors the model takes."""
        return ["input_ids", "attention_mask", "pixel_values"]


def _in_text_order(images: object, text: object) -> list:
    """Returns images in one list, however they are nested by text.

    Args:
        images: An image; a list of them, or a batch in one array; or a list of such lists or batches, one a text.
        text: As the processor takes it.

    Raises:
        ValueError: The nesting is by another number of texts, a text has not as many `<image>` as it has images, or
            images stand both beside lists and in them.
    """
    listed = _listed(images)
    if listed is None:
        return [images]
    nested = [_listed(entry) for entry in listed]
    if all(entry is None for entry in nested):
        return listed
    if (odd := next((index for index, entry in enumerate(nested) if entry is None), None)) is not None:
        raise ValueError(
            f"images= holds lists, one a text, but images[{odd}] is {type(listed[odd]).__name__}; give [] to a text "
            "without images, or all images in one list"
        )
    texts = [text] if isinstance(text, str) else list(text or ())
    numbered = list(enumerate(texts))
    if len(numbered) != len(nested):  # as stock processors take it: no list for a text without images
        numbered = [(index, sample) for index, sample in numbered if IMAGE_TOKEN in sample]
    if texts and len(numbered) != len(nested):
        raise ValueError(f"images= holds a list for each text, got {len(nested)} lists and {len(texts)} texts")
    for entry, (index, sample) in zip(nested, numbered):
        if len(entry) != (wanted := sample.count(IMAGE_TOKEN)):
            raise ValueError(f"text[{index}] has {wanted} {IMAGE_TOKEN} but images[{index}] holds {len(entry)} images")
    return [image for entry in nested for image in entry]


def _listed(images: object) -> list | None:
    """Returns a list, a tuple, a column or a batch as a list; None for one image."""
    if isinstance(images, Sequence) and not isinstance(images, str):
        return list(images)
    return unbatched(images)
