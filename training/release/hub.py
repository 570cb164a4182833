"""One repository of a Hub, asked patiently: what may help is asked again, and what stops ends in a line."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile

from fusionrs_hf.errors import InputError
from fusionrs_hf.hub_answers import asking_hub
from fusionrs_hf.redaction import redacted_text

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

ATTEMPTS = 4
LONGEST_WAIT_S = 120.0
BUSY = (408, 429, 500, 502, 503, 504)
FULL = (413, 507)
MOVED = (409, 412)  # a commit whose parent is no longer the head


class RepositoryMovedError(InputError):
    """The branch that a release goes to has got another commit meanwhile."""


class Repository:
    """A repository of the Hub that `HF_ENDPOINT` names.

    Args:
        repo_type: `dataset`, `model` or `space`.
        repo_id: `owner/name`.
        sleep: Waits some seconds.
    """

    def __init__(self, repo_type: str, repo_id: str, sleep: Callable[[float], None] | None = None) -> None:
        self.api, self.repo_type, self.repo_id, self.sleep = HfApi(), repo_type, repo_id, sleep or time.sleep

    def ask(self, method: str, *args: Any, **options: Any) -> Any:
        """Calls a method of `HfApi` on this repository; one that fails for a while is asked again.

        For what may be done twice without harm, or is refused the second time.
        """
        call = getattr(self.api, method)
        return self.patiently(lambda: call(self.repo_id, *args, repo_type=self.repo_type, **options))

    def patiently(self, call: Callable[[], Answer]) -> Answer:
        """Returns what a call returns, repeated where the Hub is busy or the connection fails."""
        for attempt in range(ATTEMPTS):
            try:
                with asking_hub():
                    return call()
            except Exception as error:
                if attempt == ATTEMPTS - 1 or not is_passing(error):
                    raise
                wait = min(LONGEST_WAIT_S, _retry_after(error) or 2.0**attempt)
                logger.info("%s; asking again in %.0f s", _in_words(error), wait)
                self.sleep(wait)
        raise AssertionError("unreachable")

    def head(self, revision: str) -> str | None:
        """Returns the commit that a branch or tag points at; None where there is no such."""
        try:
            return self.ask("repo_info", revision=revision).sha
        except RevisionNotFoundError:
            return None

    def tree(self, revision: str) -> dict[str, RepoFile]:
        """Returns the files of a commit by name."""
        call = self.api.list_repo_tree

        def files() -> list[Any]:
            return list(call(self.repo_id, recursive=True, revision=revision, repo_type=self.repo_type))

        return {entry.path: entry for entry in self.patiently(files) if isinstance(entry, RepoFile)}

    def tags(self) -> dict[str, str]:
        """Returns commits by tag."""
        return {ref.name: ref.target_commit for ref in self.ask("list_repo_refs").tags}

    def url(self, commit: str) -> str:
        """Returns the page of a commit."""
        kind = "" if self.repo_type == "model" else f"{self.repo_type}s/"
        return f"{self.api.endpoint}/{kind}{self.repo_id}/commit/{commit}"


@contextmanager
def in_a_line(repository: Repository, state: Callable[[], str]) -> Iterator[None]:
    """Turns what a Hub or the way to it raises into an InputError that says how things stand.

    Args:
        repository: That is asked.
        state: Returns what is there now, and how to go on.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if (words := _in_words(error)) is None:
            raise
        raise InputError(redacted_text(f"{repository.repo_id}: {words}; {state()}")) from error


def status_of(error: BaseException | None) -> int | None:
    """Returns the HTTP status that an error, or what caused it, tells."""
    while error is not None:
        if isinstance(error, HfHubHTTPError) and error.response is not None:
            return error.response.status_code
        error = error.__cause__ or error.__context__
    return None


def is_passing(error: Exception) -> bool:
    """Whether asking again may help: the Hub is busy, or the connection failed."""
    status = status_of(error)
    return status in BUSY if status else _transport(error) is not None


def _transport(error: BaseException | None) -> httpx2.TransportError | None:
    while error is not None and not isinstance(error, httpx2.TransportError):
        error = error.__cause__ or error.__context__
    return error


def _retry_after(error: BaseException | None) -> float | None:
    while error is not None:
        if isinstance(error, HfHubHTTPError) and error.response is not None:
            said = error.response.headers.get("Retry-After", "")
            return float(said) if said.isdecimal() else None
        error = error.__cause__ or error.__context__
    return None


def _in_words(error: Exception) -> str | None:
    """Says what went wrong between here and the Hub; None where it was nothing of that."""
    status, transport = status_of(error), _transport(error)
    if status in (401, 403):
        return f"the Hub refuses the token ({status}); log in by `hf auth login`, or set HF_TOKEN"
    if status in FULL:
        return f"the Hub has no room ({status}); make room there"
    if status is not None:
        said = " ".join(str(getattr(error, "server_message", None) or error).split())
        return f"the Hub answered {status} ({said[:200]})"
    if transport is not None:
        name = type(transport).__name__
        return f"cannot reach {HfApi().endpoint} ({name}: {transport}); check HF_ENDPOINT and the network"
    if isinstance(error, LocalEntryNotFoundError):
        return f"a file could not be downloaded ({' '.join(str(error).split())[:200]})"
    return None
