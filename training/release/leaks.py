"""What must not leave this machine: tokens, keys, and paths of this machine, found by file and line."""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from huggingface_hub import get_token

from fusionrs_hf.errors import InputError
from fusionrs_hf.redaction import SHAPES, secrets_in
from fusionrs_hf.weights import safetensors_metadata
from training.release.plan import Entry

TEXT_SUFFIXES = (".md", ".json", ".jsonl", ".yaml", ".yml", ".txt", ".py", ".jinja", ".html", ".csv", ".cff", ".toml")
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt")  # words of a language, no sentences
ROOTS = "home|Users|root|tmp|var|mnt|media|data|scratch|work|workspace|opt|srv|private|Volumes|content|kaggle"
ROOTS += "|gpfs|lustre"
MACHINE_PATH = re.compile(
    rf"(?<![\w.:/~-])(?:/(?:{ROOTS})/[\w.+-]+[^\s\"'`)<>,;|]*|~/[\w.+-]+[^\s\"'`)<>,;|]*)"
    r"|(?i:\bfile://\S+|\b[a-z]:\\+(?:users|documents|windows|data)\\+\S+)"
)
MIN_LITERAL = 5  # characters of a folder of this machine that is looked for as it is


def check_leaks(entries: Iterable[Entry], own_code: dict[str, bytes], folder: Path) -> None:
    """Refuses files with a token, a key or a path of this machine in them.

    Texts are read line by line, Parquet's text columns and metadata and the metadata of safetensors as well.

    Args:
        entries: What goes up.
        own_code: Files of this package by name: what equals them tells nothing of this machine.
        folder: That goes up: its own place is looked for as it is.

    Raises:
        InputError: Names file, line and kind; never the secret.
    """
    literals = _places(folder)
    for entry in entries:
        if own_code.get(Path(entry.name).name) is not None and entry.path.read_bytes() in own_code.values():
            continue
        for place, text in _texts(entry):
            if found := _found(text, literals, Path(entry.name)):
                raise InputError(f"{entry.name}{place} holds a {found}; take it out, nothing was uploaded")


def _found(text: str, literals: list[str], name: Path) -> str | None:
    """Names what a text of a file must not hold; None where it holds nothing such."""
    code = name.suffix == ".py"
    if name.name in VOCABULARIES:  # it has lone words such as `password`
        return next((kind for kind, pattern in SHAPES.items() if pattern.search(text)), None)
    if secrets := secrets_in(text, code):
        return secrets[0]
    if (token := get_token()) and token in text:
        return "Hub token"
    if (match := MACHINE_PATH.search(text)) and not code:  # a program may name what is there where it runs
        return f"path of a machine ({match[0][:60]})"
    return next((f"path of this machine ({literal[:60]})" for literal in literals if literal in text), None)


def _places(folder: Path) -> list[str]:
    places = {folder.absolute(), folder.resolve(), Path.home(), Path.cwd(), Path(tempfile.gettempdir()).resolve()}
    return sorted(name for path in places if len(name := str(path)) >= MIN_LITERAL)


def _texts(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yields (place for a message, text) of what a reader can find in a file as text."""
    if entry.path.suffix == ".parquet":
        yield from _parquet_texts(entry.path)
    elif entry.path.suffix == ".safetensors":
        yield ", metadata,", json.dumps(safetensors_metadata(entry.path))
    elif entry.path.suffix in TEXT_SUFFIXES or "." not in entry.path.name:
        with open(entry.path, encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                yield f" line {number}", line


def _parquet_texts(path: Path) -> Iterator[tuple[str, str]]:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for name, value in (file.schema_arrow.metadata or {}).items():
            if name != b"ARROW:schema":
                yield f", metadata {name.decode('utf-8', 'replace')},", value.decode("utf-8", "replace")
        columns = [field.name for field in file.schema_arrow if _is_text(field.type)]
        suspects = "|".join(["/", "~", r":\\", "_", "-", "eyJ", "(?i)key|token|secret|password|bearer|akia|aiza"])
        row = 0
        for batch in file.iter_batches(1024, columns=columns):
            for name in columns:
                values = batch.column(name)
                while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
                    values = pc.list_flatten(values)
                unique = pc.unique(values).drop_null()
                for value in unique.filter(pc.match_substring_regex(unique, suspects)).to_pylist():
                    yield f" column {name}, rows {row} to {row + len(batch) - 1},", value
            row += len(batch)


def _is_text(kind: pa.DataType) -> bool:
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
