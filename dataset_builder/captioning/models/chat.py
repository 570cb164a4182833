"""One question at a time to an OpenAI-compatible chat endpoint: bounded, paced, asked again where that may help."""

import asyncio
import email.utils
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from aiolimiter import AsyncLimiter
from huggingface_hub import AsyncInferenceClient, ChatCompletionOutput
from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError, OfflineModeIsEnabled
from huggingface_hub.utils import hf_raise_for_status
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from dataset_builder.captioning.models.answers import Answer, BadAnswerError, answer_schema, read_answer
from fusionrs_hf.bounds import ANSWER_BYTES
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.redaction import REDACTED, redacted_text

MAX_BACKOFF_S = 60.0
MAX_RETRY_AFTER_S = 300.0  # who asks for a longer pause has closed for the day
MOST_TOKENS = 10**9  # of one request; who says more is not counting tokens
FRAMING = ("content-encoding", "content-length", "transfer-encoding")  # headers of the body as it travelled
KEPT = "answers so far are kept, and the same command goes on from there"
REMEDIES = {
    401: "the key is missing or wrong: set the environment variable that api_key_env names",
    402: "the account has no credit",
    403: "the key may not use this model",
    404: "no such address or model: base_url ends before /chat/completions, model is a name that the endpoint lists",
    405: "base_url is no chat endpoint",
}


class ChatError(Exception):
    """A request that brought no usable answer.

    Attributes:
        reason: Reason code of the row, if it stays so.
        detail: In words, without a secret.
        again: Whether another attempt may help.
        down: Whether it speaks against the endpoint and not against the question.
    """

    def __init__(self, reason: str, detail: str, again: bool = True, down: bool = False) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.again, self.down = reason, detail, again, down


