"""How near translated infrared comes to the sensor's, by tile: level, shape, intervals, and who is better.

All values are in 0 to 1 of the band's display. What is pooled is summed over tiles first, so that resampled tiles give
intervals without another look at the pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from training.scoring.significance import Interval, paired_bootstrap

DRAWS = 2_000
ERROR_LIMIT = 0.15  # of the range: what the width is asked to find
SSIM_SIGMA = 1.5
SAMPLED = 200_000  # pixels that rank errors


@dataclass(slots=True)
class TileScores:
    """Sums over the pixels of each tile, of one method on one band.

    Args:
        sums: `(tiles, 6)`: count, and sums of y, y², p, p², p·y.
        absolute, ssim, gradient: Per tile: mean absolute error, SSIM, correlation of the gradients.
        covered, width: Per tile: share of pixels within the interval, and its mean width; NaN without one.
    """

    sums: np.ndarray
    absolute: np.ndarray
    ssim: np.ndarray
    gradient: np.ndarray
    covered: np.ndarray
    width: np.ndarray

    @property
    def squared(self) -> np.ndarray:
        """Mean squared error of each tile."""
        count, _, yy, _, pp, py = self.sums.T
        return (yy - 2 * py + pp) / count


@dataclass(slots=True)
class Predictions:
    """One method's answers for a band.

    Args:
        median: For each tile, float `(height, width)`.
        low, high: Ends of the interval; empty for a method that states none.
    """

    median: list[np.ndarray]
    low: list[np.ndarray] = field(default_factory=list)
    high: list[np.ndarray] = field(default_factory=list)


def score_tiles(truth: Sequence[np.ndarray], valid: Sequence[np.ndarray], predicted: Predictions) -> TileScores:
    """Returns the scores of each tile; pixels that are not valid are left out of all but SSIM and gradients."""
    rows, by_tile = [], []
    for index, (y, use, p) in enumerate(zip(truth, valid, predicted.median)):
        inside, guess = y[use].astype(np.float64), p[use].astype(np.float64)
        pairs = (inside, inside**2, guess, guess**2, guess * inside)
        rows.append([inside.size, *(values.sum() for values in pairs)])
        covered, width = np.nan, np.nan
        if predicted.low:
            low, high = predicted.low[index][use], predicted.high[index][use]
            covered, width = ((low <= inside) & (inside <= high)).mean(), (high - low).mean()
        by_tile.append((np.abs(inside - guess).mean(), ssim(y, p), gradient_agreement(y, p), covered, width))
    return TileScores(np.array(rows), *np.array(by_tile).T)


def pooled_r2(sums: np.ndarray) -> np.ndarray:
    """Returns R² of summed pixels, `(...,)` of `(..., 6)`: 1 less the error's share of the variance about the mean."""
    count, y, yy, _, pp, py = np.moveaxis(sums, -1, 0)
    return 1 - (yy - 2 * py + pp) / np.maximum(yy - y**2 / count, 1e-12)


def affine_r2(sums: np.ndarray) -> np.ndarray:
    """Returns R² after the best scale and offset, `(...,)`; a falling line counts as none."""
    count, y, yy, p, pp, py = np.moveaxis(sums, -1, 0)
    covariance, variance = py - p * y / count, np.maximum(yy - y**2 / count, 1e-12)
    return np.maximum(covariance, 0) ** 2 / (np.maximum(pp - p**2 / count, 1e-12) * variance)


