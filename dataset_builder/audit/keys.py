"""A row -> the keys by which an audit compares it, made anew from the stored bytes by the text of the protocol.

Shares no code with the builder's decoding, hashing and grouping, on purpose: a fault of theirs would not be seen.
"""

import hashlib
import io
import math
import re
import struct
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

SIDE, LOW = 32, 8
UNDECIDED = 2e-6  # a bit whose coefficient is that near the median hangs on the last digits of the transform
READ_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")  # none starts a program
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, OverflowError, IndexError, struct.error, zlib.error)
DAMAGED += (Image.DecompressionBombError,)  # no honest tile claims that many pixels
HASH = re.compile("[0-9a-f]{16}")
GROUPS = ("image_group", "joint_group")
TILE = re.compile(r"(.+)@r([0-9]+)c([0-9]+)s([0-9]+)")
COMPARED_ORIGINS = ("source", "hand", "model")  # equal captions by rule mean equal facts, not a copied text
ORIGINS = (*COMPARED_ORIGINS, "rule")
COLOUR_MODES = ("RGB",)  # what processors take
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
DEEP_UNITS, FLAT_UNITS = ("reflectance_1e4", "kelvin_1e2"), ("display",)  # above 8 bit, and 8 bit; `dn` may be either

KEYS = pa.schema(
    [
        ("sample_id", pa.string()),
        ("split", pa.string()),  # null: left the dataset after it was grouped
        ("rgb", pa.uint64()),
        ("ir", pa.uint64()),
        ("rgb_turned", pa.list_(pa.uint64())),  # the seven flips and turns, where asked
        ("ir_turned", pa.list_(pa.uint64())),
        ("ir_band", pa.string()),
        ("bytes", pa.list_(pa.uint64())),
        ("captions", pa.list_(pa.uint64())),
        ("scene", pa.uint64()),
        ("tile", pa.list_(pa.float64(), 4)),  # left, top, right, bottom
        ("box", pa.list_(pa.float64(), 4)),
        ("image_group", pa.uint64()),
        ("joint_group", pa.uint64()),
        ("representative", pa.bool_()),
        ("faults", pa.list_(pa.string())),
    ]
)
STORED = ("rgb", "ir", "captions", "caption_origin", "sample_id", "source_locator", "bbox", "ir_band", "ir_unit")
STORED += ("gsd_m", "rgb_phash", "ir_phash", "image_group_id", "joint_group_id", "is_eval_representative")

_frequency = np.arange(LOW)[:, None] * (2 * np.arange(SIDE)[None, :] + 1)
COSINES = np.sqrt(2 / SIDE) * np.cos(np.pi * _frequency / (2 * SIDE))  # (8, 32), rows of the orthonormal DCT-II
COSINES[0] /= np.sqrt(2)


def key(kind: str, value: bytes) -> int:
    """Returns 64 bits of BLAKE2b; among ten million, two different values agree with a chance of 3 in a million."""
    return int.from_bytes(hashlib.blake2b(value, digest_size=8, person=kind.encode()).digest(), "big")


