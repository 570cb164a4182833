"""Whether a repository holds what its release says, by anyone: bytes first, and nothing runs that is not known.

Code is known where it is, to the byte, the code of this package: whoever could change a repository's code could change
what `verification.json` says of it as well. An application's code is compared, and never run.
"""

import logging
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from fusionrs_hf import __version__
from fusionrs_hf.errors import InputError
from fusionrs_hf.repository_names import check_hub_id, check_revision
from training.release.contents import differences
from training.release.hub import Repository, in_a_line
from training.release.kinds import KINDS, VERIFICATION
from training.release.move import KEPT
from training.release.plan import may_go_up, release_hash
from training.release.stranger import Findings, examine, scratch
from training.release.verification import Verification

logger = logging.getLogger(__name__)

TYPES = ("model", "dataset", "space")
NEAR = {"rel_tol": 1e-3, "abs_tol": 1e-3}  # of numbers that another machine computes


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found in a repository, compared with what its release says.

    Args:
        kind, repo_id: What was verified.
        revision: Commit that was looked at, 40 hex.
        release: Hash that `verification.json` gives.
        fusionrs_version: By which it was released.
        compared: Number of files and facts compared.
        differences: One line for each that differs; empty if all is as it was verified.
    """

    kind: str
    repo_id: str
    revision: str
    release: str
    fusionrs_version: str
    compared: int
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether everything is as it was verified."""
        return not self.differences


def verify(
    repo_id: str, revision: str | None = None, repo_type: str | None = None, release: str | None = None
) -> VerifyReport:
    """Recomputes what the `verification.json` of a release states; nobody needs the folder it was pushed from.

    The files are downloaded with this process's token. What compares, imports and loads them is a process without
    token and network; it runs no file that is not, to the byte, this package's own.

    Args:
        repo_id: `owner/name`; `datasets/owner/name` and `spaces/owner/name` say the type, too.
        revision: Branch, tag or commit; None for `main`.
        repo_type: `model`, `dataset` or `space`; None: the one that holds a release by that name.
        release: Hash that `push` printed; None: whatever release is there. Who may write to the repository can make
            another release of it, but none of this hash.

    Raises:
        InputError: There is no such repository, revision or release.
    """
    repository, commit = find_release(repo_id, revision, repo_type)
    with scratch("verify") as home, in_a_line(repository, lambda: "nothing was loaded; verify again"):
        folder = download(repository, commit, home / "release")
        stated = Verification.read(folder / VERIFICATION)
        (folder / VERIFICATION).unlink()
        lines = [
            *unlike_a_release(stated, release),
            *unknown_code(stated.kind, folder, stated.fusionrs_version),
        ]
        base_cache, base_lines = fetch_base(stated.base, home)
        findings = Findings((*lines, *base_lines))
        if not findings.differences:
            place = _named_like(folder, stated)
            findings = examine(stated.kind, place, stated.hashes(), "hub", base_cache)
        elif changed := differences(folder, stated.hashes()):
            findings = Findings((*changed, *findings.differences))
    found = findings.differences or _compare(stated, findings)
    compared = len(stated.files) + len(stated.facts) + len(stated.numbers)
    about = (stated.kind, repository.repo_id, commit, stated.release, stated.fusionrs_version)
    return VerifyReport(*about, compared, tuple(found))


def find_release(repo_id: str, revision: str | None, repo_type: str | None) -> tuple[Repository, str]:
    """Returns the repository of a name that holds a release, and the commit that is asked for."""
    for kind in TYPES:
        if repo_id.startswith(f"{kind}s/"):
            repo_id, repo_type = repo_id.removeprefix(f"{kind}s/"), kind
    check_hub_id(repo_id)
    check_revision(revision)
    found: list[tuple[Repository, str]] = []
    absent = []
    for kind in TYPES if repo_type is None else (repo_type,):
        repository = Repository(kind, repo_id)
        with in_a_line(repository, lambda: "nothing was loaded; verify again"):
            try:
                commit = repository.ask("repo_info", revision=revision).sha
                if VERIFICATION in repository.tree(commit):
                    found.append((repository, commit))
                else:
                    absent.append(f"the {kind} has no {VERIFICATION}: it was not released by `fusionrs push`")
            except (RepositoryNotFoundError, RevisionNotFoundError):
                continue
    if len(found) > 1:
        raise InputError(f"{repo_id} is a {' and a '.join(item.repo_type for item, _ in found)}; say which by --type")
    if not found:
        wanted = f"{repo_id} at {revision}" if revision else repo_id
        reason = f" ({'; '.join(absent)})" if absent else ""
        raise InputError(f"{HfApi().endpoint} has no release {wanted}{reason}; push it first")
    return found[0]


