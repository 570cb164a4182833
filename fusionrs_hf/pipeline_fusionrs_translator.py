"""RGB to infrared-style images with intervals, as a diffusers pipeline that loads where this package is not installed.

    pipe = DiffusionPipeline.from_pretrained(FOLDER, trust_remote_code=True)
    result = pipe(images, band="nir")
    result.images, result.interval_width, result.in_domain

Copied beside the weights: imports torch, numpy, Pillow and diffusers alone. What comes out is infrared-*style*, a
guess with an interval, never a measurement.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, ModelMixin
from diffusers.utils import BaseOutput
from PIL import Image

CORE_PX = 256  # of a large image, the side of what is translated at a time; a multiple of the coarsest stride
MARGIN_PX = 40  # around it, what is looked at besides: beyond it nothing has a say, so that parts join exactly
STEP_PX = 4 * 128 * 128  # pixels in a step of a processor, whose caches hold no more
BLOCK_PX = 64  # side of what is compared with the training tiles
DARK_SHARE = 0.01  # of a scene's pixels in each channel, those that tell its offset
KINDS = ("toa", "surface", "raw")


@dataclass
class RGB2IROutput(BaseOutput):
    """Infrared-style images of one band and what is known of them.

    Args:
        images: Median, one channel of 8 bit each, PIL images of mode L or uint8 `(height, width)`.
        low, high: Ends of the 80 % interval, uint8 `(height, width)` each.
        interval_width: Mean width of each image's interval, grey levels.
        in_domain: Whether each image is of the kind that its condition was trained on, by its own statistics.
    """

    images: list[Any]
    low: list[np.ndarray]
    high: list[np.ndarray]
    interval_width: list[float]
    in_domain: list[bool]


class RGB2IRPipeline(DiffusionPipeline):
    """Translates RGB images of any size, alone or many, to one infrared band.

    Args:
        translator: `FusionRSTranslator`.
    """

    model_cpu_offload_seq = "translator"

    def __init__(self, translator: ModelMixin) -> None:
        super().__init__()
        self.register_modules(translator=translator.to(memory_format=torch.channels_last))  # a fourth faster

    @torch.no_grad()
    def __call__(
        self,
        images: Any,
        band: str = "nir",
        condition: str = "unknown",
        reflectance: str | None = None,
        batch_size: int = 16,
        output_type: str = "pil",
    ) -> RGB2IROutput:
        """Translates.

        Args:
            images: One or many: PIL images of mode RGB or uint8 `(height, width, 3)`; with `reflectance`, arrays of
                reflectance times 10,000 (red, green, blue).
            band: One that the model offers under the condition.
            condition: A scene that the model was trained on and in whose stretch the images are shown, or `unknown`.
            reflectance: `toa` (top of atmosphere, with its offset), `surface` or `raw` (numbers whose offset is not
                known: the darkest percent of each channel of an image is taken for the training scene's); None: the
                images are 8-bit display. Sets the condition.
            batch_size: Parts of images in a step, on a processor fewer of large ones; does not change the result by
                more than rounding.
            output_type: `pil` or `np`.

        Raises:
            ValueError: Band, condition, kind, or an image is none of these.
        """
        if output_type not in ("pil", "np"):
            raise ValueError(f"output_type must be pil or np, got {output_type!r}")
        images = [images] if isinstance(images, Image.Image) or getattr(images, "ndim", 0) == 3 else list(images)
        if reflectance is None:
            shown = [display_values(image) for image in images]
        else:
            condition = self.reflectance_condition()
            shown = [self.show_reflectance(np.asarray(image), reflectance) for image in images]
        predicted = [to_grey(values) for values in self.predict(shown, band, condition, batch_size)]
        medians = [grey[1] for grey in predicted]
        return RGB2IROutput(
            images=[Image.fromarray(median) for median in medians] if output_type == "pil" else medians,
            low=[grey[0] for grey in predicted],
            high=[grey[2] for grey in predicted],
            interval_width=[float(grey[2].astype(np.float32).mean() - grey[0].mean()) for grey in predicted],
            in_domain=[self.is_in_domain(values, condition) for values in shown],
        )

    @torch.no_grad()
    def predict(
        self,
        images: Sequence[np.ndarray],
        band: str,
        condition: str,
        batch_size: int = 16,
        core_px: int = CORE_PX,
    ) -> list[np.ndarray]:
        """Returns low, median and high of one band, float32 `(3, height, width)` each, not clipped.

        Args:
            images: float32 `(height, width, 3)` in 0 to 1, each of its own size.
            band, condition, batch_size: As in the call.
            core_px: Side of the parts that larger images are cut into; a multiple of 4.

        Raises:
            ValueError: The condition or its bands are others, or the weights hold NaN.
        """
        place, channel = self.translator.condition_index(condition), self.check_band(band, condition)
        results = [np.empty((3, *image.shape[:2]), np.float32) for image in images]
        device = self._execution_device
        for group in _in_batches(_parts(images, core_px), batch_size, STEP_PX if device.type == "cpu" else None):
            stacked = torch.from_numpy(np.stack([images[index][window] for index, window, _ in group]))
            rgb = stacked.permute(0, 3, 1, 2).to(device, self.translator.dtype)
            which = torch.full((len(group),), place, dtype=torch.long, device=rgb.device)
            values = self.translator(rgb, which).quantiles[:, channel].float().cpu().numpy()
            if not np.isfinite(values).all():
                raise ValueError("the translator gave NaN or infinity: its weights are damaged; get them again")
            for (index, window, core), part in zip(group, values):
                inner = tuple(slice(c.start - w.start, c.stop - w.start) for c, w in zip(core, window))
                results[index][(slice(None), *core)] = part[(slice(None), *inner)]
        return results

    def check_band(self, band: str, condition: str) -> int:
        """Returns the place of a band among the outputs; raises ValueError where it is not offered."""
        offered = self.translator.bands_of(condition)
        if band not in offered:
            raise ValueError(
                f"band must be one of {', '.join(offered)} under condition {condition!r}, got {band!r}; other bands "
                "are offered where the scene is known"
            )
        return list(self.translator.config.bands).index(band)

    @torch.no_grad()
    def domain_distance(self, image: np.ndarray, condition: str) -> np.ndarray:
        """Returns, for each block of an image, its distance from the training tiles; beyond 1 it is of another kind.

        Args:
            image: float32 `(height, width, 3)` in 0 to 1.
            condition: As in the call; of `unknown` the nearest condition's tiles are asked.
        """
        place = self.translator.condition_index(condition)
        height, width = image.shape[:2]
        rows = range(0, max(1, height // BLOCK_PX) * BLOCK_PX, BLOCK_PX)
        columns = range(0, max(1, width // BLOCK_PX) * BLOCK_PX, BLOCK_PX)
        blocks = [image[row : row + BLOCK_PX, column : column + BLOCK_PX] for row in rows for column in columns]
        rgb = torch.from_numpy(np.stack(blocks).transpose(0, 3, 1, 2).copy()).to(self._execution_device)
        return self.translator.domain_distance(rgb, place).cpu().numpy()

    def is_in_domain(self, image: np.ndarray, condition: str) -> bool:
        """Whether at least half of an image's blocks lie within the training tiles' limit."""
        return bool((self.domain_distance(image, condition) <= 1).mean() >= 0.5)

    def reflectance_condition(self) -> str:
        """Returns the condition under which reflectance is translated; raises ValueError where there is none."""
        if self.translator.config.reflectance_condition is None:
            raise ValueError("this translator takes no reflectance, only 8-bit display; leave reflectance out")
        return self.translator.config.reflectance_condition

    def show_reflectance(self, values: np.ndarray, kind: str, dark: Sequence[float] | None = None) -> np.ndarray:
        """Returns reflectance as the training scene's display shows it, float32 `(height, width, 3)` in 0 to 1.

        The ratios between channels stay, which no stretch of an image by its own percentiles keeps.

        Args:
            values: `(height, width, 3)`, reflectance times 10,000.
            kind: As `reflectance` in the call.
            dark: Offset of each channel for `surface` and `raw`; None: of these values.

        Raises:
            ValueError: The kind is none of these, or the values are no three finite channels.
        """
        if kind not in KINDS:
            raise ValueError(f"reflectance must be one of {', '.join(KINDS)}, got {kind!r}")
        if values.ndim != 3 or values.shape[2] != 3 or not np.isfinite(values).all():
            raise ValueError(f"reflectance must be finite, of shape (height, width, 3), got shape {values.shape}")
        stretch = self.translator.config.stretches[self.reflectance_condition()]
        low, high = np.asarray(stretch["rgb"], np.float32).T
        values = values.astype(np.float32)
        if kind != "toa":
            values = values - np.asarray(dark_level(values) if dark is None else dark, np.float32) + low
        return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)

    def save_config(self, save_directory: str, push_to_hub: bool = False, **options: Any) -> None:
        """Saves what the pipeline consists of, and this file beside it, so that it loads where it is not installed."""
        super().save_config(save_directory, push_to_hub=push_to_hub, **options)
        folder, source = Path(save_directory), Path(__file__)
        index = json.loads((folder / self.config_name).read_text())
        index["_class_name"] = [source.stem, type(self).__name__]
        index["translator"] = ["modeling_fusionrs_translator", type(self.translator).__name__]
        (folder / self.config_name).write_text(json.dumps(index, indent=2) + "\n")
        if source.parent.resolve() != folder.resolve():
            shutil.copyfile(source, folder / source.name)


def display_values(image: Any) -> np.ndarray:
    """Returns an 8-bit RGB image as float32 `(height, width, 3)` in 0 to 1; raises ValueError for anything else."""
    mode = getattr(image, "mode", None)
    array = np.asarray(image)
    if (
        mode not in (None, "RGB")
        or array.dtype != np.uint8
        or array.ndim != 3
        or array.shape[2] != 3
        or not array.size
    ):
        shown = f"mode {mode}" if mode else f"{array.dtype} of shape {array.shape}"
        raise ValueError(f'an image must be RGB of 8 bit, got {shown}; give image.convert("RGB")')
    return array.astype(np.float32) / 255


def dark_level(values: np.ndarray) -> np.ndarray:
    """Returns the offset of each channel of `(height, width, channels)`: its first percentile."""
    return np.quantile(values.reshape(-1, values.shape[2]), DARK_SHARE, axis=0)


def to_grey(values: np.ndarray) -> np.ndarray:
    """Returns uint8 of values in 0 to 1; what lies beyond is clipped."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _parts(
    images: Sequence[np.ndarray], core_px: int
) -> Iterator[tuple[int, tuple[slice, slice], tuple[slice, slice]]]:
    """Yields (image, window with margin, core) so that the cores cover each image once."""
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        for row in range(0, height, core_px):
            for column in range(0, width, core_px):
                core = (slice(row, min(row + core_px, height)), slice(column, min(column + core_px, width)))
                window = tuple(
                    slice(max(0, part.start - MARGIN_PX), min(part.stop + MARGIN_PX, length))
                    for part, length in zip(core, (height, width))
                )
                yield index, window, core


def _in_batches(parts: Iterator[tuple], batch_size: int, pixels: int | None = None) -> Iterator[list[tuple]]:
    """Yields parts of equal size together, `batch_size` and so many pixels at most, but one part at least."""
    waiting: dict[tuple[int, ...], list[tuple]] = {}
    for part in parts:
        size = tuple(edge.stop - edge.start for edge in part[1])
        most = batch_size if pixels is None else min(batch_size, pixels // (size[0] * size[1]))
        group = waiting.setdefault(size, [])
        group.append(part)
        if len(group) >= max(1, most):
            yield waiting.pop(size)
    yield from waiting.values()
