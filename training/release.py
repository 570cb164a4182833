"""The one door to the Hub: what is released goes up through `push`, and `verify` loads it back as a stranger would.

Nothing whose origin or licence is unstated leaves the machine: such a folder is accepted by a loopback Hub alone.
Which Hub that is, and the token, are those of huggingface_hub (`HF_ENDPOINT`, `HF_TOKEN`, `hf auth login`).
"""

import ast
import ipaddress
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import yaml
from huggingface_hub import HfApi, get_token, metadata_load
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from dataset_builder.publish.clearance import check_folder
from dataset_builder.shards.parquet import file_sha256
from fusionrs_hf.errors import InputError
from training.plain_clip import write_plain_clip

logger = logging.getLogger(__name__)

REPO_TYPES = {"dataset": "dataset", "clip": "model", "vlm": "model"}
DATASET_FILES = (
    *("README.md", "NOTICE.md", "LICENSE*", "croissant.json", "build_report.json", "rights.yaml", "*.jsonl"),
    "data/*.parquet",
)
MODEL_FILES = ("*.md", "LICENSE*", "*.json", "*.jinja", "*.txt", "*.model", "*.py", "*.safetensors")
STALE = ["data/*.parquet", "*.py", "*.safetensors", "*.safetensors.index.json"]  # of an older release: deleted
UNSTATED = ("", "none", "unknown", "unstated")


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What came back from the Hub, compared with the folder that went up.

    Args:
        kind, repo_id: What was verified.
        revision: Commit that was loaded, 40 hex.
        compared: Number of facts compared: tensors, configurations, columns, row counts.
        differences: One line for each fact that differs or is on one side only; empty if all are equal.
    """

    kind: str
    repo_id: str
    revision: str
    compared: int
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether everything came back as it went up."""
        return not self.differences


def push(
    kind: str,
    folder: Path | str,
    repo_id: str,
    private: bool = False,
    base: str | None = None,
    as_clip: bool = False,
) -> str:
    """Releases a folder of the given kind (`dataset`, `clip`, `vlm`); with `base`, a VLM's adapter.

    With `as_clip`, a dual-modal CLIP goes up as a plain `CLIPModel`.

    Returns:
        URL of the commit.
    """
    releases = {"dataset": push_dataset, "clip": push_clip, "vlm": push_vlm}
    _check_kind(kind)
    if base is not None:
        if kind != "vlm":
            raise InputError(f"base {base!r} goes with a VLM's adapter, got kind {kind!r}; leave it out")
        return push_adapter(folder, repo_id, base, private=private)
    if as_clip:
        if kind != "clip":
            raise InputError(f"--as-clip goes with a dual-modal CLIP, got kind {kind!r}; leave it out")
        return push_plain_clip(folder, repo_id, private=private)
    return releases[kind](folder, repo_id, private=private)


