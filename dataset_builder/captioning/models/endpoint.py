"""The captioner that asks a chat endpoint: what it is told in a recipe, and batches in, captions out."""

import asyncio
import base64
import io
import logging
import os
import re
import threading
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from huggingface_hub import get_token
from PIL import Image

from dataset_builder.captioning.models.answers import AnswerCache, ask_once, question_key
from dataset_builder.captioning.models.chat import Chat, ChatError, ChatOptions, Question
from dataset_builder.captioning.models.prompts import PROMPT, REPAIR_PROMPT, SCENE_PROMPT, Prompts
from dataset_builder.captioning.protocol import Written
from dataset_builder.claims.grounding import InfraredFacts
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.redaction import redacted

logger = logging.getLogger(__name__)
STRUCTURED = ("json_schema", "json_object", "tgi", "none")
HUGGING_FACE = re.compile(r"(?:.+\.)?(?:huggingface\.co|huggingface\.cloud|hf\.space)")
MAX_CONCURRENCY = 100  # connections that the HTTP client keeps


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Which endpoint to ask, and how. Nothing here is secret: the key stays in the environment.

    Args:
        base_url: Of an OpenAI-compatible endpoint, `https://router.huggingface.co/v1` or `http://localhost:8000/v1`.
        model: Name that the endpoint knows.
        revision: Of the model, as recorded with each caption; a hosted model that says none is `unpinned`.
        api_key_env: NAME of the environment variable with the key. Without it, hosts of Hugging Face get the Hub token
            (`HF_TOKEN`, or that of `hf auth login`), and others get nothing.
        prompt, scene_prompt, repair_prompt: Templates; see `Prompts`.
        temperature, max_tokens, seed: Of sampling. A later attempt at the same question takes the next seed.
        structured: How the answer is bound to JSON: `json_schema` (OpenAI, vLLM, SGLang, llama.cpp), `tgi` (a schema
            in TGI's dialect), `json_object` (no schema), `none` (the prompt alone). Every answer is checked anyway.
        extra_body: Further keys of the request, such as `chat_template_kwargs`; a null takes one out that the model
            refuses, such as `temperature: null`. Recorded with each caption.
        send_rgb: Show the RGB image before the infrared one; costs tokens.
        min_side: Images whose shorter side is less are enlarged to it (bicubic, aspect kept): vision towers see little
            in 64 pixels. 0 leaves all as they are.
        concurrency: Requests under way at a time, 1 to 100.
        requests_per_minute: Pace, evenly spaced; null is unlimited. Each worker keeps its own: caption with one.
        timeout_s: Of a whole request, seconds.
        attempts: Requests for one row before it counts as failed.
        backoff_s: Longest wait after the first failure, seconds; doubles with each, to a minute; the wait is drawn at
            random below it. A `Retry-After` is honoured besides, by all requests.
        price_in, price_out: USD per million tokens, for the report.
        cache: Folder of answers; null for the Hub's assets folder. What is in it is not asked again.
    """

    base_url: str
    model: str
    revision: str = "unpinned"
    api_key_env: str | None = None
    prompt: str = PROMPT
    scene_prompt: str = SCENE_PROMPT
    repair_prompt: str = REPAIR_PROMPT
    temperature: float = 0.2
    max_tokens: int = 300
    seed: int = 0
    structured: str = "json_schema"
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    send_rgb: bool = True
    min_side: int = 224
    concurrency: int = 8
    requests_per_minute: float | None = None
    timeout_s: float = 120.0
    attempts: int = 5
    backoff_s: float = 1.0
    price_in: float = 0.0
    price_out: float = 0.0
    cache: Path | str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a value that cannot be; never repeats what may be a secret."""
        parts = urlsplit(str(self.base_url))
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url must hold no user, password or query: name the key's variable in api_key_env")
        if parts.scheme not in ("http", "https") or not parts.hostname or not str(self.base_url).isprintable():
            raise ValueError(f"base_url must start with http:// or https:// and a host, got {shown(self.base_url)}")
        try:
            parts.port  # noqa: B018 - raises where it is none
        except ValueError:
            raise ValueError("base_url has a port that is none; give one from 0 to 65535") from None
        if self.api_key_env is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", str(self.api_key_env)):
            raise ValueError(
                "api_key_env must be the name of an environment variable (capitals, digits, _), not the key itself"
            )
        if not self.model or not isinstance(self.model, str):
            raise ValueError(f"model must be a name that the endpoint knows, got {shown(self.model)}")
        if self.structured not in STRUCTURED:
            raise ValueError(f"structured must be of {list(STRUCTURED)}, got {shown(self.structured)}")
        if not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise ValueError(f"concurrency must be 1 to {MAX_CONCURRENCY}, got {self.concurrency}")
        for name in ("attempts", "timeout_s", "max_tokens", "requests_per_minute"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        for name in ("backoff_s", "price_in", "price_out", "min_side"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        self.prompts()

    def prompts(self) -> Prompts:
        """Returns the templates, checked."""
        return Prompts(self.prompt, self.scene_prompt, self.repair_prompt)

    def key(self) -> str | None:
        """Reads the key from the environment; None where none is to be sent.

        Raises:
            InputError: `api_key_env` names a variable that is not set, or one that can be no key.
        """
        name, address = self.api_key_env, urlsplit(self.base_url)
        if name is None:
            return get_token() if HUGGING_FACE.fullmatch(address.hostname) and address.scheme == "https" else None
        value = os.environ.get(name, "").strip()
        if not value:
            raise InputError(f"api_key_env names {name}, which is not set: export it, or leave api_key_env out")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise InputError(f"{name} holds characters that no key has; export it anew")
        if address.scheme == "http" and not _is_local(address.hostname):
            logger.warning("the key of %s travels unencrypted to %s", name, address.hostname)
        return value


class EndpointCaptioner:
    """Asks an endpoint for each row's caption; what it answered once, it is not asked again.

    A row that gets no answer leaves with the `failure` `request_failed`, `bad_answer`, `answer_cut` or `refused`.
    Keeps its connections and pace across batches until `close`, or the end of its life.

    Raises:
        InputError: At once where the endpoint refuses the key or the model or answers nobody any more. All answers up
            to then are kept.
    """

    name = "endpoint"

    def __init__(self, settings: EndpointSettings) -> None:
        self._given, self._prompts, self.revision = settings, settings.prompts(), settings.revision
        names = ("model", "temperature", "max_tokens", "seed", "structured", "send_rgb", "min_side")
        self.settings = {name: getattr(settings, name) for name in names} | {
            "prompts": self._prompts.fingerprint(),
            "extra_body": redacted(settings.extra_body),
        }
        self._asked = {name: value for name, value in self.settings.items() if name != "prompts"}
        self._asked["revision"] = settings.revision
        self._cache = AnswerCache(settings.cache)
        options = {name: getattr(settings, name) for name in ChatOptions.__dataclass_fields__}
        self._chat, self._runner = Chat(ChatOptions(**options), settings.key()), asyncio.Runner()
        self._finalizer = weakref.finalize(self, _close, self._runner, self._chat)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes connections and event loop; may be called twice."""
        self._finalizer()

    def caption(
        self,
        rows: Sequence[Mapping[str, Any]],
        facts: Sequence[InfraredFacts],
        faults: Sequence[str | None] | None = None,
    ) -> list[Written]:
        """Asks for all rows at once, within the bounds of the settings; equal questions are asked once."""
        questions = self._prompts.questions(rows, facts, faults, self._given.send_rgb)
        keys = [question_key(prompt, images, self._asked) for images, prompt in questions]

        def ask(indices: list[int]) -> list[Written]:
            wanted = [(keys[i], *questions[i], self._prompts.asks_for_scene(rows[i])) for i in indices]
            return self._runner.run(self._ask_all(wanted))

        return ask_once(keys, self._cache, ask)

    async def _ask_all(self, wanted: Sequence[tuple[str, list[np.ndarray], str, bool]]) -> list[Written]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._ask(*question)) for question in wanted]
        except* (InputError, OSError) as errors:
            first = errors.exceptions[0]
        else:
            first = None
        if first is not None:  # alone, not in a group: it is a sentence for the user
            raise first from None
        answers = [task.result() for task in tasks]
        failed = [failure for _, failure in answers if failure]
        if failed and len(failed) == len(answers) > 1 and all(fail.reason == "request_failed" for fail in failed):
            raise self._chat.unreachable(failed[-1])
        if failed:
            said = Counter(f"{failure.reason}, {failure.detail}" for failure in failed).most_common(3)
            logger.warning("%d of %d rows got no caption: %s", len(failed), len(answers), dict(said))
        return [answer for answer, _ in answers]

    async def _ask(
        self, key: str, images: list[np.ndarray], prompt: str, scene: bool
    ) -> tuple[Written, ChatError | None]:
        question = Question(lambda: self._messages(images, prompt), scene)
        try:
            answer, failed = await self._chat.ask(question), None
        except ChatError as failure:
            answer, failed = None, failure
        cost = question.prompt_tokens * self._given.price_in + question.completion_tokens * self._given.price_out
        usage = {
            "requests": question.requests,
            "prompt_tokens": question.prompt_tokens,
            "completion_tokens": question.completion_tokens,
            "cost_usd": cost / 1e6,
        }
        if failed:
            return Written(failure=failed.reason, usage=usage), failed
        about = {"model": self._given.model, "revision": self.revision, **usage}
        self._cache.put(key, answer, about)
        return answer.written(usage), None

    def _messages(self, images: list[np.ndarray], prompt: str) -> list[dict[str, Any]]:
        urls = [data_url(image, self._given.min_side) for image in images]
        content = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        return [{"role": "user", "content": [*content, {"type": "text", "text": prompt}]}]


def data_url(image: np.ndarray, min_side: int = 0) -> str:
    """Returns a PNG as data URL.

    Args:
        image: uint8 `(height, width)`, written as grey, or `(height, width, 3)`.
        min_side: Enlarge to at least this many pixels on the shorter side, bicubic, aspect kept.
    """
    picture = Image.fromarray(image)
    if (shorter := min(picture.size)) < min_side:
        size = tuple(round(side * min_side / shorter) for side in picture.size)
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _close(runner: asyncio.Runner, chat: Chat) -> None:
    def close() -> None:
        runner.run(chat.close())
        runner.close()

    thread = threading.Thread(target=close)  # a captioner may be collected while another's event loop runs here
    thread.start()
    thread.join()


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
