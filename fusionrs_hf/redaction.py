"""One redaction for what a user may say freely (options, headers, prompts, URLs) before it is written or told.

Reports, caches, cards and errors share it, and `fusionrs push` looks for what it would have taken out.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"
# Last words of names whose values are secrets; `max_tokens` and `tokenizer` are none.
SECRET_WORDS = {
    *("key", "apikey", "secret", "password", "passwd", "pwd", "passphrase", "pin", "credential", "credentials"),
    *("token", "authorization", "auth", "bearer", "cookie", "cookies", "session", "signature", "sig"),
}
PUBLIC_NAMES = {
    "eos_token",
    "bos_token",
    "pad_token",
    "unk_token",
    "image_token",
    "sep_token",
    "cls_token",
    "mask_token",
}
WHOLLY_SECRET = {"headers", "extra_headers", "default_headers", "cookies", "credentials"}  # of mappings: all values
NAMING = ("name", "key", "header", "field")  # `{"name": "X-Api-Key", "value": ...}`
MIN_LITERAL = 8  # characters of an environment variable that is looked for as it is

# Shapes that tell a secret wherever it stands: the name of the kind, and the pattern.
SHAPES = {
    "Hugging Face token": re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{16,}"),
    "OpenAI-style key": re.compile(r"\bsk-[A-Za-z0-9_-]{12,}"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    "GitLab token": re.compile(r"\bglpat-[A-Za-z0-9_-]{16,}"),
    "AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "Google key": re.compile(r"\bAIza[0-9A-Za-z_-]{30,}"),
    "Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"),
    "private key": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    "bearer token": re.compile(r"(?i)\b(?:bearer|basic)\s+(?=[^\s\"',;]*[0-9])[A-Za-z0-9._~+/=-]{12,}"),
    "password in a URL": re.compile(r"(?<=://)[^\s/@:\"']*:[^\s/@\"']+(?=@)"),
}
_NAMES = (
    r"(?:[a-z0-9]+[_-])*(?:api[_-]?key|apikey|access[_-]?key|secret[_-]?key|private[_-]?key|(?:access|auth|refresh|"
    r"session|bearer|hf|id)[_-]?token|client[_-]?secret|secret|password|passwd|passphrase|authorization)"
)
NAMED = re.compile(  # `X-Api-Key: ...`, `api_key=...`, `"password": "..."`, `?access_token=...`
    rf"(?i)(?P<name>(?<![A-Za-z0-9]){_NAMES})(?P<sign>[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?)"
    r"(?P<value>(?!\[redacted\]|(?:null|none|true|false)\b)[^\s\"',;&<>(){}\[\]]{4,})"
)


def redacted(value: Any) -> Any:
    """Returns a JSON-like value without its secrets: those that its names, their shape or the environment tell.

    Args:
        value: Mappings and lists at any depth; texts; other values pass.
    """
    if isinstance(value, Mapping):
        told = any(is_secret_name(value.get(name)) for name in NAMING)
        return {
            redacted_text(name) if isinstance(name, str) else name: _hidden(part)
            if is_secret_name(name) or (told and name == "value") or str(name).lower() in WHOLLY_SECRET
            else redacted(part)
            for name, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(part) for part in value]
    return redacted_text(value) if isinstance(value, str) else value


def redacted_text(text: str) -> str:
    """Returns a text without what in it is a secret by its shape, by the name before it, or by the environment."""
    for literal in environment_secrets():
        text = text.replace(literal, REDACTED)
    for pattern in SHAPES.values():
        text = pattern.sub(REDACTED, text)
    return NAMED.sub(lambda found: f"{found['name']}{found['sign']}{REDACTED}", text)


def secrets_in(text: str, code: bool = False) -> list[str]:
    """Returns what kinds of secrets a text holds, such as `Hugging Face token`; never the secrets.

    Args:
        text: To look at.
        code: Whether it is a program, where `token=read_token()` gives away nothing and only literals count.
    """
    found = [kind for kind, pattern in SHAPES.items() if pattern.search(text)]
    if any(not code or match["sign"].rstrip()[-1] in "\"'" for match in NAMED.finditer(text)):
        found.append("value of a key, token or password")
    if any(literal in text for literal in environment_secrets()):
        found.append("value of an environment variable that is a secret by its name")
    return found


def is_secret_name(name: Any) -> bool:
    """Whether a name says that its value is a secret: `X-Api-Key`, `hfToken`, `password`; not `max_tokens`."""
    if not isinstance(name, str) or name.lower() in PUBLIC_NAMES:
        return False
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    return bool(words) and words[-1] in SECRET_WORDS


def environment_secrets() -> list[str]:
    """Returns the values of this process's environment variables that their names call secrets, longest first."""
    values = {value for name, value in os.environ.items() if _is_secret_variable(name) and len(value) >= MIN_LITERAL}
    return sorted(values, key=len, reverse=True)


def _is_secret_variable(name: str) -> bool:
    return name.lower().rpartition("_")[2] in ("key", "apikey", "token", "secret", "password", "passwd", "passphrase")


def _hidden(value: Any) -> Any:
    """What stands for the value of a secret name: its structure, every text and number in it taken out."""
    if isinstance(value, Mapping):
        return {name: _hidden(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(part) for part in value]
    return value if value is None or isinstance(value, bool) or value == "" else REDACTED
