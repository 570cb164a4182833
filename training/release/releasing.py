"""The way of a release: to a branch, back from the Hub, into `main` in one commit; what is there already stays."""

import logging
from pathlib import Path

from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.bounded_yaml import front_matter
from fusionrs_hf.errors import InputError
from training.release.hub import Repository, in_a_line
from training.release.kinds import VERIFICATION, find_kind
from training.release.move import KEPT, move, set_tag
from training.release.plan import Plan
from training.release.stranger import examine
from training.release.upload import differing, upload
from training.release.verification import Verification
from training.release.verify import download, fetch_base, metric_module

logger = logging.getLogger(__name__)


def release(plan: Plan, home: Path, private: bool, branch: str) -> str:
    """Uploads, verifies from the Hub, moves the branch and tags.

    Args:
        plan: The release.
        home: Scratch folder.
        private: Whether a new repository is private, and another one must be.
        branch: To move.

    Returns:
        URL of the commit.

    Raises:
        InputError: The Hub refuses or fails, or what came back is not what went up: with what is there now.
    """
    repository = Repository(find_kind(plan.kind).repo_type, plan.repo_id)
    steps = {"now": f"{branch} is as it was; the same command continues"}
    with in_a_line(repository, lambda: steps["now"]):
        _make(repository, plan, private)
        parent = _start(repository, branch)
        if (commit := _released(repository, plan, branch, parent)) is None:
            _check_tag(repository, plan)
            uploaded = upload(repository, plan, parent)
            verification = _verify(repository, plan, uploaded, home)
            steps["now"] = f"{branch} moved as a whole or not at all; the same command continues"
            commit = move(repository, plan, branch, parent, uploaded, verification)
        steps["now"] = f"{branch} holds the release, only its tag may be missing; the same command continues"
        set_tag(repository, plan, commit)
        if plan.branch in {ref.name for ref in repository.ask("list_repo_refs").branches}:
            repository.ask("delete_branch", branch=plan.branch)
    logger.info("%s holds release %s, verified, tag %s", plan.repo_id, plan.release[:16], plan.tag)
    return repository.url(commit)


def _make(repository: Repository, plan: Plan, private: bool) -> None:
    options = {}
    if repository.repo_type == "space":
        card = plan.folder / "README.md"
        options["space_sdk"] = front_matter(read_text(card), str(card))["sdk"]
    repository.repo_id = repository.ask("create_repo", private=private, exist_ok=True, **options).repo_id
    if private and not repository.ask("repo_info").private:
        raise InputError(f"{repository.repo_id} exists and is public, expected a private one; choose another name")


def _start(repository: Repository, branch: str) -> str:
    """Returns the commit that a branch is at; a new one begins where `main` is."""
    if (head := repository.head(branch)) is not None:
        return head
    repository.ask("create_branch", branch=branch, exist_ok=True)
    return repository.head(branch)


def _released(repository: Repository, plan: Plan, branch: str, head: str) -> str | None:
    """Returns the commit where a branch holds this very release already."""
    tree = repository.tree(head)
    same = set(tree).difference(KEPT) == {*plan.files, VERIFICATION} and not differing(plan.entries, tree)
    return head if same else None


def _check_tag(repository: Repository, plan: Plan) -> None:
    if (commit := repository.tags().get(plan.tag)) is not None and differing(plan.entries, repository.tree(commit)):
        raise InputError(
            f"tag {plan.tag} of {repository.repo_id} is there already and names another release; give another --tag"
        )


def _verify(repository: Repository, plan: Plan, commit: str, home: Path) -> bytes:
    """Downloads what was uploaded and lets a stranger load it; returns what is then known of it."""
    place = home / "from_hub"
    if plan.kind == "metric":
        place = place / str(metric_module(plan.files))
    cache, unknown = fetch_base(plan.base, home)
    download(repository, commit, place, list(plan.files))
    hashes = {entry.name: entry.sha256 for entry in plan.entries}
    findings = examine(plan.kind, place, hashes, "hub", cache)
    if lines := [*unknown, *findings.differences]:
        raise InputError(
            f"{plan.repo_id} did not come back as it went up ({'; '.join(lines[:3])}); {VERIFICATION} was not written "
            "and no branch moved; push again"
        )
    return Verification.from_plan(plan, findings).content()
