"""What the frozen layers of an image tower give, remembered for each image."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

from training.trainers.frozen import lower_layers


@contextmanager
def remember_layers(tower: nn.Module, count: int | None = None) -> Iterator[None]:
    """Keeps what the lowest layers of an image tower, frozen, give for every image, while in the context.

    An RGB image comes once for each of its bands, and every image once an epoch; what is frozen is then a look-up, by
    the image's bytes. Images that carry a gradient (a learned tile on their pixels) pass through all layers each time.

    Args:
        tower: An image tower of transformers.
        count: How many layers; None: all.

    Raises:
        InputError: As `freeze_lower_layers`.
    """
    layers = lower_layers(tower, count)
    encode, forwards, kept = tower.forward, [layer.forward for layer in layers], {}
    read: list[bytes] = []  # keys of the images that the tower reads at the moment

    def keep(hidden: Tensor, *args: object, **kwargs: object) -> Tensor:
        hidden = forwards[-1](hidden, *args, **kwargs)  # (images, tokens, hidden_size)
        kept.update(zip(read, hidden.cpu()))
        return hidden

    def recall(hidden: Tensor, *args: object, **kwargs: object) -> Tensor:
        return torch.stack([kept[key] for key in read]).to(hidden.device)

    def look_up(pixel_values: Tensor, **kwargs: object) -> ModelOutput:
        if pixel_values.requires_grad:
            return encode(pixel_values=pixel_values, **kwargs)
        keys = [hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest() for image in pixel_values.cpu()]
        new = [index for index, key in enumerate(keys) if key not in kept]
        try:
            if new:
                read[:], layers[-1].forward = [keys[index] for index in new], keep
                mode = tower.training
                with torch.no_grad():
                    tower.eval()  # no dropout is remembered
                    encode(pixel_values=pixel_values[new], **kwargs)
                tower.train(mode)
            read[:] = keys
            for layer in layers:
                layer.forward = recall
            return encode(pixel_values=pixel_values, **kwargs)
        finally:
            for layer, forward in zip(layers, forwards):
                layer.forward = forward

    tower.forward = look_up
    try:
        yield
    finally:
        tower.forward = encode