def plain_caption(text: str) -> str:
    """Returns a caption as the protocol compares it: NFKC, casefolded, punctuation to blanks, blanks collapsed."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(" " if unicodedata.category(one)[0] == "P" else one for one in folded).split())


def low_frequencies(image: Image.Image) -> np.ndarray:
    """Returns the `(8, 8)` lowest coefficients of the orthonormal DCT-II of the grey image at 32 x 32, by Lanczos."""
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
    return COSINES @ grey @ COSINES.T


def hash_of(low: np.ndarray) -> tuple[int, int]:
    """Returns the 64-bit hash of coefficients, and a mask of bits that either side of the median could claim.

    A bit is set where a coefficient, rounded to six decimals, exceeds the median of the 63 that are not DC; the first
    coefficient is the highest bit. Rounding makes the zeros of flat and mirrored images zeros.
    """
    exact = low.ravel()
    rounded = exact.round(6)
    median = np.sort(rounded[1:])[31]
    at_edge = np.abs(np.abs(exact * 1e6 % 1) - 0.5) < 0.01  # another sum of the same terms may round elsewhere
    doubtful = (np.abs(rounded - median) < UNDECIDED) & (at_edge | at_edge[rounded == median].any())
    return _word(rounded > median), _word(doubtful)


def _word(bits: np.ndarray) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def turned(low: np.ndarray) -> list[int]:
    """Returns the hashes of the image's three mirrorings, and of all four transposed: its other flips and turns.

    Mirroring an image changes the sign of its odd coefficients; transposing it transposes them.
    """
    odd = np.where(np.arange(LOW) % 2, -1.0, 1.0)
    signs = [np.ones((LOW, LOW)), odd[:, None] * np.ones(LOW), odd * np.ones((LOW, 1)), odd[:, None] * odd]
    variants = [low * sign for sign in signs]
    return [hash_of(variant)[0] for variant in [*variants[1:], *(variant.T for variant in variants)]]


class Keys:
    """Makes the keys of rows, and finds what is wrong with each by itself.

    Args:
        ir_range: `(low, high)` by `ir_band`, for infrared above 8 bit.
        flips: Whether the other flips and turns are hashed as well.
        strict: Whether rows must be as a build writes them; else only what cannot be compared is a fault.
    """

    def __init__(self, ir_range: Mapping[str, Sequence[float]], flips: bool = False, strict: bool = True) -> None:
        self.ir_range, self.flips, self.strict = ir_range, flips, strict
        self.last = (None, None, None, [])  # rows of one place share their RGB: bytes, coefficients, size, faults

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the columns of `KEYS` for a row with those of the record, `_split` and `_reason`."""
        data = {name: (row.get(name) or {}).get("bytes") or None for name in ("rgb", "ir")}
        if data["rgb"] != self.last[0] or data["rgb"] is None:
            self.last = (data["rgb"], *self._rgb(data["rgb"]))
        _, rgb, rgb_size, rgb_faults = self.last
        ir, ir_size, ir_faults = self._ir(data["ir"], row.get("ir_band"), row.get("ir_unit"))
        keys, hash_faults = {}, []
        for name, low in (("rgb", rgb), ("ir", ir)):
            keys[name] = _reconciled(name, low, row.get(f"{name}_phash"), hash_faults)
            keys[f"{name}_turned"] = turned(low) if self.flips and low is not None else None
        keys |= {"bytes": [key(name, value) for name, value in data.items() if value], **_footprint(row)}
        keys |= {name: key(name, row[f"{name}_id"].encode()) for name in GROUPS if row.get(f"{name}_id")}
        faults = [row["_reason"]] if row.get("_reason") else [*rgb_faults, *ir_faults]
        for name in data:
            if f"{name}_missing" in faults and row.get(name) is None and row.get(f"{name}_phash"):
                faults[faults.index(f"{name}_missing")] = f"{name}_withheld"  # as copies are published
        if self.strict:
            faults += hash_faults + _record_faults(row)
            faults += ["sizes"] if rgb_size and ir_size and rgb_size != ir_size else []
        return keys | {
            "sample_id": row.get("sample_id"),
            "split": row.get("_split"),
            "ir_band": row.get("ir_band"),
            "captions": _caption_keys(row),
            "representative": row.get("is_eval_representative"),
            "faults": faults,
        }

    def _rgb(self, data: bytes | None) -> tuple[np.ndarray | None, tuple | None, list[str]]:
        """Returns coefficients, size in pixels, and faults."""
        if data is None:
            return None, None, ["rgb_missing"]
        image = _decoded(data)
        if image is None:
            return None, None, ["rgb_undecodable"]
        if image.mode in DEEP_MODES:
            return None, image.size, ["rgb_mode"]
        faults = ["rgb_mode"] if self.strict and image.mode not in COLOUR_MODES else []
        return low_frequencies(image.convert("RGB")), image.size, faults

    def _ir(
        self, data: bytes | None, band: str | None, unit: str | None
    ) -> tuple[np.ndarray | None, tuple | None, list[str]]:
        """Returns coefficients, size in pixels, and faults."""
        if data is None:
            return None, None, ["ir_missing"] if self.strict else []
        image = _decoded(data)
        if image is None:
            return None, None, ["ir_undecodable"]
        faults = ["ir_mode"] if image.mode not in ("L", *DEEP_MODES) else []
        faults += ["ir_depth"] if unit in (FLAT_UNITS if image.mode in DEEP_MODES else DEEP_UNITS) else []
        if image.mode in DEEP_MODES and band not in self.ir_range:
            return None, image.size, [*(faults if self.strict else []), "ir_range"]
        return low_frequencies(self._grey(image, band)), image.size, faults if self.strict else []

    def _grey(self, image: Image.Image, band: str | None) -> Image.Image:
        """Returns 8-bit infrared: between the limits of its band, or the mean of its channels."""
        if image.mode in DEEP_MODES:
            low, high = self.ir_range[band]
            share = (np.asarray(image, dtype=np.float64) - low) / (high - low)
            return Image.fromarray(np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8))
        if image.mode == "L":
            return image
        return Image.fromarray(np.rint(np.asarray(image.convert("RGB")).mean(axis=2)).astype(np.uint8))


