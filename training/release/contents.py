"""What a released dataset or model holds once loaded, as hashes: the half of `verify` that loads.

A script of its own that imports nothing of ours, since it stands for a user who has not installed the project: it
makes our packages impossible to import, then loads the folder and the repository by the stock functions.

Command: python -P contents.py dataset|clip|vlm FOLDER REPO_ID REVISION OUT.json
"""

import hashlib
import json
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


def dataset_facts(where: str, revision: str | None) -> dict[str, str]:
    """Returns, for each configuration and split, the number of rows, the features, and a hash of each column.

    Images count by the bytes of their files, undecoded; rows count in their order.
    """
    from datasets import get_dataset_config_names, load_dataset

    facts = {}
    for config in get_dataset_config_names(where, revision=revision):
        for split, rows in load_dataset(where, config, revision=revision).items():
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


def model_facts(auto_class: str, where: str, revision: str | None) -> dict[str, str]:
    """Returns hashes of every parameter and buffer (the unsaved ones too), the configurations and the processor.

    Raises:
        ValueError: Weights are missing in the files, are not the model's, have another shape, or are in the files of a
            folder but were not loaded.
    """
    import transformers

    options = {"revision": revision, "trust_remote_code": True}
    pinned = options
    if transformers.utils.find_adapter_config_file(where, revision=revision):
        # `revision` would be looked for in the base model's repository, too.
        pinned = options | {"revision": None, "adapter_kwargs": {"revision": revision}}
    loader = getattr(transformers, auto_class)
    model, loading = loader.from_pretrained(where, output_loading_info=True, **pinned)
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
    processor = transformers.AutoProcessor.from_pretrained(where, **options)
    facts["processor"] = digest(settled(json.loads(processor.to_json_string())))
    facts["tokenizer"] = digest(
        [processor.tokenizer.backend_tokenizer.to_str(), processor.tokenizer.special_tokens_map]
    )
    facts["chat template"] = digest(processor.chat_template)
    return facts


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


def facts_of(kind: str, where: str, revision: str | None) -> dict[str, str]:
    """Returns what is found in a folder or a repository, by name."""
    if kind == "dataset":
        return dataset_facts(where, revision)
    return model_facts({"clip": "AutoModel", "vlm": "AutoModelForImageTextToText"}[kind], where, revision)


def main(kind: str, folder: str, repo_id: str, revision: str, out: str) -> None:
    """Writes `{"folder": facts, "repository": facts}` as JSON."""
    sys.modules |= dict.fromkeys(OURS)  # None: importing it raises
    facts = {"folder": facts_of(kind, folder, None), "repository": facts_of(kind, repo_id, revision)}
    Path(out).write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
