"""The learned translator: RGB to infrared-style bands in one pass, each with an interval; a diffusers model.

Copied beside the weights as a component of `RGB2IRPipeline`; imports torch and diffusers alone.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput
from torch import Tensor, nn
from torch.nn import functional as F

UNKNOWN = "unknown"  # condition of an image of which nothing is known
QUANTILES = (0.1, 0.5, 0.9)
COLOURS = 6  # of `colours`
STRIDE = 4  # pixels of the coarsest scale: tiles that start at multiples of it join exactly
DOMAIN_FEATURES = 14
NEIGHBOURS = 5  # a tile is near others where the fifth is


@dataclass
class TranslatorOutput(BaseOutput):
    """What the translator gives.

    Args:
        quantiles: `(batch, bands, 3, height, width)`, in 0 to 1 of the band's display: the low end of the 80 %
            interval, the median, the high end; rising, not clipped.
        loss: Mean pinball loss over what has a target; None without one.
    """

    quantiles: Tensor
    loss: Tensor | None = None


class Block(nn.Module):
    """Two convolutions, the first scaled and shifted by the condition; not normalised, since level is information."""

    def __init__(self, inputs: int, outputs: int, conditions: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.condition = nn.Embedding(conditions, 2 * outputs)
        nn.init.zeros_(self.condition.weight)

    def forward(self, values: Tensor, condition: Tensor) -> Tensor:
        """Returns `(batch, outputs, height, width)` of `(batch, inputs, height, width)`."""
        scale, shift = self.condition(condition)[..., None, None].chunk(2, dim=1)  # (batch, outputs, 1, 1)
        return F.silu(self.second(F.silu(self.first(values) * (1 + scale) + shift)))


class FusionRSTranslator(ModelMixin, ConfigMixin):
    """A three-scale U-Net that tells three quantiles of each infrared band from RGB and what is known of the RGB.

    A condition is a scene that the model was trained on, shown in that scene's stretch, or `unknown`. Statistics of
    the training tiles travel as buffers: they say whether an image is of their kind. Intervals are stretched by
    `interval_scale`, fitted on tiles that were not trained on, so that they hold what they state.

    Args:
        bands: Infrared bands, in the order of the outputs.
        conditions: Names; the first is `unknown`.
        condition_bands: For each condition, the bands that it was trained on and may be asked for.
        stretches: For each scene whose unit is known, `{"unit": ..., "rgb": [[low, high], ...], "ir": {band: [low,
            high]}}`: the values that became 0 and 1.
        reflectance_condition: The scene in whose stretch reflectance is shown; None: the model takes none.
        channels: Width of each scale.
        domain_tiles: How many training tiles' statistics there are.
    """

    @register_to_config
    def __init__(
        self,
        bands: Sequence[str] = ("nir", "swir", "lwir"),
        conditions: Sequence[str] = (UNKNOWN,),
        condition_bands: Mapping[str, Sequence[str]] | None = None,
        stretches: Mapping[str, Any] | None = None,
        reflectance_condition: str | None = None,
        channels: Sequence[int] = (24, 40, 64),
        domain_tiles: int = 0,
    ) -> None:
        super().__init__()
        if not conditions or conditions[0] != UNKNOWN:
            raise ValueError(f"conditions must begin with {UNKNOWN!r}, got {list(conditions)}")
        fine, middle, coarse = channels
        count = len(conditions)
        self.fine, self.middle = Block(COLOURS, fine, count), Block(fine, middle, count)
        self.coarse = Block(middle, coarse, count)
        self.middle_up, self.fine_up = Block(coarse + middle, middle, count), Block(middle + fine, fine, count)
        self.head = nn.Conv2d(fine + COLOURS, 3 * len(bands), 1)
        self.register_buffer("interval_scale", torch.ones(count, len(bands), 2))
        self.register_buffer("blend", torch.tensor([[1.0, 0.0]]).repeat(len(bands), 1))
        self.register_buffer("domain_features", torch.zeros(domain_tiles, DOMAIN_FEATURES))
        self.register_buffer("domain_member", torch.zeros(domain_tiles, dtype=torch.long))
        self.register_buffer("domain_whitening", torch.eye(DOMAIN_FEATURES).repeat(count, 1, 1))
        self.register_buffer("domain_limit", torch.full((count,), -1.0))  # below 0: of no tiles

    def forward(
        self, rgb: Tensor, condition: Tensor, target: Tensor | None = None, weight: Tensor | None = None
    ) -> TranslatorOutput:
        """Translates.

        Args:
            rgb: `(batch, 3, height, width)` in 0 to 1, of any size.
            condition: int64 `(batch,)`, places in `conditions`.
            target: `(batch, bands, height, width)` in 0 to 1.
            weight: As target: 0 where there is no target.
        """
        height, width = rgb.shape[-2:]
        extra = (0, -width % STRIDE, 0, -height % STRIDE)
        shown = colours(F.pad(rgb, extra, mode="replicate"))
        fine = self.fine(shown, condition)
        middle = self.middle(F.avg_pool2d(fine, 2), condition)
        coarse = self.coarse(F.avg_pool2d(middle, 2), condition)
        middle = self.middle_up(torch.cat([_double(coarse), middle], dim=1), condition)
        fine = self.fine_up(torch.cat([_double(middle), fine], dim=1), condition)
        raw = self.head(torch.cat([fine, shown], dim=1))[..., :height, :width]
        return self._answer(raw, condition, target, weight)

    def _answer(
        self, raw: Tensor, condition: Tensor, target: Tensor | None, weight: Tensor | None
    ) -> TranslatorOutput:
        raw = raw.unflatten(1, (len(self.config.bands), 3))
        median, below, above = raw[:, :, 0] + 0.5, F.softplus(raw[:, :, 1] - 3), F.softplus(raw[:, :, 2] - 3)
        loss = None
        if target is not None:
            loss = pinball_loss(torch.stack([median - below, median, median + above], dim=2), target, weight)
        scale = self.interval_scale[condition].to(raw.dtype)[..., None, None]  # (batch, bands, 2, 1, 1)
        quantiles = torch.stack([median - below * scale[:, :, 0], median, median + above * scale[:, :, 1]], dim=2)
        return TranslatorOutput(quantiles=quantiles, loss=loss)

    def condition_index(self, condition: str) -> int:
        """Returns the place of a condition by name; raises ValueError where there is none of that name."""
        if condition not in self.config.conditions:
            raise ValueError(f"condition must be one of {', '.join(self.config.conditions)}, got {condition!r}")
        return list(self.config.conditions).index(condition)

    def bands_of(self, condition: str) -> list[str]:
        """Returns the bands that may be asked for under a condition."""
        self.condition_index(condition)
        return list((self.config.condition_bands or {}).get(condition, self.config.bands))

    @torch.no_grad()
    def start_from(self, other: "FusionRSTranslator") -> None:
        """Takes the weights of a translator of the same bands and widths, but for what it holds of its tiles.

        Args:
            other: Conditions of the same name are taken over; one that it has not starts as its unknown.
        """
        theirs = list(other.config.conditions)
        rows = [theirs.index(name) if name in theirs else 0 for name in self.config.conditions]
        state = other.state_dict()
        by_condition = ("condition.weight", "interval_scale")
        state = {name: value[rows] if name.endswith(by_condition) else value for name, value in state.items()}
        self.load_state_dict(
            {name: value for name, value in state.items() if not name.startswith("domain_")}, strict=False
        )

    @torch.no_grad()
    def set_domain(self, features: Sequence[Tensor | None], held_out: Sequence[Tensor | None], share: float) -> None:
        """Takes over what tells its training tiles from others.

        Args:
            features: For each condition, `domain_features` of its training tiles; None where it has none.
            held_out: The same of tiles that were not trained on; None: the training tiles again.
            share: Of these tiles that count as of the condition's kind.
        """
        parts, members = [], []
        for place, own in enumerate(features):
            if own is None or len(own) <= NEIGHBOURS:
                continue
            covariance = torch.cov(own.T.double())
            covariance = 0.95 * covariance + 0.05 * torch.diag(covariance.diagonal() + 1e-6)
            self.domain_whitening[place] = torch.linalg.cholesky(torch.linalg.inv(covariance)).float()
            asked, rank = (held_out[place], NEIGHBOURS) if held_out[place] is not None else (own, NEIGHBOURS + 1)
            distance = torch.cdist(asked @ self.domain_whitening[place], own @ self.domain_whitening[place])
            self.domain_limit[place] = torch.quantile(distance.kthvalue(rank, dim=1).values, share)
            parts.append(own)
            members += [place] * len(own)
        if parts:
            self.domain_features, self.domain_member = torch.cat(parts), torch.tensor(members)
            self.register_to_config(domain_tiles=len(members))

    @torch.no_grad()
    def domain_distance(self, rgb: Tensor, condition: int) -> Tensor:
        """Returns how far images lie from the training tiles of a condition, `(batch,)`; 1 is the limit.

        Distances are to the fifth nearest tile, in units in which the tiles of the condition spread alike.

        Args:
            rgb: `(batch, 3, height, width)` in 0 to 1; blocks of the size of the training tiles.
            condition: Place in `conditions`; 0, unknown, asks for the nearest of all.
        """
        features = domain_features(rgb)
        nearest = torch.full((len(features),), torch.inf, device=features.device)
        for place in range(1, len(self.domain_limit)) if condition == 0 else [condition]:
            if self.domain_limit[place] <= 0:
                continue
            own = self.domain_features[self.domain_member == place] @ self.domain_whitening[place]
            distance = torch.cdist(features @ self.domain_whitening[place], own).kthvalue(NEIGHBOURS, dim=1).values
            nearest = torch.minimum(nearest, distance / self.domain_limit[place])
        return nearest

    def save_pretrained(self, save_directory: str, *args: Any, **options: Any) -> None:
        """Saves weights and configuration, and this file beside them, so that they load where it is not installed."""
        super().save_pretrained(save_directory, *args, **options)
        source = Path(__file__)
        if source.parent.resolve() != Path(save_directory).resolve():
            shutil.copyfile(source, Path(save_directory) / source.name)


def colours(rgb: Tensor) -> Tensor:
    """Returns levels and the contrasts between channels, spread about 0, `(batch, 6, height, width)`.

    Args:
        rgb: `(batch, 3, height, width)` in 0 to 1.
    """
    other = rgb.roll(1, dims=1)  # blue, red, green beside red, green, blue
    return torch.cat([4 * (rgb - 0.35), 4 * (rgb - other) / (rgb + other + 0.1)], dim=1)


def pinball_loss(quantiles: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over pixels of the pinball losses of the three quantiles, summed; least at the true quantiles.

    Args:
        quantiles: `(batch, bands, 3, height, width)`.
        target: `(batch, bands, height, width)`.
        weight: As target; None: 1 everywhere.
    """
    level = quantiles.new_tensor(QUANTILES)[:, None, None]
    error = target[:, :, None] - quantiles
    loss = torch.maximum(level * error, (level - 1) * error).sum(dim=2)  # (batch, bands, height, width)
    return loss.mean() if weight is None else (loss * weight).sum() / weight.sum().clamp_min(1)


