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
from dataset_builder.sources.geography import degrees_box, grid_north, ground_scale
from dataset_builder.sources.layers import AlignedLayer, Layer, MendedLayer, Signals, WarpedLayer
from dataset_builder.sources.orientation import Orientation, check_overlap, orientation, same_grid
from fusionrs_hf.errors import InputError, shown

if TYPE_CHECKING:
    from rasterio import DatasetReader

logger = logging.getLogger(__name__)

CACHE_MB = 256  # of GDAL; its own default is a share of the machine's memory
CAGE = {"GDAL_VRT_ENABLE_PYTHON": "NO", "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none"}  # no code, no network
FAR_DEGREES = 22.5  # half of the step between the names of directions
CORNERS = ((0.5, 0.5), (0, 0), (1, 0), (0, 1), (1, 1))  # the middle and the corners, in shares of the sides
EARTH_M = 6_371_008.8  # mean radius
TIFF_DATE = re.compile(r"^(\d{4}):(\d\d):(\d\d)")


class Raster:
    """Context manager over the files of a scene. A band is opened when first read; another grid is resampled.

    Rows and columns are those of the north-up grid, whatever way the files are stored: see `orientation`.

    Args:
        path: A multi-band GeoTIFF, or a folder with a file per band.
        bands: Band number in the GeoTIFF (from 1) or file name in the folder, by name; empty: the GeoTIFF's own
            descriptions, or its numbers.
        needed: Bands that must be there; the first gives the grid.
        codes: Bands of codes or bits, resampled to the nearest pixel; all others bilinearly.
        nodata: Value that means no data, beside what the files say.
        formats: Drivers that may open a file, of `raster_files.SIGNATURES`.

    Raises:
        InputError: rasterio is missing, a file cannot be opened, a needed band is not there, or the grid is rotated.
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
            self.placed = orientation(first)
            self.grid = {"crs": first.crs} | {
                key: getattr(self.placed, key) for key in ("transform", "width", "height")
            }
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

    def _layer(self, name: str) -> Layer:
        if name not in self.layers:
            source, number = self._source(name)
            signals = Signals(source, number, None if name in self.codes else self.nodata)
            placed = self._aligned(source)
            if placed is not None:
                self.layers[name] = AlignedLayer(signals, placed)
                return self.layers[name]
            check_overlap(source, self._source(self.first)[0])
            if name not in self.codes and signals.need_mending:
                self.layers[name] = MendedLayer(signals, self.grid)
            else:
                self.layers[name] = WarpedLayer(signals, self.grid, name in self.codes)
                self.stack.enter_context(self.layers[name].file)
        return self.layers[name]

    def _aligned(self, source: "DatasetReader") -> Orientation | None:
        """Returns what puts a file's pixels on the grid; None where that takes resampling."""
        try:
            placed = orientation(source)
        except InputError:
            return None  # rotated, beside a grid that is not
        if (source.crs, placed.width, placed.height) != tuple(self.grid[key] for key in ("crs", "width", "height")):
            return None
        if placed.transform == self.grid["transform"]:
            return placed
        stored = placed.is_stored and self.placed.is_stored  # a flip rounds, nothing else does
        return (
            None
            if stored or not same_grid(placed.transform, self.grid["transform"], placed.width, placed.height)
            else placed
        )

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
        """Width of a pixel on the ground, in metres, in the scene's middle; None in degrees or without a reference."""
        crs = self.grid["crs"]
        return self._projected_m(CORNERS[:1])[1] if crs and crs.is_projected else None

    @property
    def pixel_m(self) -> tuple[float, float] | None:
        """Height and width of a pixel on the ground, in metres, where it is smallest; None without a reference.

        In degrees, on a sphere and where the scene is nearest to a pole: at no place is a pixel narrower.
        """
        crs, grid = self.grid["crs"], self.grid["transform"]
        if not crs:
            return None
        if crs.is_projected:
            return self._projected_m(CORNERS)
        height, width = math.hypot(grid.b, grid.e), math.hypot(grid.a, grid.d)
        edges = [(column, row) for column in (0, self.grid["width"]) for row in (0, self.grid["height"])]
        latitude = min(max(abs(grid.f + grid.d * column + grid.e * row) for column, row in edges), 90.0)
        degree = math.radians(1) * EARTH_M
        return height * degree, width * degree * math.cos(math.radians(latitude))

    def _projected_m(self, places: Collection[tuple[float, float]]) -> tuple[float, float]:
        """Returns a pixel's height and width on the ground, the least of some places: shares of width and height."""
        crs, grid = self.grid["crs"], self.grid["transform"]
        height, width = math.hypot(grid.b, grid.e), math.hypot(grid.a, grid.d)
        scales = []
        for across, down in places:
            x, y = grid @ (across * self.grid["width"], down * self.grid["height"])
            scales.append(ground_scale(crs, x, y, max(height, width)))
        unit = crs.linear_units_factor[1]
        return height * unit * min(up for up, _ in scales), width * unit * min(across for _, across in scales)

    def tell_north(self) -> None:
        """Says in the log how the grid was turned, and where its north is far from the true one (near a pole)."""
        if not self.placed.is_stored:
            logger.info("%s is not stored north-up; rows and columns count from its north-west corner", self.path)
        if self.grid["crs"]:
            places = [(across * self.grid["width"], down * self.grid["height"]) for across, down in CORNERS]
            turns = [grid_north(self.grid["crs"], *(self.grid["transform"] @ place)) for place in places]
            turn = next((turn for turn in turns if turn is not None), 0)  # the middle's; a pole has none
            if abs(turn) > FAR_DEGREES:
                logger.warning(
                    "%s: up in this map is %.0f degrees off true north, so that captions say north of what is not; "
                    "warp it to a map of its place, such as UTM",
                    *(self.path, turn),
                )

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
                raise InputError(
                    f"tag {tag} of {source.name} holds {shown(value)}, no date; give acquired_at"
                ) from error
            logger.warning("%s says that it was acquired at %r, which is no date: left out", source.name, value)
            return None

    def read(self, name: str, row: int, column: int, size: int) -> np.ndarray:
        """Returns `(size, size)` values of a band, in its own type and unit.

        Raises:
            OSError: The file is damaged there.
        """
        return self._layer(name).read(row, column, size)

    def valid(self, names: Collection[str], row: int, column: int, size: int) -> np.ndarray:
        """Returns bool `(size, size)`: whether all these bands have data; of a band of codes, whether it is there."""
        valid = np.ones((size, size), bool)
        for name in names:
            layer = self._layer(name)
            if not (name in self.codes and isinstance(layer, AlignedLayer)):
                valid &= layer.valid(row, column, size)
        return valid

    def scaling(self, name: str) -> tuple[float, float]:
        """Returns scale and offset that a band's file declares: a value times scale, plus offset, is the quantity."""
        source, number = self._source(name)
        return source.scales[number - 1], source.offsets[number - 1]

    def footprint(self, row: int, column: int, size: int) -> list[float] | None:
        """Returns the box around a tile: west, south, east, north in WGS 84 degrees; None without a reference."""
        if not self.grid["crs"]:
            return None
        grid = self.grid["transform"]
        left, top = grid.a * column + grid.c, grid.e * row + grid.f
        return degrees_box(self.grid["crs"], left, top + grid.e * size, left + grid.a * size, top)
