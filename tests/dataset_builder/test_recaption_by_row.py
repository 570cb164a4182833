"""A dataset captioned by an endpoint that dies or fails: no row lost, none asked for twice, none captioned twice."""

import json
from collections import Counter

import huggingface_hub.constants
import pyarrow.parquet as pq
import pytest

from dataset_builder.recaption import caption_dataset
from dataset_builder.recipe import CaptionRecipe
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.captioned_tiles import row, write
from tests.made.chat_server import ChatServer, Reply, infrared

ROWS = 24
CAPTION = "The infrared image of a field shows grey tones."


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return write(tmp_path / "source", [row(index) for index in range(ROWS)])


def recipe_of(server, tmp_path, **options):
    known = {"base_url": server.base_url, "model": "tiny", "cache": str(tmp_path / "answers"), "attempts": 1}
    return CaptionRecipe("endpoint", options={**known, "backoff_s": 0, "concurrency": 4, **options})


def asked_of(*servers):
    """How often each image was asked for; the infrared one comes second."""
    return Counter(request.image_urls[1] for server in servers for request in server.requests)


def captions_of(out):
    rows = [known for path in sorted((out / "data").iterdir()) for known in pq.read_table(path).to_pylist()]
    return {known["sample_id"]: known["ir_captions"] for known in rows}


def test_a_run_whose_endpoint_died_continues_by_row_with_another(source, tmp_path):
    out = tmp_path / "out"
    with ChatServer(lambda request: infrared(CAPTION), dies_after=11) as first, pytest.raises((InputError, OSError)):
        caption_dataset(source, out, recipe_of(first, tmp_path, concurrency=1))
    assert not (out / "caption_report.json").exists()
    with ChatServer(lambda request: infrared(CAPTION)) as second:
        report = caption_dataset(source, out, recipe_of(second, tmp_path))
    total = report["captions"]["total"]
    assert captions_of(out) == {f"made/{index:03d}": [CAPTION] for index in range(ROWS)}
    assert (total["captioned"], total["written"], total["usage"]["cached"]) == (ROWS, ROWS, 3)  # 8 are in shard one
    assert len(first.requests) == 11 and set(asked_of(first, second).values()) == {1}
    assert len(asked_of(first, second)) == ROWS
    assert str(tmp_path) not in (out / "caption_report.json").read_text()


def test_rows_that_got_no_answer_are_asked_for_again_and_no_others(source, tmp_path):
    out, down = tmp_path / "out", {"number 3", "number 20"}

    def respond(request):
        return Reply({}, 500) if any(f'{name}"' in request.prompt for name in down) else infrared(CAPTION)

    with ChatServer(respond) as server:
        report = caption_dataset(source, out, recipe_of(server, tmp_path))
        assert report["captions"]["total"]["failed"] == {"request_failed": 2} and report["unanswered"] == 2
        lines = [json.loads(line) for line in (out / "quarantine" / "captions.jsonl").open()]
        assert [line["sample_id"] for line in lines] == ["made/003", "made/020"]
        assert captions_of(out)["made/003"] == []
        down.clear()
        before = len(server.requests)
        report = caption_dataset(source, out, recipe_of(server, tmp_path), retry=True)
        assert len(server.requests) == before + 2
    assert report["unanswered"] == 0 and report["captions"]["total"]["captioned"] == ROWS
    assert captions_of(out) == {f"made/{index:03d}": [CAPTION] for index in range(ROWS)}
    assert not (out / "quarantine" / "captions.jsonl").exists()
