"""Whether translated infrared is no more than a gray of the RGB image."""

import numpy as np

# Grays that one might take for infrared: luminance (BT.601), the mean of the channels, and each of them.
GRAYS = np.array([[0.299, 0.587, 0.114], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
SAMPLED = 10_000  # pixels; larger images are judged by every 16th line first
GRAY_R2 = 0.998  # share of explained variance from which an infrared image counts as nothing but the gray of its RGB


def is_only_gray(ir: np.ndarray, rgb: np.ndarray, min_r2: float = GRAY_R2) -> bool:
    """Tells whether an infrared image is a brightness-scaled or inverted gray of its RGB image.

    Compared, each by the squared Pearson correlation, are luminance (BT.601), the channel mean and each channel; a
    free mixture of the channels is not, since real bands of desert tiles come near to one.

    Args:
        ir: uint8 `(h, w)`.
        rgb: uint8 `(h, w, 3)` of the same size.
        min_r2: Explained share of the variance from which the answer is yes, 0 to 1. A flat image gives no.
    """
    lines, _ = _fits(ir[::16], rgb[::16])
    if lines.min() > 1.01 * (1 - min_r2) * float(ir.var(dtype=np.float32)) * ir.size:
        return False  # all lines together leave no less than these alone
    errors, total = _fits(ir, rgb)
    return bool(total > 0 and errors.min() <= (1 - min_r2) * total)


def is_gray_curve(ir: np.ndarray, rgb: np.ndarray, min_r2: float = GRAY_R2) -> bool:
    """Tells whether an infrared image is its RGB image's luminance up to a rising or falling curve, such as a gamma.

    Of the sample's sensor pairs none comes nearer to one than 0.994, nor the radiometric formula to more than 0.998.

    Args:
        ir: uint8 `(h, w)`.
        rgb: uint8 `(h, w, 3)` of the same size.
        min_r2: Share of the variance that a curve explains from which the answer is yes. A flat image gives no.
    """
    if ir.size > SAMPLED and _curve_r2(ir[::16], rgb[::16], min_r2 - 0.01) < min_r2 - 0.01:
        return False
    return _curve_r2(ir, rgb, min_r2) >= min_r2


def _curve_r2(ir: np.ndarray, rgb: np.ndarray, enough: float) -> float:
    """Returns the share of the variance that the best monotone curve of the luminance explains; 0 for a flat image.

    Where no curve at all explains `enough`, it is what the best of any form explains.
    """
    level = np.rint(rgb.reshape(-1, 3) @ GRAYS[0]).astype(np.int64)
    values = ir.ravel().astype(np.float64)
    count = np.bincount(level, minlength=256)
    mean = np.bincount(level, weights=values, minlength=256)[count > 0] / count[count > 0]
    count = count[count > 0]
    total = ((values - values.mean()) ** 2).sum()
    if total <= 0 or len(count) < 2:
        return 0.0
    within = (values**2).sum() - (count * mean**2).sum()
    if 1 - within / total < enough:
        return float(1 - within / total)
    from scipy.optimize import isotonic_regression  # slow to import, and few images come as near

    curves = (isotonic_regression(mean, weights=count, increasing=rising).x for rising in (True, False))
    between = min((count * (mean - curve) ** 2).sum() for curve in curves)
    return float(1 - (within + between) / total)


def _fits(ir: np.ndarray, rgb: np.ndarray) -> tuple[np.ndarray, float]:
    """Squared error that the best scale and offset of each of the five grays leave, `(5,)`, and that of a constant."""
    values = np.column_stack([rgb.reshape(-1, 3), ir.ravel()]).astype(np.float32)  # (pixels, 4)
    values -= np.rint(values[::64].mean(0))  # small whole numbers: their sums are exact enough in float32
    sums = np.ones(len(values), np.float32) @ values
    moments = (values.T @ values).astype(np.float64) - np.outer(sums, sums) / len(values)
    energy = ((GRAYS @ moments[:3, :3]) * GRAYS).sum(1)
    explained = np.divide((GRAYS @ moments[:3, 3]) ** 2, energy, out=np.zeros(len(GRAYS)), where=energy > 1e-6)
    return moments[3, 3] - explained, moments[3, 3]
