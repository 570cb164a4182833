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
DOMAIN_FEATURES = 20
NEIGHBOURS = 5  # a tile is near others where the fifth is
RELATION_TERMS = 10  # of a cubic in two channels


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
        for convolution in (self.first, self.second):  # with no norm, each has to keep the size of what passes
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")

    def forward(self, values: Tensor, condition: Tensor) -> Tensor:
        """Returns `(batch, outputs, height, width)` of `(batch, inputs, height, width)`."""
        scale, shift = self.condition(condition)[..., None, None].chunk(2, dim=1)  # (batch, outputs, 1, 1)
        return F.silu(self.second(F.silu(self.first(values) * (1 + scale) + shift)))


class Domain(nn.Module):
    """Tells images that are shown as some tiles are from all others, by their statistics.

    They lie near the tiles, and nearer than to the same in other displays: places differ in both, stretches in one.

    Args:
        own, foreign: How many tiles of each there are; 0: there is no such kind.
    """

    def __init__(self, own: int = 0, foreign: int = 0) -> None:
        super().__init__()
        self.register_buffer("own", torch.zeros(own, DOMAIN_FEATURES))
        self.register_buffer("foreign", torch.zeros(foreign, DOMAIN_FEATURES))
        self.register_buffer("whitening", torch.eye(DOMAIN_FEATURES))
        self.register_buffer("relation", torch.zeros(3, RELATION_TERMS))
        self.register_buffer("limits", torch.ones(2))

    @classmethod
    @torch.no_grad()
    def of(
        cls, own: Sequence[Tensor], foreign: Sequence[Tensor], held_out: Sequence[Tensor] | None, share: float
    ) -> "Domain":
        """Returns the kind of some tiles.

        Args:
            own, foreign: Tiles and such tiles in other displays, each `(3, height, width)` in 0 to 1; more than five.
            held_out: Tiles of the kind that are not among `own`; None: `own` again, each without itself.
            share: Of these, those that shall count as of the kind.
        """
        domain = cls(len(own), len(foreign))
        domain.relation = fit_relation(own)
        domain.own, domain.foreign = domain.features_of(own), domain.features_of(foreign)
        covariance = torch.cov(domain.own.T.double())
        covariance = 0.95 * covariance + 0.05 * torch.diag(covariance.diagonal() + 1e-6)
        domain.whitening = torch.linalg.cholesky(torch.linalg.inv(covariance)).float()
        asked, rank = (domain.own, NEIGHBOURS + 1) if held_out is None else (domain.features_of(held_out), NEIGHBOURS)
        measured = domain.distances(asked, rank)  # (tiles, 2)
        place = measured.argsort(dim=0).argsort(dim=0).amax(dim=1).float() / max(1, len(asked) - 1)  # the worse rank
        domain.limits = torch.quantile(measured, torch.quantile(place, share).item(), dim=0)
        return domain

    def features_of(self, tiles: Sequence[Tensor]) -> Tensor:
        """Returns `domain_features` of tiles of any sizes, `(tiles, 20)`."""
        return torch.cat([domain_features(tile[None], self.relation) for tile in tiles])

    def distances(self, features: Tensor, rank: int = NEIGHBOURS) -> Tensor:
        """Returns the distance to the own tiles, and its ratio to that to the foreign ones, `(batch, 2)`."""
        values, own, foreign = (part @ self.whitening for part in (features, self.own, self.foreign))
        near = torch.cdist(values, own).kthvalue(rank, dim=1).values
        other = torch.cdist(values, foreign).kthvalue(NEIGHBOURS, dim=1).values
        return torch.stack([near, near / other.clamp_min(1e-6)], dim=1)

    def forward(self, rgb: Tensor) -> Tensor:
        """Returns how far images lie from the kind, `(batch,)`; 1 is the limit, infinity where there is no kind."""
        if not len(self.own):
            return torch.full((len(rgb),), torch.inf, device=rgb.device)
        return (self.distances(domain_features(rgb, self.relation)) / self.limits).amax(dim=1)


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
        domain_tiles: For each condition, of how many own and foreign tiles there are statistics, see `Domain`.
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
        domain_tiles: Sequence[Sequence[int]] = (),
    ) -> None:
        super().__init__()
        if not conditions or conditions[0] != UNKNOWN:
            raise ValueError(f"conditions must begin with {UNKNOWN!r}, got {list(conditions)}")
        fine, middle, coarse = channels
        count = len(conditions)
        self.fine, self.middle = Block(COLOURS, fine, count), Block(fine, middle, count)
        self.coarse = Block(middle, coarse, count)
        self.middle_up, self.fine_up = Block(coarse + middle, middle, count), Block(middle + fine, fine, count)
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear")
        self.head = nn.Conv2d(fine + COLOURS, 3 * len(bands), 1)
        self.register_buffer("interval_scale", torch.ones(count, len(bands), 2))
        self.register_buffer("blend", torch.tensor([[1.0, 0.0]]).repeat(len(bands), 1))
        self.domains = nn.ModuleList(Domain(*sizes) for sizes in domain_tiles or [(0, 0)] * count)

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
        middle = self.middle_up(torch.cat([self.enlarge(coarse), middle], dim=1), condition)
        fine = self.fine_up(torch.cat([self.enlarge(middle), fine], dim=1), condition)
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
        state = {name: value for name, value in other.state_dict().items() if not name.startswith("domains.")}
        by_condition = ("condition.weight", "interval_scale")
        state = {name: value[rows] if name.endswith(by_condition) else value for name, value in state.items()}
        self.load_state_dict(state, strict=False)

    def set_domains(self, domains: Sequence[Domain]) -> None:
        """Takes over what tells the tiles of each condition from others."""
        self.domains = nn.ModuleList(domains)
        self.register_to_config(domain_tiles=[[len(domain.own), len(domain.foreign)] for domain in domains])

    @torch.no_grad()
    def domain_distance(self, rgb: Tensor, condition: int) -> Tensor:
        """Returns how far images lie from the training tiles of a condition, `(batch,)`; 1 is the limit.

        Args:
            rgb: `(batch, 3, height, width)` in 0 to 1; blocks of the size of the training tiles.
            condition: Place in `conditions`; 0, unknown, asks for the nearest of all.
        """
        asked = self.domains[1:] if condition == 0 and len(self.domains) > 1 else [self.domains[condition]]
        return torch.stack([domain(rgb) for domain in asked]).amin(dim=0)

    def save_pretrained(self, save_directory: str, *args: Any, **options: Any) -> None:
        """Saves weights and configuration, and this file beside them, so that they load where it is not installed."""
        self.to(memory_format=torch.contiguous_format)
        super().save_pretrained(save_directory, *args, **options)
        source, target = Path(__file__).resolve(), Path(save_directory).resolve()
        if source.parent != target:
            shutil.copyfile(source, target / source.name)


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
def domain_features(rgb: Tensor, relation: Tensor) -> Tensor:
    """Returns statistics of RGB blocks that tell one sensor, place and stretch from another, `(batch, 20)`.

    Per channel mean and logarithm of the deviation; correlations; logarithms of the brightness's steps over one and
    two pixels; mean differences of channels; share at the ends; mean and logarithm of the deviation of what is left
    of each channel once the other two have told it as they do in the training tiles.

    Args:
        rgb: `(batch, 3, height, width)` in 0 to 1.
        relation: `(3, 10)`, see `fit_relation`.
    """
    values = rgb.float().flatten(2)  # (batch, 3, pixels)
    mean, spread = values.mean(dim=2), values.std(dim=2, correction=0) + 0.01
    centred = values - mean[..., None]
    scaled = centred / spread[..., None]
    correlation = scaled @ scaled.mT / values.shape[2]
    grey = rgb.float().mean(dim=1)
    steps = [_step(grey, 1), _step(grey, 2)]
    left = torch.stack([values[:, k] - _terms(values, k) @ relation[k] for k in range(3)], dim=1)
    features = [
        *mean.unbind(dim=1),
        *spread.log().unbind(dim=1),
        *(correlation[:, 0, 1], correlation[:, 0, 2], correlation[:, 1, 2]),
        *(steps[0].log(), (steps[1] / steps[0]).log()),
        *((centred[:, 0] - centred[:, 1]).abs().mean(dim=1), (centred[:, 2] - centred[:, 1]).abs().mean(dim=1)),
        ((values < 0.01) | (values > 0.99)).float().mean(dim=(1, 2)),
        *left.mean(dim=2).unbind(dim=1),
        *(left.std(dim=2, correction=0) + 0.003).log().unbind(dim=1),
    ]
    return torch.stack(features, dim=1)


