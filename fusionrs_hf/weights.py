"""Weights and tokenizers of unknown origin: plain real finite tensors, and nothing that names code, or an InputError.

What is loaded is asked twice: its files before, since libraries cast whatever they hold, and its values after.
"""

import os
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusionrs_hf.bounded_json import parse_json, read_object
from fusionrs_hf.bounds import REPORT_BYTES, TENSORS
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.hub_answers import asking_hub
from fusionrs_hf.repository_names import is_hub_id

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

PLAIN = ("F64", "F32", "F16", "BF16")  # types of a tensor in safetensors that are taken for weights
COUNTS = ("I64", "I32")  # of these, buffers alone
BUFFERS = (
    "position_ids",
    "num_batches_tracked",
)  # last parts of names of whole numbers that models keep
METADATA = "__metadata__"  # of a safetensors file, beside its tensors
UNPACKED = 2  # weights do not shrink: a file that unpacks to more than twice its size holds something else
PROBE = "a satellite image of a harbour"


def check_source(name: object) -> None:
    """Refuses what is neither there nor a Hub id, before a network is asked; raises InputError."""
    if not os.path.exists(str(name)) and not is_hub_id(str(name)):
        raise InputError(f"there is no folder {shown(str(name))}; give one, or a Hub id such as owner/name")


@contextmanager
def loading(where: object, what: str, remedy: str = "bring it again") -> Iterator[None]:
    """Turns whatever a library raises for files that it cannot load into an InputError.

    Args:
        where: Folder, file or Hub id; or a tuple of them.
        what: What is expected there, such as `a CLIP`.
        remedy: What to do.
    """
    names = where if isinstance(where, tuple) else (where,)
    where = " and ".join(map(str, names))
    try:
        with asking_hub():
            yield
    except (InputError, MemoryError):
        raise
    except OSError as error:
        if asked := [str(name) for name in names if is_hub_id(str(name)) and not Path(str(name)).exists()]:
            raise InputError(
                f"there is no folder {' or '.join(asked)}, and the Hub did not give {what} of that name ({error})"
            ) from error
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:300] or type(error).__name__
        raise InputError(f"{where} cannot be loaded as {what} ({reason}); {remedy}") from error


def check_folder(folder: Path) -> None:
    """Refuses a model's folder whose safetensors hold anything but plain real tensors; reads their headers alone.

    Raises:
        InputError: A file is none, or holds a tensor of another type; it is named.
    """
    for path in sorted(folder.glob("*.safetensors")):
        entries = safetensors_header(path)
        for name, entry in entries.items():
            kind = entry.get("dtype") if isinstance(entry, dict) else entry
            if kind not in PLAIN and not (kind in COUNTS and name.rpartition(".")[2] in BUFFERS):
                raise InputError(f"{path} holds {shown(name)} as {shown(kind)}, expected one of {', '.join(PLAIN)}")


def safetensors_header(path: Path) -> dict[str, Any]:
    """Returns the entries of a safetensors file by the names of its tensors; raises InputError where it is none."""
    entries = _header(path)
    entries.pop(METADATA, None)
    if len(entries) > TENSORS:
        raise InputError(f"{path} holds {len(entries)} tensors, expected at most {TENSORS}")
    return entries


def safetensors_metadata(path: Path) -> Any:
    """Returns what the writer of a safetensors file has said of it; raises InputError where it is none."""
    return _header(path).get(METADATA)


def load_tensors(path: Path, counts: Collection[str] = BUFFERS) -> "dict[str, Tensor]":
    """Reads the plain finite tensors of a safetensors file that a training kept.

    Args:
        path: The file.
        counts: Last parts of the names of those that are whole numbers.

    Raises:
        InputError: It is no such file, or a tensor is something else; it is named.
    """
    from safetensors.torch import load_file

    safetensors_header(path)
    with loading(path, "tensors"):
        state = load_file(path)
    check_tensors(state, path, counts)
    return state