def _decoded(data: bytes) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(data), formats=READ_FORMATS) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except DAMAGED:
        return None


def _reconciled(name: str, low: np.ndarray | None, stored: str | None, faults: list[str]) -> int | None:
    """Returns the hash to compare by: the stored one if it agrees or cannot be made anew, else the one made anew."""
    if stored is not None and not HASH.fullmatch(stored):
        faults.append(f"{name}_phash")
        return None if low is None else hash_of(low)[0]
    if low is None:
        return None if stored is None else int(stored, 16)
    image_hash, doubtful = hash_of(low)
    if stored is None:
        faults.append(f"{name}_unhashed")
        return image_hash
    if (image_hash ^ int(stored, 16)) & ~doubtful:
        faults.append(f"{name}_phash")
        return image_hash
    return int(stored, 16)


def _record_faults(row: Mapping[str, Any]) -> list[str]:
    faults = [] if row.get("sample_id") else ["sample_id"]
    captions, origins = row.get("captions") or [], row.get("caption_origin") or []
    if len(captions) != len(origins) or not set(origins) <= set(ORIGINS) or None in captions:
        faults.append("captions")
    box = row.get("bbox")
    if box and (len(box) != 4 or None in box or not np.isfinite(box).all() or box[1] > box[3]):
        faults.append("bbox")
    return faults


def _caption_keys(row: Mapping[str, Any]) -> list[int]:
    """Keys of the captions that are compared; one whose origin is not told counts as of the source."""
    captions, origins = row.get("captions") or [], row.get("caption_origin") or []
    pairs = zip_longest(captions, origins[: len(captions)], fillvalue="source")
    texts = {plain_caption(text) for text, origin in pairs if text and origin in COMPARED_ORIGINS}
    return [key("caption", text.encode("utf-8", "surrogatepass")) for text in sorted(texts) if text]


def _upright(west: float, south: float, east: float, north: float, side_m: float) -> list[float]:
    """Returns the square of a tile's size in the middle of a box, which is wider where the tile is turned."""
    across, up = (east - west) % 360, north - south
    metres = 6_371_008.8 * math.pi / 180
    if not (0 < across < 180 and up > 0):
        return [west, south, east, north]
    wide = across * min(1.0, max(0.5**0.5, side_m / (across * metres * math.cos(math.radians((south + north) / 2)))))
    high = up * min(1.0, max(0.5**0.5, side_m / (up * metres)))
    x, y = west + across / 2, (south + north) / 2
    return [x - wide / 2, y - high / 2, x + wide / 2, y + high / 2]


def _footprint(row: Mapping[str, Any]) -> dict[str, Any]:
    match = TILE.fullmatch(row.get("source_locator") or "")
    box = row.get("bbox")
    footprint = {"box": list(box) if box is not None and len(box) == 4 and None not in box else None}
    if match:
        top, left, size = (float(number) for number in match.groups()[1:])
        if footprint["box"] and row.get("gsd_m"):
            footprint["box"] = _upright(*footprint["box"], size * row["gsd_m"])
        footprint |= {"scene": key("scene", match[1].encode()), "tile": [left, top, left + size, top + size]}
    return footprint