def fit_relation(tiles: Sequence[Tensor]) -> Tensor:
    """Returns for each channel the cubic in the other two that tells it with the least squared error, `(3, 10)`.

    Args:
        tiles: Each `(3, height, width)` in 0 to 1.
    """
    left, right = torch.zeros(3, RELATION_TERMS, RELATION_TERMS).double(), torch.zeros(3, RELATION_TERMS).double()
    for tile in tiles:
        values = tile.double().flatten(1)[None]  # (1, 3, pixels)
        for k in range(3):
            terms = _terms(values, k)[0]
            left[k] += terms.T @ terms
            right[k] += terms.T @ values[0, k]
    return torch.linalg.lstsq(left + 1e-6 * torch.eye(RELATION_TERMS), right[..., None]).solution[..., 0].float()


def _terms(values: Tensor, channel: int) -> Tensor:
    """Terms of a cubic in the other two channels, `(batch, pixels, 10)` of `(batch, 3, pixels)`."""
    a, b = (values[:, other] for other in range(3) if other != channel)
    return torch.stack([torch.ones_like(a), a, b, a * a, a * b, b * b, a**3, a * a * b, a * b * b, b**3], dim=-1)


def _step(grey: Tensor, pixels: int) -> Tensor:
    """Mean absolute difference over so many pixels, across and down, and a little for flat images; `(batch,)`."""
    if min(grey.shape[-2:]) <= pixels:
        return grey.new_full(grey.shape[:1], 0.002)
    across = (grey[:, :, pixels:] - grey[:, :, :-pixels]).abs().mean(dim=(1, 2))
    return (across + (grey[:, pixels:] - grey[:, :-pixels]).abs().mean(dim=(1, 2))) / 2 + 0.002
