"""Says whether a VLM in training has begun to read its images: its loss beside that of who sees nothing."""

import logging
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.data.fact_texts import facts_sentence, unread_entropy
from training.trainers.captioning import Reading

logger = logging.getLogger(__name__)


def unread_cost(
    counts: Mapping[str, Counter[str]], values: Mapping[str, str | None], tokenizer: PreTrainedTokenizerBase
) -> float:
    """Returns the nats a token that sentences of facts cost who writes them perfectly but reads no image.

    Args:
        counts: Of `count_values`.
        values: Of a typical row, whose sentence says how many tokens the facts are spread over.
        tokenizer: Of the language model.
    """
    tokens = tokenizer(facts_sentence(values), add_special_tokens=False)["input_ids"]
    return unread_entropy(counts) / (len(tokens) + 1)  # and the end of the turn


class ReadingWatch(TrainerCallback):
    """Logs where the loss starts, and warns, or stops, where images have not lowered it by a stated step.

    Args:
        reading: The rows whose true sentences are scored.
        blind_loss: What these cost the model without images, nats a token.
        unread: As `unread_cost`.
        vocabulary: Words of the language model: all alike cost the logarithm of their number.
        after: Step at which the loss should be below `blind_loss`.
        stop: Whether training ends there if it is not.
    """

    def __init__(
        self, reading: Reading, blind_loss: float, unread: float, vocabulary: int, after: int, stop: bool
    ) -> None:
        self.reading, self.blind_loss, self.after, self.stop = reading, blind_loss, after, stop
        self.marks = {"uniform_loss": math.log(vocabulary), "unread_loss": unread, "blind_loss": blind_loss}

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        """Logs the loss of the true sentences before the first step."""
        if state.global_step == 0:
            marks = {"start_loss": self.reading.cost(model.eval()), **self.marks}
            state.log_history.append({"step": 0, **marks})
            if state.is_world_process_zero:
                logger.info("nats a token: %s", ", ".join(f"{name} {value:.2f}" for name, value in marks.items()))

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        """Warns where the images do not help yet."""
        if state.global_step != self.after:
            return
        loss = self.reading.cost(model.eval())
        if loss < self.blind_loss:
            return
        control.should_training_stop |= self.stop
        if state.is_world_process_zero:
            logger.warning(
                "after %d steps images have not lowered the loss of sentences of facts below the blind model's (%.3f "
                "against %.3f nats a token): it does not read them yet; train longer, or teach the projectors longer",
                state.global_step,
                loss,
                self.blind_loss,
            )
