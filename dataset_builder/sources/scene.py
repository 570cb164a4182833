"""Multispectral scenes, one GeoTIFF or a file per band, cut into tiles: one row per tile and declared infrared band.

rasterio (extra `geo`) is imported when a scene is opened, not before.
"""

import copy
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset_builder.fields import ANY_NUMBER, parse
from dataset_builder.images.png import encode_png
from dataset_builder.schema import new_row
from dataset_builder.sources.formats.facts import iso_date, metres
from dataset_builder.sources.formats.raster_files import USUAL
from dataset_builder.sources.raster import Raster
from dataset_builder.sources.scene_checks import check_scene, check_types
from dataset_builder.sources.scene_grid import Grid
from dataset_builder.sources.scene_limits import AUTO, display, settled_limits
from dataset_builder.sources.scene_parts import Clouds, Land, Region
from dataset_builder.sources.scene_units import InfraredUnit
from fusionrs_hf.errors import InputError

TESTED = 4  # tiles along each axis of a region whose values are held against the declared unit

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SceneSource:
    """One scene as tiles of RGB and infrared, aligned by georeference on the grid of the first RGB band.

        my_scene.tif                  bands by their descriptions or numbers, or named in `bands`
        my_scene/B02.tif, B03.tif     or a file per band, named in `bands`; .jp2, too; see `formats`

    A grid that is stored south-up, mirrored or by quarter turns is turned north-up, and regions count in the turned
    one; one that is rotated or sheared is refused.

    Bands on another grid are resampled onto it, bilinearly (a cloud band to the nearest pixel). A tile that is not
    usable (`nodata`, `cloudy`, `little_land`, `tile_too_flat`, `unreadable`), or is too near to a region of another
    split (`split_margin`), is given with that `_reason`. What is left at the lower and right edge of a region, less
    than a tile, is in no tile; the log says how much. A grid without reference has no `bbox`.

    Memory: one tile of each band, and at most 256 MB of GDAL's block cache, whatever the scene's size.

    Args:
        path: A multi-band GeoTIFF, or a folder with a file per band.
        rights: Licence of the scene, as on the card.
        rgb: Names of the red, green and blue band.
        ir: Name of the band by `ir_band`; empty: RGB alone, for a recipe that translates.
        bands: By name: the number of the band in `path` (from 1), or the file name in the folder `path` (its first
            band). Without it a GeoTIFF's bands go by their descriptions or numbers.
        limits: `[low, high]` by band name, in the values that the file holds: what becomes 0 and 255. Needed above 8
            bit for what is displayed: RGB always, infrared where `ir_unit` is display. `auto`, for all or by band: the
            1st and 99th percentile over sampled tiles of the training regions, those of RGB together; the report and
            the card tell them.
        rgb_gamma: Tone curve of the displayed RGB, after the limits: above 1 dark ground becomes lighter.
        ir_unit: `display`: infrared is stored as 8 bit by its limits. `dn`: as the file's values, 16 bit. A physical
            unit: as 16-bit values in it, made by the band's scale and offset; without these the file's values are
            taken to be in it already.
        scales: `[scale, offset]` by infrared band, where the file does not declare them or wrongly: value times scale,
            plus offset, is the reflectance or the temperature in kelvin. What then is below 0 becomes 0.
        trust_units: Take values that the physical unit contradicts, which else are an error.
        name: Start of `sample_id` and `source_locator`; without it, the stem of `path`.
        tile_px, stride_px: Side of a tile, and distance between tiles (without it, the side).
        regions: Parts to cut, each with its split; without them, the whole scene.
        grid: Instead of regions: cells with a gap, whose splits are drawn; see `Grid`.
        split: Of the whole scene, where neither regions nor grid tell.
        min_gap_px: Regions of different splits must be at least this far apart.
        spatial_gap_m: Tiles nearer than this to a region of another split, in metres on the ground, leave.
        nodata: Value that means no data, beside the nodata values, masks and alpha bands of the files.
        max_nodata_ratio: Share of a tile without data that is still usable.
        clouds, land: See the classes; without them nothing is tested.
        min_std: Smallest standard deviation, in grey levels, of the displayed RGB (largest of its channels).
        sensor, source_dataset: Columns; unknown is null (`source_dataset`: the name).
        acquired_at: ISO date of acquisition. Without it, that of the file's IMAGERY metadata (by which GDAL gives what
            vendors tell), else null: TIFF's own DateTime is when the file was written, and is not taken.
        acquired_tag: Tag of the first RGB band's file that holds the date of acquisition, if you know it does.
        gsd_m: Ground sampling distance in metres; without it, the pixel of a projected grid, by the map's scale there.
        formats: GDAL's names of what may be opened: GTiff and JP2OpenJPEG; netCDF, and VRT (a mosaic of plain rasters
            inside the scene's folder), where they are asked for.
    """

    path: str | Path
    rights: str
    rgb: Sequence[str] = ("red", "green", "blue")
    ir: Mapping[str, str] = field(default_factory=lambda: {"nir": "nir"})
    bands: Mapping[str, int | str] = field(default_factory=dict)
    limits: Mapping[str, Sequence[float] | str] | str = field(default_factory=dict)
    rgb_gamma: float = 1.0
    ir_unit: str = "display"
    scales: Mapping[str, Sequence[float]] = field(default_factory=dict)
    trust_units: bool = False
    name: str = ""
    tile_px: int = 256
    stride_px: int | None = None
    regions: Sequence[Region | Mapping] = ()
    grid: Grid | Mapping | None = None
    split: str | None = None
    min_gap_px: int = 0
    spatial_gap_m: float = 0.0
    nodata: float | None = field(default=None, metadata={ANY_NUMBER: True})
    max_nodata_ratio: float = 0.0
    clouds: Clouds | Mapping | None = None
    land: Land | Mapping | None = None
    min_std: float = 0.0
    sensor: str | None = None
    acquired_at: str | int | None = None
    acquired_tag: str | None = None
    gsd_m: float | None = None
    source_dataset: str = ""
    formats: Sequence[str] = USUAL
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
            _part(Region, region, f"region {number} of scene {name}") for number, region in enumerate(self.regions)
        ]
        values["regions"] = tuple(regions)
        for key, part in (("clouds", Clouds), ("land", Land), ("grid", Grid)):
            test = getattr(self, key)
            values[key] = None if test is None else _part(part, test, f"{key} of scene {name}")
        try:
            values["acquired_at"] = None if self.acquired_at is None else iso_date(self.acquired_at)
            values["gsd_m"] = None if self.gsd_m is None else metres(self.gsd_m)
        except ValueError as error:
            raise InputError(f"scene {name}: {error}") from error
        for key, value in values.items():
            object.__setattr__(self, key, value)
        check_scene(self)
        self._unit  # noqa: B018  scales that cannot be are known before anything is read

    def shares_pixels(self, drawn: bool) -> bool:
        """Tells whether tiles overlap whose splits are not prescribed; `drawn`: nor are any."""
        regions = [region for region in self.regions if drawn or region.split is None]
        told = self.regions or ((self.grid or self.split) and not drawn)
        strides = [region.stride_px or self.stride_px for region in regions] or [self.stride_px] * (not told)
        return any(stride is not None and stride < self.tile_px for stride in strides)

    def settled(self) -> "SceneSource":
        """Returns the same scene with numbers for limits that are `auto`; reads some of its tiles."""
        if AUTO not in (self.limits if isinstance(self.limits, str) else self.limits.values()):
            return self
        with self.open() as raster:
            regions = self._regions(raster)
            trained = [region for region in regions if region.split in ("train", None)] or regions
            starts = [[self._starts(region, axis) for axis in ("rows", "columns")] for region in trained]
            limits = settled_limits(self, raster, starts)
        scene = copy.copy(self)
        object.__setattr__(scene, "limits", limits)
        return scene

    def display_facts(self) -> dict[str, Any]:
        """Returns the limits and the tone curve of what is displayed, for the report."""
        shown = {*self.rgb, *(self.ir.values() if self.ir_unit == "display" else ())}
        limits = {name: list(pair) for name, pair in sorted(self.limits.items()) if name in shown}
        return {"limits": limits, "rgb_gamma": self.rgb_gamma}

    def shards(self) -> list[tuple[int, int]]:
        """Returns (number of the region, first row) of each line; reads headers, and tiles to test a physical unit."""
        with self.open() as raster:
            check_types(self, raster)
            if self.ir_unit != "display":
                self._unit.check_types(raster)
            self._pixel_m(raster)
            raster.acquired(self.acquired_tag)
            raster.tell_north()
            regions = self._regions(raster)
            for region in regions:
                rest = []
                for axis in ("rows", "columns"):
                    starts = self._starts(region, axis)
                    if not starts:
                        raise InputError(
                            f"no tile of {self.tile_px} px fits into {region} of scene {self.name}; give a smaller "
                            "tile_px"
                        )
                    rest.append(getattr(region, axis)[1] - starts[-1] - self.tile_px)
                if any(rest):
                    logger.info("%s: the last %s rows and %s columns of %s are in no tile", self.name, *rest, region)
            if not self.trust_units:
                self._unit.check_values(raster, (tile for region in regions for tile in self._spread(region)))
            return [(number, row) for number, region in enumerate(regions) for row in self._starts(region, "rows")]

    def count(self, shards: Sequence[tuple[int, int]]) -> int:
        """Returns the number of rows of some shards; reads headers only."""
        with self.open() as raster:
            columns = [len(self._starts(region, "columns")) for region in self._regions(raster)]
        return sum(columns[number] for number, _ in shards) * max(1, len(self.ir))

    def read(self, shard: tuple[int, int]) -> Iterator[dict[str, Any]]:
        """Yields the rows of one line of tiles, a tile's bands one after the other."""
        number, row = shard
        with self.open() as raster:
            region = self._regions(raster)[number]
            acquired = self.acquired_at or raster.acquired(self.acquired_tag)
            trusted = {"_unit_trusted": True} if self.trust_units else {}
            for column in self._starts(region, "columns"):
                near = self._in_margin(raster, region, row, column)
                for tile in self._tile(raster, row, column):
                    reason = "split_margin" if near else tile["_reason"]
                    yield tile | {"_split": region.split, "_reason": reason, "acquired_at": acquired} | trusted

    def open(self) -> Raster:
        """Opens the scene for reading other bands beside; raises InputError where the files are not as declared."""
        codes = [self.clouds.band] if self.clouds else []
        return Raster(self.path, self.bands, self._used(), codes, self.nodata, self.formats)

    @property
    def _unit(self) -> InfraredUnit:
        return InfraredUnit(self.name, self.ir_unit, self.scales, tuple(dict.fromkeys(self.ir.values())))

    def _used(self) -> list[str]:
        tests = [part.band for part in (self.clouds, self.land) if part]
        return list(dict.fromkeys([*self.rgb, *self.ir.values(), *tests]))

    def _regions(self, raster: Raster) -> Sequence[Region]:
        height, width = raster.shape
        for region in self.regions:
            if region.rows[1] > height or region.columns[1] > width:
                raise InputError(f"{region} exceeds scene {self.name} of {height} x {width} px; give one inside it")
        if self.grid:
            return self.grid.regions(raster.shape, self.tile_px, self.name)
        return self.regions or (Region((0, height), (0, width), self.split),)

    def _pixel_m(self, raster: Raster) -> tuple[float, float]:
        """Returns height and width of a pixel in metres; zeros where nothing depends on them."""
        if not (self.spatial_gap_m and (self.regions or self.grid)):
            return 0.0, 0.0
        declared = (self.gsd_m, self.gsd_m) if self.gsd_m else None
        if not (pixel := raster.pixel_m or declared):
            raise InputError(f"spatial_gap_m of scene {self.name} needs a grid with a reference; or declare gsd_m")
        return pixel

    def _in_margin(self, raster: Raster, region: Region, row: int, column: int) -> bool:
        """Tells whether a tile of a region is too near to a region of another split."""
        near = self._regions(raster) if self.spatial_gap_m else ()
        others = [other for other in near if other.split != region.split]
        size = self._pixel_m(raster)
        return any(other.distance_m(row, column, self.tile_px, size) < self.spatial_gap_m for other in others)

    def _starts(self, region: Region, axis: str) -> range:
        start, stop = getattr(region, axis)
        return range(start, stop - self.tile_px + 1, region.stride_px or self.stride_px or self.tile_px)

    def _spread(self, region: Region) -> Iterator[tuple[int, int, int]]:
        """Yields row, column and side of at most `TESTED` times `TESTED` tiles of a region."""
        rows, columns = (self._starts(region, axis) for axis in ("rows", "columns"))
        for row in rows[:: math.ceil(len(rows) / TESTED)]:
            yield from ((row, column, self.tile_px) for column in columns[:: math.ceil(len(columns) / TESTED)])

    def _tile(self, raster: Raster, row: int, column: int) -> Iterator[dict[str, Any]]:
        facts = {
            "source_dataset": self.source_dataset,
            "source_locator": f"{self.name}@r{row}c{column}s{self.tile_px}",
            "rights": self.rights,
            "ir_origin": "sensor",
            "ir_unit": self.ir_unit,
            "sensor": self.sensor,
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
            yield new_row(sample_id=f"{tile}/{band}", ir_band=band, **pair, **facts) | {"_reason": reason}
        if not self.ir:
            facts |= dict.fromkeys(("ir_origin", "ir_unit"))
            rgb = {"bytes": images.get("rgb"), "path": f"{tile}/rgb.png"}
            yield new_row(sample_id=f"{tile}/rgb", rgb=rgb, **facts) | {"_reason": reason}

    def _images(self, raster: Raster, row: int, column: int) -> tuple[dict[str, bytes], str | None]:
        """Returns PNG files by `rgb` and `ir_band`, and None or the reason why the tile is not usable."""
        where = (row, column, self.tile_px)
        try:
            bands = {name: raster.read(name, *where) for name in self._used()}
            codes = [self.clouds.band] if self.clouds else []
            valid = raster.valid([*self.rgb, *self.ir.values(), *codes], *where)
        except OSError:
            logger.warning("scene %s is damaged at row %s, column %s", self.name, row, column)
            return {}, "unreadable"
        rgb = np.dstack([display(bands[name], self.limits.get(name), self.rgb_gamma) for name in self.rgb])
        images = {"rgb": encode_png(rgb)}
        for kind, name in self.ir.items():
            shown = self.ir_unit == "display"
            stored = (
                display(bands[name], self.limits.get(name)) if shown else self._unit.stored(raster, name, bands[name])
            )
            images[kind] = encode_png(stored)
        return images, self._reason(bands, valid, rgb)

    def _reason(self, bands: Mapping[str, np.ndarray], valid: np.ndarray, rgb: np.ndarray) -> str | None:
        if 1 - valid.mean() > self.max_nodata_ratio:
            return "nodata"
        if self.clouds and self.clouds.ratio(bands[self.clouds.band]) > self.clouds.max_ratio:
            return "cloudy"
        if self.land and (bands[self.land.band] > self.land.above).mean() < self.land.min_ratio:
            return "little_land"
        return "tile_too_flat" if rgb.std((0, 1)).max() < self.min_std else None


def _part(part: type, value: Any, where: str) -> Any:
    """Returns a nested part: itself, or built from a recipe's mapping."""
    return value if isinstance(value, part) else parse(part, value, where)
