"""The upload of a release to a branch of its own, in commits that stay: a killed one goes on where it was."""

import logging
from collections.abc import Iterable, Iterator, Mapping

from huggingface_hub import CommitOperationAdd
from huggingface_hub.hf_api import RepoFile

from training.release.hub import Repository
from training.release.plan import Entry, Plan, git_sha1_of

logger = logging.getLogger(__name__)

BATCH_FILES, BATCH_BYTES = 100, 2**31  # a commit on the branch holds no more, so that no more is sent again


def upload(repository: Repository, plan: Plan, start: str) -> str:
    """Sends what the branch of a release does not hold yet.

    Args:
        repository: To send to.
        plan: The release.
        start: Commit that a new branch begins at.

    Returns:
        The branch's last commit, which holds every file of the plan.
    """
    repository.ask("create_branch", branch=plan.branch, revision=start, exist_ok=True)
    missing = differing(plan.entries, repository.tree(plan.branch))
    for batch in _batches(missing):
        operations = [_addition(entry) for entry in batch]
        logger.info("sending %d files, %d bytes", len(batch), sum(entry.size for entry in batch))
        repository.ask(
            "create_commit", operations, commit_message=f"Files of release {plan.release[:16]}", revision=plan.branch
        )
    return repository.head(plan.branch)


def differing(entries: Iterable[Entry], tree: Mapping[str, RepoFile]) -> list[Entry]:
    """Returns the files that a commit does not hold, or holds with other content."""
    return [entry for entry in entries if not is_same(entry, tree.get(entry.name))]


def is_same(entry: Entry, held: RepoFile | None) -> bool:
    """Whether a file of the Hub is this one, by its size and the hash that the Hub gives it."""
    if held is None or held.size != entry.size:
        return False
    return held.lfs.sha256 == entry.sha256 if held.lfs else held.blob_id == git_sha1_of(entry.path)


def _addition(entry: Entry) -> CommitOperationAdd:
    operation = CommitOperationAdd(entry.name, entry.path)
    operation.upload_info.sha256 = bytes.fromhex(entry.sha256)  # so that it is not read for it once more
    return operation


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        if batch and (len(batch) == BATCH_FILES or sum(item.size for item in batch) + entry.size > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch
