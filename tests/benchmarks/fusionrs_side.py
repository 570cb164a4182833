"""This project's side of the training benchmarks: `ContrastiveTrainer.train()` on the weights and batches of the peer.

Run by train_step.py and large_batch.py.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainingArguments

from fusionrs_hf.convert_open_clip import read_open_clip
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from tests.benchmarks.open_clip_peer import images_of
from tests.benchmarks.sides import Pace, answer
from training.trainers.callbacks import LogitScaleClamp
from training.trainers.contrastive import ContrastiveTrainer

AS_OPEN_CLIP = {  # its defaults for a ViT, as TrainingArguments name them
    "optim": "adamw_torch",
    "learning_rate": 5e-4,
    "adam_beta2": 0.98,
    "adam_epsilon": 1e-6,
    "weight_decay": 0.2,
    "max_grad_norm": 0.0,
}


class Turns(TrainerCallback):
    """Takes steps while the parent asks for them."""

    def __init__(self) -> None:
        self.pace = Pace()

    def on_train_begin(self, args: object, state: object, control: object, **kwargs: object) -> None:
        """Waits for the first turn."""
        self.pace.goes_on()

    def on_step_end(self, args: object, state: object, control: Any, **kwargs: object) -> None:
        """Ends the training with the parent's last turn."""
        control.should_training_stop = not self.pace.goes_on()


def batch_of(rgb: Tensor, ir: Tensor | None, ids: Tensor, shortest: bool) -> dict[str, Tensor]:
    """A batch as the collator gives it.

    Args:
        rgb, ir: `(rows, 3, height, width)`.
        ids: Token ids, `(rows, length)`; the highest ends a text, zeros follow.
        shortest: Pad to the longest text, as the processor does, and not to `length`.
    """
    ends = ids.argmax(-1, keepdim=True)  # (rows, 1)
    length = int(ends.max()) + 1 if shortest else ids.shape[1]
    mask = (torch.arange(length) <= ends).long()  # (rows, length)
    batch = {"pixel_values": rgb, "input_ids": ids[:, :length].contiguous(), "attention_mask": mask}
    batch |= {name: torch.arange(len(ids)) for name in ("image_ids", "caption_ids")}
    return batch if ir is None else batch | {"ir_pixel_values": ir}


def load(folder: Path, infrared: bool, shortest: bool, check: bool = False) -> tuple[FusionRSCLIPModel, list[dict]]:
    """Returns the peer's model, converted, and the batches.

    Args:
        folder: Of the peer's `prepare`.
        infrared: Whether batches have infrared.
        shortest: See `batch_of`.
        check: Compare the first batch's loss with the peer's.

    Raises:
        RuntimeError: The losses differ.
    """
    inputs = torch.load(folder / "inputs.pt")
    model, ids = read_open_clip(inputs["state"], quick_gelu=False), inputs["ids"]
    rgb = images_of(*ids.shape[:2])
    ir = images_of(*ids.shape[:2], seed=1) if infrared else [None] * len(ids)
    batches = [batch_of(*rows, shortest) for rows in zip(rgb, ir, ids, strict=True)]
    if check:
        with torch.no_grad():
            pair = {name: rows for name, rows in batches[0].items() if name != "ir_pixel_values"}
            loss = float(model(**pair, return_loss=True).loss)
        if abs(loss - inputs["loss"]) > 1e-5:
            raise RuntimeError(f"the two models differ: loss {loss} here, {inputs['loss']} of open_clip")
    return model, batches


def make_trainer(
    model: FusionRSCLIPModel, batches: list[dict[str, Tensor]], folder: Path, encode_rows: int, **options: object
) -> ContrastiveTrainer:
    """The trainer, its batches in memory; `options` are fields of `TrainingArguments`."""
    training = TrainingArguments(
        str(folder / "out"),
        per_device_train_batch_size=1,  # a "row" of the data is a batch
        max_steps=10**6,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        label_names=[],
        remove_unused_columns=False,
        **options,
    )
    return ContrastiveTrainer(
        model=model,
        args=training,
        train_dataset=batches,
        data_collator=lambda rows: rows[0],
        callbacks=[Turns(), LogitScaleClamp(100.0)],
        encode_rows=encode_rows,
    )


def compare_gradients(folder: Path, encode_rows: int) -> None:
    """Answers how far gradients by parts are from those of the whole batch, in fp32."""
    model, batches = load(folder, infrared=True, shortest=False)
    found = []
    for rows in (0, encode_rows):
        trainer = make_trainer(model, batches, folder, rows)
        model.train().zero_grad()
        trainer.compute_loss(model, batches[0]).backward()
        found.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
    whole, parts = found
    answer(
        largest_gradient=max(float(value.abs().max()) for value in whole.values()),
        largest_difference=max(float((parts[name] - value).abs().max()) for name, value in whole.items()),
    )


def main() -> None:
    """Trains turn by turn, or compares gradients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("train", "gradients"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encode-rows", type=int, default=0)
    parser.add_argument("--infrared", action="store_true")
    parser.add_argument("--ships", action="store_true", help="transformers' defaults, texts padded to the longest")
    parser.add_argument("--fused", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    if arguments.what == "gradients":
        compare_gradients(arguments.folder, arguments.encode_rows)
        return
    options = {} if arguments.ships else AS_OPEN_CLIP | ({"optim": "adamw_torch_fused"} if arguments.fused else {})
    model, batches = load(arguments.folder, arguments.infrared, arguments.ships, check=not arguments.encode_rows)
    trainer = make_trainer(model, batches, arguments.folder, arguments.encode_rows, bf16=True, **options)
    trainer.train()


if __name__ == "__main__":
    main()
