"""A saved dual-modal CLIP as functions from images and texts to unit-length embeddings, for embed and search."""

import hashlib
import json
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, AutoProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from fusionrs_hf.errors import InputError
from fusionrs_hf.images import open_image
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
from fusionrs_hf.processing_fusionrs_images import BROKEN, WIDE_MODES, check_infrared, check_rgb, one_channel

Picture = Image.Image | str | PathLike
# What decides an embedding beside the weights; by name, so that another version of transformers changes nothing.
MODEL_SETTINGS = ("vision_pooling", "text_pooling", "grid_size", "feature_norm", "fusion", "fusion_weight")
IMAGE_SETTINGS = (
    *("do_resize", "size", "resample", "do_center_crop", "crop_size"),
    *("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"),
)


def load_clip(path: str) -> tuple[FusionRSCLIPModel, FusionRSCLIPProcessor]:
    """Loads a FusionRS-CLIP or a plain CLIP in float32, with its processor; RGB's image settings read infrared too.

    Args:
        path: Hub id or folder.

    Raises:
        InputError: It is another kind of model, or its files lack weights.
        OSError: There is no such folder or repository.
    """
    kind = AutoConfig.from_pretrained(path).model_type
    if kind not in ("fusionrs_clip", "clip"):
        raise InputError(f"{path} is a model of type {kind!r}, expected fusionrs_clip or clip; give a dual-modal CLIP")
    model, info = FusionRSCLIPModel.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
    if info["missing_keys"]:
        raise InputError(f"{path} lacks the weights {sorted(info['missing_keys'])[:3]}; bring the model again")
    processor = AutoProcessor.from_pretrained(path)
    if not isinstance(processor, FusionRSCLIPProcessor):  # a plain CLIP's
        processor = FusionRSCLIPProcessor(processor.image_processor, processor.image_processor, processor.tokenizer)
    return model.eval(), processor


def fingerprint(model: FusionRSCLIPModel, processor: FusionRSCLIPProcessor) -> str:
    """Returns SHA-256, 64 hex, of all that decides an embedding: weights, pooling and fusion, image and text settings.

    Equal wherever the model is loaded from. Limits of infrared above 8 bit are not counted.
    """
    running = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        running.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        running.update(values.reshape(-1).view(torch.uint8).numpy())
    settings: dict[str, Any] = {name: getattr(model.config, name) for name in MODEL_SETTINGS}
    for name in ("image_processor", "ir_image_processor"):
        given = getattr(processor, name).to_dict()
        settings[name] = {key: given.get(key) for key in IMAGE_SETTINGS}
    settings["tokenizer"] = processor.tokenizer.backend_tokenizer.to_str()
    running.update(json.dumps(settings, sort_keys=True, default=str).encode())
    return running.hexdigest()


class Encoder:
    """The encoders of one model: lists of images, paths or texts in, embeddings out, a batch at a time.

    >>> from fusionrs_hf.encoders import Encoder, load_clip
    >>> encoder = Encoder(*load_clip("clip"), batch_size=256)
    >>> rgb = encoder.rgb(["a.png", "b.png"])
    >>> ir = encoder.ir(["a_ir.png", "b_ir.png"])
    >>> text = encoder.text(["a river between fields", "a town by the sea"])
    >>> cosines = {"rgb_ir": rgb @ ir.T, "rgb_text": rgb @ text.T, "ir_text": ir @ text.T}
    >>> pairs = encoder.fuse(rgb, ir)

    Args:
        model, processor: As `load_clip` gives them.
        batch_size: Images or texts at a time.
        device: Where the model runs; None: a GPU where there is one.
        bf16: Compute in bfloat16 (autocast); embeddings are normalised and returned in float32.
    """

    def __init__(
        self,
        model: FusionRSCLIPModel,
        processor: FusionRSCLIPProcessor,
        batch_size: int = 64,
        device: str | None = None,
        bf16: bool = False,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model, self.processor = model.eval().to(self.device), processor
        self.batch_size, self.bf16 = batch_size, bf16

    @property
    def size(self) -> int:
        """Length of an embedding."""
        return self.model.config.projection_dim

    def rgb(self, images: Sequence[Picture]) -> np.ndarray:
        """Returns unit-length float32 `(images, size)` of RGB images.

        Args:
            images: Mode RGB, or paths of such files, which are opened a batch at a time.

        Raises:
            InputError: A file cannot be read as RGB; it is named.
            ValueError: An image is not RGB.
        """

        def prepare(part: list[Picture]) -> dict[str, Tensor]:
            return self.processor(images=[_opened(image, check_rgb) for image in part])

        return self._batches(images, prepare, self.model.get_rgb_features)

    def ir(self, images: Sequence[Picture]) -> np.ndarray:
        """Returns unit-length float32 `(images, size)` of infrared images.

        Args:
            images: Mode L, more than 8 bit where the processor has `ir_range`, or paths of such files; a file may also
                hold three channels that agree, see `one_channel`.

        Raises:
            InputError: A file cannot be read; it is named.
            ValueError: An image is not infrared.
        """

        def prepare(part: list[Picture]) -> dict[str, Tensor]:
            return self.processor(ir_images=[_opened(image, _infrared) for image in part])

        return self._batches(images, prepare, self.model.get_ir_features)

    def text(self, texts: Sequence[str]) -> np.ndarray:
        """Returns unit-length float32 `(texts, size)`; raises ValueError for a text that is too long."""
        order = np.argsort([len(text) for text in texts], kind="stable")  # texts of one length need little padding
        found = self._batches(
            [texts[index] for index in order], lambda part: self.processor(text=part), self.model.get_text_features
        )
        return found[np.argsort(order)]

    @torch.inference_mode()
    def fuse(self, rgb: np.ndarray, ir: np.ndarray) -> np.ndarray:
        """Returns unit-length float32 `(pairs, size)` of unit-length embeddings of pairs, fused by the model."""
        pair = (torch.from_numpy(part).to(self.device) for part in (rgb, ir))
        return self.model.fuse(*pair).cpu().numpy()

    @torch.inference_mode()
    def _batches(self, items: Sequence, prepare: Any, encode: Any) -> np.ndarray:
        parts = [torch.empty(0, self.size)]
        for start in range(0, len(items), self.batch_size):
            inputs = prepare(list(items[start : start + self.batch_size]))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                features: Tensor = encode(**{name: value.to(self.device) for name, value in inputs.items()})
            parts.append(F.normalize(features.float(), dim=-1).cpu())
        return torch.cat(parts).numpy()


def _infrared(image: Image.Image) -> Image.Image:
    wide = image.mode in WIDE_MODES  # which the processor scales
    return image if wide else check_infrared(one_channel(image))


def _opened(image: Picture, read: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Returns an image as it is, or a file as `read` takes it."""
    if not isinstance(image, (str, PathLike)):
        return image
    try:
        return read(open_image(image))
    except BROKEN as error:
        raise InputError(f"{image} cannot be read as such an image: {error}") from error
