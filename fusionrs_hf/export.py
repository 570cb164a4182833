"""The encoders of a dual-modal CLIP as ONNX files that give unit-length embeddings, each checked against torch."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusionrs_hf.atomic import write_json
from fusionrs_hf.encoders import load_clip, model_fingerprint
from fusionrs_hf.errors import InputError
from fusionrs_hf.exported_text import FACTS, ExportFacts
from fusionrs_hf.folder_scratch import scratch
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.output_folder import manifest_of, writing
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
from fusionrs_hf.stops import stops_in_a_line

logger = logging.getLogger(__name__)

OPSET = 20
MAX_ERROR = 1e-4
CHATTY = ("torch.onnx", "onnxscript", "onnx_ir")  # log every node they simplify
ONE_FILE_BYTES = 1_800_000_000  # an ONNX file holds less than 2 GiB; beyond, weights go into a file beside it
README = """\
# ONNX encoders of {model}

Opset {opset}, float32; outputs are unit-length embeddings `(batch, {dim})`, so a product of two is their cosine.
`difference` is the largest from torch, on random inputs of batch one and three.

| file | inputs | output | difference |
|---|---|---|---|
{table}

The processor saved here prepares images and texts; texts have at most {length} tokens. Batch and text length vary, the
size of images does not. Fingerprint of the model: `{fingerprint}`. `fusionrs search INDEX --text ... --model {folder}`
answers by `text.onnx` alone, without torch.

```python
import onnxruntime
from transformers import AutoProcessor

processor = AutoProcessor.from_pretrained("{folder}", trust_remote_code=True)


def run(name, inputs):
    return onnxruntime.InferenceSession(f"{folder}/{{name}}.onnx").run(None, dict(inputs))[0]


rgb = run("rgb", processor(images=rgb_image, return_tensors="np"))  # PIL, mode RGB
ir = run("ir", processor(ir_images=ir_image, return_tensors="np"))  # PIL, mode L; above 8 bit with ir_bands="lwir"
text = run("text", processor(text=["a harbour at night"], return_tensors="np"))
fused = run("fused", {{"rgb_embeds": rgb, "ir_embeds": ir}})
scores = fused @ text.T
```
"""


class ImageEncoder(nn.Module):
    """Images of one modality to unit-length embeddings; what `rgb.onnx` and `ir.onnx` hold."""

    def __init__(self, model: FusionRSCLIPModel, modality: str) -> None:
        super().__init__()
        self.model, self.modality = model, modality

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Returns `(batch, projection_dim)` of images `(batch, 3, height, width)`."""
        encode = self.model.get_rgb_features if self.modality == "rgb" else self.model.get_ir_features
        return F.normalize(encode(pixel_values), dim=-1)


