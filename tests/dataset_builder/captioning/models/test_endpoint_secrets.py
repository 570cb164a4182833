"""The key of an endpoint: sent to whom it belongs, found nowhere else."""

import json
import logging
import traceback

import pytest

from dataset_builder.captioning.models.endpoint import EndpointSettings
from dataset_builder.recipe import CaptionRecipe
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.caption_rows import ask, endpoint, make_row
from tests.made.chat_server import ChatServer, Reply, infrared

SECRET = "sk-hidden-12345"
pytestmark = pytest.mark.usefixtures("online")


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("LAB_KEY", f" {SECRET}\n")


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_the_key_is_sent_and_found_nowhere(tmp_path, key, caplog, status):
    reply = Reply({"error": f"Bearer {SECRET} is unwelcome"}, status) if status != 200 else infrared("bright")
    said = []
    with (
        caplog.at_level(logging.DEBUG),
        ChatServer(lambda request: reply) as server,
        endpoint(server, tmp_path, api_key_env="LAB_KEY", attempts=2) as captioner,
    ):
        try:
            said.append(repr(ask(captioner, [make_row(0), make_row(1)])))
        except InputError as error:
            said += traceback.format_exception(error)
        said += [repr(captioner.settings), repr(captioner._given), repr(captioner), json.dumps(captioner.settings)]
    assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    said += [caplog.text, *(path.read_text() for path in tmp_path.rglob("*.json"))]
    assert not [text for text in said if SECRET in text]
    assert "LAB_KEY" not in repr(captioner.settings)


def test_the_hub_token_is_not_sent_to_other_hosts(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with ChatServer(lambda request: infrared("bright")) as server, endpoint(server, tmp_path) as captioner:
        ask(captioner, [make_row(0)])
    assert "authorization" not in server.requests[0].headers
    assert SECRET not in json.dumps([request.headers for request in server.requests])


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://router.huggingface.co/v1", True),
        ("https://abc.us-east-1.aws.endpoints.huggingface.cloud/v1", True),
        ("http://router.huggingface.co/v1", False),
        ("https://huggingface.co.evil.example/v1", False),
        ("https://evilhuggingface.co/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_the_hub_token_goes_to_hugging_face_alone(monkeypatch, url, sent):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    assert EndpointSettings(url, "tiny").key() == (SECRET if sent else None)


@pytest.mark.parametrize("value", ["", "  ", "two words", "line\nbreak", "clé"])
def test_a_variable_that_holds_no_key_is_named_and_its_value_is_not(monkeypatch, value):
    monkeypatch.setenv("LAB_KEY", value)
    with pytest.raises(InputError, match="LAB_KEY") as caught:
        EndpointSettings("http://127.0.0.1:1/v1", "tiny", api_key_env="LAB_KEY").key()
    assert not value.strip() or value not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"api_key_env": SECRET},
        {"api_key_env": "hf_" + "aBc" * 10},
        {"base_url": f"https://user:{SECRET}@host.example/v1"},
        {"base_url": f"https://host.example/v1?key={SECRET}"},
    ],
)
def test_a_key_in_the_recipe_is_refused_without_repeating_it(options):
    with pytest.raises(ValueError) as caught:
        EndpointSettings(**{"base_url": "http://localhost:1/v1", "model": "tiny", **options})
    assert SECRET not in str(caught.value) and "aBc" not in str(caught.value)


def test_a_key_on_an_open_line_is_warned_of(key, caplog):
    EndpointSettings("http://lab.example/v1", "tiny", api_key_env="LAB_KEY").key()
    assert "unencrypted to lab.example" in caplog.text and SECRET not in caplog.text


FREE = (
    {"api_key": SECRET},
    {"headers": {"X-Lab": SECRET}},
    {"extra": [{"name": "X-Api-Key", "value": SECRET}]},
    {"note": f"https://me:{SECRET}@host.example/v1"},
)


@pytest.mark.parametrize("extra_body", FREE, ids=range(len(FREE)))
def test_a_key_in_a_free_option_is_sent_and_kept_nowhere(tmp_path, extra_body):
    with (
        ChatServer(lambda request: infrared("bright")) as server,
        endpoint(server, tmp_path, extra_body=extra_body) as captioner,
    ):
        ask(captioner, [make_row(0)])
        options = {"base_url": "http://127.0.0.1:1/v1", "model": "tiny", "extra_body": extra_body}
    assert SECRET in json.dumps(server.requests[0].body)
    recipe = CaptionRecipe(captioner="endpoint", options=options)
    kept = [json.dumps(captioner.settings), json.dumps(recipe.echo())]
    kept += [path.read_text() for path in tmp_path.rglob("*.json")]
    assert len(kept) > 2 and not [text for text in kept if SECRET in text]


def test_a_key_that_the_endpoint_repeats_is_not_told(tmp_path):
    reply = Reply({"error": {"message": f"api_key={SECRET} is no key of this lab"}}, 422)
    with (
        ChatServer(lambda request: reply) as server,
        endpoint(server, tmp_path, extra_body={"api_key": SECRET}, attempts=1) as captioner,
        pytest.raises(InputError) as caught,
    ):
        ask(captioner, [make_row(0), make_row(1)])
    assert SECRET not in "".join(traceback.format_exception(caught.value))
