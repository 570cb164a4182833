"""What a translator takes from tiles after its training: intervals that hold what they state, and its own domain."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from dataset_builder.translators.radiometric import RadiometricTranslator
from fusionrs_hf.modeling_fusionrs_translator import NEIGHBOURS, Domain, FusionRSTranslator
from training.data.other_displays import other_displays
from training.data.translation_tiles import TileCollator, TileImages

COVERAGE = 0.8  # of the interval between the outer quantiles
DOMAIN_SHARE = 0.95  # of the tiles that were not trained on that lie inside
DOMAIN_TILES = 1000  # of each condition that are kept
BATCH = 16


def batches(tiles: TileImages, collator: TileCollator) -> Iterator[dict[str, Tensor]]:
    """Yields all tiles as the collator shows them."""
    for start in range(0, len(tiles), BATCH):
        yield collator([tiles[index] for index in range(start, min(start + BATCH, len(tiles)))])


@torch.no_grad()
def fit_intervals(model: FusionRSTranslator, tiles: TileImages, collators: Sequence[TileCollator]) -> None:
    """Sets `interval_scale`: each half of the interval is stretched until both miss 10 % of the pixels.

    Args:
        model: In place.
        tiles: Not trained on.
        collators: Ways of showing them, such as each under its own condition, and all as unknown.
    """
    model.interval_scale.fill_(1.0)
    model.eval()
    scores: dict[tuple[int, int], list[np.ndarray]] = {}
    for collator in collators:
        for batch in batches(tiles, collator):
            low, median, high = model(batch["rgb"], batch["condition"]).quantiles.unbind(dim=2)
            error = batch["target"] - median
            score = torch.stack([-error / (median - low).clamp_min(1e-6), error / (high - median).clamp_min(1e-6)])
            for item, condition in enumerate(batch["condition"].tolist()):
                for band in range(len(model.config.bands)):
                    if (present := batch["weight"][item, band] > 0).any():
                        scores.setdefault((condition, band), []).append(score[:, item, band][:, present].numpy())
    tail = (1 - COVERAGE) / 2
    for (condition, band), parts in scores.items():
        sides = np.quantile(np.concatenate(parts, axis=1), 1 - tail, axis=1)
        model.interval_scale[condition, band] = torch.from_numpy(np.maximum(sides, 0.05))


def fit_domain(model: FusionRSTranslator, train: TileImages, validation: TileImages) -> None:
    """Gives the model what tells its conditions' tiles, shown as they are, from all others.

    Args:
        model: In place.
        train: The tiles.
        validation: Of which `DOMAIN_SHARE` are to count as of their kind; where a condition has none here, of its
            training tiles.
    """
    own, held_out = _rgb_by_scene(train), _rgb_by_scene(validation)
    domains = []
    for name in model.config.conditions:
        tiles = own.get(name, [])[:DOMAIN_TILES]
        if len(tiles) <= NEIGHBOURS:
            domains.append(Domain())
            continue
        foreign = other_displays(tiles, np.random.default_rng(0))
        parts = (_tensors(part) for part in (tiles, foreign))
        domains.append(Domain.of(*parts, _tensors(held_out[name]) if name in held_out else None, DOMAIN_SHARE))
    model.set_domains(domains)


@torch.no_grad()
def fit_blend(model: FusionRSTranslator, tiles: TileImages, unknown: TileCollator) -> None:
    """Sets `blend`: the scale and offset that bring the radiometric formula to the level of what the model gives.

    Where nothing is known of an image, half of one is added to half of the other; the same numbers for every image, so
    that what an image becomes depends on no other.

    Args:
        model: In place.
        tiles: Trained on.
        unknown: Shows them as of unknown radiometry.
    """
    translator, model = RadiometricTranslator(), model.eval()
    formulas: list[list[np.ndarray]] = [[] for _ in model.config.bands]
    answers: list[list[np.ndarray]] = [[] for _ in model.config.bands]
    for batch in batches(tiles, unknown):
        medians = model(batch["rgb"], batch["condition"]).quantiles[:, :, 1].numpy()
        shown = np.rint(batch["rgb"].permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
        for place, band in enumerate(model.config.bands):
            if band in translator.bands:
                formulas[place] += translator.translate(list(shown), band, [0] * len(shown))
                answers[place] += list(medians[:, place])
    for place in range(len(model.config.bands)):
        if formulas[place]:
            formula, answer = np.concatenate(formulas[place]) / 255, np.concatenate(answers[place])
            scale = answer.std() / max(formula.std(), 1e-3)
            model.blend[place] = torch.tensor([scale, answer.mean() - scale * formula.mean()])


def _rgb_by_scene(tiles: TileImages) -> dict[str, list[np.ndarray]]:
    """Returns float32 `(3, height, width)` in 0 to 1 of all tiles, by scene."""
    images: dict[str, list[np.ndarray]] = {}
    for index in range(len(tiles)):
        tile = tiles[index]
        images.setdefault(tile["scene"], []).append(tile["rgb"].transpose(2, 0, 1).astype(np.float32) / 255)
    return images


def _tensors(images: Sequence[np.ndarray]) -> list[Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(image)) for image in images]
