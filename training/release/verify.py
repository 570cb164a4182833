"""Whether a repository holds what a folder holds, seen from a clean process."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from fusionrs_hf.errors import InputError
from fusionrs_hf.repository_names import check_hub_id, check_revision
from training.release.kinds import find_kind

logger = logging.getLogger(__name__)


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
    release = find_kind(kind)
    folder, repo_id, revision = Path(folder).resolve(), check_hub_id(repo_id), check_revision(revision)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, expected the one that was pushed to {repo_id}")
    api = HfApi()
    try:
        sha = api.repo_info(repo_id, repo_type=release.repo_type, revision=revision).sha
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        wanted = f"{repo_id} at {revision}" if revision else repo_id
        raise InputError(f"{api.endpoint} has no {kind} {wanted}, expected owner/name; push it first") from error
    with tempfile.TemporaryDirectory(prefix="fusionrs-verify-") as scratch:
        out = Path(scratch, "facts.json")
        script = Path(__file__).with_name("contents.py")
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
