"""Frozen parts of a model: which layers are kept as loaded."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fusionrs_hf.errors import InputError


def freeze_lower_layers(tower: nn.Module, count: int) -> None:
    """Freezes a transformer tower's lowest `count` layers and all that comes before them; -1: the whole tower.

    Raises:
        InputError: The tower has no list of layers, or fewer than `count`.
    """
    if count == -1:
        tower.requires_grad_(False)
    if count in (0, -1):
        return
    *_, last = lower_layers(tower, count)[-1].parameters()
    for parameter in tower.parameters():
        parameter.requires_grad_(False)
        if parameter is last:
            break


def lower_layers(tower: nn.Module, count: int | None) -> list[nn.Module]:
    """Returns a transformer tower's lowest `count` layers; None: all.

    Raises:
        InputError: As `freeze_lower_layers`.
    """
    layers = next((module for module in tower.modules() if isinstance(module, nn.ModuleList)), None)
    if layers is None or len(layers) < (count or 1):
        present = "no layer list" if layers is None else f"{len(layers)} layers"
        raise InputError(f"cannot freeze {count} layers of {type(tower).__name__}: it has {present}; lower the number")
    return list(layers[:count])


def keep_norm_statistics(tower: nn.Module) -> None:
    """Lets every batch norm of a tower use the statistics that it was loaded with, in training as afterwards.

    RGB and infrared pass a shared tower one after the other: each would be normalised by its own batch in training,
    and by a mixture of both when the model is used.
    """
    for module in tower.modules():
        if isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(lambda norm, inputs: norm.eval() and None)
