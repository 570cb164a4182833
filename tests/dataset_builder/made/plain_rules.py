"""The image and pair rules by their definitions, over all pixels and with no shortcut, at their default thresholds.

What the rules of the build are compared with; also what one writes who needs them once.
"""

import numpy as np
from PIL import Image
from scipy import ndimage


def first_reason(rgb, ir):
    """The first rule's reason that hits a decoded pair, or None."""
    return next((reason for reason, hit in PLAIN.items() if hit(rgb, ir)), None)


def image_too_small(rgb, ir):
    return min(*rgb.shape[:2], *ir.shape[:2]) < 32


def rgb_too_flat(rgb, ir):
    return rgb.std((0, 1)).max() < 2


def rgb_is_gray(rgb, ir):
    return (rgb.max(-1) - rgb.min(-1) <= 2).mean() >= 0.99


def ir_too_flat(rgb, ir):
    return ir.std() < 2


def too_much_nodata(rgb, ir):
    empty = (rgb == 0).all(-1)
    return (empty & (ir == 0) if ir.shape == empty.shape else empty).mean() > 0.5


def rgb_is_clouded(rgb, ir):
    grey = np.asarray(Image.fromarray(rgb).convert("L")).astype(int)
    across = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    down = np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    colourless = rgb.max(-1).astype(int) - rgb.min(-1) <= 30
    return ((rgb.min(-1) >= 200) & colourless & (across <= 12) & (down <= 12)).mean() > 0.7


def sizes_differ(rgb, ir):
    return rgb.shape[:2] != ir.shape


def ir_is_gray_of_rgb(rgb, ir):
    target = ir.ravel().astype(float)
    grays = [rgb @ np.array([0.299, 0.587, 0.114]), rgb.mean(-1), *np.moveaxis(rgb.astype(float), -1, 0)]
    varied = [gray.ravel() for gray in grays if gray.std() > 0]
    return target.std() > 0 and any(np.corrcoef(gray, target)[0, 1] ** 2 >= 0.998 for gray in varied)


def rgb_ir_misaligned(rgb, ir):
    if rgb.shape[:2] != ir.shape or min(ir.shape) < 48:
        return False
    a, b = (edges(grey) for grey in (ir, np.asarray(Image.fromarray(rgb).convert("L"))))
    scores = shift_scores(a, b)
    best = best_shift(scores)
    if np.abs(best).max() < 3 or scores.max() < 0.3 or scores.max() - scores[7:10, 7:10].max() < 0.1:
        return False
    y, x = np.array(ir.shape) // 2
    halves = (np.s_[:y], np.s_[y:], np.s_[:, :x], np.s_[:, x:])
    return all(np.abs(best_shift(shift_scores(a[half], b[half])) - best).max() <= 1 for half in halves)


def edges(grey):
    return np.sqrt(np.hypot(*np.gradient(ndimage.gaussian_filter(grey.astype(np.float32), 1))))


def shift_scores(a, b):
    window = np.outer(np.hanning(a.shape[0]), np.hanning(a.shape[1]))
    a, b = (a - a.mean()) * window, (b - b.mean()) * window
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    if norm < 1e-6:
        return np.zeros((17, 17))
    scores = np.fft.irfft2(np.fft.rfft2(a) * np.conj(np.fft.rfft2(b)), a.shape) / norm
    return np.roll(scores, (8, 8), (0, 1))[:17, :17]


def best_shift(scores):
    return np.array(np.unravel_index(scores.argmax(), scores.shape)) - 8


PLAIN = {
    rule.__name__: rule
    for rule in (
        *(image_too_small, rgb_too_flat, rgb_is_gray, ir_too_flat, too_much_nodata, rgb_is_clouded),
        *(sizes_differ, ir_is_gray_of_rgb, rgb_ir_misaligned),
    )
}
