"""A loopback OpenAI-compatible chat server that behaves as badly as a test says. Standard library only."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Reply:
    """One answer: `body` is sent as JSON unless it is bytes; `cut` promises more bytes than it sends."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0  # seconds
    cut: bool = False


@dataclass
class Request:
    """What came: its JSON body, headers, port of the connection, and number from 0."""

    body: dict[str, Any]
    headers: dict[str, str]
    port: int
    number: int
    at: float

    @property
    def prompt(self) -> str:
        return next(part["text"] for part in self.body["messages"][0]["content"] if part["type"] == "text")

    @property
    def image_urls(self) -> list[str]:
        parts = self.body["messages"][0]["content"]
        return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def completion(content: Any, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion of 100 prompt and 20 completion tokens; `content` is sent as JSON text unless it is a text."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    return {
        "id": "chat-1",
        "object": "chat.completion",
        "created": 0,
        "model": "tiny",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": text, **message},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


def infrared(caption: str, **keys: Any) -> Reply:
    """The answer that is hoped for."""
    return Reply(completion({"ir_aware_caption": caption, **keys}))


class ChatServer:
    """The server, as a context manager; `respond` decides on each request.

    Args:
        respond: Called with each request, in the request's thread.
        port: TCP port on 127.0.0.1; 0 takes a free one.
        dies_after: Requests that are answered; at the next one it hangs up and listens no more.

    Attributes:
        requests: In order of arrival.
        most_at_once: Largest number of requests that were under way together.
    """

    def __init__(self, respond: Callable[[Request], Reply], port: int = 0, dies_after: int | None = None) -> None:
        self.respond, self.dies_after = respond, dies_after
        self.requests: list[Request] = []
        self.most_at_once = self.at_once = 0
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"chat": self})
        server = type("Server", (ThreadingHTTPServer,), {"request_queue_size": 128, "daemon_threads": True})
        self.server = server(("127.0.0.1", port), handler)
        self.port = self.server.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Listens no more; may be called twice."""
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        chat = self.chat
        with chat.lock:
            if chat.dies_after is not None and len(chat.requests) >= chat.dies_after:
                chat.server.socket.close()
                threading.Thread(target=chat.stop, daemon=True).start()
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(body, headers, self.client_address[1], len(chat.requests), time.monotonic())
            chat.requests.append(request)
            chat.at_once += 1
            chat.most_at_once = max(chat.most_at_once, chat.at_once)
        try:
            if self.path != "/v1/chat/completions":
                reply = Reply({"error": "no such page"}, 404)
            else:
                reply = chat.respond(request)
            time.sleep(reply.delay)
        finally:
            with chat.lock:
                chat.at_once -= 1
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        try:
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) + 10 * reply.cut))
            self.end_headers()
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client gave up waiting
        if reply.cut:
            self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""
