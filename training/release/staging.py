"""Lays out what goes up: all checks, the card named and pinned, and nothing else, in a folder of its own."""

import logging
import os
import re
from importlib import import_module
from pathlib import Path

from huggingface_hub import HfApi

from dataset_builder.shards.report import build_report
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.repository_names import check_hub_id
from training.release.card_checks import check_card
from training.release.card_text import pinned, read_card
from training.release.checks import check_rights
from training.release.eval_results import eval_yaml
from training.release.hub import Repository, in_a_line
from training.release.kinds import find_kind
from training.release.leaks import check_leaks
from training.release.pictures import PICTURE, with_pictures, write_pictures
from training.release.plan import Plan, choose_files, files_of, list_entries, release_hash
from training.release.stranger import examine
from training.release.verify import fetch_base, own_code

logger = logging.getLogger(__name__)

TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def stage(kind: str, folder: Path, repo_id: str, tag: str | None, home: Path, origin: Path) -> Plan:
    """Checks a folder and lays out its release.

    Args:
        kind: Of `KINDS`.
        folder: To release.
        repo_id: Where it goes.
        tag: Of the release; None: a dataset's version, else one made of its contents.
        home: Scratch folder.
        origin: Folder that the user named, where `folder` is another form of it.

    Raises:
        InputError: It must not go up, or does not load where this package is not installed.
    """
    release = find_kind(kind)
    _check_names(repo_id, tag)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, expected the one to release")
    folder = _with_card(kind, folder, home)
    check_rights(folder, HfApi().endpoint)
    module, function = release.check.split(":")
    getattr(import_module(module), function)(folder, kind)
    names = choose_files(release, folder)
    check_card(folder, kind)
    out = home / "release" / folder.name
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.symlink((folder / name).resolve(), out / name)
    pictures = ""
    if kind == "dataset":
        pictures = write_pictures(names, out)
        names = {*names, *_write_evaluations(folder, out), *([PICTURE] if pictures else [])}
    entries, base = list_entries(out, names), _base(folder)
    tag = tag or _version(kind, folder) or f"r{release_hash(kind, files_of(entries))[:10]}"
    bases = {base["repo_id"]: base["revision"]} if base else {}
    card = pinned(with_pictures(read_card(folder), pictures), kind, repo_id, tag, bases)
    (out / "README.md").unlink()
    (out / "README.md").write_text(card, encoding="utf-8")
    others = [entry for entry in entries if entry.name != "README.md"]
    entries = tuple(sorted([*others, *list_entries(out, ["README.md"])], key=lambda entry: entry.name))
    plan = Plan(kind, out, entries, release_hash(kind, files_of(entries)), repo_id, tag, base)
    check_leaks(entries, own_code(), origin)
    _check_loads(plan, home)
    return plan


def _check_loads(plan: Plan, home: Path) -> None:
    cache, unknown = fetch_base(plan.base, home)
    if unknown:
        raise InputError(f"{unknown[0]}; push the base by this version first")
    hashes = {entry.name: entry.sha256 for entry in plan.entries}
    found = examine(plan.kind, plan.folder, hashes, "here", cache)
    if found.differences:
        raise InputError(
            f"{plan.folder.name} does not load where this package is not installed "
            f"({'; '.join(found.differences[:3])}); nothing was uploaded"
        )


def _base(folder: Path) -> dict[str, str]:
    """Returns repository and commit of an adapter's base; empty for what stands alone."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        return {}
    repo_id = check_hub_id(read_object(path, "save the adapter again").get("base_model_name_or_path"))
    repository = Repository("model", repo_id)
    with in_a_line(repository, lambda: "nothing was uploaded; push the base first, or again"):
        return {"repo_id": repo_id, "revision": str(repository.head("main"))}


def _write_evaluations(folder: Path, out: Path) -> list[str]:
    """Writes what can be scored on a dataset into the release, where a build says what splits there are."""
    if not (folder / "build_report.json").is_file():
        return []
    report, path = build_report(folder), out / "eval.yaml"
    path.unlink(missing_ok=True)  # a link to the folder's own
    path.write_text(eval_yaml(report.name, report.splits), encoding="utf-8")
    return [path.name]


def _with_card(kind: str, folder: Path, home: Path) -> Path:
    """A metric's card is written from what the module says of itself, beside copies of its files."""
    if kind != "metric" or (folder / "README.md").is_file():
        return folder
    from training.release.metric_card import write_metric_folder

    return write_metric_folder(folder, home / "metric" / folder.name)


def _version(kind: str, folder: Path) -> str | None:
    report = build_report(folder) if kind == "dataset" and (folder / "build_report.json").is_file() else None
    return f"v{report.version}" if report else None


def _check_names(repo_id: str, tag: str | None) -> None:
    check_hub_id(repo_id)
    if tag is not None and not TAG.fullmatch(tag):
        raise InputError(f"tag {shown(tag)} is no name, expected letters, digits, dots, dashes, such as v1.0.0")