class TextEncoder(nn.Module):
    """Token ids to unit-length embeddings; what `text.onnx` holds."""

    def __init__(self, model: FusionRSCLIPModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Returns `(batch, projection_dim)` of ids and mask `(batch, length)`."""
        return F.normalize(self.model.get_text_features(input_ids, attention_mask), dim=-1)


class Fusion(nn.Module):
    """Unit-length embeddings of pairs to the fused one; what `fused.onnx` holds."""

    def __init__(self, model: FusionRSCLIPModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, rgb_embeds: Tensor, ir_embeds: Tensor) -> Tensor:
        """Returns `(batch, projection_dim)` of embeddings of the same shape."""
        return self.model.fuse(rgb_embeds, ir_embeds)


@dataclass(frozen=True, slots=True)
class Part:
    """One ONNX file.

    Args:
        module: What it computes, in evaluation mode.
        inputs: Names of its inputs, in the order of `forward`; the processor's names.
        axes: Names of the axes that vary, the same for each input.
        samples: Random inputs of different sizes; the last is traced, all are checked.
    """

    module: nn.Module
    inputs: Sequence[str]
    axes: dict[int, str]
    samples: Sequence[tuple[Tensor, ...]]


def make_parts(model: FusionRSCLIPModel, processor: FusionRSCLIPProcessor, seed: int = 0) -> dict[str, Part]:
    """Returns what is exported by file name: `rgb`, `ir`, `text` and `fused`."""
    draw = torch.Generator().manual_seed(seed)
    parts = {}
    for name, prefix in (("rgb", ""), ("ir", "ir_")):
        size = _image_size(getattr(processor, f"{prefix}image_processor"), model)
        samples = [(torch.randn(count, 3, *size, generator=draw),) for count in (1, 3)]
        parts[name] = Part(ImageEncoder(model, name).eval(), [f"{prefix}pixel_values"], {0: "batch"}, samples)
    longest = text_length(model, processor)
    texts = [_tokens(model, processor, (count, min(length, longest)), draw) for count, length in ((1, 4), (3, 9))]
    names = ["input_ids", "attention_mask"]
    parts["text"] = Part(TextEncoder(model).eval(), names, {0: "batch", 1: "length"}, texts)
    size = model.config.projection_dim
    pairs = [tuple(F.normalize(torch.randn(2, count, size, generator=draw), dim=-1)) for count in (1, 3)]
    parts["fused"] = Part(Fusion(model).eval(), ["rgb_embeds", "ir_embeds"], {0: "batch"}, pairs)
    return parts


def _image_size(image_processor: Any, model: FusionRSCLIPModel) -> tuple[int, int]:
    size = image_processor.crop_size if image_processor.do_center_crop else image_processor.size
    if size and size["height"] and size["width"]:
        return size["height"], size["width"]
    return (model.config.vision_config.image_size,) * 2


def text_length(model: FusionRSCLIPModel, processor: FusionRSCLIPProcessor) -> int:
    """Returns how many tokens a text may have."""
    return min(processor.tokenizer.model_max_length, model.config.text_config.max_position_embeddings)


def _tokens(
    model: FusionRSCLIPModel, processor: FusionRSCLIPProcessor, shape: tuple[int, int], draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Returns random ids and their mask, `(batch, length)`: texts end as the tokenizer ends them, the first padded."""
    tokenizer = processor.tokenizer
    ids = torch.randint(0, model.config.text_config.vocab_size, shape, generator=draw)
    mask = torch.ones_like(ids)
    if len(ids) > 1:
        mask[0, shape[1] // 2 :] = 0
    end = next((token for token in (tokenizer.eos_token_id, tokenizer.sep_token_id) if token is not None), 0)
    ids[torch.arange(len(ids)), mask.sum(1) - 1] = end
    return ids.where(mask == 1, tokenizer.pad_token_id or 0), mask


def write_part(part: Part, path: Path) -> None:
    """Writes one ONNX file; sizes on `part.axes` may vary."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    size = sum(value.nbytes for value in part.module.state_dict().values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, on its own deprecated parts and on axes that share a name
        torch.onnx.export(
            part.module,
            part.samples[-1],
            path,
            input_names=list(part.inputs),
            output_names=[f"{path.stem}_embeds"],
            dynamic_shapes=tuple(part.axes for _ in part.inputs),
            opset_version=OPSET,
            external_data=size > ONE_FILE_BYTES,
            dynamo=True,
            verbose=False,
        )


def compare_part(part: Part, path: Path) -> float:
    """Runs an ONNX file beside torch and returns the largest absolute difference over the samples.

    Raises:
        InputError: It is above `MAX_ERROR`, or not a number.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    errors = []
    for sample in part.samples:
        with torch.inference_mode():
            expected = part.module(*sample).numpy()
        inputs = {name: value.numpy() for name, value in zip(part.inputs, sample)}
        errors.append(float(np.abs(session.run(None, inputs)[0] - expected).max()))
    worst = max(errors)
    if not (np.isfinite(errors).all() and worst <= MAX_ERROR):
        raise InputError(
            f"{path.name} differs from torch by {worst:.1e}, more than {MAX_ERROR}: it is refused; try other versions "
            "of onnx, onnxscript and onnxruntime (constraints.txt has the tested ones)"
        )
    return worst


def export_onnx(model_path: str, out: Path, overwrite: bool = False) -> dict[str, float]:
    """Writes `rgb.onnx`, `ir.onnx`, `text.onnx`, `fused.onnx`, the processor and a README; all or nothing.

    Args:
        model_path: Hub id or folder of a FusionRS-CLIP or a plain CLIP.
        out: Folder to write: new, empty, or of an earlier export that did not end.
        overwrite: Replace an earlier export: the files that it wrote, no others.

    Returns:
        The largest difference from torch by file.

    Raises:
        InputError: `out` holds something else, the extra `export` is missing, or a file differs from torch.
    """
    former = manifest_of(out, "export")
    if former is not None and former.finished and not overwrite:
        raise InputError(f"{out} holds a finished export; --overwrite replaces it, or give another folder")
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"ONNX needs {error.name}, got none; pip install 'fusionrs-hf[export]'") from error
    model, processor = load_clip(model_path)
    with stops_in_a_line(out, "export"), writing(out, "export") as folder, scratch(folder.path) as prepared:
        written = _write_parts(model, processor, prepared)
        processor.save_pretrained(prepared)
        facts = ExportFacts(model_fingerprint(model, processor), text_length(model, processor))
        write_json(prepared / FACTS, asdict(facts))
        names = {"model": Path(model_path).name, "folder": out.name, "dim": model.config.projection_dim}
        (prepared / "README.md").write_text(_readme(facts, written, names))
        folder.make_way()
        folder.move_in(prepared)
        folder.finish()
    return {f"{name}.onnx": error for name, (_, error) in written.items()}


def _write_parts(
    model: FusionRSCLIPModel, processor: FusionRSCLIPProcessor, folder: Path
) -> dict[str, tuple[Part, float]]:
    """Writes the ONNX files; returns each part with its largest difference from torch."""
    written = {}
    for name, part in make_parts(model, processor).items():
        write_part(part, folder / f"{name}.onnx")
        written[name] = (part, compare_part(part, folder / f"{name}.onnx"))
        logger.info("%s.onnx: largest difference from torch %.1e", name, written[name][1])
    return written


def _readme(facts: ExportFacts, written: Mapping[str, tuple[Part, float]], names: Mapping[str, Any]) -> str:
    rows = [
        f"| `{name}.onnx` | {', '.join(part.inputs)} | {name}_embeds | {error:.1e} |"
        for name, (part, error) in written.items()
    ]
    shown = {"opset": OPSET, "length": facts.text_length, "fingerprint": facts.fingerprint}
    return README.format(table="\n".join(rows), **shown, **names)
