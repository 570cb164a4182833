"""Tiles that a translator answered well and badly, with its intervals, as one HTML page with all inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from PIL import Image

from model_cards.bands import BAND_NAMES
from model_cards.pages import write_page

TEMPLATE = "translation_page.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedTile:
    """One tile and what was made of it.

    Args:
        scene, band: Of the tile; `ir_band`.
        known: Whether the translator was trained on the scene.
        rank: Such as `best` or `worst`, by the mean absolute error.
        error: That error, in grey levels.
        covered: Share of its pixels within the stated 80 % interval.
        rgb: Mode RGB.
        sensor, translated, wrong, width: Mode L: the sensor's, the median, the
            absolute error and the width of the interval, the last two brighter where there is more.
    """

    scene: str
    band: str
    known: bool
    rank: str
    error: float
    covered: float
    rgb: Image.Image
    sensor: Image.Image
    translated: Image.Image
    wrong: Image.Image
    width: Image.Image


def write_translation_page(path: Path, model: str, tiles: Sequence[TranslatedTile]) -> None:
    """Writes the page.

    Args:
        path: HTML to write.
        model: What the translator is called.
        tiles: In the order shown, those of a scene and band one after the other.
    """
    groups = [
        (key, list(group)) for key, group in groupby(tiles, key=lambda tile: (tile.scene, tile.band, tile.known))
    ]
    write_page(path, TEMPLATE, {}, model=model, groups=groups, bands=BAND_NAMES)
