"""What the loopback Hub answers: one method a request, in the words that the Hub's clients expect.

Apart from `hub_server.py`, which starts it, and `hub_repository.py`, which stores what it is told.
"""

import hashlib
import json
import logging
import re
import shutil
import tempfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.made.hub_refs import USER, HubRefs
from tests.made.hub_repository import LFS_BYTES, LFS_SUFFIXES, HubError, folders

if TYPE_CHECKING:
    from tests.made.hub_server import LoopbackHub

logger = logging.getLogger(__name__)

CHUNK = 2**20  # bytes of an LFS object held at once


class HubHandler(HubRefs, BaseHTTPRequestHandler):
    """One connection; `ROUTES` leads each request to the method that replies to it or raises `HubError`."""

    hub: "LoopbackHub"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_request(self) -> None:
        """Answers one request: finds the route, checks the token, finds the repository, calls the method."""
        self.hub.requests.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".rstrip())
        if self.hub.faults.strike(self):
            return
        url = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.commit: dict[str, Any] = {}  # the one that the reply is about
        streamed = self.command == "PUT"
        try:
            self.body = b"" if streamed else self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found, needs_token, method = match_route(self.command, url.path)
            authorised = self.read_token()
            if needs_token and not authorised:
                raise HubError(401, "Invalid username or password.")
            parts = {name: unquote(value) for name, value in found.groupdict().items() if value is not None}
            if "repo_id" in parts:
                self.kind, self.repo_id = parts.pop("kind", "models"), parts.pop("repo_id")
                self.find_repository(authorised)
            if "revision" in parts:
                self.commit = self.repo.commit(parts["revision"])
            getattr(self, method)(**parts)
        except HubError as error:
            self.close_connection |= streamed  # the body is unread
            self.reply(error.body, error.status, {"X-Error-Code": error.code, "X-Error-Message": error.body["error"]})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def read_token(self) -> bool:
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if sent and sent != self.hub.token:
            raise HubError(401, "Invalid credentials in Authorization header")
        return bool(sent)

    def find_repository(self, authorised: bool) -> None:
        self.repo = self.hub.repository(self.kind, self.repo_id)
        if not self.repo.folder.exists():
            raise HubError(404, "Repository not found", "RepoNotFound")
        if self.repo.refs["private"] and not authorised:
            raise HubError(401, "Invalid username or password.", "RepoNotFound")

    def reply(self, body: Any = None, status: int = 200, headers: dict[str, str | None] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_head(
            status, {"Content-Type": "application/json", "Content-Length": str(len(content))}, headers or {}
        )
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_head(self, status: int, *headers: dict[str, str | None]) -> None:
        self.send_response(status)
        for name, value in [pair for group in headers for pair in group.items() if pair[1] is not None]:
            self.send_header(name, value)
        if self.commit:
            self.send_header("X-Repo-Commit", self.commit["id"])
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    @property
    def url(self) -> str:
        return f"{self.hub.endpoint}/{'' if self.kind == 'models' else self.kind + '/'}{self.repo_id}"

    # Accounts and repositories

    def whoami(self) -> None:
        access = {"type": "access_token", "accessToken": {"displayName": "loopback", "role": "write"}}
        self.reply({"type": "user", "id": "0", "name": USER, "fullname": USER, "orgs": [], "auth": access})

    def validate_yaml(self) -> None:
        """Knows no YAML: looks for a metadata block that is closed and not indented by tabs."""
        lines = self.json["content"].splitlines()
        if not lines or lines[0].strip() != "---":
            self.reply({"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]})
        elif "---" not in lines[1:] or any(line.startswith("\t") for line in lines[: lines.index("---", 1)]):
            self.reply({"errors": [{"message": "the metadata block is not YAML closed by ---"}], "warnings": []}, 400)
        else:
            self.reply({"errors": [], "warnings": []})

    def name_repository(self) -> None:
        self.kind = f"{self.json.get('type') or 'model'}s"
        self.repo_id = f"{self.json.get('organization') or USER}/{self.json['name']}"
        self.repo = self.hub.repository(self.kind, self.repo_id)

    def create_repository(self) -> None:
        self.name_repository()
        with self.hub.lock:
            if self.repo.folder.exists():
                raise HubError(409, f"You already created this {self.kind[:-1]} repo", url=self.url)
            self.repo.create(private=self.json.get("visibility") == "private" or bool(self.json.get("private")))
        self.reply({"url": self.url, "name": self.repo_id, "id": self.repo_id})

    def delete_repository(self) -> None:
        self.name_repository()
        self.find_repository(authorised=True)
        with self.hub.lock:
            shutil.rmtree(self.repo.folder)
        self.reply()

    def show_repository(self, revision: str = "main") -> None:
        commit, refs = self.repo.commit(revision), self.repo.refs
        siblings = [{"rfilename": path} for path in sorted(commit["tree"])]
        if self.query.get("blobs"):
            for sibling in siblings:
                record = self.repo.describe(commit, sibling["rfilename"])
                sibling |= {"size": record["size"], "blobId": record["oid"]}
                if "lfs" in record:
                    sibling["lfs"] = record["lfs"] | {"sha256": record["lfs"]["oid"]}
        about = {"id": self.repo_id, "author": self.repo_id.split("/")[0], "sha": commit["id"], "siblings": siblings}
        dates = {"createdAt": refs["createdAt"], "lastModified": commit["date"]}
        zeros = {"gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
        self.reply(about | dates | zeros | {"private": refs["private"]})

    # Reading

    def list_tree(self, revision: str, path: str = "") -> None:
        files = [name for name in self.commit["tree"] if not path or name.startswith(f"{path}/")]
        if path and not files:
            raise HubError(404, f"{path} does not exist on {revision}", "EntryNotFound")
        names = [name for name in {*files, *folders(files)} if not path or name.startswith(f"{path}/")]
        if self.query.get("recursive", "false").lower() not in ("true", "1"):
            names = [name for name in names if str(Path(name).parent) == (path or ".")]
        self.reply_records(names, self.query.get("expand", "false"))

    def show_paths(self, revision: str) -> None:
        form = parse_qs(self.body.decode())
        self.reply_records(form.get("paths", []), form.get("expand", ["false"])[0])

    def reply_records(self, names: list[str], expand: str) -> None:
        records = [self.repo.describe(self.commit, name, expand.lower() in ("true", "1")) for name in sorted(names)]
        self.reply([record for record in records if record])

    def resolve(self, revision: str, path: str) -> None:
        """Sends a file, or the one byte range of it that is asked for."""
        entry = self.commit["tree"].get(path)
        if entry is None:
            raise HubError(404, f"{path} does not exist on {revision}", "EntryNotFound")
        size, etag = entry["size"], f'"{entry["oid"]}"'
        start, stop, status = 0, size, 200
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if found and any(found.groups()):
            first, last = found.groups()
            start = int(first) if first else max(size - int(last), 0)
            stop = min(int(last) + 1, size) if first and last else size
            status = 206 if start < stop else 416
        about = {
            "ETag": etag,
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'inline; filename="{Path(path).name}"',
        }
        if entry["lfs"]:
            about |= {"X-Linked-Etag": etag, "X-Linked-Size": str(size)}
        if status == 416:
            self.reply({"error": "Range not satisfiable"}, 416, about | {"Content-Range": f"bytes */{size}"})
            return
        if status == 206:
            about["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        length = {"Content-Type": "application/octet-stream", "Content-Length": str(stop - start)}
        self.send_head(status, about, length)
        if self.command == "GET":
            with (self.hub.blobs / entry["oid"]).open("rb") as blob:
                blob.seek(start)
                for begin in range(start, stop, CHUNK):
                    self.wfile.write(blob.read(min(CHUNK, stop - begin)))

    # Writing

    def preupload(self, revision: str) -> None:
        """Says for each file whether it goes up regular or by LFS, and what the branch holds in its place."""
        answers = []
        for file in self.json["files"]:
            large = file["path"].endswith(LFS_SUFFIXES) or file["size"] >= LFS_BYTES
            present = self.commit["tree"].get(file["path"], {}).get("oid")
            mode = {"uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": present}
            answers.append({"path": file["path"], **mode})
        self.reply({"files": answers})

    def add_commit(self, revision: str) -> None:
        """Applies a commit payload, one JSON object a line, wholly or not at all."""
        lines = [json.loads(line) for line in self.body.splitlines() if line]
        header = lines[0]["value"]
        with self.hub.lock:
            if revision not in self.repo.refs["branches"]:
                raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
            parent = self.repo.commit(revision)
            if header.get("parentCommit", parent["id"]) != parent["id"]:
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
            tree = dict(parent["tree"])
            for line in lines[1:]:
                self.repo.apply(tree, line["key"], line["value"])
            sha = self.repo.add_commit(revision, tree, header["summary"], header.get("description", ""), parent["id"])
        self.reply({"success": True, "commitOid": sha, "commitUrl": f"{self.url}/commit/{sha}"})

    def lfs_batch(self) -> None:
        objects = []
        for wanted in self.json["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if not (self.hub.blobs / wanted["oid"]).exists():
                self.hub.announced[wanted["oid"]] = wanted["size"]
                href = f"{self.hub.endpoint}/lfs/{wanted['oid']}"
                answer["actions"] = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
            objects.append(answer)
        self.reply({"transfer": "basic", "objects": objects})

    def lfs_upload(self, oid: str) -> None:
        """Takes the bytes of an announced object; keeps them if their number and SHA-256 are the announced ones."""
        size, left = self.hub.announced.get(oid), int(self.headers.get("Content-Length", -1))
        if size is None or left != size:
            raise HubError(403, f"{left} bytes sent for {oid}, announced were {size}")
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=self.hub.blobs, delete=False) as partial:
            while left and (chunk := self.rfile.read(min(CHUNK, left))):
                digest.update(chunk)
                if not self.hub.discards:
                    partial.write(chunk)
                left -= len(chunk)
            partial.truncate(size - left)
        if digest.hexdigest() != oid:
            Path(partial.name).unlink()
            raise HubError(400, f"SHA-256 of the bytes is {digest.hexdigest()}, announced was {oid}")
        Path(partial.name).replace(self.hub.blobs / oid)
        self.reply()

    def lfs_verify(self, oid: str) -> None:
        blob = self.hub.blobs / oid
        if not blob.exists() or blob.stat().st_size != self.hub.announced.get(oid):
            raise HubError(404, f"Object {oid} was not uploaded")
        self.reply()


API = r"/api/(?P<kind>models|datasets|spaces)/(?P<repo_id>[^/]+/[^/]+)"
WEB = r"/(?:(?P<kind>datasets|spaces)/)?(?P<repo_id>[^/]+/[^/]+)"
AT = r"/(?P<revision>[^/]+)"
OBJECT = r"/lfs/(?P<oid>[0-9a-f]{64})"
ROUTES = (  # HTTP methods, path, whether a token is needed, method of HubHandler
    ("GET", r"/api/whoami-v2", True, "whoami"),
    ("POST", r"/api/validate-yaml", False, "validate_yaml"),
    ("POST", r"/api/repos/create", True, "create_repository"),
    ("DELETE", r"/api/repos/delete", True, "delete_repository"),
    ("GET", rf"{API}(?:/revision{AT})?", False, "show_repository"),
    ("GET", rf"{API}/refs", False, "list_refs"),
    ("GET", rf"{API}/commits{AT}", False, "list_commits"),
    ("POST", rf"{API}/branch/(?P<name>[^/]+)", True, "create_branch"),
    ("DELETE", rf"{API}/branch/(?P<name>[^/]+)", True, "delete_branch"),
    ("POST", rf"{API}/tag{AT}", True, "create_tag"),
    ("DELETE", rf"{API}/tag/(?P<name>[^/]+)", True, "delete_tag"),
    ("POST", rf"{API}/super-squash/(?P<branch>[^/]+)", True, "squash"),
    ("GET", rf"{API}/tree{AT}(?:/(?P<path>.+))?", False, "list_tree"),
    ("POST", rf"{API}/paths-info{AT}", False, "show_paths"),
    ("GET HEAD", rf"{WEB}/resolve{AT}/(?P<path>.+)", False, "resolve"),
    ("POST", rf"{API}/preupload{AT}", True, "preupload"),
    ("POST", rf"{API}/commit{AT}", True, "add_commit"),
    ("POST", rf"{WEB}\.git/info/lfs/objects/batch", True, "lfs_batch"),
    ("PUT", OBJECT, False, "lfs_upload"),  # like the Hub's signed links: the batch request carried the token
    ("POST", rf"{OBJECT}/verify", True, "lfs_verify"),
)


def match_route(command: str, path: str) -> tuple[re.Match[str], bool, str]:
    """Returns the matched path, whether a token is needed, and the name of the method that replies."""
    for commands, pattern, needs_token, method in ROUTES:
        if command in commands.split() and (found := re.fullmatch(pattern, path)):
            return found, needs_token, method
    raise HubError(404, f"Nothing at {command} {path}", "RepoNotFound")
