"""The upload itself: one folder, one repository."""

import logging
from pathlib import Path

import httpx2
from huggingface_hub import HfApi

from fusionrs_hf.errors import InputError
from training.release.kinds import KINDS

logger = logging.getLogger(__name__)


STALE = ["data/*.parquet", "*.py", "*.safetensors", "*.safetensors.index.json"]  # of an older release: deleted


def upload(kind: str, folder: Path, repo_id: str, private: bool, revision: str | None) -> str:
    """Makes the repository if needed and commits the kind's files at once, stale shards and code removed."""
    release = KINDS[kind]
    files = (path for name in release.files for path in folder.glob(name) if not path.name.startswith("."))
    chosen = sorted({path.relative_to(folder).as_posix() for path in files})
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    logger.info(
        "pushing %d files of %s; left at home: %s", len(chosen), folder, sorted(present - set(chosen)) or "none"
    )
    api, repo_type = HfApi(), release.repo_type
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
