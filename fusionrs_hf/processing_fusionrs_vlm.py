"""The VLM's processor: it writes each image's modality into the text, and refuses images whose modality is in doubt.

Copied to the Hub as remote code: imports numpy, Pillow, transformers and siblings only.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer, BatchFeature, ProcessorMixin
from transformers.image_utils import make_flat_list_of_images

from .configuration_fusionrs_vlm import IMAGE_TOKEN, MODALITY_TOKENS
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
            images: PIL images, flat or nested by text, in text order: mode RGB is RGB; L, or 16 bit with known limits,
                is infrared.
            text: With one `<image>` for each image.
            ir_bands: `ir_band` of each infrared image (or one for all), where `ir_range` has limits by band.
            **kwargs: As in transformers, `padding=True` and `return_tensors="pt"` among them.

        Returns:
            `input_ids`, `attention_mask` `(texts, length)` and `pixel_values` `(images, 3, height, width)`.

        Raises:
            ValueError: An image's modality is in doubt or not the one the text says, limits are missing, or the counts
                of images and `<image>` differ.
        """
        if images is not None:
            flat = make_flat_list_of_images(self.image_processor.fetch_images(images))
            images = self._checked(flat, ir_bands)
        return super().__call__(images=images, text=text, **kwargs)

    def _checked(self, images: list[Image.Image], ir_bands: str | Sequence[str] | None) -> list[Image.Image]:
        """Returns the images in mode RGB or L, in order."""
        infrared = sum(getattr(image, "mode", None) != "RGB" for image in images)
        bands = iter([ir_bands] * infrared if ir_bands is None or isinstance(ir_bands, str) else ir_bands)
        return [
            check_rgb(image)
            if getattr(image, "mode", None) == "RGB"
            else check_infrared(image, self.limits(next(bands, None)))
            for image in images
        ]

    def limits(self, ir_band: str | None) -> Sequence[float] | None:
        """Returns the known limits for a band, or None."""
        if not isinstance(self.ir_range, Mapping):
            return self.ir_range
        if ir_band is not None and ir_band not in self.ir_range:
            raise ValueError(f"ir_bands must name bands of ir_range, {sorted(self.ir_range)}, got {ir_band!r}")
        return self.ir_range.get(ir_band)

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
