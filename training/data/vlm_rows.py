"""Training and validation rows of the VLM: a table, or a stream that each process reads its part of."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from datasets import Dataset, IterableDataset
from transformers import TrainingArguments

from fusionrs_hf.errors import InputError
from training.data.conversations import Lessons
from training.data.dataset_contents import chosen_origin
from training.data.pairs import load_pairs
from training.data.streaming import EndlessRows, read_facts, stream_pairs
from training.vlm_arguments import VlmArguments

COLUMNS = ["rgb", "ir", "ir_band", "ir_captions", "joint_captions"]


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What a VLM is trained on.

    Args:
        table: Of all rows; without their images where they are streamed.
        origin: Their `ir_origin`; None: any.
        source: Arguments of `stream_pairs`; None: the table has the images.
        seed: Of every draw.
        process, processes: Whose rows these are.
    """

    table: Dataset
    origin: str | None
    source: tuple[Any, ...] | None
    seed: int
    process: int
    processes: int

    @classmethod
    def load(cls, arguments: VlmArguments, training: TrainingArguments) -> Self:
        """Opens the dataset that a recipe names.

        Raises:
            InputError: A stream has no end of training, or there are no rows.
        """
        who = (training.seed, training.process_index, training.world_size)
        origin = chosen_origin(arguments.dataset, arguments.ir_origin, "train")
        if not arguments.streaming:
            return cls(load_pairs(arguments.dataset, "train", origin), origin, None, *who)
        if training.max_steps <= 0:
            raise InputError(
                f"streaming needs max_steps, got {training.max_steps}; give the number of optimiser steps"
            )
        source = (arguments.dataset, origin, training.seed, arguments.shuffle_buffer, *who[1:])
        return cls(read_facts(arguments.dataset, origin), origin, source, *who)

    def sample(self, count: int) -> Iterable[Mapping[str, Any]]:
        """Returns this process's part of `count` rows drawn by the seed, or of all where there are fewer."""
        if self.source:
            return stream_pairs(*self.source).take(-(-count // self.processes))
        rows = self.table.shuffle(seed=self.seed).select(range(min(count, len(self.table))))
        return rows.shard(self.processes, self.process, contiguous=False)

    def first(self, count: int) -> Dataset:
        """Returns a few of the rows as a table, of a stream this process's."""
        if not self.source:
            return self.table.select(range(min(count, len(self.table))))
        stream = stream_pairs(*self.source)
        return Dataset.from_list(list(stream.take(count)), features=stream.features)

    def steps(self, training: TrainingArguments) -> int:
        """Returns how many steps a recipe's `max_steps` or `num_train_epochs` is."""
        if training.max_steps > 0:
            return training.max_steps
        return math.ceil(training.num_train_epochs * len(self.table) / rows_a_step(training))

    def examples(self, lessons: Lessons, training: TrainingArguments, steps: int) -> Dataset | IterableDataset:
        """Returns the examples of so many steps, in order."""
        if self.source:
            return lessons.stream(EndlessRows(stream_pairs(*self.source)), self.process, self.processes)
        columns = [name for name in COLUMNS if name in self.table.column_names]
        return lessons.course(self.table.select_columns(columns), steps * rows_a_step(training))


def rows_a_step(training: TrainingArguments) -> int:
    """Returns how many examples an optimiser step has, over all processes."""
    return training.train_batch_size * training.world_size * training.gradient_accumulation_steps
