"""Releases a model, plain or as an adapter."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi

from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.stops import stops_in_a_line
from training.release.checks import check_code, check_rights, read_json
from training.release.kinds import KINDS
from training.release.plain_clip import write_plain_clip
from training.release.upload import upload


def push_clip(folder: Path | str, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
    """Pushes a saved dual-modal CLIP: card, weights, remote code and processor. Arguments as of `push_dataset`.

    Raises:
        InputError: Something a user needs to load it is missing, or its rights do not allow this Hub.
    """
    return _push_model("clip", Path(folder), repo_id, private, revision)


def push_plain_clip(folder: Path | str, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
    """Pushes a shared-tower dual-modal CLIP as a plain `CLIPModel`, without code. Arguments as of `push_dataset`.

    Raises:
        InputError: The model has something that `CLIPModel` has not, or its rights do not allow this Hub.
    """
    check_rights(Path(folder), HfApi().endpoint)
    with _scratch() as home:
        return upload("clip", write_plain_clip(Path(folder), home), repo_id, private, revision)


def push_vlm(folder: Path | str, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
    """Pushes a saved VLM, merged or as a LoRA adapter of a base on the Hub. Arguments as of `push_dataset`.

    Raises:
        InputError: Something a user needs to load it is missing, or its rights do not allow this Hub.
    """
    return _push_model("vlm", Path(folder), repo_id, private, revision)


def push_adapter(folder: Path | str, repo_id: str, base: str, *, private: bool = False) -> str:
    """Pushes a LoRA adapter that names the repository of its base instead of the folder it was trained on.

    Args:
        folder: Of the adapter, as training saved it; it is not changed.
        repo_id, private: As of `push_dataset`.
        base: `owner/name` of the base, pushed before.

    Raises:
        InputError: The folder holds no adapter, or as `push_vlm`.
    """
    if not (Path(folder) / "adapter_config.json").is_file():
        raise InputError(f"{folder} has no adapter_config.json, expected a LoRA adapter; leave the base out")
    with _scratch() as home:
        staged = Path(shutil.copytree(folder, home / "adapter"))
        for name in ("adapter_config.json", "README.md"):
            old = read_json(Path(folder) / "adapter_config.json").get("base_model_name_or_path") or ""
            if old and (staged / name).is_file():
                (staged / name).write_text((staged / name).read_text().replace(old, base))
        return push_vlm(staged, repo_id, private=private)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Makes a folder that is new, of this user alone, and gone afterwards: nobody's files are in it or replaced."""
    place = Path(tempfile.gettempdir())
    with (
        stops_in_a_line(place, "push", lambda: "push again (TMPDIR names another place)"),
        tempfile.TemporaryDirectory(prefix="fusionrs-push-") as home,
    ):
        yield Path(home)


def _push_model(kind: str, folder: Path, repo_id: str, private: bool, revision: str | None) -> str:
    check_rights(folder, HfApi().endpoint)
    if (folder / "adapter_config.json").is_file():
        base = read_json(folder / "adapter_config.json").get("base_model_name_or_path") or ""
        if not base or Path(base).exists() or base.count("/") != 1:
            raise InputError(
                f"{folder} adapts {shown(base)}, expected owner/name of a base on the Hub; push the base first"
            )
    else:
        check_code(folder / "config.json", KINDS[kind].auto_class)
    if not list(folder.glob("*.safetensors")):
        raise InputError(f"{folder} has no *.safetensors, the one form of weights released; save_pretrained writes it")
    check_code(folder / "processor_config.json", "AutoProcessor")
    return upload(kind, folder, repo_id, private, revision)