def download(repository: Repository, commit: str, folder: Path, names: list[str] | None = None) -> Path:
    """Downloads a commit's files, all or those named, with this process's token; the Hub's own ones stay there."""
    repository.patiently(
        lambda: snapshot_download(
            repository.repo_id,
            repo_type=repository.repo_type,
            revision=commit,
            local_dir=folder,
            allow_patterns=names and [_literal(name) for name in names],
            ignore_patterns=list(KEPT),
        )
    )
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # where the client noted what it has downloaded
    return folder


def _literal(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def unlike_a_release(stated: Verification, release: str | None) -> list[str]:
    """Returns a line for each name that no release of its kind has, and where it is not the release that it says."""
    kind = KINDS[stated.kind]
    ours = set(own_code())
    lines = [f"{name}: no file of a {stated.kind}" for name in stated.files if not may_go_up(kind, name, ours)]
    if stated.release != release_hash(stated.kind, stated.files):
        lines.append(f"{VERIFICATION}: states release {stated.release[:16]}, but its files are of another")
    if release and not stated.release.startswith(release.lower()):
        lines.append(f"{VERIFICATION}: states release {stated.release[:16]}, expected {release[:16]}")
    return lines


def unknown_code(kind: str, folder: Path, version: str) -> list[str]:
    """Returns a line for each Python file in a folder that is not, to the byte, this package's; applications pass."""
    if kind == "space":
        return []
    lines = []
    for path in sorted(folder.rglob("*.py")):
        if path.read_bytes() != own_code().get(path.name):
            name = path.relative_to(folder).as_posix()
            remedy = "" if version == __version__ else f"; it was released by {version}: verify with that version"
            lines.append(f"{name}: not the code of fusionrs-hf {__version__}, and was not run{remedy}")
    return lines


@cache
def own_code() -> dict[str, bytes]:
    """Returns the files of this package that travel with releases, by name."""
    root = Path(__file__).resolve().parents[2]
    places = [*(root / "fusionrs_hf").glob("*_fusionrs_*.py"), *(root / "training/metrics").glob("*/*.py")]
    return {path.name: path.read_bytes() for path in places if path.name != "__init__.py"}


def fetch_base(base: Mapping[str, str], home: Path) -> tuple[Path | None, list[str]]:
    """Downloads what a release builds upon into a cache of the Hub's clients, and looks at its code.

    Returns:
        The cache, None where there is no base; and a line for each file of unknown code.
    """
    if not base:
        return None, []
    repository = Repository("model", str(base["repo_id"]))
    cache = home / "hub"
    place = Path(
        repository.patiently(
            lambda: snapshot_download(repository.repo_id, revision=str(base["revision"]), cache_dir=cache)
        )
    )
    reference = place.parent.parent / "refs" / "main"  # the child asks for no revision
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(str(base["revision"]))
    return cache, [f"base {repository.repo_id}, {line}" for line in unknown_code("vlm", place, __version__)]


def _named_like(folder: Path, stated: Verification) -> Path:
    """A metric's folder bears its module's name, or `evaluate` does not find it."""
    if stated.kind != "metric":
        return folder
    module = metric_module(stated.files)
    return folder.rename(folder.with_name(module)) if module else folder


def metric_module(names: Mapping[str, object]) -> str | None:
    """Returns the name of the metric among the files of one: the module that this package has a folder for."""
    root = Path(__file__).resolve().parents[1] / "metrics"
    stems = [name.removesuffix(".py") for name in sorted(names) if name.endswith(".py")]
    return next((stem for stem in stems if (root / stem).is_dir()), stems[0] if stems else None)


def _compare(stated: Verification, findings: Findings) -> list[str]:
    lines = []
    for name in sorted(stated.facts.keys() | findings.facts.keys()):
        told, found = stated.facts.get(name), findings.facts.get(name)
        if told != found:
            lines.append(f"{name}: {told} in {VERIFICATION}, {found} when loaded")
    for name in sorted(stated.numbers.keys() | findings.numbers.keys()):
        told, found = stated.numbers.get(name, []), findings.numbers.get(name, [])
        if len(told) != len(found) or not all(math.isclose(a, b, **NEAR) for a, b in zip(told, found)):
            lines.append(f"numbers of {name}: {told} in {VERIFICATION}, {found} when loaded")
    return lines
