"""What a trainer of several processes needs under DDP or FSDP, beyond what Trainer and accelerate do of themselves."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from accelerate import FullyShardedDataParallelPlugin
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel, Trainer

from fusionrs_hf.errors import InputError


def check_processes(trainer: Trainer) -> None:
    """Refuses processes that would train each for itself, and DDP where FSDP was asked for: accelerate does both.

    Raises:
        InputError: See above.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != trainer.args.world_size:
        raise InputError(f"{started} processes would train each for itself, for there is no GPU; add --use_cpu true")
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and not trainer.is_fsdp_enabled:
        raise InputError(
            "accelerate would run DDP, not FSDP, for it shards on GPUs only; give GPUs, or take "
            "training/accelerate_configs/ddp.yaml"
        )


def prepare_fsdp(model: PreTrainedModel, plugin: FullyShardedDataParallelPlugin, device: torch.device) -> None:
    """Sets the plugin so that `fully_shard` takes the model; to be called before the model is wrapped.

    Scalars cannot be split: each process keeps them whole. Their gradients must come from what is gathered from all
    processes, and so be the same in each. The loss is not rounded to the precision of the layers, nor are gradients
    where they are summed.

    Args:
        model: Not wrapped yet.
        plugin: accelerate's.
        device: Of this process.

    Raises:
        InputError: The plugin is of FSDP's first version.
    """
    if plugin.fsdp_version != 2:
        raise InputError(
            f"fsdp_version must be 2, got {plugin.fsdp_version}; see training/accelerate_configs/fsdp.yaml"
        )
    scalars = [parameter for parameter in model.parameters() if parameter.ndim == 0]
    for parameter in scalars:
        parameter.data = parameter.data.to(device)
    plugin.ignored_modules = [nn.ParameterList(scalars)]
    if plugin.transformer_cls_names_to_wrap is None:  # the stock choice fails on names of classes the model lacks
        tokens = model.get_input_embeddings()  # accelerate makes them a unit, so none of ours may hold them
        class_names = {type(part).__name__ for part in model.modules() if tokens not in part.modules()}
        plugin.transformer_cls_names_to_wrap = sorted(class_names.intersection(model._no_split_modules))
    if plugin.mixed_precision_policy is not None:
        plugin.mixed_precision_policy = dataclasses.replace(
            plugin.mixed_precision_policy, output_dtype=None, reduce_dtype=torch.float32
        )


def is_wrapped(model: nn.Module) -> bool:
    """Returns whether calling the model lets DDP or FSDP act before and after its forward."""
    return isinstance(model, (DistributedDataParallel, FSDPModule))


@contextmanager
def forward_as(module: nn.Module, function: Callable[..., object]) -> Iterator[None]:
    """While in the context, calling the module, or its wrapper, calls `function` in place of its forward."""
    forward = module.__dict__.get("forward")  # autocast's, of mixed precision
    module.forward = function
    try:
        yield
    finally:
        if forward is None:
            del module.forward
        else:
            module.forward = forward


def leave_processes() -> None:
    """Ends the group of processes, if there is one, once all are here: who left first could abort the others."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
