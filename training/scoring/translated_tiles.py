"""Tiles that a translator answered best and worst, as images to look at."""

import numpy as np
from PIL import Image

from model_cards.translation_page import TranslatedTile
from training.scoring.band_tiles import BandTiles
from training.scoring.translation_scores import Predictions

EACH = 2  # tiles at either end
FULL = 0.5  # of the range: error and width that are shown white


def best_and_worst(
    scene: str, band: str, known: bool, tiles: BandTiles, predicted: Predictions
) -> list[TranslatedTile]:
    """Returns the tiles of least and of greatest mean absolute error, the best first.

    Args:
        scene, band, known: Of the tiles, as shown.
        tiles: The truth.
        predicted: With intervals.
    """
    truth = [image / 255 for image in tiles.infrared]
    errors = [np.abs(image - median) for image, median in zip(truth, predicted.median)]
    valid = tiles.valid or [np.ones(image.shape, bool) for image in truth]
    order = np.argsort([error[use].mean() if use.any() else np.nan for error, use in zip(errors, valid)])
    order = [int(index) for index in order if valid[index].any()]
    best = order[:EACH]
    shown = [("best", index) for index in best]
    shown += [("worst", index) for index in order[-EACH:] if index not in best]
    results = []
    for rank, index in shown:
        low, high, use = predicted.low[index], predicted.high[index], valid[index]
        inside = (low <= truth[index]) & (truth[index] <= high)
        results.append(
            TranslatedTile(
                scene=scene,
                band=band,
                known=known,
                rank=rank,
                error=float(255 * errors[index][use].mean()),
                covered=float(inside[use].mean()),
                rgb=Image.fromarray(tiles.rgb[index]),
                sensor=Image.fromarray(tiles.infrared[index]),
                translated=_grey(predicted.median[index]),
                wrong=_grey(errors[index] / FULL),
                width=_grey((high - low) / FULL),
            )
        )
    return results


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8))
