"""Moves a branch to what was verified, in one commit upon the one it was at; tags come last."""

import hashlib
import logging
from collections.abc import Mapping

from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
from huggingface_hub.hf_api import RepoFile

from fusionrs_hf.errors import InputError
from training.release.hub import MOVED, Repository, RepositoryMovedError, is_passing, status_of
from training.release.kinds import VERIFICATION
from training.release.plan import Plan

logger = logging.getLogger(__name__)

KEPT = (".gitattributes",)  # the Hub's own


def move(repository: Repository, plan: Plan, branch: str, parent: str, verified: str, verification: bytes) -> str:
    """Makes a branch hold a verified release and nothing else, in one commit.

    Files that the Hub keeps by their id are named, not sent; the others, which are small, go up again.

    Args:
        repository: To change.
        plan: The release.
        branch: To move, `main` for most.
        parent: Commit that it must still be at.
        verified: Commit that was verified.
        verification: Content of `verification.json`.

    Returns:
        The new commit.

    Raises:
        RepositoryMovedError: The branch is elsewhere by now; it was left alone.
    """
    source = repository.tree(verified)
    old = repository.tree(parent)
    names = [entry.name for entry in plan.entries]
    stale = sorted(set(old).difference(names, KEPT, (VERIFICATION,)))
    if stale:
        logger.info("%s held %s, which the release does not: deleted with it", branch, ", ".join(stale))
    expected = {name: source[name].blob_id for name in names} | {VERIFICATION: _git_sha1(verification)}
    for attempt in range(2):
        operations = [
            CommitOperationCopy(entry.name, entry.name, src_revision=verified)
            if source[entry.name].lfs
            else CommitOperationAdd(entry.name, entry.path)
            for entry in plan.entries
        ]
        operations += [CommitOperationAdd(VERIFICATION, verification)]
        operations += [CommitOperationDelete(name, is_folder=False) for name in stale]
        try:
            commit = repository.api.create_commit(
                repository.repo_id,
                operations,
                repo_type=repository.repo_type,
                commit_message=f"Release {plan.kind} {plan.tag}",
                commit_description=f"Verified release {plan.release}",
                revision=branch,
                parent_commit=parent,
            ).oid
            break
        except Exception as error:
            commit = _arrived(repository, branch, parent, expected, error)
            if commit is not None:
                break
            if attempt or not is_passing(error):
                raise
    if wrong := _differences(repository.tree(commit), expected):
        raise InputError(
            f"{repository.url(commit)} does not hold what was verified ({', '.join(wrong[:3])} differ); it has no "
            "tag, take it back on the Hub"
        )
    return commit


def _arrived(
    repository: Repository, branch: str, parent: str, expected: Mapping[str, str], error: Exception
) -> str | None:
    """Returns the branch's head where a commit arrived though its answer did not, None where it is at its parent.

    Raises:
        RepositoryMovedError: Somebody else has moved it.
    """
    head = repository.head(branch)
    if head == parent:
        return None
    if not _differences(repository.tree(head), expected):
        return head
    told = f" ({status_of(error)})" if status_of(error) in MOVED else ""
    raise RepositoryMovedError(
        f"{branch} of {repository.repo_id} has moved to {head[:12]} meanwhile{told}; it was left alone: look at what "
        "came in, then push again"
    ) from error


def set_tag(repository: Repository, plan: Plan, commit: str) -> None:
    """Tags a commit; a tag that is there already must be of the same files."""
    repository.ask("create_tag", tag=plan.tag, revision=commit, exist_ok=True)
    there = repository.tags().get(plan.tag)
    if there != commit and (there is None or _contents(repository, there) != _contents(repository, commit)):
        raise InputError(f"tag {plan.tag} of {repository.repo_id} is at {str(there)[:12]}; give another --tag")


def _contents(repository: Repository, commit: str) -> dict[str, str]:
    return {name: file.blob_id for name, file in repository.tree(commit).items() if name not in KEPT}


def _differences(tree: Mapping[str, RepoFile], expected: Mapping[str, str]) -> list[str]:
    held = {name: file.blob_id for name, file in tree.items() if name not in KEPT}
    return sorted(name for name in {*held, *expected} if held.get(name) != expected.get(name))


def _git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
