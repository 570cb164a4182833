"""What a released folder holds, as facts: the half of `verify` that compares, imports and loads.

A script of its own that imports nothing of ours, since it stands for a user who has not installed the project. It runs
without token and network, on a folder that was downloaded for it. First every file is compared byte for byte, by hash,
with what it must be; only where all are equal is anything imported or loaded.

Command: python -I contents.py ORDER.json, whose keys are `kind`, `folder`, `files` (SHA-256 by name) and `out`; writes
`{"differences": [...]}`, or `{"facts": {...}, "numbers": {...}}`.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

OURS = ("fusionrs_hf", "dataset_builder", "model_cards", "training")
VOLATILE = (
    "_name_or_path",
    "_commit_hash",
    "auto_map",
    "transformers_version",
)  # where it was loaded from, and by what
AUTO = {"clip": "AutoModel", "vlm": "AutoModelForImageTextToText"}
SIDE = 48  # pixels of the pictures that a model is shown
SHOWN = 8  # numbers of an output that are kept


def differences(folder: Path, files: dict[str, str]) -> list[str]:
    """Returns a line for each file that is missing, not expected, a link, or of other content; loads nothing."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*names, *(part for part in folders if os.path.islink(os.path.join(place, part)))):
            path = Path(place, name)
            found[path.relative_to(folder).as_posix()] = path
    lines = [f"{name}: missing" for name in sorted(files.keys() - found.keys())]
    lines += [f"{name}: not part of the release" for name in sorted(found.keys() - files.keys())]
    for name in sorted(found.keys() & files.keys()):
        if not found[name].is_file() or sha256_of(found[name]) != files[name]:
            lines.append(f"{name}: content differs")
    return lines


def sha256_of(path: Path) -> str:
    """Returns SHA-256 of a file, 64 hex."""
    running = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(2**22):
            running.update(chunk)
    return running.hexdigest()


def refuse_network(event: str, arguments: tuple) -> None:
    """Audit hook: no socket connects, and no name is looked up."""
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        raise OSError(f"{event} is refused while a release is verified")


def digest(value: Any) -> str:
    """Returns SHA-256 of a JSON-like value, 64 hex; bytes within it count by their own SHA-256."""

    def replace(other: Any) -> str:
        return hashlib.sha256(other).hexdigest() if isinstance(other, bytes) else str(other)

    return hashlib.sha256(json.dumps(value, sort_keys=True, default=replace).encode()).hexdigest()


def settled(value: Any) -> Any:
    """Returns a configuration without its volatile keys, at any depth."""
    if isinstance(value, dict):
        return {key: settled(item) for key, item in value.items() if key not in VOLATILE}
    return [settled(item) for item in value] if isinstance(value, list | tuple) else value


def dataset_facts(where: str) -> dict[str, str]:
    """Returns, for each configuration and split, the number of rows, the features, and a hash of each column.

    Images count by the bytes of their files, undecoded; rows count in their order.
    """
    from datasets import get_dataset_config_names, load_dataset

    facts = {}
    for config in get_dataset_config_names(where):
        for split, rows in load_dataset(where, config).items():
            part = f"{config}/{split}"
            facts[f"{part}: rows"] = str(rows.num_rows)
            facts[f"{part}: features"] = str(rows.features)
            hashes = {name: hashlib.sha256() for name in rows.column_names}
            for table in rows.with_format("arrow").iter(batch_size=256):
                for name, running in hashes.items():
                    for value in table[name].to_pylist():
                        running.update(digest(value).encode())
            facts |= {f"{part}: column {name}": running.hexdigest() for name, running in hashes.items()}
    return facts


def model_facts(auto_class: str, where: str) -> tuple[dict[str, str], dict[str, list[float]]]:
    """Returns hashes of every parameter and buffer (the unsaved ones too), the configurations and the processor.

    Returns:
        Facts, and the first numbers that the model makes of two fixed pictures and a text.

    Raises:
        ValueError: Weights are missing in the files, are not the model's, have another shape, or are in the files of a
            folder but were not loaded.
    """
    import transformers

    loader = getattr(transformers, auto_class)
    model, loading = loader.from_pretrained(where, output_loading_info=True, trust_remote_code=True)
    wrong = {problem: sorted(map(str, keys)) for problem, keys in loading.items() if keys}
    if wrong:
        raise ValueError(f"weights and model do not fit: {wrong}")
    facts = {
        f"tensor {name}": tensor_fact(value) for name, value in (*model.named_parameters(), *model.named_buffers())
    }
    check_stored(Path(where), set(facts.values()))
    facts["config"] = digest(settled(model.config.to_dict()))
    if model.can_generate():
        facts["generation config"] = digest(settled(model.generation_config.to_dict()))
    processor = transformers.AutoProcessor.from_pretrained(where, trust_remote_code=True)
    facts["processor"] = digest(settled(json.loads(processor.to_json_string())))
    facts["tokenizer"] = digest(
        [processor.tokenizer.backend_tokenizer.to_str(), processor.tokenizer.special_tokens_map]
    )
    facts["chat template"] = digest(processor.chat_template)
    return facts, model_numbers(model.eval(), processor)


def model_numbers(model: Any, processor: Any) -> dict[str, list[float]]:
    """Returns numbers of a model's outputs for fixed inputs; none where it has no way to be asked."""
    import torch

    rgb, infrared = pictures()
    with torch.inference_mode():
        if hasattr(processor, "ir_image_processor") and not model.can_generate():
            outputs = model(**processor(images=rgb, ir_images=infrared, text=["a field"]))
            return {name: first(outputs[name]) for name in ("rgb_embeds", "ir_embeds", "text_embeds")}
        if not model.can_generate():
            inputs = processor(images=rgb, text=["a field"], return_tensors="pt", padding=True)
            outputs = model(**inputs)
            return {name: first(outputs[name]) for name in ("image_embeds", "text_embeds")}
        if not processor.chat_template:
            return {}
        content = [{"type": "image", "image": picture} for picture in (rgb, infrared)]
        content.append({"type": "text", "text": "Describe the infrared."})
        messages = [{"role": "user", "content": content}]
        options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
        return {"logits": first(model(**processor.apply_chat_template(messages, **options)).logits[0, -1])}


def translator_facts(where: str) -> tuple[dict[str, str], dict[str, list[float]]]:
    """Returns hashes of a translator's tensors and configuration, and what it makes of a fixed picture by band."""
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(where, trust_remote_code=True)
    model = pipeline.translator
    facts = {f"tensor {name}": tensor_fact(value) for name, value in sorted(model.state_dict().items())}
    facts["config"] = digest(settled(dict(model.config)))
    numbers = {}
    for band in model.bands_of("unknown"):
        result = pipeline(pictures()[0], band=band, output_type="np")
        numbers[band] = [float(result.images[0].mean()), *map(float, result.interval_width)]
    return facts, numbers


def metric_facts(where: str) -> tuple[dict[str, str], dict[str, list[float]]]:
    """Returns what a metric says of itself, and its values for fixed embeddings."""
    import evaluate

    metric = evaluate.load(where)
    info = metric.info
    facts = {"description": digest(info.description), "inputs": digest(str(info.features))}
    count = 6
    queries = [[1.0 if row == column else 0.1 * column for column in range(count)] for row in range(count)]
    gallery = [[1.0 if row == (column + row % 2) % count else 0.0 for column in range(count)] for row in range(count)]
    values = metric.compute(predictions=queries, references=gallery)
    return facts, {name: [float(value)] for name, value in sorted(values.items())}


def space_facts(where: str) -> tuple[dict[str, str], dict[str, list[float]]]:
    """Returns the modules of an application, each compiled and none run: what it does is its own."""
    sources = sorted(Path(where).rglob("*.py"))
    for path in sources:
        compile(path.read_text(encoding="utf-8"), path.name, "exec")
    return {f"module {path.relative_to(where).as_posix()}": sha256_of(path) for path in sources}, {}


def pictures() -> tuple[Any, Any]:
    """Returns a colour picture and a grey one, always the same."""
    import numpy as np
    from PIL import Image

    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    rgb = np.stack([across * 5, down * 5, (across * down) % 251], -1).astype(np.uint8)
    return Image.fromarray(rgb), Image.fromarray(((3 * across + 2 * down) % 256).astype(np.uint8))


def first(values: Any) -> list[float]:
    """Returns the first numbers of a tensor; raises ValueError where one is not finite."""
    import math

    numbers = [round(float(value), 5) for value in values.reshape(-1)[:SHOWN]]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("the model gives numbers that are not finite")
    return numbers


def tensor_fact(tensor: Any) -> str:
    """Returns dtype, shape and SHA-256 of the values."""
    import torch

    raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return f"{tensor.dtype} {tuple(tensor.shape)} {hashlib.sha256(raw).hexdigest()}"


def check_stored(folder: Path, loaded: set[str]) -> None:
    """Refuses a folder with a tensor in its files that is nowhere in the model; names may differ, as when adapted."""
    from safetensors.torch import load_file

    for path in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(path).items():
            if tensor_fact(tensor) not in loaded:
                raise ValueError(f"{name} of {path.name} is in the file but was not loaded")


def facts_of(kind: str, where: str) -> tuple[dict[str, str], dict[str, list[float]]]:
    """Returns what is found in a folder, by name, and numbers that it makes."""
    if kind in AUTO:
        return model_facts(AUTO[kind], where)
    if kind == "dataset":
        return dataset_facts(where), {}
    return {"translator": translator_facts, "metric": metric_facts, "space": space_facts}[kind](where)


def main(order: str) -> None:
    """Compares, then loads; see the module."""
    sys.modules |= dict.fromkeys(OURS)  # None: importing it raises
    asked = json.loads(Path(order).read_text(encoding="utf-8"))
    folder, out = Path(asked["folder"]), Path(asked["out"])
    if lines := differences(folder, asked["files"]):
        out.write_text(json.dumps({"differences": lines}))
        return
    sys.addaudithook(refuse_network)
    facts, numbers = facts_of(asked["kind"], str(folder))
    out.write_text(json.dumps({"differences": [], "facts": facts, "numbers": numbers}))


if __name__ == "__main__":
    main(*sys.argv[1:])
