"""What a model answered: read from its text, and kept as plain files so that no question is asked twice."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import cached_assets_path

from dataset_builder.captioning.protocol import Written
from fusionrs_hf.atomic import atomic_path

logger = logging.getLogger(__name__)
IR_KEY, SCENE_KEY = "ir_aware_caption", "scene_caption"


@dataclass(frozen=True, slots=True)
class Answer:
    """Captions that a model gave for one row, cleaned, not checked; `scene_caption` is None if none was asked for."""

    ir_caption: str
    scene_caption: str | None = None

    def written(self, usage: dict[str, float]) -> Written:
        """Returns it as what a captioner gives, with what it took."""
        return Written([self.ir_caption], [self.scene_caption] if self.scene_caption else [], usage=usage)


class BadAnswerError(ValueError):
    """The text is not the JSON object that was asked for."""


def clean_text(text: str) -> str:
    """Returns one line of printable characters.

    Control and format characters, half surrogates (which no UTF-8 file can hold) and runs of white space go.
    """
    return " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())


def answer_schema(scene: bool) -> dict[str, Any]:
    """Returns the JSON schema of an answer, with `scene_caption` if the row came without a scene caption."""
    keys = [IR_KEY, SCENE_KEY] if scene else [IR_KEY]
    return {
        "type": "object",
        "properties": {key: {"type": "string"} for key in keys},
        "required": keys,
        "additionalProperties": False,
    }


def read_answer(text: Any, scene: bool | None, plain: bool = False) -> Answer:
    """Reads the first JSON object in a model's text; what stands around it, and other keys in it, are ignored.

    Args:
        text: What the model wrote.
        scene: Whether a scene caption must be there; None takes it where it is.
        plain: Take a text without JSON as the infrared caption, as small local models write it; no scene caption then.

    Raises:
        BadAnswerError: No text, no JSON object, a key is missing, not a string or empty.
    """
    if not isinstance(text, str) or not text.strip():
        raise BadAnswerError("no text")
    if plain and "{" not in text:
        return Answer(clean_text(text))
    try:
        answer, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    except (ValueError, RecursionError):
        raise BadAnswerError("no JSON object") from None
    captions = []
    for key in [IR_KEY, SCENE_KEY] if scene or (scene is None and SCENE_KEY in answer) else [IR_KEY]:
        value = answer.get(key)
        if not isinstance(value, str) or not (value := clean_text(value)):
            raise BadAnswerError(f"{key} must be a text")
        captions.append(value)
    return Answer(*captions)


def question_key(prompt: str, images: Sequence[np.ndarray], asked: Mapping[str, Any]) -> str:
    """Returns SHA-256, 64 hex digits, over the pixels, the full prompt, and who is asked how.

    Args:
        prompt: After templating.
        images: Decoded pixels, uint8, in the order in which they are shown.
        asked: JSON-able: model, revision and all that steers sampling.
    """
    pixels = [[image.shape, hashlib.sha256(np.ascontiguousarray(image)).hexdigest()] for image in images]
    question = {"prompt": prompt, "images": pixels, "asked": dict(asked)}
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


class AnswerCache:
    """One JSON file an answer, `<folder>/<2 hex>/<key>.json`; whole or not there, also after a kill.

    Args:
        folder: Where to keep the files; None for `fusionrs/captions` among the Hub's cached assets.
    """

    def __init__(self, folder: Path | str | None) -> None:
        self.folder = Path(folder) if folder else cached_assets_path("fusionrs", namespace="captions")

    def get(self, key: str) -> Answer | None:
        """Returns the kept answer, or None if there is none; a file that holds no answer counts as none."""
        path = self._path(key)
        try:
            kept = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            kept = ""
        try:
            return read_answer(kept, scene=None)
        except BadAnswerError as error:
            logger.warning("%s holds no answer (%s): asking again", path, error)
            return None

    def put(self, key: str, answer: Answer, about: Mapping[str, Any]) -> None:
        """Keeps an answer; `about` (model, revision, tokens) is for readers of the file only."""
        captions = {IR_KEY: answer.ir_caption, SCENE_KEY: answer.scene_caption}
        kept = {name: text for name, text in captions.items() if text is not None} | dict(about)
        try:
            with atomic_path(self._path(key)) as temporary:
                temporary.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")
        except FileNotFoundError:  # another process kept the same answer meanwhile, and took the hidden name
            if not self._path(key).exists():
                raise

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def ask_once(keys: Sequence[str], cache: AnswerCache, ask: Callable[[list[int]], Sequence[Written]]) -> list[Written]:
    """Gives every row its answer: the kept one, or one that is asked for, once for all rows with equal questions.

    Args:
        keys: `question_key` of each row.
        cache: Where `ask` keeps the answers that it gets.
        ask: Takes indices of rows, returns what was written for each.

    Returns:
        One a row, in order. An answer that another row's question brought counts as `cached`.
    """
    written: list[Written | None] = [None] * len(keys)
    asked: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        if key in asked or (kept := cache.get(key)) is None:
            asked.setdefault(key, []).append(index)
        else:
            written[index] = kept.written({"cached": 1})
    if asked:
        for members, first in zip(asked.values(), ask([members[0] for members in asked.values()]), strict=True):
            written[members[0]] = first
            for index in members[1:]:
                usage = {} if first.failure else {"cached": 1}
                written[index] = replace(
                    first, ir_captions=[*first.ir_captions], captions=[*first.captions], usage=usage
                )
    return written
