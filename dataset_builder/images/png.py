"""Arrays -> lossless PNG: the one form in which this package writes images of its own making, and fast at it."""

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2  # colour types of the header
PAETH = 4  # number of the line filter


def encode_png(array: np.ndarray) -> bytes:
    """Returns a PNG file of uint8 `(h, w)` or `(h, w, 3)`, or uint16 `(h, w)`; the same bytes for the same pixels.

    Every line is filtered by Paeth's predictor, and zlib looks for runs only: filtered imagery has no repetitions, so
    that its full search costs five times the time and finds nothing, while flat parts still shrink.

    Raises:
        ValueError: The array is of another kind, or empty.
    """
    kinds = {(np.dtype(np.uint8), 2): GREY, (np.dtype(np.uint16), 2): GREY, (np.dtype(np.uint8), 3): RGB}
    colour = kinds.get((array.dtype.newbyteorder("="), array.ndim))
    if colour is None or array.size == 0 or array.shape[2:] not in ((), (3,)):
        raise ValueError(f"expected uint8 (h, w) or (h, w, 3), or uint16 (h, w); got {array.dtype} {array.shape}")
    height, width = array.shape[:2]
    lines = np.ascontiguousarray(array, array.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    packer = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    header = struct.pack(">IIBBBBB", width, height, 8 * array.itemsize, colour, 0, 0, 0)
    data = packer.compress(_filtered(lines, lines.shape[1] // width)) + packer.flush()
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _filtered(lines: np.ndarray, pixel: int) -> np.ndarray:
    """Returns each line as its filter's number and what the predictor is off by, uint8 `(h, 1 + bytes)`.

    Args:
        lines: uint8 `(h, bytes)`.
        pixel: Bytes of a pixel.
    """
    padded = np.zeros((lines.shape[0] + 1, lines.shape[1] + pixel), np.uint8)
    padded[1:, pixel:] = lines
    left, above, corner = padded[1:, :-pixel], padded[:-1, pixel:], padded[:-1, :-pixel]
    by_left, by_above = _distance(above, corner), _distance(left, corner)  # of left + above - corner from each of them
    by_corner = _distance(by_left, by_above) | _mask((above >= corner) == (left >= corner))  # else their sum: too far
    prediction = _choose(by_above <= by_corner, above, corner)
    prediction = _choose(by_left <= np.minimum(by_above, by_corner), left, prediction)
    filtered = np.empty((lines.shape[0], lines.shape[1] + 1), np.uint8)
    filtered[:, 0] = PAETH
    np.subtract(lines, prediction, out=filtered[:, 1:])  # modulo 256
    return filtered


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum(a, b) - np.minimum(a, b)


def _mask(condition: np.ndarray) -> np.ndarray:
    return -condition.view(np.uint8)  # 255 where it holds, else 0


def _choose(condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return b ^ ((a ^ b) & _mask(condition))  # np.where takes thirty times as long


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
