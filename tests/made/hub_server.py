"""A loopback Hub: a real HTTP server on 127.0.0.1, so that the unmodified Hub clients are what the tests exercise.

Repositories live under one folder and outlive the server. The server is standard library only; `call` and
`set_environment` are for its clients. Not offered: pull requests, Xet (clients set `HF_HUB_DISABLE_XET=1`),
pagination, search.

Command: python -m tests.made.hub_server --root DIR --port N
"""

import argparse
import logging
import os
import re
import tempfile
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.made.hub_faults import HubFaults
from tests.made.hub_handler import HubHandler
from tests.made.hub_repository import HubError, Repository

logger = logging.getLogger(__name__)


class LoopbackHub:
    """The server, as a context manager: `with LoopbackHub(root) as hub: ... hub.endpoint, hub.environment()`.

    Args:
        root: Folder that keeps the repositories; made if missing, read again if it holds some.
        port: TCP port on 127.0.0.1; 0 takes a free one.
        token: The one access token that may write, and read what is private.
        discards: Large files are hashed and not kept: of each there is a sparse file of its size.

    Attributes:
        faults: What goes wrong, see `HubFaults`.
        requests: "METHOD /path", and the byte range if one was asked for, of every request in order of arrival.
    """

    def __init__(self, root: Path | str, port: int = 0, token: str = "hf_loopback", discards: bool = False):
        self.root, self.token, self.discards = Path(root), token, discards
        self.blobs = self.root / "blobs"
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()  # held by whoever changes a repository
        self.announced: dict[str, int] = {}  # LFS objects that an authorised request may upload: sha256 -> bytes
        self.requests: list[str] = []
        self.faults = HubFaults()
        self.server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (HubHandler,), {"hub": self}))
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def environment(self) -> dict[str, str]:
        """Returns the variables of a client process that knows this Hub only and has empty caches of its own.

        Hub libraries read them when imported: `subprocess.run(..., env=os.environ | hub.environment())`.
        """
        (self.root / "clients").mkdir(exist_ok=True)
        home = tempfile.mkdtemp(dir=self.root / "clients")
        caches = {f"HF_{name.upper()}_CACHE": f"{home}/{name}" for name in ("hub", "datasets", "modules", "assets")}
        offline = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"), "0")
        disable = dict.fromkeys((f"HF_HUB_DISABLE_{what}" for what in ("XET", "TELEMETRY", "PROGRESS_BARS")), "1")
        hub = {"HF_ENDPOINT": self.endpoint, "HF_TOKEN": self.token, "HF_HOME": home, "HF_TOKEN_PATH": f"{home}/token"}
        return hub | caches | offline | disable | dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")

    def repository(self, kind: str, repo_id: str) -> Repository:
        """Returns a handle on a repository that need not exist; `kind` is models, datasets or spaces."""
        if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repo_id):
            raise HubError(400, f"Invalid repository name: {repo_id}")
        return Repository(self.root / kind / repo_id, self.blobs)


def set_environment(variables: dict[str, str]) -> None:
    """First act of a client process: `initializer` of a `ProcessPoolExecutor`, with `initargs=(environment(),)`."""
    os.environ.update(variables)


def call(method: str, *args: Any, **kwargs: Any) -> Any:
    """Calls an `HfApi` method, in a client process; returns its result, or the exception's name and HTTP status."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        found = getattr(HfApi(), method)(*args, **kwargs)
        return list(found) if method == "list_repo_tree" else found
    except HfHubHTTPError as error:
        return type(error).__name__, error.response.status_code


def main() -> None:
    """Serves until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, type=Path, help="folder that keeps the repositories")
    parser.add_argument("--port", default=0, type=int, help="TCP port on 127.0.0.1, default: a free one")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hub = LoopbackHub(arguments.root, arguments.port)
    logger.info("HF_ENDPOINT=%s HF_TOKEN=%s HF_HUB_DISABLE_XET=1", hub.endpoint, hub.token)
    try:
        hub.server.serve_forever()
    except KeyboardInterrupt:
        hub.server.server_close()


if __name__ == "__main__":
    main()
