"""What can go wrong between a Hub and its client: any request may fail, be cut, be slow, or find things moved."""

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.made.hub_handler import HubHandler

FAULTS = ("500", "429", "cut", "cut after", "stale parent", "expired token", "full disk", "slow")
STATUS = {
    "500": (500, "Internal Server Error"),
    "429": (429, "Too many requests"),
    "expired token": (401, "Invalid credentials in Authorization header"),
    "full disk": (507, "Insufficient Storage"),
}
SLOW_S = 0.02


@dataclass
class HubFaults:
    """Faults of a loopback Hub; without `arm` there are none.

    Attributes:
        seen: Requests since `arm`.
        hit: How many of them were failed.
    """

    kind: str | None = None
    first: int = 0
    last: int = 0
    seen: int = 0
    hit: int = 0
    meddle: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.lock = threading.Lock()

    def arm(self, kind: str, first: int, last: int = 10**9, meddle: Callable[[], None] | None = None) -> None:
        """Fails the requests from `first` to `last`, counted from 0.

        Args:
            kind: One of `FAULTS`; `cut after` does what is asked and cuts the connection instead of an answer.
            first, last: Which requests; of `stale parent` the first alone.
            meddle: What `stale parent` does first: somebody else's commit.
        """
        self.kind, self.first, self.last, self.meddle, self.seen, self.hit = kind, first, last, meddle, 0, 0

    def clear(self) -> None:
        """Lets everything pass again."""
        self.kind = None

    def strike(self, handler: "HubHandler") -> bool:
        """Does to a request what is due; returns whether it was answered so, or cut."""
        with self.lock:
            place, self.seen = self.seen, self.seen + 1
            if self.kind is None or not self.first <= place <= self.last:
                return False
            self.hit += 1
            kind = self.kind
        if kind == "slow":
            time.sleep(SLOW_S)
        elif kind == "stale parent":
            if place == self.first and self.meddle:
                self.meddle()
        elif kind == "cut after":
            handler.wfile, handler.close_connection = io.BytesIO(), True
        elif kind == "cut":
            handler.close_connection = True
            return True
        else:
            status, message = STATUS[kind]
            if handler.command != "PUT":
                handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
            handler.close_connection = True
            handler.commit = {}
            handler.reply({"error": message}, status, {"Retry-After": "1"} if kind == "429" else None)
            return True
        return False
