"""Pushes to a Hub on which requests fail, as a client process does them; imports no Hub library until it is told.

Command: python -m tests.training.release.made.faulty_pushes KIND SHARE OF, for one share of all requests x faults.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.made.hub_faults import FAULTS
from tests.made.hub_server import LoopbackHub

ONCE = ("500", "429", "cut", "cut after")  # also tried as what happens once and passes
hub: LoopbackHub


def begin(root: str) -> None:
    """Starts a Hub in the client's own process, and lets nobody wait."""
    global hub
    hub = LoopbackHub(Path(root) / "hub")
    hub.__enter__()
    os.environ |= hub.environment()
    pause = time.sleep
    time.sleep = lambda seconds: pause(min(seconds, 0.02))


def prepare(kind: str, root: str) -> tuple[str, int]:
    """Makes a folder and pushes it once, so that its load is remembered; returns it and the number of requests."""
    from tests.training.release.made.folders import MAKERS
    from training.release import door

    folder = MAKERS[kind](Path(root) / kind)
    hub.faults.arm("slow", 10**9)
    door.push(kind, folder, f"faults/{kind}-first")
    return str(folder), hub.faults.seen


def state(kind: str, repo_id: str) -> dict[str, Any]:
    """What is in a repository: files of main, and of each tag."""
    from training.release.hub import Repository
    from training.release.kinds import KINDS

    repository = Repository(KINDS[kind].repo_type, repo_id)
    files = {name: entry.blob_id for name, entry in repository.tree("main").items() if name != ".gitattributes"}
    tags = {tag: repository.tree(commit) for tag, commit in repository.tags().items()}
    return {"main": files, "tags": {tag: set(tree) - {".gitattributes"} for tag, tree in tags.items()}}


def attempt(kind: str, folder: str, fault: str, first: int, last: int, number: int) -> str:
    """Pushes under a fault into a repository that holds an older file; returns what was wrong, empty if nothing."""
    from huggingface_hub import HfApi

    from fusionrs_hf.errors import InputError
    from training.release import door
    from training.release.kinds import KINDS

    repo_type, repo_id = KINDS[kind].repo_type, f"faults/{kind}-{number}"
    options = {"space_sdk": "static"} if repo_type == "space" else {}
    HfApi().create_repo(repo_id, repo_type=repo_type, **options)
    HfApi().upload_file(path_or_fileobj=b"old", path_in_repo="OLD.md", repo_id=repo_id, repo_type=repo_type)
    old = {"OLD.md"}
    repository = hub.repository(f"{repo_type}s", repo_id)

    def meddle() -> None:
        tree = dict(repository.commit("main")["tree"])
        repository.apply(tree, "file", {"path": "THEIRS.md", "content": "dGhlaXJz"})
        repository.add_commit("main", tree, "theirs", "", repository.commit("main")["id"])

    hub.faults.arm(fault, first, last, meddle)
    said = ""
    try:
        door.push(kind, folder, repo_id)
    except InputError as error:
        said = str(error)
    seen, hit = hub.faults.seen, hub.faults.hit
    hub.faults.clear()
    found = state(kind, repo_id)
    where = f"{kind}, {fault} at request {first} of {seen} ({said or 'pushed'})"
    names = set(found["main"])
    if not (names in (old, old | {"THEIRS.md"}) or ("verification.json" in names and not names & {"OLD.md"})):
        return f"{where}: main holds {sorted(names)}"
    if any("verification.json" not in tree for tree in found["tags"].values()):
        return f"{where}: a tag is at what was not verified"
    if "\n" in said or "Traceback" in said:
        return f"{where}: not one line"
    if hit == 0 and said:
        return f"{where}: stopped without a fault"
    if fault == "slow" and said:
        return f"{where}: a slow Hub is none that fails"
    door.push(kind, folder, repo_id)
    found = state(kind, repo_id)
    if "verification.json" not in found["main"] or not found["tags"] or found["main"].keys() & {"OLD.md", "THEIRS.md"}:
        return f"{where}: the next push left {sorted(found['main'])}, tags {list(found['tags'])}"
    return ""


def sweep(kind: str, root: str, share: int, of: int) -> tuple[int, list[str]]:
    """Tries every request x fault whose number falls to this share; returns how many, and what was wrong."""
    folder, requests = prepare(kind, root)
    cases = [(fault, place, 10**9) for fault in FAULTS for place in range(requests)]
    cases += [(fault, place, place) for fault in ONCE for place in range(requests)]
    mine = [case for number, case in enumerate(cases) if number % of == share]
    wrong = [attempt(kind, folder, *case, number) for number, case in enumerate(mine)]
    return len(mine), [line for line in wrong if line]


def main() -> None:
    """Prints how many cases were tried and every one that went wrong."""
    kind, share, of = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for name in [name for name in os.environ if name.startswith("HF_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as root:
        begin(root)
        started = time.monotonic()
        tried, wrong = sweep(kind, root, share, of)
    lines = [f"{kind}: {tried} tried, {len(wrong)} wrong, {time.monotonic() - started:.0f} s", *wrong]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
