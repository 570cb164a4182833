"""What is looked at before anything is uploaded."""

import ast
import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dataset_builder.shards.parquet import file_sha256
from dataset_builder.shards.report_parts import FilesTold
from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.bounded_yaml import NotYamlError, front_matter
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.records import read_record

MODULE = re.compile(r"\w+")
UNSTATED = ("", "none", "unknown", "unstated")


def check_shards(folder: Path) -> None:
    """Refuses a build whose shards are not those that its report tells."""
    path = folder / "build_report.json"
    files = read_record(path, FilesTold, "build it again").get("files", {}) if path.is_file() else {}
    hashes = {name: file["sha256"] for name, file in files.items() if name.startswith("data/")}
    shards = {file.relative_to(folder).as_posix(): file for file in folder.glob("data/*.parquet")}
    changed = [
        name for name in sorted({*hashes, *shards} if hashes else ()) if name not in shards or name not in hashes
    ]
    changed += [name for name in hashes.keys() & shards.keys() if file_sha256(shards[name]) != hashes[name]]
    if changed:
        raise InputError(
            f"{folder} is not what its build_report.json tells: {', '.join(changed[:3])} differ; build it again"
        )


def check_rights(folder: Path, endpoint: str) -> None:
    """Refuses a folder without a card, and away from a loopback Hub one whose origin or licence is unstated.

    Unstated is what the card calls `demo_only: true`, a card without `license` (or with `other` and no name for it),
    and a converted checkpoint whose `origin.json` says `demo_only`.

    Raises:
        InputError: The folder may not be pushed to `endpoint`.
    """
    path = folder / "README.md"
    if not path.is_file():
        raise InputError(f"{path} is missing, expected the card that a release needs; training and build write it")
    try:
        card = front_matter(read_text(path), str(path))
    except NotYamlError as error:
        raise InputError(f"{path} starts with a block that is not YAML ({error}); correct or rewrite it") from error
    if is_loopback(endpoint):
        return
    origin = folder / "origin.json"
    demo_only = card.get("demo_only") or (origin.is_file() and read_object(origin, "bring it again").get("demo_only"))
    only_here = f"{endpoint} is not a loopback address; push to a loopback Hub (HF_ENDPOINT=http://127.0.0.1:PORT)"
    if demo_only:
        raise InputError(
            f"{folder} is for the demo only, as the origin or licence of its weights is unstated: {only_here}"
        )
    if not licence_is_stated(card):
        raise InputError(
            f"{path} states no licence, and {only_here} or state `license` and, for other, `license_name`"
        )


def is_loopback(endpoint: str) -> bool:
    """Whether a URL points at this machine."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def licence_is_stated(card: Mapping) -> bool:
    """Tells whether a card's front matter names a licence."""
    licence = card.get("license")
    names = licence if isinstance(licence, list) else [licence]
    names = [card.get("license_name") if name == "other" else name for name in names]
    return bool(names) and all(str(name).lower() not in UNSTATED for name in names)


def check_code(path: Path, auto_class: str) -> None:
    """Refuses a configuration unless the code of each class that it names, and what that imports, lies beside it."""
    remedy = "import fusionrs_hf.auto before save_pretrained"
    auto_map = read_json(path).get("auto_map", {})
    if auto_class not in auto_map:
        raise InputError(f"{path} has no auto_map entry for {auto_class}, expected one for remote code; {remedy}")
    named = [part for part in _texts(auto_map) if part]
    pending, seen = [reference.rpartition("--")[2].rpartition(".")[0] for reference in named], set()
    while pending:
        module = pending.pop()
        if not MODULE.fullmatch(module):
            raise InputError(f"{path} names the module {shown(module)}, expected a file beside it; {remedy}")
        code = path.with_name(f"{module}.py")
        if not code.is_file():
            raise InputError(f"{code} is missing, expected the remote code that {path.name} needs; {remedy}")
        if module not in seen:
            try:
                tree = ast.parse(read_text(code))
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                raise InputError(f"{code} is no Python that can be read ({error}); {remedy}") from None
            imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            pending += [node.module for node in imports if node.level == 1 and node.module]
            seen.add(module)


def read_json(path: Path) -> dict:
    """Reads a file that `save_pretrained` writes; raises InputError where it is missing."""
    if not path.is_file():
        raise InputError(f"{path} is missing, expected a folder that save_pretrained wrote with its processor")
    return read_object(path, "save_pretrained writes it anew")


def _texts(value: object) -> Iterator[str]:
    """Yields the texts in a value of `auto_map`: one, or a list of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, Mapping)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)
