"""The loopback Hub's repositories on disk: immutable commits, branches and tags that point at them, shared blobs.

Apart from the HTTP of `hub_server.py`, so that what is stored and what is answered can be read one at a time.
Blobs are named as the Hub's clients expect to compare them: git's SHA-1, or SHA-256 where LFS holds the file.
"""

import base64
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LFS_SUFFIXES = (".parquet", ".safetensors", ".bin", ".pt", ".onnx", ".arrow", ".npy", ".tif", ".tar", ".zip", ".gguf")
LFS_BYTES = 10 * 2**20  # from this size on every file is LFS, whatever its suffix
GIT_ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"

Tree = dict[str, dict[str, Any]]  # path in the repository -> {"oid", "size" (bytes), "lfs" (bool)}


class HubError(Exception):
    """An answer other than success: status, sentence, and the `X-Error-Code` that clients turn into an exception."""

    def __init__(self, status: int, message: str, code: str | None = None, **body: Any):
        super().__init__(message)
        self.status, self.code, self.body = status, code, {"error": message, **body}


def git_oid(content: bytes) -> str:
    """Returns git's SHA-1 of a blob, 40 hex."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def timestamp() -> str:
    """Returns the time of day in the Hub's form, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as partial:
        partial.write(content)
    Path(partial.name).replace(path)


class Repository:
    """One repository: `refs.json` and `commits/<sha>.json` in a folder of its own, beside the Hub's shared blobs.

    Args:
        folder: Where the repository is kept; it exists once `create` was called.
        blobs: The Hub's blob folder.
    """

    def __init__(self, folder: Path, blobs: Path):
        self.folder, self.blobs = folder, blobs

    @property
    def refs(self) -> dict[str, Any]:
        """`{"private": bool, "createdAt": ISO 8601, "branches": {name: sha}, "tags": {name: sha}}`."""
        return json.loads((self.folder / "refs.json").read_text())

    def save_refs(self, refs: dict[str, Any]) -> None:
        """Replaces `refs`."""
        write_whole(self.folder / "refs.json", json.dumps(refs, indent=1).encode())

    def create(self, private: bool) -> None:
        """Makes the repository with the Hub's own first commit, `.gitattributes`."""
        self.save_refs({"private": private, "createdAt": timestamp(), "branches": {}, "tags": {}})
        tree: Tree = {}
        content = base64.b64encode(GIT_ATTRIBUTES).decode()
        self.apply(tree, "file", {"path": ".gitattributes", "content": content})
        self.add_commit("main", tree, "initial commit", "", parent=None)

    def commit(self, revision: str) -> dict[str, Any]:
        """Returns the commit that a branch, a tag or a sha names: id, parent, title, message, date and tree.

        Raises:
            HubError: 404, RevisionNotFound.
        """
        refs = self.refs
        sha = refs["branches"].get(revision) or refs["tags"].get(revision) or revision
        path = self.folder / "commits" / f"{sha}.json"
        if not re.fullmatch("[0-9a-f]{40}", sha) or not path.exists():
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return json.loads(path.read_text())

    def history(self, revision: str) -> Iterator[dict[str, Any]]:
        """Yields the commits from `revision` back to the first."""
        sha: str | None = revision
        while sha:
            commit = self.commit(sha)
            yield commit
            sha = commit["parent"]

    def add_commit(self, branch: str, tree: Tree, title: str, message: str, parent: str | None) -> str:
        """Stores a commit, moves the branch to it and returns its sha."""
        commit = {"parent": parent, "title": title, "message": message, "date": timestamp(), "tree": tree}
        sha = hashlib.sha1(json.dumps(commit, sort_keys=True).encode()).hexdigest()
        write_whole(self.folder / "commits" / f"{sha}.json", json.dumps({"id": sha, **commit}).encode())
        refs = self.refs
        refs["branches"][branch] = sha
        self.save_refs(refs)
        return sha

    def apply(self, tree: Tree, operation: str, value: dict[str, Any]) -> None:
        """Changes `tree` by one line of a commit payload.

        Raises:
            HubError: An unknown operation, an LFS object that was not uploaded, a path that is not there.
        """
        path = value["path"].strip("/")
        if operation == "file":
            content = base64.b64decode(value["content"])
            tree[path] = {"oid": git_oid(content), "size": len(content), "lfs": False}
            write_whole(self.blobs / tree[path]["oid"], content)
        elif operation == "lfsFile":
            blob = self.blobs / value["oid"]
            if not re.fullmatch("[0-9a-f]{64}", value["oid"]) or not blob.exists():
                raise HubError(400, f"LFS pointer of {path} points to an object that was not uploaded: {value['oid']}")
            tree[path] = {"oid": value["oid"], "size": blob.stat().st_size, "lfs": True}
        elif operation in ("deletedFile", "deletedFolder"):
            gone = [path] if operation == "deletedFile" else [name for name in tree if name.startswith(f"{path}/")]
            if not gone or gone[0] not in tree:
                raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            for name in gone:
                del tree[name]
        else:
            raise HubError(400, f"Unknown operation in commit: {operation}")

    def describe(self, commit: dict[str, Any], path: str, expand: bool = False) -> dict[str, Any] | None:
        """Returns the Hub's record of a file or folder in a commit, None where there is neither.

        Args:
            commit: As `commit` returns it.
            path: File or folder, without a slash at either end.
            expand: Whether to tell the last commit that changed it, too.
        """
        tree: Tree = commit["tree"]
        inside = within(tree, path)
        if not inside:
            return None
        if path in tree:
            entry = tree[path]
            record = {"type": "file", "oid": entry["oid"], "size": entry["size"], "path": path}
            if entry["lfs"]:
                pointer = POINTER.format(**entry).encode()
                record["oid"] = git_oid(pointer)
                record["lfs"] = {"oid": entry["oid"], "size": entry["size"], "pointerSize": len(pointer)}
        else:
            listing = json.dumps(sorted((name, entry["oid"]) for name, entry in inside.items()))
            record = {"type": "directory", "oid": hashlib.sha1(listing.encode()).hexdigest(), "size": 0, "path": path}
        if expand:
            last = commit
            for older in self.history(commit["id"]):
                if within(older["tree"], path) != inside:
                    break
                last = older
            record["lastCommit"] = {name: last[name] for name in ("id", "title", "date")}
        return record


def within(tree: Tree, path: str) -> Tree:
    """Returns the entries that are `path` or lie below it."""
    return {name: entry for name, entry in tree.items() if name == path or name.startswith(f"{path}/")}


def folders(paths: list[str]) -> set[str]:
    """Returns every folder above the given paths, at any depth."""
    return {parent for path in paths for parent in map(str, Path(path).parents) if parent != "."}