@torch.no_grad()
def domain_features(rgb: Tensor) -> Tensor:
    """Returns statistics of RGB blocks that tell one sensor, place and stretch from another, `(batch, 14)`.

    Per channel the mean and the logarithm of the deviation, between channels the means of their differences and their
    correlations; of the brightness the logarithms of its steps over one and two pixels, and the share at the ends.

    Args:
        rgb: `(batch, 3, height, width)` in 0 to 1.
    """
    batch, _, height, width = rgb.shape
    values = rgb.float().flatten(2)  # (batch, 3, pixels)
    mean, spread = values.mean(dim=2), values.std(dim=2, correction=0) + 0.01
    centred = values - mean[..., None]
    correlation = (
        torch.einsum("bip,bjp->bij", centred, centred) / (height * width) / (spread[:, :, None] * spread[:, None])
    )
    red, green, blue = spread.log().unbind(dim=1)
    grey = rgb.float().mean(dim=1)
    steps = [_step(grey, 1), _step(grey, 2)]
    ends = ((values < 0.01) | (values > 0.99)).float().mean(dim=(1, 2))
    features = [
        *mean.unbind(dim=1),
        *(red, green, blue),
        *(correlation[:, 0, 1], correlation[:, 0, 2], correlation[:, 1, 2]),
        *(steps[0].log(), (steps[1] / steps[0]).log()),
        *((centred[:, 0] - centred[:, 1]).abs().mean(dim=1), (centred[:, 2] - centred[:, 1]).abs().mean(dim=1)),
        ends,
    ]
    return torch.stack(features, dim=1).reshape(batch, DOMAIN_FEATURES)


def _step(grey: Tensor, pixels: int) -> Tensor:
    """Mean absolute difference over so many pixels, across and down, and a little for flat images; `(batch,)`."""
    if min(grey.shape[-2:]) <= pixels:
        return grey.new_full(grey.shape[:1], 0.002)
    across = (grey[:, :, pixels:] - grey[:, :, :-pixels]).abs().mean(dim=(1, 2))
    return (across + (grey[:, pixels:] - grey[:, :-pixels]).abs().mean(dim=(1, 2))) / 2 + 0.002


def _double(values: Tensor) -> Tensor:
    return F.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
