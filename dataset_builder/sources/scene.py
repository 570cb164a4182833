"""Multispectral scenes, one GeoTIFF or a file per band, cut into tiles: one row per tile and declared infrared band.

rasterio (extra `geo`) is imported when a scene is opened, not before.
"""

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dataset_builder.schema import IR_BANDS, IR_UNITS, SPLITS, new_row
from dataset_builder.sources import parse
from dataset_builder.sources.raster import Raster
from fusionrs_hf.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the scene, in pixels of its grid: first row or column and the one after the last.

    Args:
        rows, columns: `[start, stop)`.
        split: Split of its tiles; None: decided later.
        stride_px: Distance between tiles; None: that of the scene.
    """

    rows: Sequence[int]
    columns: Sequence[int]
    split: str | None = None
    stride_px: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a rectangle, stride or split that cannot be."""
        for name in ("rows", "columns"):
            start, stop = pair = tuple(getattr(self, name))
            if not 0 <= start < stop:
                raise ValueError(f"{name} must be [start, stop) with 0 <= start < stop, got {list(pair)}")
            object.__setattr__(self, name, pair)
        if self.split not in (None, *SPLITS):
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")
        if self.stride_px is not None and self.stride_px < 1:
            raise ValueError(f"stride_px must be positive, got {self.stride_px}")

    def gap_px(self, other: "Region") -> int:
        """Pixels between two regions, along the axis where they are further apart; negative if they overlap."""
        pairs = ((self.rows, other.rows), (self.columns, other.columns))
        return max(max(a[0], b[0]) - min(a[1], b[1]) for a, b in pairs)


@dataclass(frozen=True, slots=True)
class Land:
    """Tells land from water by one band: a pixel above `above`; at least `min_ratio` of a tile must be land."""

    band: str
    above: float
    min_ratio: float = 0.25


@dataclass(frozen=True, slots=True)
class Clouds:
    """Reads a quality band: a pixel with any of `bits` set is cloud; at most `max_ratio` of a tile may be cloud."""

    band: str
    bits: Sequence[int]
    max_ratio: float = 0.0


