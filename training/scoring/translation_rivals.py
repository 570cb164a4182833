"""What a translator is compared with: constants, gray, lines, trees and a formula, each given what it can be given."""

from collections.abc import Callable, Sequence

import numpy as np

from dataset_builder.translators.radiometric import RadiometricTranslator
from training.scoring.boosted_trees import BoostedTrees, look_up

GRAY = np.array([0.299, 0.587, 0.114])
FITTED_ON = 2_000_000  # pixels
Rival = Callable[[np.ndarray], np.ndarray]  # uint8 RGB (height, width, 3) -> (height, width) in 0 to 1


def fit_rivals(rgb: Sequence[np.ndarray], infrared: Sequence[np.ndarray], band: str) -> dict[str, Rival]:
    """Returns the rivals by name, fitted on training tiles.

    Args:
        rgb: uint8 `(height, width, 3)` each.
        infrared: uint8 `(height, width)` each, of the band.
        band: For the formula.
    """
    colours = np.concatenate([image.reshape(-1, 3) for image in rgb])
    target = np.concatenate([image.ravel() for image in infrared]).astype(np.float64) / 255
    if len(colours) > FITTED_ON:
        pick = np.random.default_rng(0).choice(len(colours), FITTED_ON, replace=False)
        colours, target = colours[pick], target[pick]
    mean = float(target.mean())
    gray = np.polyfit(colours @ GRAY / 255, target, 1)
    line = np.linalg.lstsq(np.column_stack([colours / 255, np.ones(len(colours))]), target, rcond=None)[0]
    table = BoostedTrees().fit(colours, target)
    rivals: dict[str, Rival] = {
        "mean": lambda image: np.full(image.shape[:2], mean),
        "gray": lambda image: np.polyval(gray, image @ GRAY / 255),
        "linear": lambda image: image / 255 @ line[:3] + line[3],
        "trees": lambda image: look_up(table, image),
    }
    return rivals | unfitted_rivals(band)


def z_scored_mean(answers: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Returns the mean of several methods' answers, each with the first one's mean and spread over a whole scene.

    Args:
        answers: By method, for each tile of the scene `(height, width)`.
    """
    levels = [(np.mean(tiles), np.std(tiles)) for tiles in answers]
    mean, spread = levels[0]
    return [
        mean + spread * np.mean([(tile - m) / max(s, 1e-6) for tile, (m, s) in zip(tiles, levels)], axis=0)
        for tiles in zip(*answers)
    ]


def unfitted_rivals(band: str) -> dict[str, Rival]:
    """Returns the rivals that need no training tiles: the gray as it is, and the radiometric formula."""
    formula = RadiometricTranslator()
    return {
        "gray_as_shown": lambda image: image @ GRAY / 255,
        "radiometric": lambda image: formula.translate([image], band, [0])[0] / 255,
    }
