"""Rows of a FusionRS dataset as tiles for the translator: one RGB image with every infrared band that it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import Dataset as TorchDataset

from dataset_builder.schema import LOCATOR, stable_seed
from fusionrs_hf.errors import InputError
from fusionrs_hf.images import Limits, readable_infrared
from training.data.other_displays import disturb

SUBSET_SEED = 42
REMEMBERED = 20_000_000  # pixels of decoded tiles that are kept in memory: datasets of the sample's size are read once


@dataclass(frozen=True, slots=True)
class Tile:
    """One RGB image with its bands.

    Args:
        locator, scene: `source_locator`, and the scene that it names, else the row's `source_dataset`.
        rows: By band, the row that holds it.
    """

    locator: str
    scene: str
    rows: Mapping[str, int]


def scene_of(locator: str, source_dataset: str) -> str:
    """Returns the name of the scene that a tile was cut from; of a tile of no scene its source."""
    match = LOCATOR.fullmatch(locator or "")
    return match["scene"] if match else source_dataset


def find_tiles(rows: Dataset, bands: Sequence[str]) -> list[Tile]:
    """Returns the tiles of rows in their order; rows of other bands are left out.

    Raises:
        InputError: No row is of these bands.
    """
    facts = rows.select_columns(["source_dataset", "source_locator", "ir_band"]).to_dict()
    tiles: dict[tuple[str, str], dict[str, int]] = {}
    for index, band in enumerate(facts["ir_band"]):
        if band in bands:
            place = (facts["source_locator"][index], facts["source_dataset"][index])
            tiles.setdefault(place, {}).setdefault(band, index)
    if not tiles:
        raise InputError(f"the dataset has no row of the bands {', '.join(bands)}; name its own in bands")
    return [Tile(locator, scene_of(locator, source), members) for (locator, source), members in tiles.items()]


def first_tiles(tiles: Sequence[Tile], count: int) -> list[Tile]:
    """Returns the first tiles of a fixed shuffle, so that a smaller subset is part of each larger one.

    Raises:
        InputError: There are fewer tiles, or `count` is not positive.
    """
    if not 0 < count <= len(tiles):
        raise InputError(f"train_tiles must lie between 1 and the {len(tiles)} tiles there are, got {count}")
    order = sorted(tiles, key=lambda tile: stable_seed(SUBSET_SEED, tile.locator))
    return order[:count]


class TileImages(TorchDataset):
    """Tiles as arrays: `rgb` uint8 `(height, width, 3)`, `ir` uint8 `(bands, height, width)`, and which are `present`.

    Args:
        rows: With images of equal size in a tile.
        tiles: Of these rows.
        bands: Order of `ir`.
        ir_range: Limits of infrared above 8 bit.
    """

    def __init__(self, rows: Dataset, tiles: Sequence[Tile], bands: Sequence[str], ir_range: Limits = None) -> None:
        self.rows, self.tiles, self.bands, self.ir_range = rows, list(tiles), list(bands), ir_range
        self._remembered: dict[int, dict[str, Any]] = {}
        self._pixels = 0

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index not in self._remembered:
            values = self._read(self.tiles[index])
            if self._pixels + values["rgb"].size > REMEMBERED * 3:
                return values
            self._pixels += values["rgb"].size
            self._remembered[index] = values
        return self._remembered[index]

    def _read(self, tile: Tile) -> dict[str, Any]:
        read = {band: self.rows[index] for band, index in tile.rows.items()}
        rgb = np.asarray(next(iter(read.values()))["rgb"].convert("RGB"))
        infrared = np.zeros((len(self.bands), *rgb.shape[:2]), np.uint8)
        for band, row in read.items():
            image, _ = readable_infrared(row["ir"], self.ir_range, band)
            if image.size != rgb.shape[1::-1]:
                raise InputError(f"row {row['sample_id']}: RGB and infrared differ in size; build the dataset again")
            infrared[self.bands.index(band)] = np.asarray(image)
        present = np.array([band in read for band in self.bands])
        return {"rgb": rgb, "ir": infrared, "present": present, "scene": tile.scene, "locator": tile.locator}


@dataclass(slots=True)
class TileCollator:
    """Tiles -> inputs of `FusionRSTranslator`: turned, mirrored, and some of them as if of unknown radiometry.

    Args:
        conditions: Of the model; tiles of another scene are always unknown.
        unknown_bands: Bands that unknown tiles are trained on.
        tile_px: Side; larger tiles are cut, smaller ones padded without weight.
        unknown_ratio: Share of tiles shown as unknown.
        jitter, haze: See `disturb`; unknown tiles alone.
        seed, epoch: With the tile's locator they decide all that is drawn.
        augment: False: as they are, under their own conditions.
    """

    conditions: Sequence[str]
    bands: Sequence[str]
    unknown_bands: Sequence[str]
    tile_px: int = 64
    unknown_ratio: float = 0.35
    jitter: float = 0.25
    haze: float = 0.2
    seed: int = 0
    epoch: int = 0
    augment: bool = True

    def __call__(self, tiles: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Returns `rgb`, `condition`, `target` and `weight`, see `FusionRSTranslator.forward`."""
        parts = [self._show(tile) for tile in tiles]
        rgb, target, weight = (np.stack([part[index] for part in parts]) for index in range(3))
        return {
            "rgb": torch.from_numpy(rgb).contiguous(memory_format=torch.channels_last),
            "condition": torch.tensor([part[3] for part in parts]),
            "target": torch.from_numpy(target),
            "weight": torch.from_numpy(weight),
        }

    def _show(self, tile: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        draw = np.random.default_rng(stable_seed(self.seed, self.epoch, tile["locator"]))
        is_known = tile["scene"] in self.conditions and not (self.augment and draw.random() < self.unknown_ratio)
        rgb = np.moveaxis(tile["rgb"], -1, 0).astype(np.float32) / 255
        target = tile["ir"].astype(np.float32) / 255
        weight = np.ones_like(target) * tile["present"][:, None, None]
        if not is_known:
            weight *= np.array([band in self.unknown_bands for band in self.bands])[:, None, None]
        stacked = self._fit(np.concatenate([rgb, target, weight]).astype(np.float32), draw)
        rgb, target, weight = np.split(stacked, [3, 3 + len(target)])
        if self.augment and not is_known:
            rgb = disturb(rgb, draw, self.jitter, self.haze)
        condition = list(self.conditions).index(tile["scene"]) if is_known else 0
        return tuple(map(np.ascontiguousarray, (rgb, target, weight))) + (condition,)

    def _fit(self, stacked: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        side, (height, width) = self.tile_px, stacked.shape[1:]
        top, left = (int(draw.integers(max(0, length - side) + 1)) for length in (height, width))
        if not self.augment:
            top, left = max(0, height - side) // 2, max(0, width - side) // 2
        stacked = stacked[:, top : top + side, left : left + side]
        missing = [(0, side - length) for length in stacked.shape[1:]]
        if any(after for _, after in missing):
            bands = (len(stacked) - 3) // 2
            images = np.pad(stacked[: 3 + bands], [(0, 0), *missing], mode="edge")
            stacked = np.concatenate([images, np.pad(stacked[3 + bands :], [(0, 0), *missing])])
        if self.augment:
            stacked = np.rot90(stacked, int(draw.integers(4)), axes=(1, 2))
            stacked = stacked[:, :, ::-1] if draw.integers(2) else stacked
        return stacked
