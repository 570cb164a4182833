"""open_clip's side of the training benchmarks: its model, its loss, its `train_one_epoch`, unchanged.

Run by train_step.py and large_batch.py with the interpreter of an environment that has `open_clip_torch[training]` and
nothing of this project. `prepare` writes what both sides begin with; `train` waits for turns.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import torch

from tests.benchmarks.sides import Pace, answer

SIDE_PX, TOKENS = 128, 77
TOWERS = {
    "embed_dim": 256,
    "vision_cfg": {"layers": 6, "width": 256, "head_width": 64, "patch_size": 16, "image_size": SIDE_PX},
    "text_cfg": {"context_length": TOKENS, "vocab_size": 49408, "width": 256, "heads": 4, "layers": 6},
}


def declare_torchvision() -> None:
    """Declares the operators that torchvision's CUDA-linked wheel lacks on a CPU build of torch; else its import dies.

    What is declared is never called.
    """
    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def images_of(batches: int, rows: int, seed: int = 0) -> torch.Tensor:
    """Random images, `(batches, rows, 3, 128, 128)`; the same on both sides for one seed."""
    return torch.randn(batches, rows, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(seed))


def make_model() -> torch.nn.Module:
    """open_clip's CLIP of `TOWERS`, random, in fp32."""
    from open_clip.model import CLIP

    torch.manual_seed(0)
    return CLIP(**TOWERS, output_dict=True)


def prepare(batches: int, rows: int, folder: Path) -> None:
    """Writes `inputs.pt`: weights, token ids of the texts in `captions.json`, and the first batch's loss in fp32."""
    from open_clip import __version__
    from open_clip.loss import ClipLoss
    from open_clip.tokenizer import SimpleTokenizer

    model, texts = make_model(), json.loads((folder / "captions.json").read_text())
    ids = SimpleTokenizer()(texts[: batches * rows]).view(batches, rows, TOKENS)
    with torch.no_grad():
        loss = float(ClipLoss()(**model(images_of(batches, rows)[0], ids[0])))
    torch.save({"state": model.state_dict(), "ids": ids, "loss": loss}, folder / "inputs.pt")
    answer(
        version=__version__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        longest_text=float((1 + ids.argmax(-1)).amax(1).float().mean()),  # mean over batches; the end's id is highest
    )


class Batches:
    """What `train_one_epoch` takes for a data loader: batches in memory, each in parts, until the pace says stop."""

    num_batches = num_samples = 10**6  # for the schedule and the log

    def __init__(self, images: torch.Tensor, ids: torch.Tensor, parts: int) -> None:
        """Takes images and texts as `(batches, rows, ...)`."""
        self.batches = [list(zip(*(rows.chunk(parts) for rows in batch), strict=True)) for batch in zip(images, ids)]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yields images and token ids of parts."""
        pace = Pace()
        while True:
            for parts in self.batches:
                if not pace.goes_on():
                    return
                yield from parts


def make_optimizer(model: torch.nn.Module, args: argparse.Namespace) -> torch.optim.Optimizer:
    """AdamW as `open_clip_train.main` builds it: no decay for gains and biases."""
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        spared = parameter.ndim < 2 or any(part in name for part in ("bn", "ln", "bias", "logit_scale"))
        groups[spared].append(parameter)
    return torch.optim.AdamW(
        [{"params": groups[True], "weight_decay": 0.0}, {"params": groups[False], "weight_decay": args.wd}],
        lr=args.lr,
        betas=(args.beta1, args.beta2),
        eps=args.eps,
        fused=args.fused,
    )


def train(parts: int, fused: bool | None, folder: Path) -> None:
    """Trains on the prepared batches while the parent asks for steps.

    Args:
        parts: In how many parts a batch is encoded (`--accum-freq`).
        fused: The optimizer's; None: as open_clip has it.
        folder: Of `prepare`.
    """
    from open_clip.loss import ClipLoss
    from open_clip_train.main import cosine_lr, parse_args, train_one_epoch

    args = parse_args(["--model", "ViT", "--precision", "amp_bf16", "--accum-freq", str(parts)])
    vars(args).update(device="cpu", rank=0, local_rank=0, world_size=1, distill=False, wandb=False, fused=fused)
    inputs = torch.load(folder / "inputs.pt")
    model = make_model()
    model.load_state_dict(inputs.pop("state"))
    optimizer = make_optimizer(model, args)
    batches = Batches(images_of(*inputs["ids"].shape[:2]), inputs["ids"], parts)
    train_one_epoch(
        model,
        {"train": SimpleNamespace(dataloader=batches, set_epoch=lambda epoch: None)},
        ClipLoss(),
        0,
        optimizer,
        None,  # bf16 needs no gradient scaler
        cosine_lr(optimizer, args.lr, args.warmup, batches.num_batches),
        None,
        args,
    )


def main() -> None:
    """Prepares or trains."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("prepare", "train"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--fused", action="store_true", default=None)
    arguments = parser.parse_args()
    declare_torchvision()
    if arguments.what == "prepare":
        prepare(arguments.batches, arguments.rows, arguments.folder)
    else:
        train(arguments.parts, arguments.fused, arguments.folder)


if __name__ == "__main__":
    main()
