"""Arrays and tensors as images: which axis holds the channels, and which numbers are grey levels.

Forms and layouts are those of the stock image processors. Copied to the Hub as remote code: imports numpy and Pillow
only.
"""

import numpy as np
from PIL import Image


def as_picture(image: object) -> Image.Image | np.ndarray:
    """Returns an image as the checks of a modality take it.

    Args:
        image: PIL image; or numpy array or torch tensor, `(height, width)`, `(height, width, channels)` or
            `(channels, height, width)`, with one channel or three. Three are RGB: whole numbers from 0 to 255, or
            real ones from 0 to 1 (as torchvision's ToTensor gives them) or, where one is above 1, from 0 to 255.

    Returns:
        A PIL image as it is, three channels as a PIL image of mode RGB, one channel as the array `(height, width)` in
        its own dtype.

    Raises:
        ValueError: It is no image, has another shape, or RGB values that are no grey levels.
    """
    if isinstance(image, Image.Image):
        return image
    if image is None:
        raise ValueError(
            "it is None; a missing modality is left out of the call, so give rows that lack it in a call of their own"
        )
    array = _as_array(image)
    if array.ndim == 2:
        return array
    return Image.fromarray(np.ascontiguousarray(_grey_levels(array)))


def unbatched(images: object) -> list | None:
    """Returns the images of a batch in one array or tensor, `(images, ...)` of four dimensions; None for others."""
    return list(images) if getattr(images, "ndim", None) == 4 else None


def _as_array(image: object) -> np.ndarray:
    """Returns `(height, width)`, or `(height, width, 3)`."""
    if hasattr(image, "detach"):  # a tensor
        image = image.detach().cpu()
        image = (image.float() if "bfloat16" in str(image.dtype) else image).numpy()
    if not isinstance(image, np.ndarray):
        raise ValueError(f"an image is a PIL image, a numpy array or a torch tensor, got {type(image).__name__}")
    if image.ndim not in (2, 3) or not image.size or image.dtype.kind not in "uif":
        raise ValueError(
            "an array or tensor as image holds numbers, (height, width), (height, width, channels) or (channels, "
            f"height, width), got {image.dtype} of shape {image.shape}"
        )
    if image.ndim == 2:
        return image
    axes = [axis for axis in (0, 2) if image.shape[axis] in (1, 3)]
    if len(axes) != 1:
        problem = "either side may hold the channels" if axes else "neither its first nor its last side is 1 or 3"
        raise ValueError(
            f"an array or tensor of shape {image.shape} is one channel or three at its start or end, but {problem}; "
            "give a PIL image, or infrared as (height, width)"
        )
    image = np.moveaxis(image, axes[0], -1)  # (height, width, channels)
    return image[..., 0] if image.shape[-1] == 1 else image


def _grey_levels(rgb: np.ndarray) -> np.ndarray:
    """Returns uint8 `(height, width, 3)`; real numbers are rounded."""
    if rgb.dtype == np.uint8:
        return rgb
    low, high = rgb.min(), rgb.max()
    if not (low >= 0 and high <= 255):  # nor is NaN
        raise ValueError(
            f"an RGB array or tensor holds whole numbers from 0 to 255, or real ones from 0 to 1, got {rgb.dtype} "
            f"from {low} to {high}; give the image as it is before normalisation, and colour above 8 bit scaled to 8"
        )
    scale = 255 if rgb.dtype.kind == "f" and high <= 1 else 1
    return np.rint(rgb.astype(np.float64) * scale).astype(np.uint8)
