"""Frozen parts of a model: layers kept as loaded, and a whole tower that encodes each image once."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from fusionrs_hf.errors import InputError


def freeze_lower_layers(tower: nn.Module, count: int) -> None:
    """Freezes a transformer tower's embeddings and its lowest `count` layers.

    Raises:
        InputError: The tower has no list of layers, or fewer than `count`.
    """
    if not count:
        return
    layers = next((module for module in tower.modules() if isinstance(module, nn.ModuleList)), None)
    if layers is None or len(layers) < count:
        found = "no layer list" if layers is None else f"{len(layers)} layers"
        raise InputError(f"cannot freeze {count} layers of {type(tower).__name__}: it has {found}; lower the number")
    for module in (tower.embeddings, *layers[:count]):
        module.requires_grad_(False)


@contextmanager
def remember_outputs(tower: nn.Module) -> Iterator[None]:
    """Keeps a frozen tower's outputs for every image it has seen, by the image's bytes, while in the context.

    An RGB image comes once for each of its bands, and every image once an epoch; encoding is then a look-up.
    """
    encode, kept = tower.forward, {}

    def look_up(pixel_values: Tensor) -> BaseModelOutputWithPooling:
        keys = [hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest() for image in pixel_values.cpu()]
        new = [index for index, key in enumerate(keys) if key not in kept]
        if new:
            with torch.no_grad():
                outputs = encode(pixel_values=pixel_values[new])
            hidden = outputs.last_hidden_state.cpu()  # (new images, tokens, hidden_size)
            pooled = outputs.pooler_output.cpu() if outputs.get("pooler_output") is not None else [None] * len(new)
            kept.update((keys[index], values) for index, *values in zip(new, hidden, pooled))
        hidden, pooled = zip(*(kept[key] for key in keys))
        device = pixel_values.device
        return BaseModelOutputWithPooling(
            last_hidden_state=torch.stack(hidden).to(device),
            pooler_output=None if pooled[0] is None else torch.stack(pooled).to(device),
        )

    tower.forward = look_up
    try:
        yield
    finally:
        tower.forward = encode
