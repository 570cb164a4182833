"""What stands around the towers: check of their input, pooling, standardisation, modality tile, fusion of a pair.

Copied to the Hub as remote code: imports torch only.
"""

import math
from collections.abc import Sized

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def check_pixels(pixel_values: Tensor) -> None:
    """Raises ValueError unless images are floating point, `(batch, 3, height, width)`; values are not looked at."""
    if not pixel_values.is_floating_point() or pixel_values.ndim != 4 or pixel_values.shape[1] != 3:
        raise ValueError(
            "the model reads floating point images (batch, 3, height, width), as the processor gives them, got "
            f"{pixel_values.dtype} {tuple(pixel_values.shape)}"
        )


def check_pairs(rgb: Sized, ir: Sized) -> None:
    """Raises ValueError unless there are as many RGB as infrared images: row i of both is one scene."""
    if len(rgb) != len(ir):
        raise ValueError(
            f"row i of RGB and of infrared is one scene, got {len(rgb)} RGB and {len(ir)} infrared images; embed what "
            "has no partner by itself"
        )


def pool_tokens(hidden: Tensor, how: str, grid_size: int = 3) -> Tensor:
    """Pools an image tower's tokens, of which the first is the class token and the rest a square of patches.

    Args:
        hidden: Last hidden state, `(batch, 1 + patches, hidden_size)`, patches row by row; or a convolutional tower's
            map, `(batch, hidden_size, height, width)`, whose mean stands for the class token.
        how: `cls`, `mean` (over patches) or `grid` (class token, then `grid_size` x `grid_size` means, row by row).
        grid_size: Cells per side; where it does not divide the side, cells overlap by a patch (adaptive pooling).

    Returns:
        `(batch, hidden_size)`, or for `grid` `(batch, (1 + grid_size ** 2) * hidden_size)`.

    Raises:
        ValueError: `how` is unknown, or the patches are not a square of at least `grid_size` a side.
    """
    if hidden.ndim == 4:
        cells = hidden.flatten(2).transpose(1, 2)  # (batch, patches, hidden_size)
        hidden = torch.cat([cells.mean(1, keepdim=True), cells], dim=1)
    if how == "cls":
        return hidden[:, 0]
    patches = hidden[:, 1:]  # (batch, patches, hidden_size)
    if how == "mean":
        return patches.mean(1)
    if how != "grid":
        raise ValueError(f"pooling must be cls, mean or grid, got {how!r}")
    side = math.isqrt(patches.shape[1])
    if side * side != patches.shape[1] or side < grid_size:
        raise ValueError(
            f"grid pooling needs a square of at least {grid_size} x {grid_size} patches, got {patches.shape[1]}"
        )
    square = patches.transpose(1, 2).unflatten(2, (side, side))  # (batch, hidden_size, side, side)
    cells = F.adaptive_avg_pool2d(square, grid_size).flatten(2).transpose(1, 2)  # (batch, grid_size^2, hidden_size)
    return torch.cat([hidden[:, :1], cells], dim=1).flatten(1)


def pool_text(hidden: Tensor, attention_mask: Tensor | None, how: str) -> Tensor:
    """Pools a text tower's tokens.

    Args:
        hidden: Last hidden state, `(batch, length, hidden_size)`.
        attention_mask: 1 for tokens, 0 for padding, `(batch, length)`; None: no padding.
        how: `cls` (first token) or `mean` (over tokens that are not padding).

    Returns:
        `(batch, hidden_size)`.
    """
    if how == "cls":
        return hidden[:, 0]
    if attention_mask is None:
        return hidden.mean(1)
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (batch, length, 1)
    return (hidden * mask).sum(1) / mask.sum(1)


class FeatureNorm(nn.Module):
    """Standardises pooled image features by per-modality statistics, kept in the checkpoint as buffers.

    RGB and infrared features of one tower differ in mean and scale; without this, cosine between them mostly measures
    modality. Identity until the statistics are set.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        for name, value in self.identity(size).items():
            self.register_buffer(name, value)

    @staticmethod
    def identity(size: int) -> dict[str, Tensor]:
        """Statistics that change nothing, by buffer name, each `(size,)`."""
        return {
            f"{modality}_{name}": fill(size)
            for modality in ("rgb", "ir")
            for name, fill in (("mean", torch.zeros), ("std", torch.ones))
        }

    def forward(self, features: Tensor, modality: str) -> Tensor:
        """Returns `(features - mean) / std` of the modality, `rgb` or `ir`; shape `(..., size)` is kept."""
        return (features - getattr(self, f"{modality}_mean")) / getattr(self, f"{modality}_std")


class GatedFusion(nn.Module):
    """Fuses two embeddings by a gate a dimension that reads both (gated multimodal unit, arXiv 1702.01992, eq. 2-4).

    The gate starts at one half, so an untrained head is the mean.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * size, size)

    def forward(self, rgb: Tensor, ir: Tensor) -> Tensor:
        """Returns `gate * ir + (1 - gate) * rgb`, `(batch, size)`, of unit-length embeddings of the same shape."""
        gate = torch.sigmoid(self.gate(torch.cat([rgb, ir], dim=-1)))  # (batch, size), in (0, 1)
        return gate * ir + (1 - gate) * rgb


@torch.no_grad()
def whitening(rgb: Tensor, ir: Tensor, size: int) -> Tensor:
    """Returns a projection of pooled features onto their principal directions, in each of which they vary alike.

    Cosines of features as they are measure the few directions in which all images differ most, and the modality; of
    whitened ones, all that tells an image from others counts. No direction is left in which a modality differs in
    mean. Labels and pairs are not used.

    Args:
        rgb, ir: Features of training images, `(images, features)` each.
        size: Directions to keep, the strongest.

    Returns:
        `(size, features)`, the weight of a linear layer; its rows have length one on average, as a new layer's.

    Raises:
        ValueError: There are not as many images or features.
    """
    means = torch.stack([rgb.mean(0), ir.mean(0)])  # (2, features)
    centred = torch.cat([rgb - means[0], ir - means[1]])
    if size > min(centred.shape):
        raise ValueError(
            f"a whitened projection of {size} dimensions needs as many training images and features, got "
            f"{len(centred)} and {centred.shape[1]}; lower projection_dim, or start it at random"
        )
    centred -= centred @ torch.linalg.pinv(means, atol=1e-3) @ means  # nothing along the means themselves
    with torch.random.fork_rng(devices=[]):  # the decomposition is a randomised one
        torch.manual_seed(0)
        _, spread, directions = torch.svd_lowrank(centred, q=min(size + 32, *centred.shape), niter=3)
    weight = (directions / spread.clamp_min(1e-6 * spread[0]))[:, :size].T  # (size, features)
    return weight * (size**0.5 / weight.norm())


def patch_size(config: object) -> tuple[int, int]:
    """Returns height and width of a tower's patches in pixels; raises ValueError where it has none."""
    size = getattr(config, "patch_size", None)
    if size is None:
        raise ValueError(
            f"modality_embedding is one tile per patch, but {type(config).__name__} has no patch_size; use a ViT, or "
            "an infrared tower of its own"
        )
    return (size, size) if isinstance(size, int) else tuple(size)


def tiled(tile: Tensor, height: int, width: int) -> Tensor:
    """Repeats a tile `(channels, rows, columns)` over an image: `(channels, height, width)`."""
    repeats = (1, -(-height // tile.shape[1]), -(-width // tile.shape[2]))
    return tile.repeat(repeats)[:, :height, :width]