@dataclass(frozen=True)
class SceneSource:
    """One scene as tiles of RGB and infrared, aligned by georeference on the grid of the first RGB band.

    Bands on another grid are resampled onto it, bilinearly. A tile that is not usable (`nodata`, `cloudy`,
    `little_land`, `tile_too_flat`, `unreadable`) is given with that `_reason`.

    Args:
        path: A multi-band GeoTIFF, or a folder with a file per band.
        rights: Licence of the scene, as on the card.
        rgb: Names of the red, green and blue band.
        ir: Name of the band by `ir_band`.
        bands: By name: the number of the band in `path` (from 1), or the file name in the folder `path` (its first
            band). Without it a GeoTIFF's bands go by their descriptions or numbers.
        limits: `[low, high]` by band name, in the file's unit: what becomes 0 and 255. Needed above 8 bit for what is
            displayed: RGB always, infrared where `ir_unit` is display.
        ir_unit: `display`: infrared is stored as 8 bit by its limits; else as 16-bit values, unchanged, in that unit.
        name: Start of `sample_id` and `source_locator`; without it, the stem of `path`.
        tile_px, stride_px: Side of a tile, and distance between tiles (without it, the side).
        regions: Parts to cut, each with its split; without them, the whole scene.
        min_gap_px: Regions of different splits must be at least this far apart.
        nodata: Value that means no data, where the files do not say.
        max_nodata_ratio: Share of a tile without data that is still usable.
        clouds, land: See the classes; without them nothing is tested.
        min_std: Smallest standard deviation, in grey levels, of the displayed RGB (largest of its channels).
        sensor, acquired_at, source_dataset: Columns; unknown is null (`source_dataset`: the name).
        gsd_m: Ground sampling distance; without it, the pixel of a projected grid.
    """

    path: str | Path
    rights: str
    rgb: Sequence[str] = ("red", "green", "blue")
    ir: Mapping[str, str] = field(default_factory=lambda: {"nir": "nir"})
    bands: Mapping[str, int | str] = field(default_factory=dict)
    limits: Mapping[str, Sequence[float]] = field(default_factory=dict)
    ir_unit: str = "display"
    name: str = ""
    tile_px: int = 256
    stride_px: int | None = None
    regions: Sequence[Region | Mapping] = ()
    min_gap_px: int = 0
    nodata: float | None = None
    max_nodata_ratio: float = 0.0
    clouds: Clouds | Mapping | None = None
    land: Land | Mapping | None = None
    min_std: float = 0.0
    sensor: str | None = None
    acquired_at: str | None = None
    gsd_m: float | None = None
    source_dataset: str = ""
    base: Path = Path()

    def __post_init__(self) -> None:
        """Reads the nested parts; raises InputError for a value that cannot be or a path that does not exist."""
        path = self.base / self.path
        if not path.exists():
            raise InputError(f"scene {path} does not exist; give a GeoTIFF or a folder with a file per band")
        name = self.name or path.stem
        values = {"path": path, "name": name, "source_dataset": self.source_dataset or name}
        values["rgb"] = tuple(map(str, self.rgb))
        values["ir"] = {str(kind): str(band) for kind, band in self.ir.items()}
        regions = [
            parse(Region, given, f"region {number} of scene {name}") for number, given in enumerate(self.regions)
        ]
        values["regions"] = tuple(regions)
        for key, part in (("clouds", Clouds), ("land", Land)):
            given = getattr(self, key)
            values[key] = None if given is None else parse(part, given, f"{key} of scene {name}")
        for key, value in values.items():
            object.__setattr__(self, key, value)
        self._check()

    def _check(self) -> None:
        if len(self.rgb) != 3:
            raise InputError(
                f"rgb of scene {self.name} must name three bands (red, green, blue), got {list(self.rgb)}"
            )
        if not self.ir or (unknown := [kind for kind in self.ir if kind not in IR_BANDS]):
            raise InputError(f"ir of scene {self.name} needs bands by {', '.join(IR_BANDS)}, got {self.ir or unknown}")
        if self.ir_unit not in IR_UNITS:
            raise InputError(
                f"ir_unit of scene {self.name} must be one of {', '.join(IR_UNITS)}, got {self.ir_unit!r}"
            )
        if min(self.tile_px, self.stride_px or 1) < 1:
            raise InputError(f"tile_px and stride_px of scene {self.name} must be positive")
        for band, limits in self.limits.items():
            if len(limits) != 2 or not limits[0] < limits[1]:
                raise InputError(f"limits of {band} in scene {self.name} must be [low, high], got {limits}")
        for number, a in enumerate(self.regions):
            for b in self.regions[:number]:
                if a.split != b.split and a.gap_px(b) < self.min_gap_px:
                    raise InputError(
                        f"regions {a} and {b} of scene {self.name} have different splits and a gap of "
                        f"{a.gap_px(b)} px; leave at least {self.min_gap_px} px (min_gap_px) between them"
                    )

    def shards(self) -> list[tuple[int, int]]:
        """Returns (number of the region, first row) of each line of tiles; reads headers only."""
        with self.open() as raster:
            self._check_types(raster)
            regions = self._regions(raster)
            for region in regions:
                if not (self._starts(region, "rows") and self._starts(region, "columns")):
                    raise InputError(
                        f"no tile of {self.tile_px} px fits into {region} of scene {self.name}; give a smaller tile_px"
                    )
            return [(number, row) for number, region in enumerate(regions) for row in self._starts(region, "rows")]

    def read(self, shard: tuple[int, int]) -> Iterator[dict[str, Any]]:
        """Yields the rows of one line of tiles, a tile's bands one after the other."""
        number, row = shard
        with self.open() as raster:
            region = self._regions(raster)[number]
            for column in self._starts(region, "columns"):
                yield from self._tile(raster, region.split, row, column)

    def open(self) -> Raster:
        """Opens the scene for reading other bands beside; raises InputError where the files are not as declared."""
        codes = [self.clouds.band] if self.clouds else []
        return Raster(self.path, self.bands, self._used(), codes, self.nodata)

    def _used(self) -> list[str]:
        tests = [part.band for part in (self.clouds, self.land) if part]
        return list(dict.fromkeys([*self.rgb, *self.ir.values(), *tests]))

    def _check_types(self, raster: Raster) -> None:
        shown = {*self.rgb, *(self.ir.values() if self.ir_unit == "display" else ())}
        types = {name: raster.dtype(name) for name in {*shown, *self.ir.values()}}
        if missing := sorted(name for name in shown if name not in self.limits and types[name] != "uint8"):
            raise InputError(
                f"scene {self.name} needs limits for {', '.join(missing)} ({types[missing[0]]}): declare [low, high], "
                "the values that become 0 and 255"
            )
        if wide := sorted(name for name in types if name not in shown and types[name] not in ("uint8", "uint16")):
            raise InputError(
                f"ir_unit {self.ir_unit} of scene {self.name} keeps values as 16-bit integers, but {', '.join(wide)} "
                f"is {types[wide[0]]}; use ir_unit display with limits"
            )

    def _regions(self, raster: Raster) -> Sequence[Region]:
        height, width = raster.shape
        for region in self.regions:
            if region.rows[1] > height or region.columns[1] > width:
                raise InputError(f"{region} exceeds scene {self.name} of {height} x {width} px; give one inside it")
        return self.regions or (Region((0, height), (0, width)),)

    def _starts(self, region: Region, axis: str) -> range:
        start, stop = getattr(region, axis)
        return range(start, stop - self.tile_px + 1, region.stride_px or self.stride_px or self.tile_px)

    def _tile(self, raster: Raster, split: str | None, row: int, column: int) -> Iterator[dict[str, Any]]:
        known = {
            "source_dataset": self.source_dataset,
            "source_locator": f"{self.name}@r{row}c{column}s{self.tile_px}",
            "rights": self.rights,
            "ir_origin": "sensor",
            "ir_unit": self.ir_unit,
            "sensor": self.sensor,
            "acquired_at": self.acquired_at,
            "gsd_m": self.gsd_m or raster.gsd_m,
            "bbox": raster.footprint(row, column, self.tile_px),
        }
        tile = f"{self.name}/r{row:04d}c{column:04d}"
        images, reason = self._images(raster, row, column)
        for band in self.ir:
            pair = {
                name: {"bytes": images.get(key), "path": f"{tile}/{key}.png"}
                for name, key in (("rgb", "rgb"), ("ir", band))
            }
            yield new_row(sample_id=f"{tile}/{band}", ir_band=band, **pair, **known) | {
                "_split": split,
                "_reason": reason,
            }

    def _images(self, raster: Raster, row: int, column: int) -> tuple[dict[str, bytes], str | None]:
        """Returns PNG files by `rgb` and `ir_band`, and None or the reason why the tile is not usable."""
        where = (row, column, self.tile_px)
        try:
            bands = {name: raster.read(name, *where) for name in self._used()}
            valid = raster.valid([*self.rgb, *self.ir.values()], *where)
        except OSError:
            logger.warning("scene %s is damaged at row %s, column %s", self.name, row, column)
            return {}, "unreadable"
        rgb = np.dstack([self._display(bands[name], name) for name in self.rgb])  # (side, side, 3)
        images = {"rgb": encode_png(rgb)}
        for kind, name in self.ir.items():
            shown = self.ir_unit == "display"
            images[kind] = encode_png(self._display(bands[name], name) if shown else bands[name].astype(np.uint16))
        return images, self._reason(bands, valid, rgb)

    def _display(self, values: np.ndarray, name: str) -> np.ndarray:
        """Scales a band to uint8 by its declared limits, as `scale_infrared` does; uint8 without limits stays."""
        if name not in self.limits:
            return values
        low, high = self.limits[name]
        values = np.nan_to_num(values, nan=low)  # not a number is no data, and told so
        return np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)

    def _reason(self, bands: Mapping[str, np.ndarray], valid: np.ndarray, rgb: np.ndarray) -> str | None:
        if 1 - valid.mean() > self.max_nodata_ratio:
            return "nodata"
        if self.clouds:
            bits = sum(1 << bit for bit in self.clouds.bits)
            if ((bands[self.clouds.band] & bits) > 0).mean() > self.clouds.max_ratio:
                return "cloudy"
        if self.land and (bands[self.land.band] > self.land.above).mean() < self.land.min_ratio:
            return "little_land"
        return "tile_too_flat" if rgb.std((0, 1)).max() < self.min_std else None


def encode_png(array: np.ndarray) -> bytes:
    """Returns a PNG file, as small as Pillow makes it: uint8 `(h, w, 3)` or `(h, w)`, or uint16 `(h, w)`."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