def _header(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        text = file.read(size) if size <= REPORT_BYTES else b""
    try:
        return dict(parse_json(text.decode()))
    except (ValueError, TypeError):
        raise InputError(f"{path} is no safetensors file (its header cannot be read); bring it again") from None


def check_archive(path: Path) -> None:
    """Refuses a zip, as torch saves one, that unpacks to more than its size allows; raises InputError."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise InputError(f"{path} is a damaged archive ({error}); bring it again") from None
    if unpacked > UNPACKED * path.stat().st_size:
        raise InputError(f"{path} unpacks to {unpacked} bytes, more than {UNPACKED} times its own; save it plainly")


def check_tensors(state: Mapping[str, Any], where: object, counts: Collection[str] = BUFFERS) -> None:
    """Refuses a state dict unless each of its values is a plain tensor of finite real numbers, or a count.

    Raises:
        InputError: One is another thing, of another type or layout, shares memory it does not have, or is not finite;
            it is named.
    """
    import torch

    if len(state) > TENSORS:
        raise InputError(f"{where} holds {len(state)} tensors, expected at most {TENSORS}")
    plain = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise InputError(f"{where} holds {type(value).__name__} under {shown(name)}, expected tensors by name")
        if value.layout != torch.strided or value.is_quantized or value.device.type == "meta":
            kind = "quantised" if value.is_quantized else str(value.layout) if value.device.type != "meta" else "meta"
            raise InputError(f"{where}: {shown(name)} is {kind}, expected a plain dense tensor")
        if name.rpartition(".")[2] in counts and value.dtype in (torch.int64, torch.int32):
            continue
        if value.dtype not in plain:
            raise InputError(f"{where}: {shown(name)} is of {value.dtype}, expected float32, float16 or bfloat16")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise InputError(f"{where}: {shown(name)} repeats its memory, expected a plain dense tensor")
        if not torch.isfinite(value.float()).all():
            raise InputError(f"{where}: {shown(name)} holds NaN or infinity; these weights are damaged")


def check_model(model: "nn.Module", where: object) -> None:
    """Refuses a loaded model with a parameter or buffer that is not finite; raises InputError that names it."""
    state: dict[str, Tensor] = model.state_dict()
    check_tensors({name: value for name, value in state.items() if value.is_floating_point()}, where)


def _names_code(settings: Mapping[str, Any]) -> bool:
    """Whether a tokenizer's code is named; transformers names a processor's beside it, which is ours or not run."""
    named = settings.get("auto_map") or {}
    return not isinstance(named, Mapping) or "AutoTokenizer" in named


def check_tokenizer_files(folder: Path) -> None:
    """Refuses a tokenizer's folder that names code; raises InputError."""
    for name in ("tokenizer_config.json", "processor_config.json"):
        path = folder / name
        if path.is_file() and _names_code(read_object(path, "bring the tokenizer again")):
            raise InputError(f"{path} names code of its own (auto_map), which is not run; give a tokenizer without")


def load_tokenizer(source: str, **options: Any) -> "PreTrainedTokenizerBase":
    """Loads a tokenizer that runs no code of its own, and tries it.

    Args:
        source: Folder or Hub id.
        **options: Of `from_pretrained`.

    Raises:
        InputError: It is broken, names code, or gives ids that it does not have.
    """
    from transformers import AutoTokenizer

    check_source(source)
    if Path(source).is_dir():
        check_tokenizer_files(Path(source))
    with loading(source, "a tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)
        check_tokenizer(tokenizer, source)
    return tokenizer


def check_tokenizer(tokenizer: "PreTrainedTokenizerBase", where: object) -> None:
    """Refuses a tokenizer that names code, or that cannot turn words into ids that it has; raises InputError."""
    if _names_code(tokenizer.init_kwargs):
        raise InputError(f"tokenizer {where} names code of its own (auto_map), which is not run")
    ids = tokenizer(PROBE)["input_ids"]
    if not ids or not all(isinstance(number, int) and 0 <= number < len(tokenizer) for number in ids):
        raise InputError(f"tokenizer {where} gives the ids {shown(ids)} of {len(tokenizer)} tokens; bring it again")
