"""Fewer layers of a transformer, in place.

Copied to the Hub as remote code: imports torch and transformers only.
"""

from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel


def keep_layers(model: PreTrainedModel, numbers: Sequence[int]) -> None:
    """Takes all other layers out of a transformer, in place.

    Args:
        model: A causal language model, or a tower.
        numbers: Of the layers that stay, counted from 0, ascending.

    Raises:
        ValueError: There is no such layer, none at all, or they are out of order.
    """
    depth = model.config.num_hidden_layers
    lists = {name: part for name, part in model.base_model.named_modules() if isinstance(part, nn.ModuleList)}
    name = next((name for name, layers in lists.items() if len(layers) == depth), None)
    if name is None:
        raise ValueError(f"{type(model).__name__} has no list of {depth} layers; keep all of them")
    if list(numbers) != sorted({*numbers} & {*range(depth)}) or not numbers:
        raise ValueError(f"layers to keep must ascend and lie between 0 and {depth - 1}, got {list(numbers)}")
    layers = nn.ModuleList([lists[name][number] for number in numbers])
    for place, layer in enumerate(layers):
        for part in layer.modules():
            if hasattr(part, "layer_idx"):  # its place in the cache
                part.layer_idx = place
    model.base_model.set_submodule(name, layers)
    model.config.num_hidden_layers = len(layers)
    if (kinds := getattr(model.config, "layer_types", None)) is not None:
        model.config.layer_types = [kinds[number] for number in numbers]
    if (stages := getattr(model.config, "stage_names", None)) is not None:  # a backbone names its layers' outputs
        model.config.stage_names = stages[: len(layers) + 1]
        model.config.set_output_features_output_indices(out_features=None, out_indices=None)
