"""The captioner that runs a vision-language model itself: ours, or any that the Auto classes load."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dataset_builder.captioning.models.answers import AnswerCache, BadAnswerError, ask_once, question_key, read_answer
from dataset_builder.captioning.models.prompts import PROMPT, REPAIR_PROMPT, SCENE_PROMPT, Prompts
from dataset_builder.captioning.protocol import Written
from dataset_builder.claims.grounding import InfraredFacts
from dataset_builder.shards.parquet import file_sha256
from fusionrs_hf.errors import InputError
from fusionrs_hf.prompts import PROMPT as TRAINED_PROMPT
from fusionrs_hf.weights import check_folder, check_model, check_source, loading

logger = logging.getLogger(__name__)
OUR_MODEL_TYPE = "fusionrs_vlm"
WHAT, REMEDY = "an image-text-to-text model", "give another, or bring it again"


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Which model to run, and how.

    Args:
        model: Hub id or folder of an image-text-to-text model with a chat template.
        revision: Of the Hub repository, a commit or branch. Recorded is the commit, or a hash of the folder's files.
        prompt, scene_prompt, repair_prompt: Templates; see `Prompts`. Without them a FusionRS-VLM is asked what it was
            trained on, which yields infrared captions only; other models get the default templates.
        send_rgb: Show the RGB image before the infrared one.
        batch_size: Rows at a time.
        max_new_tokens: Longest answer; a longer one is cut and counts as failed.
        dtype: Of the weights, `float32`, `bfloat16` or `auto`: as saved.
        device: `cpu`, `cuda:0` and so on; null takes a GPU where there is one.
        trust_remote_code: Run code from the model's repository. A FusionRS-VLM does not need it.
        cache: Folder of answers; null for the Hub's assets folder. What is in it is not generated again.
    """

    model: str
    revision: str | None = None
    prompt: str | None = None
    scene_prompt: str | None = None
    repair_prompt: str | None = None
    send_rgb: bool = True
    batch_size: int = 8
    max_new_tokens: int = 200
    dtype: str = "auto"
    device: str | None = None
    trust_remote_code: bool = False
    cache: Path | str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a value that cannot be."""
        if not self.model:
            raise ValueError("model must be a Hub id or a folder, got nothing")
        for name in ("batch_size", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        self.prompts(ours=False)

    def prompts(self, ours: bool) -> Prompts:
        """Returns the templates, with the defaults of a FusionRS-VLM or of other models where none is given."""
        defaults = (PROMPT, SCENE_PROMPT, REPAIR_PROMPT)
        if ours:
            defaults = (TRAINED_PROMPT, None, None)
        templates = (self.prompt, self.scene_prompt, self.repair_prompt)
        return Prompts(*(default if text is None else text for text, default in zip(templates, defaults)))


class LocalCaptioner:
    """Generates captions greedily, in batches; the weights are loaded when the first answer is missing.

    A FusionRS-VLM is given RGB and single-channel infrared as they are, others get the infrared with equal channels.
    A plain-text answer is taken as the infrared caption. A row whose answer is cut or holds no caption leaves with the
    `failure` `answer_cut` or `bad_answer`; asking again would bring the same.

    Raises:
        InputError: There is no such model, it is none for images and text, is damaged, or has no chat template.
    """

    name = "local"

    def __init__(self, settings: LocalSettings) -> None:
        from transformers import AutoConfig

        import fusionrs_hf.auto  # noqa: F401 - registers our classes

        self._given = settings
        self._source = {"revision": settings.revision, "trust_remote_code": settings.trust_remote_code}
        folder = Path(settings.model)
        check_source(settings.model)
        with loading(settings.model, WHAT, REMEDY):
            config = AutoConfig.from_pretrained(settings.model, **self._source)
        self._ours = config.model_type == OUR_MODEL_TYPE
        commit = getattr(config, "_commit_hash", None)
        self.revision = _folder_hash(folder) if folder.is_dir() else commit or settings.revision or "unpinned"
        self._prompts = settings.prompts(self._ours)
        self.settings = {
            "model": folder.name if folder.is_dir() else settings.model,
            "max_new_tokens": settings.max_new_tokens,
            "dtype": settings.dtype,
            "send_rgb": settings.send_rgb,
            "prompts": self._prompts.fingerprint(),
        }
        self._asked = {name: value for name, value in self.settings.items() if name != "prompts"}
        self._asked["revision"] = self.revision
        self._cache, self._model, self._processor = AnswerCache(settings.cache), None, None

    def caption(
        self,
        rows: Sequence[Mapping[str, Any]],
        facts: Sequence[InfraredFacts],
        faults: Sequence[str | None] | None = None,
    ) -> list[Written]:
        """Generates what the cache does not hold; equal questions are asked once."""
        questions = self._prompts.questions(rows, facts, faults, self._given.send_rgb)
        keys = [question_key(prompt, images, self._asked) for images, prompt in questions]

        def ask(indices: list[int]) -> list[Written]:
            size, written = self._given.batch_size, []
            for start in range(0, len(indices), size):
                part = indices[start : start + size]
                answers = self._generate(*zip(*(questions[i] for i in part)))
                scenes = [self._prompts.asks_for_scene(rows[i]) for i in part]
                written += [self._read(keys[i], *answer, scene) for i, answer, scene in zip(part, answers, scenes)]
            return written

        return ask_once(keys, self._cache, ask)

    def _read(self, key: str, text: str, ended: bool, usage: dict[str, float], scene: bool) -> Written:
        if not ended:
            return Written(failure="answer_cut", usage=usage)
        try:
            answer = read_answer(text, None if scene else False, plain=True)
        except BadAnswerError as error:
            logger.info("no caption in the answer %r: %s", text[:80], error)
            return Written(failure="bad_answer", usage=usage)
        self._cache.put(key, answer, {"model": self.settings["model"], "revision": self.revision, **usage})
        return answer.written(usage)

    def _generate(
        self, views: Sequence[Sequence[np.ndarray]], prompts: Sequence[str]
    ) -> list[tuple[str, bool, dict[str, float]]]:
        """Returns for each row the text, whether the model ended it, and the tokens it took."""
        import torch

        if self._model is None:
            self._load()
        messages = []
        for images, prompt in zip(views, prompts):
            pictures = [Image.fromarray(image) for image in images]
            if not self._ours:
                pictures = [picture.convert("RGB") for picture in pictures]
            content = [{"type": "image", "image": picture} for picture in pictures]
            messages.append([{"role": "user", "content": [*content, {"type": "text", "text": prompt}]}])
        inputs = self._processor.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self._model.device, self._model.dtype)
        with torch.inference_mode():
            generated = self._model.generate(**inputs, max_new_tokens=self._given.max_new_tokens, do_sample=False)
        if not self._model.config.is_encoder_decoder:
            generated = generated[:, inputs["input_ids"].shape[1] :]  # (rows, new tokens)
        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends]) - {None}
        texts = self._processor.batch_decode(generated, skip_special_tokens=True)
        asked = inputs["attention_mask"].sum(1).tolist()
        answers = []
        for text, tokens, length in zip(texts, generated.tolist(), asked, strict=True):
            stop = next((place for place, token in enumerate(tokens) if token in ends), None)
            took = len(tokens) if stop is None else stop + 1
            answers.append((text, stop is not None or not ends, {"prompt_tokens": length, "completion_tokens": took}))
        return answers

    def _load(self) -> None:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        settings = self._given
        if self._ours and Path(settings.model).is_dir():
            check_folder(Path(settings.model))
        with loading(settings.model, WHAT, REMEDY):
            self._processor = AutoProcessor.from_pretrained(settings.model, **self._source)
        if getattr(self._processor, "chat_template", None) is None:
            raise InputError(
                f"{settings.model} has no chat template: take an instruction-tuned image-text-to-text model"
            )
        self._processor.tokenizer.padding_side = "left"  # answers begin where prompts end
        with loading(settings.model, WHAT, REMEDY):
            model = AutoModelForImageTextToText.from_pretrained(settings.model, dtype=settings.dtype, **self._source)
        check_model(model, settings.model)
        device = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(device).eval()


def _folder_hash(folder: Path) -> str:
    """Returns 16 hex digits over the names and bytes of a folder's files: another training is another revision."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return hashlib.sha256("".join(f"{path.name} {file_sha256(path)}\n" for path in files).encode()).hexdigest()[:16]
