"""A saved dual-modal CLIP as functions from images and texts to unit-length embeddings, for search and for scores."""

import hashlib
import json
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, AutoProcessor

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.folder_manifest import require_finished
from fusionrs_hf.images import open_image
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.modeling_fusionrs_features import check_pairs
from fusionrs_hf.processing_fusionrs_arrays import as_picture
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
from fusionrs_hf.processing_fusionrs_images import BROKEN, WIDE_MODES, check_infrared, check_rgb, one_channel
from fusionrs_hf.weights import (
    check_folder,
    check_model,
    check_source,
    check_tokenizer,
    check_tokenizer_files,
    loading,
)

Picture = Image.Image | np.ndarray | Tensor | str | PathLike
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
        InputError: There is no such folder or repository, it is another kind of model, its training or conversion is
            not finished, or its files lack weights or hold others than plain finite ones.
    """
    check_source(path)
    if Path(path).is_dir():
        require_finished(Path(path))
        check_folder(Path(path))
        check_tokenizer_files(Path(path))
    with loading(path, "a dual-modal or plain CLIP"):
        return _load_clip(path)


def _load_clip(path: str) -> tuple[FusionRSCLIPModel, FusionRSCLIPProcessor]:
    kind = AutoConfig.from_pretrained(path).model_type
    if kind not in ("fusionrs_clip", "clip"):
        raise InputError(
            f"{path} is a model of type {shown(kind)}, expected fusionrs_clip or clip; give a dual-modal CLIP"
        )
    model, info = FusionRSCLIPModel.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
    if info["missing_keys"]:
        raise InputError(f"{path} lacks the weights {sorted(info['missing_keys'])[:3]}; bring the model again")
    check_model(model, path)
    processor = AutoProcessor.from_pretrained(path, trust_remote_code=False)
    check_tokenizer(processor.tokenizer, path)
    if not isinstance(processor, FusionRSCLIPProcessor):  # a plain CLIP's
        processor = FusionRSCLIPProcessor(processor.image_processor, processor.image_processor, processor.tokenizer)
    return model.eval(), processor


def model_fingerprint(model: FusionRSCLIPModel, processor: FusionRSCLIPProcessor) -> str:
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
        image_settings = getattr(processor, name).to_dict()
        settings[name] = {key: image_settings.get(key) for key in IMAGE_SETTINGS}
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
        memory: Encode no image and no text twice; what is kept are their features, not they themselves.
        pooled: Images give the tower's pooled features, without projection.
        standardise: With `pooled`: those features by the model's `feature_norm`; may be changed between calls.
        declared: What is given as RGB is RGB by where it comes from: the processor's check of its colours is left out,
            since public sets hold grey photographs. Infrared is checked as ever.
    """

    def __init__(
        self,
        model: FusionRSCLIPModel,
        processor: FusionRSCLIPProcessor,
        batch_size: int = 64,
        device: str | torch.device | None = None,
        bf16: bool = False,
        *,
        memory: bool = False,
        pooled: bool = False,
        standardise: bool = False,
        declared: bool = False,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model, self.processor = model.eval().to(self.device), processor
        self.batch_size, self.bf16 = batch_size, bf16
        self.pooled, self.standardise, self.declared = pooled, standardise, declared
        self.memory: dict[tuple[str, bytes], Tensor] | None = {} if memory else None

    @classmethod
    def for_scores(cls, model: FusionRSCLIPModel, processor: FusionRSCLIPProcessor, **options: object) -> Self:
        """Returns an encoder that scores a model: it remembers, and leaves the model on its device.

        Rows of one tile in several bands repeat its RGB image, and tables by source and band repeat all.

        Args:
            model, processor: As `load_clip` gives them.
            **options: Others of the constructor's.
        """
        return cls(model, processor, **{"device": model.device, "memory": True, **options})

    @property
    def size(self) -> int:
        """Length of an embedding."""
        return self.model.config.projection_dim

    def rgb(self, images: Sequence[Picture]) -> np.ndarray:
        """Returns unit-length float32 `(images, size)` of RGB images.

        Args:
            images: As the processor takes them, or paths of files; a lazy column of a dataset is decoded a batch at a
                time, as files are opened.

        Raises:
            InputError: A file cannot be read as RGB; it is named.
            ValueError: It is no list, or an image is missing or not RGB.
        """

        def prepare(part: list[Picture], start: int) -> list[Image.Image]:
            return [
                _opened(image, place, None if self.declared else check_rgb) for place, image in enumerate(part, start)
            ]

        return self._embed(images, "rgb", prepare)

    def ir(self, images: Sequence[Picture], bands: Sequence[str] | None = None) -> np.ndarray:
        """Returns unit-length float32 `(images, size)` of infrared images.

        Args:
            images: As the processor takes them, more than 8 bit where it has `ir_range`, or paths of files; a file may
                also hold three channels that agree, see `one_channel`.
            bands: `ir_band` of each image, where the processor's `ir_range` has limits by band.

        Raises:
            InputError: A file cannot be read; it is named.
            ValueError: It is no list, or an image is missing or not infrared.
        """

        def prepare(part: list[Picture], start: int) -> list[Image.Image]:
            pictures = [_opened(image, place, _infrared) for place, image in enumerate(part, start)]
            if bands is None:
                return pictures
            limits = self.processor.limits(bands[start : start + len(part)], len(part))
            return [check_infrared(image, pair) for image, pair in zip(pictures, limits)]

        return self._embed(images, "ir", prepare)

    def text(self, texts: Sequence[str]) -> np.ndarray:
        """Returns unit-length float32 `(texts, size)`; raises ValueError for no list, and a text that is too long."""
        _check_several(texts, "text")
        if self.memory is None:
            return self._by_length(texts)
        self._by_length([text for text in sorted(set(texts)) if _key("text", text) not in self.memory])
        return self._embed(texts, "text", lambda part, start: part)  # all are remembered by now

    def _by_length(self, texts: Sequence[str]) -> np.ndarray:
        order = np.argsort([len(text) for text in texts], kind="stable")  # texts of one length need little padding
        embeds = self._embed([texts[index] for index in order], "text", lambda part, start: part)
        return embeds[np.argsort(order)]

    def fuse(self, rgb: np.ndarray, ir: np.ndarray, weight: float | None = None) -> np.ndarray:
        """Returns unit-length float32 `(pairs, size)` of pairs.

        Args:
            rgb, ir: Unit-length embeddings of the same scenes, `(pairs, size)`.
            weight: Of infrared in the mean, in [0, 1]; None: as the model fuses.

        Raises:
            ValueError: They differ in number.
        """
        check_pairs(rgb, ir)
        first, second = torch.from_numpy(rgb), torch.from_numpy(ir)
        if weight is not None:
            return F.normalize(weight * second + (1 - weight) * first, dim=-1).numpy()
        with torch.inference_mode():
            return self.model.fuse(first.to(self.device), second.to(self.device)).cpu().numpy()

    @torch.inference_mode()
    def _embed(self, items: Sequence, modality: str, prepare: Callable[[list, int], list]) -> np.ndarray:
        """Returns unit-length embeddings `(items, size)`.

        Args:
            items: Images or texts; a batch at a time is taken from them.
            modality: `rgb`, `ir` or `text`.
            prepare: A batch and the place of its first item -> what the processor takes.
        """
        _check_several(items, modality)
        parts = []
        for start in range(0, len(items), self.batch_size):
            batch = prepare(list(items[start : start + self.batch_size]), start)
            features = self._features(batch, modality) if self.memory is None else self._recalled(batch, modality)
            if self.standardise and modality != "text":
                standard = self.model.feature_norm(features.to(self.device), modality)
                features = standard.to(features.device)
            parts.append(F.normalize(features, dim=-1).cpu())
        return torch.cat(parts or [torch.empty(0, self.size)]).numpy()

    def _features(self, batch: list, modality: str) -> Tensor:
        """Returns what the model makes of a batch, before it has unit length: float32 `(items, size)`."""
        if modality == "rgb" and self.declared:
            inputs = self.processor.image_processor(batch, return_tensors="pt")
        else:
            inputs = self.processor(**{{"rgb": "images", "ir": "ir_images", "text": "text"}[modality]: batch})
        tensors = {name: value.to(self.device) for name, value in inputs.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            if modality == "text":
                return self.model.get_text_features(**tensors).float()
            (pixels,) = tensors.values()  # (images, 3, height, width)
            if self.pooled:
                return self.model.get_pooled_features(pixels, modality).float()
            encode = self.model.get_rgb_features if modality == "rgb" else self.model.get_ir_features
            return encode(pixels).float()

    def _recalled(self, batch: list, modality: str) -> Tensor:
        """Returns `_features` on the CPU; the model makes them only of what is new."""
        keys = [_key(modality, item) for item in batch]
        unseen = {key: item for key, item in zip(keys, batch) if key not in self.memory}
        if unseen:
            self.memory.update(zip(unseen, self._features(list(unseen.values()), modality).cpu()))
        return torch.stack([self.memory[key] for key in keys])


def _key(modality: str, item: Image.Image | np.ndarray | str) -> tuple[str, bytes]:
    if modality == "text":
        return modality, item.encode()
    array = np.asarray(item)
    return modality, hashlib.sha256(repr((array.shape, array.dtype.str)).encode() + array.tobytes()).digest()


def _infrared(image: Image.Image) -> Image.Image:
    wide = image.mode in WIDE_MODES  # which the processor scales
    return image if wide else check_infrared(one_channel(image))


def _opened(image: Picture, place: int, read: Callable[[Image.Image], Image.Image] | None) -> Any:
    """Returns an image by `as_picture`, or a file as `read` takes it; raises ValueError where there is none."""
    if not isinstance(image, (str, PathLike)):
        try:
            return as_picture(image)
        except ValueError as error:
            raise ValueError(f"image {place}: {error}") from error
    try:
        opened = open_image(image)
        return opened if read is None else read(opened)
    except BROKEN as error:
        raise InputError(f"{image} cannot be read as such an image: {error}") from error


def _check_several(items: object, what: str) -> None:
    """Refuses one image or text where a list of them is wanted: of a text each letter would be taken for one."""
    if isinstance(items, (str, PathLike, Image.Image)):
        raise ValueError(f"Encoder.{what} takes a list, got one {type(items).__name__}; give [it]")