def resampled(values: np.ndarray, blocks: np.ndarray, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Returns sums over resampled blocks of tiles, `(draws, ...)` of `(tiles, ...)`; blocks come and go as wholes."""
    places, member = np.unique(blocks, return_inverse=True)
    by_block = np.zeros((len(places), *values.shape[1:]))
    np.add.at(by_block, member, values)
    times = np.random.default_rng(seed).multinomial(len(places), np.full(len(places), 1 / len(places)), draws)
    return np.tensordot(times, by_block, axes=1)


def ends(values: np.ndarray) -> list[float]:
    """Returns the ends of the 95 % percentile interval of resampled values."""
    return [float(value) for value in np.quantile(values, [0.025, 0.975])]


def summarise(scores: TileScores, blocks: np.ndarray) -> dict[str, object]:
    """Returns what a table shows of one method: each score, and intervals over resampled blocks of tiles."""
    drawn = resampled(scores.sums, blocks)
    squared = scores.squared
    result: dict[str, object] = {
        "r2": float(pooled_r2(scores.sums.sum(0))),
        "r2_interval": ends(pooled_r2(drawn)),
        "r2_median_tile": float(np.median(pooled_r2(scores.sums))),
        "affine_r2": float(affine_r2(scores.sums.sum(0))),
        "affine_r2_interval": ends(affine_r2(drawn)),
        "affine_r2_median_tile": float(np.median(affine_r2(scores.sums))),
        "mae": float(scores.absolute.mean()),
        "psnr": float(-10 * np.log10(max(np.average(squared, weights=scores.sums[:, 0]), 1e-12))),
        "ssim": float(scores.ssim.mean()),
        "gradient_agreement": float(scores.gradient.mean()),
    }
    if np.isfinite(scores.covered).all():
        count = scores.sums[:, 0]
        covered = resampled(np.stack([scores.covered * count, count], axis=1), blocks)
        result["coverage"] = float(np.average(scores.covered, weights=count))
        result["coverage_interval"] = ends(covered[:, 0] / covered[:, 1])
        result["interval_width"] = float(np.average(scores.width, weights=count))
    return result


def better_by(ours: TileScores, theirs: TileScores) -> Interval:
    """Returns how much less our squared error is, mean over tiles, with its paired interval."""
    return paired_bootstrap(theirs.squared, ours.squared)


def affine_better_by(ours: TileScores, theirs: TileScores, blocks: np.ndarray) -> Interval:
    """Returns how much higher our pooled affine R² is, with its paired interval over blocks of tiles."""
    first, second = (affine_r2(resampled(scores.sums, blocks)) for scores in (ours, theirs))
    value = affine_r2(ours.sums.sum(0)) - affine_r2(theirs.sums.sum(0))
    return Interval(float(value), *ends(first - second))


def error_ranking(
    truth: Sequence[np.ndarray], valid: Sequence[np.ndarray], predicted: Predictions, rival: Sequence[np.ndarray]
) -> Mapping[str, float | None]:
    """Returns how well the width, and a rival flag, tell pixels of large error from others: areas under the curve."""
    pick = np.concatenate([use.ravel() for use in valid])

    def flat(images: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([image.ravel() for image in images])[pick]

    wrong = np.abs(flat(truth) - flat(predicted.median)) > ERROR_LIMIT
    width = flat(predicted.high) - flat(predicted.low)
    return {
        "share": float(wrong.mean()),
        "width": area_under_curve(width, wrong),
        "gray_gradient": area_under_curve(flat(rival), wrong),
    }


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float | None:
    """Returns the chance that a positive scores higher than a negative, ties counting half; None without either."""
    if len(score) > SAMPLED:
        pick = np.random.default_rng(0).choice(len(score), SAMPLED, replace=False)
        score, positive = score[pick], positive[pick]
    if positive.all() or not positive.any():
        return None
    _, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    hits = positive.sum()
    return float((rank[positive].sum() - hits * (hits + 1) / 2) / (hits * (len(score) - hits)))


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the structural similarity of two images in 0 to 1 (Wang et al. 2004), Gaussian windows of 1.5 pixels."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    mean = [ndimage.gaussian_filter(image, SSIM_SIGMA) for image in (first, second)]
    variance = [
        ndimage.gaussian_filter(image**2, SSIM_SIGMA) - level**2 for image, level in zip((first, second), mean)
    ]
    together = ndimage.gaussian_filter(first * second, SSIM_SIGMA) - mean[0] * mean[1]
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean[0] * mean[1] + c1) * (2 * together + c2)
    return float((top / ((mean[0] ** 2 + mean[1] ** 2 + c1) * (sum(variance) + c2))).mean())


def gradient_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the correlation of two images' steps across and down, 0 where one is flat."""
    steps = [np.concatenate([np.diff(image, axis=axis).ravel() for axis in (0, 1)]) for image in (first, second)]
    norm = np.sqrt((steps[0] ** 2).sum() * (steps[1] ** 2).sum())
    return float((steps[0] * steps[1]).sum() / norm) if norm > 1e-9 else 0.0


def gray_gradient(rgb: np.ndarray) -> np.ndarray:
    """Returns how steep the gray of uint8 RGB is at each pixel, `(height, width)`."""
    gray = rgb.astype(np.float64) @ [0.299, 0.587, 0.114]
    return np.hypot(ndimage.sobel(gray, 0), ndimage.sobel(gray, 1))
