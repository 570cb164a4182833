"""Facts that a VLM in training reads from validation rows: how often it says them, and what they cost it."""

from collections.abc import Sequence

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from datasets import Dataset
from torch import nn
from torch.nn import functional
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from dataset_builder.claims.grounding import FACT_KINDS
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from fusionrs_hf.prompts import FACTS_PROMPT
from training.data.conversations import BOTH, fact_examples
from training.data.fact_features import measure_row
from training.scoring.fact_tables import balanced_sample, match_table
from training.scoring.generation import encode_pairs, write_blind, write_captions
from training.scoring.held_out import representative_rows


class ValidationReading:
    """Validation rows divided over processes; every process gets the scores of all.

    Args:
        rows: With `rgb`, `ir` and `ir_band`.
        processor: Of the VLM.
        images: Which are shown, `rgb` before `ir`.
        batch_size: Rows at a time, in each process.
    """

    def __init__(
        self, rows: Dataset, processor: FusionRSVLMProcessor, images: Sequence[str] = BOTH, batch_size: int = 48
    ) -> None:
        state = PartialState()
        self.rows = rows.select(range(state.process_index, len(rows), state.num_processes))
        self.processor, self.images, self.batch_size = processor, images, batch_size
        self.collator = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
        self.facts = [measure_row(row, processor) for row in self.rows]

    def written(self, model: nn.Module) -> dict[str, float]:
        """Returns the share of rows whose written sentence states each kind of fact as measured, and their mean."""
        if self.images:
            pixels, prompt = encode_pairs(self.processor, self.rows, FACTS_PROMPT, self.images)
            texts = write_captions(model, self.processor, pixels, prompt, self.batch_size, "validation", quiet=True)
        else:
            texts = [write_blind(model, self.processor, FACTS_PROMPT)] * len(self.rows)
        matches = np.array(gather_object(match_table(texts, self.facts).tolist()))  # (rows of all, kinds)
        return {"fact_accuracy": float(matches.mean()), **dict(zip(FACT_KINDS, matches.mean(0).tolist()))}

    @torch.no_grad()
    def cost(self, model: nn.Module, with_images: bool = True) -> float:
        """Returns the mean cross-entropy of the true sentences, nats a token."""
        examples = fact_examples(self.rows, self.processor, self.images if with_images else ())
        total, tokens = 0.0, 0
        for start in range(0, len(examples), self.batch_size):
            part = [examples[index] for index in range(start, min(start + self.batch_size, len(examples)))]
            inputs = {name: values.to(model.device) for name, values in self.collator(part).items()}
            labels = inputs.pop("labels")[:, 1:]
            columns = (labels != -100).any(0).nonzero().squeeze(1)
            scores = model(**inputs, logits_to_keep=columns, use_cache=False).logits  # (rows, columns, vocabulary)
            labels = labels[:, columns]
            total += functional.cross_entropy(scores.flatten(0, 1).float(), labels.flatten(), reduction="sum").item()
            tokens += int((labels != -100).sum())
        parts: Sequence[tuple[float, int]] = gather_object([(total, tokens)])
        return sum(part for part, _ in parts) / sum(count for _, count in parts)


def validation_rows(dataset: str, ir_origin: str | None, count: int, seed: int = 0) -> Dataset:
    """Returns that many validation rows, as balanced over bands as there are, one of each joint group and band.

    Args:
        dataset: Folder or Hub id.
        ir_origin: As of `load_pairs`.
        count, seed: How many, drawn how.

    Raises:
        InputError: The dataset has none.
    """
    rows = representative_rows(dataset, "validation", ir_origin)
    return rows.select(balanced_sample(rows["ir_band"], count, seed))
