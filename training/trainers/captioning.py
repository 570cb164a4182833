"""The VLM's trainer."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedTokenizerBase
from trl import SFTTrainer

from training.trainers.run_folder import KeptCheckpoints

PROJECTOR = "multi_modal_projector"


class Reading(Protocol):
    """Rows whose facts a model in training is asked for; `training.scoring.validation_reading` has them."""

    def written(self, model: nn.Module) -> dict[str, float]:
        """Returns how often the model writes each kind of fact as measured."""

    def cost(self, model: nn.Module, with_images: bool = True) -> float:
        """Returns what the true sentences cost it, nats a token."""


class CaptionTrainer(KeptCheckpoints, SFTTrainer):
    """TRL's trainer with logits at labelled positions only on any device, weighted words, and facts as its evaluation.

    Args:
        *args, **kwargs: Of `KeptCheckpoints` and `SFTTrainer`.
        projector_learning_rate: The projectors' own; 0 freezes them, None: as the rest.
        weighted_words: What counts more in the loss: a caption's few words that must be read drown in those that can
            be guessed.
        word_weight: How many times as much.
        reading: What `evaluate` scores.
    """

    def __init__(
        self,
        *args: object,
        projector_learning_rate: float | None = None,
        weighted_words: Sequence[str] = (),
        word_weight: float = 1.0,
        reading: Reading | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.projector_learning_rate = projector_learning_rate
        if projector_learning_rate == 0:
            for name, parameter in self.model.named_parameters():
                if PROJECTOR in name:
                    parameter.requires_grad_(False)
        self.word_weight = word_weight
        self.word_tokens = word_tokens(self.processing_class.tokenizer, weighted_words) if word_weight != 1 else []
        self.reading = reading

    def create_model_card(self, *args: object, **kwargs: object) -> None:
        """Writes none: TRL would put its own into the folder with each checkpoint; ours is written in the end."""

    def get_train_dataloader(self) -> DataLoader:
        """As in `Trainer`; but rows that have no length are each process's own, and divided no further."""
        if not isinstance(self.train_dataset, IterableDataset):
            return super().get_train_dataloader()
        return DataLoader(self.train_dataset, batch_size=self.args.train_batch_size, collate_fn=self.data_collator)

    def compute_loss(
        self, model: nn.Module, inputs: dict, return_outputs: bool = False, num_items_in_batch: Tensor | None = None
    ) -> Tensor | tuple[Tensor, object]:
        """Weighted mean negative log-likelihood of the labels.

        TRL's own loss skips unlabelled positions on CUDA only; elsewhere it computes a vocabulary of logits for every
        prompt and image token, a third of a step here. Answers of one batch differ in length: the head gets no more
        than each row's own positions, and `logits` are `(labels, vocabulary)`.
        """
        labels = inputs["labels"][:, 1:]
        labelled = labels != -100  # (batch, length - 1)
        columns = labelled.any(0).nonzero().squeeze(1)  # (positions,), labelled in any row
        weights = word_weights(inputs["labels"], self.word_tokens, self.word_weight)[:, 1:][labelled]
        kept = {name: value for name, value in inputs.items() if name != "labels"}
        head = self.accelerator.unwrap_model(model).get_output_embeddings()
        picking = head.register_forward_pre_hook(lambda _, states: (states[0][labelled[:, columns]],))
        with picking:
            outputs = model(**kept, logits_to_keep=columns, use_cache=False)
        costs = functional.cross_entropy(outputs.logits.float(), labels[labelled], reduction="none")
        mean = (costs * weights).sum() / weights.sum()
        if num_items_in_batch is None:
            return (mean, outputs) if return_outputs else mean
        loss = mean * labelled.sum() / num_items_in_batch  # of all labels of the step, in all processes
        if self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # DDP takes the mean
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Groups parameters by learning rate: projectors, and the rest."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            rate = self.projector_learning_rate or self.args.learning_rate
            groups: dict[float, list[nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    groups.setdefault(rate if PROJECTOR in name else self.args.learning_rate, []).append(parameter)
            self.optimizer = kind(
                [
                    {"params": params, "lr": lr, "weight_decay": self.args.weight_decay}
                    for lr, params in groups.items()
                ],
                **options,
            )
        return self.optimizer

    def evaluate(
        self,
        eval_dataset: object = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Scores `reading`: `eval_fact_accuracy`, `eval_<kind>` for each kind of fact, and `eval_loss`."""
        model = self.accelerator.unwrap_model(self.model)
        model.eval()
        with self.accelerator.autocast():
            scores = {"loss": self.reading.cost(model), **self.reading.written(model)}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def word_tokens(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[list[int]]:
    """Returns the token ids of words, as they begin a text and as they go on."""
    texts = [text for word in words for text in (word, f" {word}")]
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def word_weights(labels: Tensor, sequences: Sequence[Sequence[int]], weight: float) -> Tensor:
    """Returns the weight of each label: 0 where there is none, `weight` within one of the sequences, else 1.

    Args:
        labels: `(batch, length)`, -100 where there is none.
        sequences: Token ids.
        weight: Of these.
    """
    weighted = torch.zeros_like(labels, dtype=torch.bool)
    for sequence in sequences:
        length = len(sequence)
        if length > labels.shape[1]:
            continue
        ids = torch.tensor(sequence, device=labels.device)
        starts = (labels.unfold(1, length, 1) == ids).all(-1)  # (batch, length - len(sequence) + 1)
        for offset in range(length):
            weighted[:, offset : offset + starts.shape[1]] |= starts
    weights = torch.where(weighted, weight, 1.0)
    return weights * (labels != -100)