def push_dataset(folder: Path | str, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
    """Pushes a built dataset: card, Croissant and `data/*.parquet`; what was quarantined stays at home.

    Args:
        folder: As `dataset_builder.pipeline.build` writes it.
        repo_id: `owner/name`; made if it does not exist.
        private: Whether only the owner may read it.
        revision: Branch, made if it does not exist; None for `main`.

    Returns:
        URL of the commit.

    Raises:
        InputError: No card, no Parquet, rights that do not allow this Hub, or rows whose codes do not allow what they
            hold, on whatever Hub; see `dataset_builder.publish.clearance`.
    """
    folder = Path(folder)
    check_rights(folder, HfApi().endpoint)
    if not list(folder.glob("data/*.parquet")):
        raise InputError(f"{folder} has no data/*.parquet, expected a built dataset; run `fusionrs build` first")
    check_folder(folder)
    _check_shards(folder)
    return _upload("dataset", folder, repo_id, DATASET_FILES, private, revision)


def _check_shards(folder: Path) -> None:
    """Refuses a build whose shards are not those that its report tells."""
    path = folder / "build_report.json"
    files = json.loads(path.read_text(encoding="utf-8"))["files"] if path.is_file() else {}
    told = {name: file["sha256"] for name, file in files.items() if name.startswith("data/")}
    there = {file.relative_to(folder).as_posix(): file for file in folder.glob("data/*.parquet")}
    changed = [name for name in sorted({*told, *there} if told else ()) if name not in there or name not in told]
    changed += [name for name in told.keys() & there.keys() if file_sha256(there[name]) != told[name]]
    if changed:
        raise InputError(
            f"{folder} is not what its build_report.json tells: {', '.join(changed[:3])} differ; build it again"
        )


def push_clip(folder: Path | str, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
    """Pushes a saved dual-modal CLIP: card, weights, remote code and processor. Arguments as of `push_dataset`.

    Raises:
        InputError: Something a user needs to load it is missing, or its rights do not allow this Hub.
    """
    return _push_model("clip", "AutoModel", Path(folder), repo_id, private, revision)


def push_plain_clip(folder: Path | str, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
    """Pushes a shared-tower dual-modal CLIP as a plain `CLIPModel`, without code. Arguments as of `push_dataset`.

    Raises:
        InputError: The model has something that `CLIPModel` has not, or its rights do not allow this Hub.
    """
    check_rights(Path(folder), HfApi().endpoint)
    with tempfile.TemporaryDirectory() as home:
        return _upload("clip", write_plain_clip(Path(folder), Path(home)), repo_id, MODEL_FILES, private, revision)


def push_vlm(folder: Path | str, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
    """Pushes a saved VLM, merged or as a LoRA adapter of a base on the Hub. Arguments as of `push_dataset`.

    Raises:
        InputError: Something a user needs to load it is missing, or its rights do not allow this Hub.
    """
    return _push_model("vlm", "AutoModelForImageTextToText", Path(folder), repo_id, private, revision)


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
    with tempfile.TemporaryDirectory() as home:
        staged = Path(shutil.copytree(folder, Path(home) / "adapter"))
        for name in ("adapter_config.json", "README.md"):
            old = _read_json(Path(folder) / "adapter_config.json").get("base_model_name_or_path") or ""
            if old and (staged / name).is_file():
                (staged / name).write_text((staged / name).read_text().replace(old, base))
        return push_vlm(staged, repo_id, private=private)


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
        card = metadata_load(path) or {}
    except yaml.YAMLError as error:
        problem = str(error).replace("\n", " ")
        raise InputError(f"{path} starts with a block that is not YAML ({problem}); correct or rewrite it") from error
    if is_loopback(endpoint):
        return
    origin = folder / "origin.json"
    demo_only = card.get("demo_only") or (origin.is_file() and json.loads(origin.read_text()).get("demo_only"))
    only_here = f"{endpoint} is not a loopback address; push to a loopback Hub (HF_ENDPOINT=http://127.0.0.1:PORT)"
    if demo_only:
        raise InputError(
            f"{folder} is for the demo only, as the origin or licence of its weights is unstated: {only_here}"
        )
    if not _licence_is_stated(card):
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


def verify(kind: str, folder: Path | str, repo_id: str, revision: str | None = None) -> VerifyReport:
    """Loads a release in a fresh process without our packages or caches, and compares it with its folder.

    Datasets come through `load_dataset`, models and processors through the Auto classes with remote code. Every
    tensor, configuration, column and row count is compared; images by the bytes of their files.

    Args:
        kind: `dataset`, `clip` or `vlm`.
        folder: What was pushed.
        repo_id: `owner/name` on the Hub.
        revision: Branch, tag or commit; None for `main`.

    Raises:
        InputError: There is no such folder, repository or revision.
    """
    _check_kind(kind)
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, expected the one that was pushed to {repo_id}")
    api = HfApi()
    try:
        sha = api.repo_info(repo_id, repo_type=REPO_TYPES[kind], revision=revision).sha
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        wanted = f"{repo_id} at {revision}" if revision else repo_id
        raise InputError(f"{api.endpoint} has no {kind} {wanted}, expected owner/name; push it first") from error
    with tempfile.TemporaryDirectory(prefix="fusionrs-verify-") as scratch:
        out = Path(scratch, "facts.json")
        script = Path(__file__).with_name("fingerprint.py")
        command = [sys.executable, "-P", str(script), kind, str(folder), repo_id, sha, str(out)]
        # The scratch folder is also where it runs: a relative path there can't be taken for the repository's name.
        done = subprocess.run(
            command,
            cwd=scratch,
            env=_fresh_environment(scratch, api.endpoint),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            logger.error("%s could not be loaded:\n%s", repo_id, done.stderr)
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return VerifyReport(kind, repo_id, sha, 0, (f"could not be loaded: {last}",))
        facts = json.loads(out.read_text())
    compared = facts["folder"].keys() | facts["repository"].keys()
    return VerifyReport(kind, repo_id, sha, len(compared), tuple(_differences(facts["folder"], facts["repository"])))


def _check_kind(kind: str) -> None:
    if kind not in REPO_TYPES:
        raise InputError(f"kind is {kind!r}, expected one of {', '.join(REPO_TYPES)}")


def _licence_is_stated(card: Mapping) -> bool:
    licence = card.get("license")
    names = licence if isinstance(licence, list) else [licence]
    names = [card.get("license_name") if name == "other" else name for name in names]
    return bool(names) and all(str(name).lower() not in UNSTATED for name in names)


def _push_model(kind: str, auto_class: str, folder: Path, repo_id: str, private: bool, revision: str | None) -> str:
    check_rights(folder, HfApi().endpoint)
    if (folder / "adapter_config.json").is_file():
        base = _read_json(folder / "adapter_config.json").get("base_model_name_or_path") or ""
        if not base or Path(base).exists() or base.count("/") != 1:
            raise InputError(
                f"{folder} adapts {base!r}, expected owner/name of a base on the Hub; push the base first"
            )
    else:
        _check_code(folder / "config.json", auto_class)
    if not list(folder.glob("*.safetensors")):
        raise InputError(f"{folder} has no *.safetensors, the one form of weights released; save_pretrained writes it")
    _check_code(folder / "processor_config.json", "AutoProcessor")
    return _upload(kind, folder, repo_id, MODEL_FILES, private, revision)


def _check_code(path: Path, auto_class: str) -> None:
    """Refuses a configuration unless the code of each class that it names, and what that imports, lies beside it."""
    remedy = "import fusionrs_hf.auto before save_pretrained"
    auto_map = _read_json(path).get("auto_map", {})
    if auto_class not in auto_map:
        raise InputError(f"{path} has no auto_map entry for {auto_class}, expected one for remote code; {remedy}")
    pending, seen = [reference.rpartition(".")[0] for reference in auto_map.values()], set()
    while pending:
        module = pending.pop()
        code = path.with_name(f"{module}.py")
        if not code.is_file():
            raise InputError(f"{code} is missing, expected the remote code that {path.name} needs; {remedy}")
        if module not in seen:
            imports = [node for node in ast.walk(ast.parse(code.read_text())) if isinstance(node, ast.ImportFrom)]
            pending += [node.module for node in imports if node.level == 1 and node.module]
            seen.add(module)


def _read_json(path: Path) -> dict:
    if not path.is_file():
        raise InputError(f"{path} is missing, expected a folder that save_pretrained wrote with its processor")
    return json.loads(path.read_text())


def _upload(
    kind: str, folder: Path, repo_id: str, patterns: tuple[str, ...], private: bool, revision: str | None
) -> str:
    """Makes the repository if needed and commits the chosen files at once, stale shards and code removed."""
    chosen = sorted({path.relative_to(folder).as_posix() for name in patterns for path in folder.glob(name)})
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    logger.info(
        "pushing %d files of %s; left at home: %s", len(chosen), folder, sorted(present - set(chosen)) or "none"
    )
    api, repo_type = HfApi(), REPO_TYPES[kind]
    try:
        repo_id = api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True).repo_id
    except httpx2.TransportError as error:
        raise InputError(f"cannot reach {api.endpoint} ({error}); check HF_ENDPOINT and the network") from error
    if private and not api.repo_info(repo_id, repo_type=repo_type).private:
        raise InputError(f"{repo_id} exists and is public, expected a private one; choose another name")
    if revision:
        api.create_branch(repo_id, branch=revision, repo_type=repo_type, exist_ok=True)
    commit = api.upload_folder(
        folder_path=folder,
        repo_id=repo_id,
        repo_type=repo_type,
        revision=revision,
        allow_patterns=chosen,
        delete_patterns=STALE,
        commit_message=f"Release {kind}",
    )
    return commit.commit_url


def _fresh_environment(home: str, endpoint: str) -> dict[str, str]:
    """Returns the environment with empty caches in `home`, the token said outright since it may lie in the old one."""
    caches = {f"HF_{name}_CACHE": f"{home}/{name.lower()}" for name in ("HUB", "DATASETS", "MODULES", "ASSETS")}
    token = {"HF_TOKEN": get_token()} if get_token() else {}
    return os.environ | {"HF_HOME": home, "HF_ENDPOINT": endpoint} | caches | token


def _differences(folder: Mapping[str, str], repository: Mapping[str, str]) -> list[str]:
    lines = []
    for name in sorted(folder.keys() | repository.keys()):
        if name not in repository:
            lines.append(f"{name}: in the folder only")
        elif name not in folder:
            lines.append(f"{name}: in the repository only")
        elif folder[name] != repository[name]:
            lines.append(f"{name}: {folder[name]} in the folder, {repository[name]} in the repository")
    return lines
