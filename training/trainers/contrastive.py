"""The trainer of contrastive models: gathered loss, gradient caching, weight decay and learning rate by parameter."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule
from torch.distributed.nn.functional import all_gather
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, IterableDataset
from transformers import DataCollator

from dataset_builder.schema import stable_seed
from training.trainers.distributed import check_processes, forward_as, is_wrapped, prepare_fsdp
from training.trainers.run_folder import KeptCheckpoints

TOWERS = ("vision_model.", "ir_vision_model.", "text_model.")


class ContrastiveTrainer(KeptCheckpoints):
    """HF Trainer whose loss sees all processes' embeddings, and whose decay spares norms, biases and the scale.

    In bf16 on a CPU the towers' attention becomes `eager`, whatever it was.

    Args:
        *args, **kwargs: Of `KeptCheckpoints`.
        head_learning_rate: Of what is no tower; None: as the towers.
        text_head_learning_rate: Of the text projection; None: as the other heads.
        decay_all: Let weight decay reach every parameter, as the published recipe does.
        encode_rows: Rows that are encoded at a time; 0: the whole batch. The loss is the whole batch's all the same:
            a part's activations are made again in the backward pass (gradient caching, arXiv 2101.06983, by PyTorch's
            checkpointing), so memory does not grow with the batch but for its images and embeddings.
        modality_dropout: Chance that a row's fused embedding is that of one modality alone, either by half.
        eval_collator: Of the evaluated rows; None: `data_collator`.

    Raises:
        InputError: Several processes would not train together, or not as the launcher was told.
    """

    def __init__(
        self,
        *args: object,
        head_learning_rate: float | None = None,
        text_head_learning_rate: float | None = None,
        decay_all: bool = False,
        encode_rows: int = 0,
        modality_dropout: float = 0.0,
        eval_collator: DataCollator | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.head_learning_rate, self.decay_all = head_learning_rate, decay_all
        self.text_head_learning_rate = text_head_learning_rate
        self.encode_rows, self.modality_dropout = encode_rows, modality_dropout
        self.eval_collator = eval_collator or self.data_collator
        self.loss_is_scaled_for_ga = False
        self.model_accepts_loss_kwargs = False
        self.plain_class = type(self.model)  # FSDP puts one of its own in its place
        check_processes(self)
        if self.is_fsdp_enabled:
            prepare_fsdp(self.model, self.accelerator.state.fsdp_plugin, self.args.device)
        if self.args.bf16 and self.args.device.type == "cpu":
            self.model.set_attn_implementation("eager")  # PyTorch's fused attention is 2 to 4 times slower there

    def get_train_dataloader(self) -> DataLoader:
        """As in `Trainer`; but rows that have no length are each process's own, and divided no further."""
        if not isinstance(self.train_dataset, IterableDataset):
            return super().get_train_dataloader()
        return DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            prefetch_factor=self.args.dataloader_prefetch_factor,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def get_eval_dataloader(self, eval_dataset: object = None) -> DataLoader:
        """As in `Trainer`, with the collator for evaluation."""
        training, self.data_collator = self.data_collator, self.eval_collator
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Groups parameters by weight decay (matrices only) and by learning rate (towers, heads)."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            groups: dict[tuple[float, float], list[nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    rate = self._rate(name)
                    spared = parameter.ndim < 2 or name == "modality_embedding"
                    decay = 0.0 if spared and not self.decay_all else self.args.weight_decay
                    groups.setdefault((rate, decay), []).append(parameter)
            self.optimizer = kind(
                [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()],
                **options,
            )
        return self.optimizer

    def _rate(self, name: str) -> float:
        """Returns the learning rate of a parameter."""
        if name.startswith(TOWERS):
            return self.args.learning_rate
        text = self.text_head_learning_rate if name.startswith("text_projection.") else None
        return text or self.head_learning_rate or self.args.learning_rate

    def compute_loss(
        self, model: nn.Module, inputs: dict, return_outputs: bool = False, num_items_in_batch: Tensor | None = None
    ) -> Tensor | tuple[Tensor, object]:
        """Loss over the gathered batch; `all_gather` of torch.distributed.nn carries gradients to every process.

        All of it runs as the forward of the model that DDP or FSDP has wrapped: there, parameters that are used behind
        the towers, as the fusion's, are whole, and gradients are awaited of those that the loss depends on, no others.
        """
        core = self.accelerator.unwrap_model(model)
        if not is_wrapped(model):
            return self._loss(core, model, return_outputs, **inputs)
        with forward_as(core, partial(self._loss, core, core.forward, return_outputs)):
            return model(**inputs)

    def _loss(
        self,
        core: nn.Module,
        encode: Callable[..., Mapping[str, Tensor]],
        return_outputs: bool,
        image_ids: Tensor,
        caption_ids: Tensor,
        return_loss: bool = True,
        **inputs: Tensor,
    ) -> Tensor | tuple[Tensor, object]:
        ids = {"image_ids": image_ids, "caption_ids": caption_ids}
        with self.accelerator.autocast():
            outputs = self._encode(encode, core.training, inputs)
            modalities = [name for name in ("rgb", "ir", "text") if f"{name}_embeds" in outputs]
            embeds = {name: outputs[f"{name}_embeds"].float() for name in modalities}  # (batch, projection_dim) each
            if core.training and dist.is_initialized() and dist.get_world_size() > 1:
                embeds = {name: torch.cat(all_gather(tensor.contiguous())) for name, tensor in embeds.items()}
                ids = {name: torch.cat(all_gather(tensor)) for name, tensor in ids.items()}
            if core.config.fused_text_weight and {"rgb", "ir"} <= embeds.keys():
                embeds["fused"] = core.fuse(embeds["rgb"], embeds["ir"], self._present(embeds["rgb"], core.training))
        texts, places = embeds["text"], len(embeds["text"]) // len(ids["image_ids"])
        losses = [
            core.contrastive_loss(
                embeds | {"text": texts[place::places]}, ids["image_ids"], ids["caption_ids"][place::places]
            )
            for place in range(places)  # each of a row's texts against the same of the others
        ]
        loss = sum(losses) / places
        return (loss, outputs) if return_outputs else loss

    def _encode(
        self, encode: Callable[..., Mapping[str, Tensor]], training: bool, inputs: dict[str, Tensor]
    ) -> Mapping[str, Tensor]:
        size = min(map(len, inputs.values()))  # a row may have several texts, next to each other
        if not (training and 0 < self.encode_rows < size):
            return encode(**inputs)
        chunks = [range(start, min(start + self.encode_rows, size)) for start in range(0, size, self.encode_rows)]
        images = [name for name in ("pixel_values", "ir_pixel_values") if name in inputs]
        texts = {name: rows for name, rows in inputs.items() if name not in images}
        parts: dict[str, list[Tensor]] = {}
        for tower_inputs in (*({name: inputs[name]} for name in images), texts):  # one tower's activations at a time
            for chunk in chunks:
                part = {
                    name: rows[chunk.start * len(rows) // size : chunk.stop * len(rows) // size]
                    for name, rows in tower_inputs.items()
                }
                for name, rows in checkpoint(encode, use_reentrant=False, **part).items():
                    parts.setdefault(name, []).append(rows)
        return {name: torch.cat(rows) for name, rows in parts.items()}

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
        state = self.plain_class.from_pretrained(resume_from_checkpoint).state_dict()
        set_model_state_dict(core, state, options=StateDictOptions(full_state_dict=True))

    def _load_best_model(self) -> None:
        """See `_load_from_checkpoint`."""
        self._load_from_checkpoint(self.state.best_model_checkpoint)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """As in `Trainer`; under FSDP that fails where no gradient has reached a parameter: it has no state."""
        if checkpoint is None or not self.is_fsdp_enabled:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        state, schedule = (
            torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True)
            for name in ("optimizer.bin", "scheduler.pt")
        )
        options = StateDictOptions(full_state_dict=True, strict=False)
        set_optimizer_state_dict(self.model, self.optimizer, state, options=options)
        self.lr_scheduler.load_state_dict(schedule)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Saves a sharded model as one of its own class; code that goes with FSDP's, made at run time, is not ours."""
        trained = self.model
        if isinstance(trained, FSDPModule):
            with torch.device("meta"):
                self.model = self.plain_class(trained.config)
        try:
            super()._save(output_dir, state_dict)
        finally:
            self.model = trained
