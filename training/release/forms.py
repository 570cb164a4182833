"""Other forms in which a model goes up, each written into a folder of its own; the model's is not changed."""

import json
import shutil
from pathlib import Path

from huggingface_hub import HfApi

from fusionrs_hf.errors import InputError
from training.release.checks import check_rights, read_json
from training.release.plain_clip import write_plain_clip


def make_plain_clip(folder: Path, out: Path, wanted: object) -> Path:
    """Writes a shared-tower dual-modal CLIP as a plain `CLIPModel`, without code.

    Args:
        folder: Of the dual-modal CLIP.
        out: Folder to write.
        wanted: Not used.

    Raises:
        InputError: The model has something that `CLIPModel` has not, or its rights do not allow this Hub.
    """
    check_rights(folder, HfApi().endpoint)
    return write_plain_clip(folder, out)


def make_adapter(folder: Path, out: Path, base: object) -> Path:
    """Writes a LoRA adapter that names the repository of its base instead of the folder it was trained on.

    Args:
        folder: Of the adapter, as training saved it.
        out: Folder to write.
        base: `owner/name` of the base, pushed before.

    Raises:
        InputError: The folder holds no adapter.
    """
    if not (folder / "adapter_config.json").is_file():
        raise InputError(f"{folder} has no adapter_config.json, expected a LoRA adapter; leave --base out")
    shutil.copytree(folder, out, dirs_exist_ok=True)
    config = read_json(out / "adapter_config.json")
    old = config.get("base_model_name_or_path") or ""
    (out / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}, indent=2))
    card = out / "README.md"
    if old and card.is_file():
        names = {old, Path(old).name, f"{Path(old).parent.name}/{Path(old).name}"}
        text = card.read_text(encoding="utf-8")
        for name in sorted(names, key=len, reverse=True):
            text = text.replace(f'"{name}"', f'"{base}"').replace(f"base_model: {name}\n", f"base_model: {base}\n")
        card.write_text(text, encoding="utf-8")
    return out
