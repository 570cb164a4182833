"""Pushes to a Hub on which requests fail, as a client process does them; imports no Hub library until it is told.

Command: python -m tests.training.release.made.faulty_pushes KIND SHARE OF, for one share of all requests x faults. A
folder's contents are loaded once and remembered by their hash; with `--full DRAWN` so many drawn cases load all anew.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from tests.made.hub_faults import FAULTS
from tests.made.hub_server import LoopbackHub

LAST = 10**9  # request: a fault that does not pass
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
    hub.faults.arm("slow", LAST)
    door.push(kind, folder, f"faults/{kind}")
    return str(folder), hub.faults.seen


def state(kind: str, repo_id: str) -> dict[str, Any]:
    """What is in a repository: files of main, and of each tag."""
    from training.release.hub import Repository
    from training.release.kinds import KINDS

    repository = Repository(KINDS[kind].repo_type, repo_id)
    files = {name: entry.blob_id for name, entry in repository.tree("main").items() if name != ".gitattributes"}
    tags = {tag: repository.tree(commit) for tag, commit in repository.tags().items()}
    return {"main": files, "tags": {tag: set(tree) - {".gitattributes"} for tag, tree in tags.items()}}


def attempt(kind: str, folder: str, fault: str, first: int, last: int, name: str = "") -> str:
    """Pushes under a fault into a repository that holds an older file; returns what was wrong, empty if nothing.

    Args:
        kind, folder: What is pushed.
        fault: Of `FAULTS`.
        first, last: Requests that it befalls.
        name: Of the repository: a name of its own makes a card of its own, so that all is loaded; empty: the one that
            was pushed to before, made anew, so that what is loaded is known.
    """
    from huggingface_hub import HfApi

    from fusionrs_hf.errors import InputError
    from training.release import door
    from training.release.kinds import KINDS

    repo_type, repo_id = KINDS[kind].repo_type, f"faults/{name or kind}"
    options = {"space_sdk": "static"} if repo_type == "space" else {}
    HfApi().delete_repo(repo_id, repo_type=repo_type, missing_ok=True)
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


def all_cases(requests: int) -> list[tuple[str, int, int]]:
    """Returns every fault, the first request that it befalls and the last."""
    lasting = [(fault, place, LAST) for fault in FAULTS for place in range(requests)]
    return lasting + [(fault, place, place) for fault in ONCE for place in range(requests)]


def sweep(kind: str, root: str, share: int, of: int) -> tuple[int, list[str]]:
    """Tries every request x fault whose number falls to this share; returns how many, and what was wrong."""
    folder, requests = prepare(kind, root)
    mine = all_cases(requests)[share::of]
    wrong = [attempt(kind, folder, *case) for case in mine]
    return len(mine), [line for line in wrong if line]


def draw(kind: str, root: str, count: int) -> tuple[int, list[str]]:
    """Tries some cases, drawn by the kind's name, each with all that is loaded of a release."""
    folder, requests = prepare(kind, root)
    drawn = Random(kind).sample(all_cases(requests), count)
    wrong = [attempt(kind, folder, *case, f"{kind}-{number}") for number, case in enumerate(drawn)]
    return count, [line for line in wrong if line]


def main() -> None:
    """Prints how many cases were tried and every one that went wrong."""
    kind, *numbers = sys.argv[1:]
    for name in [name for name in os.environ if name.startswith("HF_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as root:
        begin(root)
        started = time.monotonic()
        full = numbers[0] == "--full"
        tried, wrong = draw(kind, root, int(numbers[1])) if full else sweep(kind, root, *map(int, numbers))
    lines = [f"{kind}: {tried} tried, {len(wrong)} wrong, {time.monotonic() - started:.0f} s", *wrong]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
