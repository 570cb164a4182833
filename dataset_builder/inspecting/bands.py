"""Names of bands, as sensors and people write them -> what they show."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fusionrs_hf.errors import InputError

if TYPE_CHECKING:
    from rasterio import DatasetReader

WORDS = {
    "red": "red",
    "green": "green",
    "blue": "blue",
    **dict.fromkeys(("nir", "nir1", "nir08", "infrared", "nearinfrared"), "nir"),
    **dict.fromkeys(("swir", "swir1", "swir16", "swir2", "swir22"), "swir"),
    **dict.fromkeys(("lwir", "lwir1", "lwir11", "tir", "tirs", "tirs1", "thermal"), "lwir"),
    "mwir": "mwir",
}
SHORT = {"r": "red", "g": "green", "b": "blue", "n": "nir"}  # only where all three colours are written so
SENTINEL_2 = {"b02": "blue", "b03": "green", "b04": "red", "b08": "nir", "b8a": "nir", "b11": "swir", "b12": "swir"}
SENTINEL_2 |= {"b2": "blue", "b3": "green", "b4": "red", "b8": "nir"}
LANDSAT_8 = {"b2": "blue", "b3": "green", "b4": "red", "b5": "nir", "b6": "swir", "b7": "swir", "b10": "lwir"}
LANDSAT_7 = {"b1": "blue", "b2": "green", "b3": "red", "b4": "nir", "b5": "swir", "b7": "swir", "b6": "lwir"}
COLOURS = ("red", "green", "blue")


def roles(names: Sequence[str]) -> dict[str, str]:
    """Returns what bands show, by name: `red`, `green`, `blue` or an `ir_band`; of several for one the first.

    Words go before numbers, whose meaning the other names tell: B8A and B08 are Sentinel-2's, B10 with ST or LC is
    Landsat 8's or 9's, LE07 Landsat 7's. Names that tell nothing are left out.

    Args:
        names: Descriptions of bands, or file names without suffix.
    """
    tokens = {name: [token for token in re.split(r"[^0-9a-z]+", name.lower()) if token] for name in names}
    every = {token for parts in tokens.values() for token in parts}
    tables: list[Mapping[str, str]] = [WORDS]
    if {"r", "g", "b"} <= every:
        tables.append({**WORDS, **SHORT})
    tables.append({**WORDS, **_numbers(every)})
    for table in tables:
        found: dict[str, str] = {}
        for name, parts in tokens.items():
            role = next((table[part] for part in reversed(parts) if part in table), None)
            if role and role not in found.values():
                found[name] = role
        if set(COLOURS) <= set(found.values()):
            return found
    return {}


def band_numbers(source: "DatasetReader") -> tuple[dict[str, int], str]:
    """Returns the number of each band by what it shows, and how that is known.

    Raises:
        InputError: There are fewer than three bands.
    """
    from rasterio.enums import ColorInterp

    kinds = {number: kind for number, kind in enumerate(source.colorinterp, 1) if kind != ColorInterp.alpha}
    described = {name: number for number, name in enumerate(source.descriptions, 1) if name}
    if told := roles(list(described)):
        return {role: described[name] for name, role in told.items()}, "as their descriptions say"
    if len(kinds) < 3:
        raise InputError(
            f"{source.name} has {len(kinds)} band{'s' * (len(kinds) != 1)}, and RGB needs three; give a raster or a "
            "folder with red, green and blue"
        )
    tagged = {kind.name: number for number, kind in kinds.items() if kind.name in COLOURS}
    colours = {name: tagged[name] for name in COLOURS} if len(tagged) == 3 else dict(zip(COLOURS, kinds, strict=False))
    rest = [number for number in kinds if number not in colours.values()]
    how = "as the file's colours say" if len(tagged) == 3 else "not described, taken in the order red, green, blue"
    if rest:
        how += f", and {rest[0]} taken for near infrared; change `bands` where that is wrong"
    return colours | ({"nir": rest[0]} if rest else {}), how


def _numbers(tokens: set[str]) -> Mapping[str, str]:
    if any(token.startswith(("le07", "lt05", "lt04")) for token in tokens):
        return LANDSAT_7
    landsat = any(token.startswith(("lc08", "lc09", "lo08")) for token in tokens) or {"sr", "st"} & tokens
    return LANDSAT_8 if landsat or ("b10" in tokens and "b08" not in tokens) else SENTINEL_2