@dataclass(slots=True)
class Question:
    """What is asked, and what asking took so far: failed attempts cost tokens too.

    Attributes:
        messages: Makes the chat messages, in a thread and when it is their turn: images as text are large.
        scene: Whether a scene caption must be in the answer.
        requests, prompt_tokens, completion_tokens: What it took.
        others_answered: Answers of the endpoint, to any question, when the last attempt but one had failed.
    """

    messages: Callable[[], list[dict[str, Any]]]
    scene: bool
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    others_answered: int = 0


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How to ask; see `EndpointSettings` for each."""

    base_url: str
    model: str
    temperature: float
    max_tokens: int
    seed: int
    structured: str
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 8
    requests_per_minute: float | None = None
    timeout_s: float = 120.0
    attempts: int = 5
    backoff_s: float = 1.0


class _Client(AsyncInferenceClient):
    """Sends `response_format` as it was given, and reads no more of an answer than one may have.

    To a URL, the stock client sends a JSON schema in TGI's dialect; and it takes a body of any size into memory.
    """

    async def _inner_post(self, request_parameters: Any, *, stream: bool = False) -> Any:
        body = request_parameters.json
        if "_response_format" in body:
            body["response_format"] = body.pop("_response_format")
        client = await self._get_async_client()
        client.event_hooks = client.event_hooks | {"response": []}  # the stock one unpacks refusals whole
        asked = {
            "json": body,
            "headers": {**request_parameters.headers, "accept-encoding": "identity"},
            "cookies": self.cookies,
            "timeout": self.timeout,
        }
        try:
            async with client.stream("POST", request_parameters.url, **asked) as response:
                status, request, told = response.status_code, response.request, dict(response.headers)
                try:
                    data = await bounded_body(response)
                except ChatError:
                    if not response.is_error:
                        raise
                    data = b""  # its status says enough
        except httpx2.TimeoutException as error:
            raise InferenceTimeoutError(f"no answer in time from {request_parameters.url}") from error
        told = {name: value for name, value in told.items() if name.lower() not in FRAMING}
        hf_raise_for_status(httpx2.Response(status, headers=told, content=data, request=request))
        return data


async def bounded_body(response: httpx2.Response) -> bytes:
    """Reads the body of a response that is being streamed, unpacked, as far as an answer may be long.

    Raises:
        ChatError: It is longer than `ANSWER_BYTES`, or packed in a way that nobody asked for.
    """
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > ANSWER_BYTES:
            raise ChatError("bad_answer", f"an answer of more than {ANSWER_BYTES} bytes")
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed == "identity":
        return bytes(data)
    if packed not in ("gzip", "deflate"):
        raise ChatError("bad_answer", "an answer packed in a way that was not asked for")
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        unpacked = unpacking.decompress(bytes(data), ANSWER_BYTES + 1)
    except zlib.error:
        raise ChatError("bad_answer", "an answer that cannot be unpacked") from None
    if len(unpacked) > ANSWER_BYTES:
        raise ChatError("bad_answer", f"an answer of more than {ANSWER_BYTES} bytes")
    return unpacked


class Chat:
    """A chat endpoint; all calls belong to one event loop, across batches, so that connections and pace are kept.

    Args:
        options: How to ask.
        key: Secret that is sent as bearer token; None sends no `Authorization` at all (the stock client would send
            the Hub token of this machine).
    """

    def __init__(self, options: ChatOptions, key: str | None) -> None:
        self.options, self._key = options, key
        self._client = _Client(
            base_url=options.base_url,
            api_key=key or "none",
            headers=None if key else {"authorization": None},
            timeout=options.timeout_s,
        )
        self._slots = asyncio.Semaphore(options.concurrency)
        self._limiter: AsyncLimiter | None = None
        self._closed_until = 0.0  # time.monotonic; until then the endpoint asked for silence
        self._answered = 0

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def ask(self, question: Question) -> Answer:
        """Asks until there is an answer.

        Raises:
            ChatError: All attempts failed, or one in a way that another would repeat.
            InputError: The endpoint refuses the key or the model, or answers nobody any more.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.options.attempts),
            wait=wait_random_exponential(multiplier=self.options.backoff_s, max=MAX_BACKOFF_S),
            retry=retry_if_exception(lambda error: isinstance(error, ChatError) and error.again),
            before_sleep=lambda state: self._mark(question),
            reraise=True,
        )
        try:
            return await retrying(self._attempt, question)
        except ChatError as failed:
            if failed.down and self._answered == question.others_answered:
                raise self.unreachable(failed) from None  # nobody was answered since the attempt before
            raise

    def unreachable(self, failed: ChatError) -> InputError:
        """Returns the error that ends the run: nobody gets an answer any more, as this one."""
        if failed.again:
            said = f"gives no answers ({failed.detail}, {self.options.attempts} attempts)"
            remedy = "start it, or ask less at a time (concurrency, requests_per_minute)"
        else:
            said = f"refuses every request ({failed.detail})"
            remedy = "see which of model, structured, send_rgb, max_tokens and extra_body it does not take"
        return InputError(f"{self.options.base_url} {said}: {remedy}; {KEPT}")

    async def _attempt(self, question: Question) -> Answer:
        async with self._slots:
            await self._turn()
            if not question.requests:
                self._mark(question)
            question.requests += 1
            completion = await self._post(question)
        self._answered += 1
        for name in ("prompt_tokens", "completion_tokens"):
            count = getattr(completion.usage, name, None)
            if isinstance(count, int) and 0 < count < MOST_TOKENS:
                setattr(question, name, getattr(question, name) + count)
        try:
            choice = completion.choices[0]
            text, refusal, finish = choice.message.content, choice.message.get("refusal"), choice.finish_reason
        except (AttributeError, IndexError, KeyError, TypeError):
            raise ChatError("bad_answer", "an answer without a message") from None
        if refusal or finish == "content_filter":
            raise ChatError("refused", "the model refused", again=False)
        if finish == "length":
            raise ChatError("answer_cut", f"an answer cut at {self.options.max_tokens} tokens")
        try:
            return read_answer(text, question.scene)
        except BadAnswerError as error:
            raise ChatError("bad_answer", f"no usable answer: {error}") from None

    def _mark(self, question: Question) -> None:
        question.others_answered = self._answered

    async def _turn(self) -> None:
        while (left := self._closed_until - time.monotonic()) > 0:
            await asyncio.sleep(left)
        if self.options.requests_per_minute:
            if self._limiter is None:  # evenly spaced, without a burst at the start; made in the loop that it serves
                self._limiter = AsyncLimiter(1, 60 / self.options.requests_per_minute)
            await self._limiter.acquire()

    async def _post(self, question: Question) -> ChatCompletionOutput:
        """Sends one request; no exception that leaves carries the stock ones, whose requests hold the key."""
        options, seed = self.options, self.options.seed + question.requests - 1
        messages = await asyncio.to_thread(question.messages)
        try:
            async with asyncio.timeout(options.timeout_s):
                return await self._client.chat_completion(
                    messages,
                    model=options.model,
                    temperature=options.temperature,
                    max_tokens=options.max_tokens,
                    seed=seed,  # the same one would bring the same bad answer again
                    extra_body={**options.extra_body, "_response_format": response_format(options, question.scene)},
                )
        except OfflineModeIsEnabled:
            raise InputError(
                "HF_HUB_OFFLINE=1 forbids the client to ask any endpoint; run with HF_HUB_OFFLINE=0"
            ) from None
        except HfHubHTTPError as error:
            raise self._refused(error) from None
        except TimeoutError as error:
            down = isinstance(error.__cause__, httpx2.ConnectTimeout)
            raise ChatError("request_failed", f"no answer in {options.timeout_s:g} s", down=down) from None
        except httpx2.RequestError as error:
            name, down = type(error).__name__, isinstance(error, httpx2.ConnectError | httpx2.ProxyError)
            raise ChatError("request_failed", f"connection failed with {name}", down=down) from None
        except (ValueError, RecursionError):
            raise ChatError("bad_answer", "a body that is no chat completion") from None

    def _refused(self, error: HfHubHTTPError) -> Exception:
        status, headers = error.response.status_code, error.response.headers
        if status in REMEDIES:
            return InputError(
                f"{self.options.base_url} answered {status} for the model {shown(self.options.model)}: "
                f"{REMEDIES[status]}; "
                f"{KEPT}"
            )
        if status in (408, 425, 429) or status >= 500:
            pause = _seconds(headers.get("retry-after"))
            if pause > MAX_RETRY_AFTER_S:
                return InputError(
                    f"{self.options.base_url} answered {status} and asks to wait {pause:.0f} s: run again then; {KEPT}"
                )
            self._closed_until = max(self._closed_until, time.monotonic() + pause)
            return ChatError("request_failed", f"HTTP {status}", down=status in (429, 502, 503, 504))
        said = " ".join(str(error.server_message or "").split())
        said = redacted_text(said.replace(self._key, REDACTED) if self._key else said)[:200]
        return ChatError("request_failed", f"HTTP {status}: {said}" if said else f"HTTP {status}", again=False)


def response_format(options: ChatOptions, scene: bool) -> dict[str, Any] | None:
    """Returns how the endpoint is to be bound to the answer's schema; None leaves it to the prompt."""
    schema = answer_schema(scene)
    return {
        "json_schema": {
            "type": "json_schema",
            "json_schema": {"name": "captions", "strict": True, "schema": schema},
        },
        "tgi": {"type": "json_object", "value": schema},
        "json_object": {"type": "json_object"},
        "none": None,
    }[options.structured]


def _seconds(retry_after: str | None) -> float:
    """Reads a `Retry-After` header, seconds or a date; 0 where it says neither."""
    if not retry_after:
        return 0.0
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
