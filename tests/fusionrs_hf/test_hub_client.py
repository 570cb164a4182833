import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import HfApi, get_session
from huggingface_hub.errors import HfHubHTTPError

from fusionrs_hf import hub_client
from fusionrs_hf.bounds import ANSWER_BYTES
from fusionrs_hf.errors import InputError


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: False)
    hub_client.bound_answers()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield server
        server.shutdown()


PACKED = {"Content-Encoding": "gzip"}


def test_a_packed_refusal_is_unpacked_as_far_as_the_bound(server):
    server.answer = 404, PACKED, gzip.compress(bytes(3 * ANSWER_BYTES), 1)
    answer = get_session().get(server.address)
    assert answer.status_code == 404 and len(answer.content) == ANSWER_BYTES and answer.request.url == server.address
    with get_session().stream("GET", server.address) as streamed:
        assert streamed.status_code == 404 and len(streamed.read()) == ANSWER_BYTES
    server.answer = 500, PACKED, b"no gzip"
    assert get_session().get(server.address).status_code == 500


def test_a_packed_answer_is_whole_or_refused(server, monkeypatch):
    server.answer = 200, PACKED, gzip.compress(b'{"id": 1}')
    assert get_session().get(server.address).json() == {"id": 1}
    monkeypatch.setattr(hub_client, "REPORT_BYTES", 8)
    with pytest.raises(InputError, match="127.0.0.1 answers with more than 8 bytes"):
        get_session().get(server.address)


def test_what_is_not_packed_and_what_is_streamed_is_the_stock_clients(server, monkeypatch):
    monkeypatch.setattr(hub_client, "REPORT_BYTES", 8)
    server.answer = 200, {"x-linked-size": "7"}, b"0123456789"
    assert get_session().get(server.address).content == b"0123456789"
    head = get_session().head(server.address)
    assert (head.headers["content-length"], head.headers["x-linked-size"], head.content) == ("10", "7", b"")
    server.answer = 200, PACKED, gzip.compress(b"0123456789")
    with get_session().stream("GET", server.address) as streamed:
        assert b"".join(streamed.iter_bytes()) == b"0123456789"


def test_the_hub_s_own_words_come_through(server):
    body = gzip.compress(json.dumps({"error": "no such place"}).encode())
    server.answer = 404, PACKED | {"X-Error-Message": "no such place"}, body
    with pytest.raises(HfHubHTTPError, match="no such place"):
        HfApi(endpoint=server.address, token=False).model_info("a/b")
