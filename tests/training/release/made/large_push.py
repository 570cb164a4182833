"""Uploads a folder as the door does, as a client process of its own that may be killed.

Command: python -m tests.training.release.made.large_push FOLDER REPO, prints by how many MB its memory grew at most.
"""

import resource
import sys
from pathlib import Path

from training.release.hub import Repository
from training.release.plan import Plan, files_of, list_entries, release_hash
from training.release.upload import upload


def peak_mb() -> float:
    """Returns the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(folder: Path, repo_id: str) -> None:
    """Makes the repository, hashes the files and sends what is missing."""
    repository = Repository("dataset", repo_id)
    repository.ask("create_repo", exist_ok=True)
    before = peak_mb()
    entries = list_entries(folder, [path.name for path in folder.iterdir()])
    plan = Plan("dataset", folder, entries, release_hash("dataset", files_of(entries)), repo_id, "v1")
    upload(repository, plan, repository.head("main"))
    sys.stdout.write(f"{peak_mb() - before:.0f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
