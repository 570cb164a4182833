"""The trainer of contrastive models: gathered loss, gradient caching, weight decay and learning rate by parameter."""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather
from torch.utils.checkpoint import checkpoint
from transformers import Trainer

from dataset_builder.schema import stable_seed

TOWERS = ("vision_model.", "ir_vision_model.", "text_model.")


class ContrastiveTrainer(Trainer):
    """HF Trainer whose loss sees all processes' embeddings, and whose decay spares norms, biases and the scale.

    Args:
        *args, **kwargs: Of `Trainer`.
        head_learning_rate: Of what is no tower; None: as the towers.
        decay_all: Let weight decay reach every parameter, as the published recipe does.
        encode_rows: Rows that are encoded at a time; 0: the whole batch. The loss is the whole batch's all the same:
            a part's activations are made again in the backward pass (gradient caching, arXiv 2101.06983, by PyTorch's
            checkpointing), so memory does not grow with the batch but for its images and embeddings.
        modality_dropout: Chance that a row's fused embedding is that of one modality alone, either by half.
    """

    def __init__(
        self,
        *args: object,
        head_learning_rate: float | None = None,
        decay_all: bool = False,
        encode_rows: int = 0,
        modality_dropout: float = 0.0,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.head_learning_rate, self.decay_all = head_learning_rate, decay_all
        self.encode_rows, self.modality_dropout = encode_rows, modality_dropout
        self.loss_is_scaled_for_ga = False
        self.model_accepts_loss_kwargs = False

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Groups parameters by weight decay (matrices only) and by learning rate (towers, heads)."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            groups: dict[tuple[float, float], list[nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    is_tower = name.startswith(TOWERS)
                    rate = (
                        self.args.learning_rate if is_tower else (self.head_learning_rate or self.args.learning_rate)
                    )
                    spared = parameter.ndim < 2 or name == "modality_embedding"
                    decay = 0.0 if spared and not self.decay_all else self.args.weight_decay
                    groups.setdefault((rate, decay), []).append(parameter)
            self.optimizer = kind(
                [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()],
                **options,
            )
        return self.optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict, return_outputs: bool = False, num_items_in_batch: Tensor | None = None
    ) -> Tensor | tuple[Tensor, object]:
        """Loss over the gathered batch; `all_gather` of torch.distributed.nn carries gradients to every process."""
        inputs = dict(inputs)
        ids = {name: inputs.pop(name) for name in ("image_ids", "caption_ids")}
        inputs.pop("return_loss", None)
        outputs = self._encode(model, inputs)
        embeds = {name: outputs[f"{name}_embeds"] for name in ("rgb", "ir", "text")}  # (batch, projection_dim) each
        if model.training and dist.is_initialized() and dist.get_world_size() > 1:
            embeds = {name: torch.cat(all_gather(tensor.contiguous())) for name, tensor in embeds.items()}
            ids = {name: torch.cat(all_gather(tensor)) for name, tensor in ids.items()}
        core = self.accelerator.unwrap_model(model)
        if core.config.fused_text_weight:
            embeds["fused"] = core.fuse(embeds["rgb"], embeds["ir"], self._present(embeds["rgb"], model.training))
        loss = core.contrastive_loss(embeds, **ids)
        return (loss, outputs) if return_outputs else loss

    def _encode(self, model: nn.Module, inputs: dict) -> Mapping[str, Tensor]:
        size = len(inputs["input_ids"])
        if not (model.training and 0 < self.encode_rows < size):
            return model(**inputs)
        parts = [
            checkpoint(
                model,
                use_reentrant=False,
                **{name: rows[start : start + self.encode_rows] for name, rows in inputs.items()},
            )
            for start in range(0, size, self.encode_rows)
        ]
        names = [name for name in parts[0] if name.endswith("_embeds")]
        return {name: torch.cat([part[name] for part in parts]) for name in names}

    def _present(self, rows: Tensor, training: bool) -> Tensor | None:
        """Which modalities a fused embedding reads, bool `(batch, 2)`: by seed and step, so alike in all processes."""
        if not (training and self.modality_dropout):
            return None
        generator = torch.Generator().manual_seed(stable_seed(self.args.seed, self.state.global_step))
        draw = torch.rand(len(rows), generator=generator).to(rows.device)  # (batch,)
        half = self.modality_dropout / 2
        return torch.stack([draw >= half, draw < 1 - half], dim=1)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Loads weights as `from_pretrained` does.

        The stock method reads the file's keys as they stand, but `save_pretrained` writes those of some backbones
        (DINOv2) under their published names: it would warn, and go on with the attention weights of the start.
        """
        core = self.accelerator.unwrap_model(self.model if model is None else model)
        core.load_state_dict(type(core).from_pretrained(resume_from_checkpoint).state_dict())

    def _load_best_model(self) -> None:
        """See `_load_from_checkpoint`."""
        self._load_from_checkpoint(self.state.best_model_checkpoint)
