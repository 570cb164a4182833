import json

import pytest

from fusionrs_hf.redaction import REDACTED, is_secret_name, redacted, redacted_text, secrets_in

HIDDEN = "v9-Zq7Lm2Xw4"


@pytest.mark.parametrize(
    "value",
    [
        {"api_key": HIDDEN},
        {"headers": {"X-Lab": HIDDEN}},
        {"extra": [{"deep": {"clientSecret": HIDDEN}}]},
        {"name": "X-Api-Key", "value": HIDDEN},
        {"auth": [HIDDEN, {"user": HIDDEN}]},
        {"password": {"first": HIDDEN}},
        {"url": f"https://me:{HIDDEN}@host.example/v1"},
        {"url": f"https://host.example/v1?access_token={HIDDEN}&x=1"},
        {"prompt": f"Use Authorization: Bearer {HIDDEN} for the service"},
        {"note": f"x-api-key: {HIDDEN}"},
        [f'curl -H "Api-Key: {HIDDEN}"'],
    ],
)
def test_a_secret_is_gone_wherever_it_is_said(value):
    assert HIDDEN not in json.dumps(redacted(value))
    assert REDACTED in json.dumps(redacted(value))
    assert redacted(redacted(value)) == redacted(value)


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "aB3" * 8,
        "sk-proj-" + "aB3" * 8,
        "ghp_" + "a1" * 18,
        "AKIA" + "A1B2C3D4E5F6G7H8",
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_tokens_are_told_by_their_shape(text):
    assert redacted_text(f"before {text} after") == f"before {REDACTED} after"
    assert secrets_in(text) and text not in str(secrets_in(text))


def test_a_secret_of_the_environment_is_found_under_any_name(monkeypatch):
    monkeypatch.setenv("LAB_TOKEN", "plain words here")
    assert redacted({"seed_text": "so: plain words here."}) == {"seed_text": f"so: {REDACTED}."}
    assert secrets_in("plain words here") == ["value of an environment variable that is a secret by its name"]


@pytest.mark.parametrize(
    "value",
    [
        {"max_tokens": 300, "temperature": 0.2, "eos_token": "</s>", "tokenizer": "a/b"},
        {"chat_template_kwargs": {"enable_thinking": False}, "stop": ["\n"], "seed": 0},
        {"prompt": "Describe the key features: roads, fields; no password needed."},
        {"base_url": "https://host.example:8000/v1"},
        {"api_key_env": "LAB_KEY", "api_key": None, "secret": ""},
        {"revision": "3013f98aa0b1c2d3e4f5061728394a5b6c7d8e9f"},
    ],
)
def test_what_is_no_secret_stays_as_it_is(value):
    assert redacted(value) == value
    assert secrets_in(json.dumps(value)) == []


@pytest.mark.parametrize(
    ("name", "secret"),
    [("X-Api-Key", True), ("hfToken", True), ("PASSWORD", True), ("max_tokens", False), ("monkey", False), (3, False)],
)
def test_names_of_secrets(name, secret):
    assert is_secret_name(name) == secret
