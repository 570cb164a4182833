"""Bands of one scene on one pixel grid, read by windows; the only place that uses rasterio (extra `geo`)."""

import logging
import math
import re
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset_builder.sources.formats.facts import iso_date
from dataset_builder.sources.formats.paths import UnsafeNameError, inside
from dataset_builder.sources.formats.raster_files import USUAL, open_raster
from fusionrs_hf.errors import InputError

if TYPE_CHECKING:
    from rasterio import DatasetReader
    from rasterio.vrt import WarpedVRT
    from rasterio.windows import Window

logger = logging.getLogger(__name__)

WGS84 = "EPSG:4326"
CACHE_MB = 256  # of GDAL; its own default is a share of the machine's memory
CAGE = {"GDAL_VRT_ENABLE_PYTHON": "NO", "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none"}  # no code, no network
EARTH_M = 6_371_008.8  # mean radius
TIFF_DATE = re.compile(r"^(\d{4}):(\d\d):(\d\d)")


class Raster:
    """Context manager over the files of a scene. A band is opened when first read; another grid is resampled.

    Args:
        path: A multi-band GeoTIFF, or a folder with a file per band.
        bands: Band number in the GeoTIFF (from 1) or file name in the folder, by name; empty: the GeoTIFF's own
            descriptions, or its numbers.
        needed: Bands that must be there; the first gives the grid.
        codes: Bands of codes or bits, resampled to the nearest pixel; all others bilinearly.
        nodata: Value that means no data where the files do not say.
        formats: Drivers that may open a file, of `raster_files.SIGNATURES`.

    Raises:
        InputError: rasterio is missing, a file cannot be opened, or a needed band is not there.
    """

    def __init__(
        self,
        path: Path,
        bands: Mapping[str, int | str],
        needed: Collection[str],
        codes: Collection[str] = (),
        nodata: float | None = None,
        formats: Collection[str] = USUAL,
    ) -> None:
        try:
            import rasterio
        except ImportError as error:
            raise InputError(
                "reading scenes needs rasterio, got none; install the extra `geo`: pip install 'fusionrs-hf[geo]'"
            ) from error
        self.path, self.codes, self.nodata, self.formats = path, codes, nodata, formats
        self.path = path if path.is_dir() else path.resolve()  # a link that the user names is followed
        self.root = self.path if path.is_dir() else self.path.parent
        self.stack, self.files, self.layers = ExitStack(), {}, {}
        self.environment = rasterio.Env(GDAL_NUM_THREADS="1", GDAL_CACHEMAX=CACHE_MB, **CAGE)
        with self.stack:
            self.stack.enter_context(self.environment)
            self.bands = dict(bands) or self._described()
            self._check(needed)
            self.first = next(iter(needed))
            first, _ = self._source(self.first)
            self.grid = {key: getattr(first, key) for key in ("crs", "transform", "width", "height")}
            self.stack = self.stack.pop_all()  # nothing failed: closed by __exit__

    def __enter__(self) -> "Raster":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stack.close()

    def _described(self) -> dict[str, int | str]:
        if self.path.is_dir():
            raise InputError(
                f"{self.path} is a folder: declare `bands`, the file of each band by name; it holds "
                f"{', '.join(sorted(item.name for item in self.path.iterdir())[:20]) or 'nothing'}"
            )
        names = self._open(self.path).descriptions
        return {name or str(number): number for number, name in enumerate(names, 1)}

    def _check(self, needed: Collection[str]) -> None:
        """Raises InputError where a needed band is not declared, or a declared one is not there."""
        if self.path.is_dir():
            bands = {name for name, file in self.bands.items() if self._band_file(name, str(file)).is_file()}
            held = f"the files {', '.join(sorted(item.name for item in self.path.iterdir()))}"
        else:
            described = self._described()
            bands = {name for name, number in self.bands.items() if number in described.values()}
            held = f"{len(described)} band{'s' * (len(described) != 1)} ({', '.join(described)})"
        if missing := [name for name in needed if name not in bands]:
            raise InputError(
                f"scene {self.path} has {held}, but lacks {', '.join(missing)}; declare in `bands`, `rgb` and `ir` "
                "which band is which, or give a scene with red, green, blue and infrared"
            )

    def _band_file(self, name: str, file: str) -> Path:
        try:
            return inside(self.path, file)
        except UnsafeNameError as error:
            raise InputError(f"bands of scene {self.path}: {name}: {error}") from error

    def _open(self, path: Path) -> "DatasetReader":
        if path not in self.files:
            try:
                self.files[path] = self.stack.enter_context(open_raster(path, self.root, self.formats))
            except OSError as error:
                raise InputError(f"{path} is not a raster that can be opened ({error}); give a GeoTIFF") from error
        return self.files[path]

    def _source(self, name: str) -> "tuple[DatasetReader, int]":
        place = self.bands[name]
        if self.path.is_dir():
            return self._open(self._band_file(name, str(place))), 1
        return self._open(self.path), place

    def _layer(self, name: str) -> "tuple[DatasetReader | WarpedVRT, int]":
        if name not in self.layers:
            source, number = self._source(name)
            aligned = all(getattr(source, key) == value for key, value in self.grid.items())
            self.layers[name] = (source if aligned else self._resampled(source, name in self.codes), number)
        return self.layers[name]

    def _resampled(self, source: "DatasetReader", codes: bool) -> "WarpedVRT":
        from rasterio.enums import Resampling
        from rasterio.vrt import WarpedVRT

        nodata = source.nodata if self.nodata is None else self.nodata
        outside = {"src_nodata": nodata, "nodata": nodata}
        if nodata is None or codes:  # a code may be any number: what is not covered is told by the alpha band
            outside = {"src_nodata": None, "nodata": None, "add_alpha": True}
        how = Resampling.nearest if codes else Resampling.bilinear
        return self.stack.enter_context(WarpedVRT(source, resampling=how, **self.grid, **outside))

    def dtype(self, name: str) -> str:
        """Returns the type of a band's values, as numpy names it."""
        source, number = self._source(name)
        return source.dtypes[number - 1]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the grid, in pixels."""
        return self.grid["height"], self.grid["width"]

    @property
    def gsd_m(self) -> float | None:
        """Width of a pixel in metres; None where the grid is in degrees or has no reference."""
        crs = self.grid["crs"]
        return self.pixel_m[1] if crs and crs.is_projected else None

    @property
    def pixel_m(self) -> tuple[float, float] | None:
        """Height and width of a pixel in metres; None without a reference.

        In degrees, on a sphere and where the scene is nearest to a pole: at no place is a pixel narrower.
        """
        crs, grid = self.grid["crs"], self.grid["transform"]
        if not crs:
            return None
        height, width = math.hypot(grid.b, grid.e), math.hypot(grid.a, grid.d)
        if crs.is_projected:
            return height * crs.linear_units_factor[1], width * crs.linear_units_factor[1]
        edges = [(column, row) for column in (0, self.grid["width"]) for row in (0, self.grid["height"])]
        latitude = min(max(abs(grid.f + grid.d * column + grid.e * row) for column, row in edges), 90.0)
        degree = math.radians(1) * EARTH_M
        return height * degree, width * degree * math.cos(math.radians(latitude))

    def acquired(self, tag: str | None = None) -> str | None:
        """Returns when the first needed band was acquired, as far as its file tells.

        Args:
            tag: Tag that holds it; None: GDAL's `ACQUISITIONDATETIME` of the IMAGERY domain, where it is a date.

        Raises:
            InputError: The tag is not there, or holds no date.
        """
        source, _ = self._source(self.first)
        value = source.tags().get(tag) if tag else source.tags(ns="IMAGERY").get("ACQUISITIONDATETIME")
        try:
            return None if value is None and not tag else iso_date(TIFF_DATE.sub(r"\1-\2-\3", str(value).strip()))
        except ValueError as error:
            if tag:
                raise InputError(f"tag {tag} of {source.name} holds {value!r}, no date; give acquired_at") from error
            logger.warning("%s says that it was acquired at %r, which is no date: left out", source.name, value)
            return None

    def read(self, name: str, row: int, column: int, size: int) -> np.ndarray:
        """Returns `(size, size)` values of a band, in its own type and unit.

        Raises:
            OSError: The file is damaged there.
        """
        layer, number = self._layer(name)
        return layer.read(number, window=_window(row, column, size))

    def valid(self, names: Collection[str], row: int, column: int, size: int) -> np.ndarray:
        """Returns bool `(size, size)`: whether all these bands have data; of a band of codes, whether it is there."""
        window = _window(row, column, size)
        valid = np.ones((size, size), bool)
        for name in names:
            layer, number = self._layer(name)
            if name in self.codes:
                if layer is not self._source(name)[0]:  # resampled: the alpha band tells
                    valid &= layer.read_masks(number, window=window) > 0
                continue
            values = layer.read(number, window=window)
            valid &= (layer.read_masks(number, window=window) > 0) & np.isfinite(values)
            if self.nodata is not None:
                valid &= values != self.nodata
        return valid

    def footprint(self, row: int, column: int, size: int) -> list[float] | None:
        """Returns the box around a tile: west, south, east, north in WGS 84 degrees; None without a reference."""
        if not self.grid["crs"]:
            return None
        from rasterio.warp import transform_bounds

        grid = self.grid["transform"]
        corners = [(x, y) for x in (column, column + size) for y in (row, row + size)]
        x = [grid.a * right + grid.b * down + grid.c for right, down in corners]
        y = [grid.d * right + grid.e * down + grid.f for right, down in corners]
        box = transform_bounds(self.grid["crs"], WGS84, min(x), min(y), max(x), max(y))
        return [round(degrees, 6) for degrees in box]


def _window(row: int, column: int, size: int) -> "Window":
    from rasterio.windows import Window

    return Window(column, row, size, size)
