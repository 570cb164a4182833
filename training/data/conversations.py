"""Rows -> conversations: what the VLM is asked about a pair, and what it should answer, example by example."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset, IterableDataset

from dataset_builder.schema import stable_seed
from fusionrs_hf.errors import InputError
from fusionrs_hf.processing_fusionrs_images import check_infrared
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from fusionrs_hf.prompts import FACTS_PROMPT, JOINT_PROMPT, PROMPT, QUESTIONS
from training.data.fact_features import measure_row
from training.data.fact_texts import fact_values, facts_sentence, question_weights, value_words

logger = logging.getLogger(__name__)

BOTH = ("rgb", "ir")
LESSONS = ("facts", "questions", "captions", "joint")


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is asked of a pair at each place of the course, and the answer.

    `facts` is the sentence of all measured facts, `questions` one fact, `captions` and `joint` a caption that the
    dataset has of the infrared and of both images. A row without such a caption gives its facts instead.

    Args:
        shares: Of each of `LESSONS`, relative to each other.
        counts: Of `count_values` over training rows: a row is asked for what is rare.
        processor: Its limits scale infrared above 8 bit.
        seed: With the place it decides all that is drawn.
        questions_after, joint_after: Examples before the first question, and the first joint caption: until then their
            share is that of facts.
        prompt: What a caption of the infrared answers.
        images: Which are shown, `rgb` before `ir`; none: the same texts alone, what a model can say that sees nothing.
    """

    shares: Mapping[str, float]
    counts: Mapping[str, Counter[str]]
    processor: FusionRSVLMProcessor
    seed: int = 0
    questions_after: int = 0
    joint_after: int = 0
    prompt: str = PROMPT
    images: Sequence[str] = BOTH

    def __post_init__(self) -> None:
        """Raises InputError where no lesson has a share."""
        if min(self.shares.values()) < 0 or not sum(self.shares.values()):
            raise InputError(f"shares of lessons must not be negative, and one above 0, got {dict(self.shares)}")

    def __call__(self, row: Mapping[str, Any], place: int) -> dict[str, Any]:
        """Returns `images` (RGB before infrared), `prompt` and `completion`, as TRL takes them."""
        generator = np.random.default_rng(stable_seed(self.seed, "lesson", place))
        prompt, answer = self._lesson(row, place, generator)
        return conversation(row, prompt, answer, self.processor, self.images)

    def _lesson(self, row: Mapping[str, Any], place: int, generator: np.random.Generator) -> tuple[str, str]:
        weights = np.array([self.shares[name] for name in LESSONS], dtype=float)
        lesson = LESSONS[generator.choice(len(LESSONS), p=weights / weights.sum())]
        if lesson == "captions" and row["ir_captions"]:
            return self.prompt, row["ir_captions"][0]
        if lesson == "joint" and place >= self.joint_after and row.get("joint_captions"):
            return JOINT_PROMPT, str(generator.choice(row["joint_captions"]))
        values = fact_values(measure_row(row, self.processor))
        chances = question_weights(values, self.counts)
        if lesson == "questions" and place >= self.questions_after and chances:
            kind = str(generator.choice(list(chances), p=list(chances.values())))
            return QUESTIONS[kind], value_words(kind, values[kind])
        return FACTS_PROMPT, facts_sentence(values)

    def course(self, rows: Dataset, examples: int) -> Dataset:
        """Returns so many examples in the order in which they are to be shown: passes over the rows, each shuffled."""
        order = np.concatenate(
            [
                np.random.default_rng(stable_seed(self.seed, "pass", number)).permutation(len(rows))
                for number in range(-(-examples // len(rows)))
            ]
        )

        def transform(batch: Mapping[str, list[int]]) -> dict[str, list]:
            made = [self(rows[int(order[place])], place) for place in batch["place"]]
            return {name: [example[name] for example in made] for name in made[0]}

        return Dataset.from_dict({"place": range(examples)}).with_transform(transform)

    def stream(self, rows: Any, process: int, processes: int) -> IterableDataset:
        """Returns a process's endless examples of its own endless rows; places count over all processes."""

        def examples() -> Iterator[dict[str, Any]]:
            for number, row in enumerate(rows):
                yield self(row, number * processes + process)

        return IterableDataset.from_generator(examples)


def conversation(
    row: Mapping[str, Any], prompt: str, answer: str, processor: FusionRSVLMProcessor, images: Sequence[str] = BOTH
) -> dict[str, Any]:
    """Returns one exchange about a pair, as TRL takes it; infrared above 8 bit is scaled, as its band stays behind."""
    limits = processor.limits(row["ir_band"])
    return {
        "images": [check_infrared(row[name], limits) if name == "ir" else row[name] for name in images],
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": answer}],
    }


def fact_examples(rows: Dataset, processor: FusionRSVLMProcessor, images: Sequence[str] = BOTH) -> Dataset:
    """Returns every row's sentence of facts as a conversation: what is scored while training."""

    def transform(batch: Mapping[str, list]) -> dict[str, list]:
        made = []
        for place in range(len(batch["rgb"])):
            row = {name: column[place] for name, column in batch.items()}
            sentence = facts_sentence(fact_values(measure_row(row, processor)))
            made.append(conversation(row, FACTS_PROMPT, sentence, processor, images))
        return {name: [example[name] for example in made] for name in made[0]}

    return rows.select_columns(["rgb", "ir", "ir_band"]).with_transform(transform)
