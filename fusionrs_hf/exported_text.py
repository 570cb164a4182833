"""The text encoder of an export, without torch: for a process that lives as long as one question."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import require_finished
from fusionrs_hf.records import read_record
from fusionrs_hf.weights import check_tokenizer_files, loading

FACTS = "encoders.json"


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """What `fusionrs export` says of the encoders beside it.

    Args:
        fingerprint: Of the model, see `encoders.model_fingerprint`.
        text_length: How many tokens a text may have.
    """

    fingerprint: str
    text_length: int


def export_facts(folder: Path) -> ExportFacts | None:
    """Returns what an export says of itself; None where a folder is none. Raises InputError for one that is broken."""
    if not (folder / FACTS).is_file():
        return None
    require_finished(folder)
    return read_record(folder / FACTS, ExportFacts, "export the model again")


def embed_text(folder: Path, facts: ExportFacts, text: str) -> np.ndarray:
    """Returns the unit-length embedding of one text, float32 `(size,)`.

    Args:
        folder: Of the export.
        facts: Of `export_facts`.
        text: A sentence.

    Raises:
        InputError: The text is too long, files cannot be loaded, or onnxruntime is not installed.
    """
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError as error:
        raise InputError(f"ONNX needs {error.name}, got none; pip install 'fusionrs-hf[export]'") from error
    check_tokenizer_files(folder)
    with loading(folder, "exported encoders", "export the model again"):
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        session = onnxruntime.InferenceSession(folder / "text.onnx", providers=["CPUExecutionProvider"])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = np.array([tokenizer.encode(text).ids])  # (1, length)
    if ids.shape[1] > facts.text_length:
        raise InputError(f"--text has {ids.shape[1]} tokens, at most {facts.text_length} are read; give a shorter one")
    return session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
