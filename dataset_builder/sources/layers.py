"""A band of a scene on the scene's north-up grid: stored there already, flipped, or resampled without what is no data.

What says that a pixel has no data adds up: the file's nodata value, its mask, any alpha band of it, the recipe's
nodata, and values that are not finite.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dataset_builder.sources.orientation import Orientation

if TYPE_CHECKING:
    from rasterio import DatasetReader
    from rasterio.windows import Window

MARGIN_PX = 2  # beside what bilinear interpolation reaches for


class Layer(Protocol):
    """One band, read by square windows of the scene's grid."""

    def read(self, row: int, column: int, size: int) -> np.ndarray:
        """Returns `(size, size)` values in the band's own type and unit; raises OSError where the file is damaged."""
        ...

    def valid(self, row: int, column: int, size: int) -> np.ndarray:
        """Returns bool `(size, size)`: where there are data."""
        ...


class Signals:
    """What says of a file's band where there are no data.

    Args:
        source: The file.
        number: Of the band, from 1.
        nodata: Of the recipe; None: it says nothing.
    """

    def __init__(self, source: "DatasetReader", number: int, nodata: float | None) -> None:
        from rasterio.enums import ColorInterp, MaskFlags

        self.source, self.number = source, number
        flags = source.mask_flag_enums[number - 1]
        self.has_mask = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        self.alphas = [
            band for band, kind in enumerate(source.colorinterp, 1) if kind == ColorInterp.alpha and band != number
        ]
        values = [value for value in (source.nodatavals[number - 1], nodata) if value is not None]
        self.values = [value for index, value in enumerate(values) if value not in values[:index]]

    @property
    def need_mending(self) -> bool:
        """Whether GDAL cannot leave all that is ruled out by itself.

        It heeds one signal and no alpha band, and writes an alpha band of its own, where one is needed to tell what is
        covered, in the band's type: one that has room for it.
        """
        kind = np.dtype(self.source.dtypes[self.number - 1]).kind
        by_value = bool(self.values) or kind == "f"  # not a number is a value, too
        alpha_tells = self.has_mask or not by_value
        return bool(self.alphas) or len(self.values) + self.has_mask > 1 or alpha_tells and kind != "u"

    def valid(self, window: "Window", values: np.ndarray) -> np.ndarray:
        """Returns where a stored window has data, bool; `values`: what the band holds there."""
        valid = (self.source.read_masks(self.number, window=window) > 0) & np.isfinite(values)
        for value in self.values:
            valid &= values != value
        for band in self.alphas:
            valid &= self.source.read(band, window=window) > 0
        return valid


class AlignedLayer:
    """A band whose pixels are those of the grid, up to flips and a quarter turn."""

    def __init__(self, signals: Signals, placed: Orientation) -> None:
        self.signals, self.placed = signals, placed

    def read(self, row: int, column: int, size: int) -> np.ndarray:
        """See `Layer`."""
        window = self.placed.window(row, column, size, size)
        return self.placed.upright(self.signals.source.read(self.signals.number, window=window))

    def valid(self, row: int, column: int, size: int) -> np.ndarray:
        """See `Layer`."""
        window = self.placed.window(row, column, size, size)
        stored = self.signals.source.read(self.signals.number, window=window)
        return self.placed.upright(self.signals.valid(window, stored))


class WarpedLayer:
    """A band on another grid of which at most one signal speaks: GDAL leaves that out of what it interpolates.

    Args:
        signals: Of the band.
        grid: `crs`, `transform`, `width` and `height` to resample to.
        codes: The values are codes: the nearest pixel's, and any of them may mean something.
    """

    def __init__(self, signals: Signals, grid: Mapping[str, Any], codes: bool) -> None:
        from rasterio.enums import Resampling
        from rasterio.vrt import WarpedVRT

        nodata = signals.values[0] if signals.values else None
        if nodata is None and np.dtype(signals.source.dtypes[signals.number - 1]).kind == "f":
            nodata = math.nan
        outside = {"src_nodata": nodata, "nodata": nodata}
        if nodata is None or codes or signals.has_mask:  # what is not covered is told by the alpha band
            outside = {"src_nodata": None, "nodata": None, "add_alpha": True}
        how = Resampling.nearest if codes else Resampling.bilinear
        self.number, self.nodata, self.codes = signals.number, nodata, codes
        self.file: WarpedVRT = WarpedVRT(signals.source, resampling=how, **grid, **outside)

    def read(self, row: int, column: int, size: int) -> np.ndarray:
        """See `Layer`."""
        return self.file.read(self.number, window=_window(row, column, size))

    def valid(self, row: int, column: int, size: int) -> np.ndarray:
        """See `Layer`."""
        window = _window(row, column, size)
        valid = self.file.read_masks(self.number, window=window) > 0
        if self.codes:
            return valid
        values = self.file.read(self.number, window=window)
        valid &= np.isfinite(values)
        return valid if self.nodata is None else valid & (values != self.nodata)


class MendedLayer:
    """A band on another grid of which several signals speak: what any of them rules out takes no part.

    Args:
        signals: Of the band.
        grid: As of `WarpedLayer`.
    """

    def __init__(self, signals: Signals, grid: Mapping[str, Any]) -> None:
        self.signals, self.grid = signals, grid
        self.last = None, None  # a tile is read for its values and for where it has data
        self.dtype = np.dtype(signals.source.dtypes[signals.number - 1])

    def read(self, row: int, column: int, size: int) -> np.ndarray:
        """See `Layer`; what has no data holds the first nodata value, or 0."""
        values = self._values(row, column, size).copy()
        missing = np.isnan(values)
        if self.dtype.kind in "iu":
            range_of = np.iinfo(self.dtype)
            values = np.clip(np.floor(values + 0.5), range_of.min, range_of.max)  # as GDAL rounds
        values[missing] = self.signals.values[0] if self.signals.values else 0
        return values.astype(self.dtype)

    def valid(self, row: int, column: int, size: int) -> np.ndarray:
        """See `Layer`."""
        return np.isfinite(self._values(row, column, size))

    def _values(self, row: int, column: int, size: int) -> np.ndarray:
        """Returns float64 `(size, size)`, NaN where there are no data."""
        if self.last[0] != (row, column, size):
            self.last = (row, column, size), self._interpolated(row, column, size)
        return self.last[1]

    def _interpolated(self, row: int, column: int, size: int) -> np.ndarray:
        from affine import Affine
        from rasterio.warp import Resampling, reproject

        place = self.grid["transform"] @ Affine.translation(column, row)
        values = np.full((size, size), np.nan)
        window = self._reach(place, size)
        if window is None:
            return values
        source = self.signals.source
        stored = source.read(self.signals.number, window=window)
        data = np.where(self.signals.valid(window, stored), stored.astype(np.float64), np.nan)
        reproject(
            data,
            values,
            src_transform=source.window_transform(window),
            src_crs=source.crs,
            src_nodata=np.nan,
            dst_transform=place,
            dst_crs=self.grid["crs"],
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
        return values

    def _reach(self, place: Any, size: int) -> "Window | None":
        """Returns the stored window that a tile is interpolated from; None where it has none."""
        from rasterio.warp import transform
        from rasterio.windows import Window

        source = self.signals.source
        steps = np.linspace(0, size, 2 * min(size, 32) + 1)
        columns, rows = (part.ravel() for part in np.meshgrid(steps, steps))
        x, y = place.a * columns + place.b * rows + place.c, place.d * columns + place.e * rows + place.f
        if source.crs and self.grid["crs"] and source.crs != self.grid["crs"]:
            x, y = (np.asarray(axis) for axis in transform(self.grid["crs"], source.crs, x, y))
        back = ~source.transform
        across, down = back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f
        known = np.isfinite(across) & np.isfinite(down)
        if not known.any():
            return None
        edges = []
        for places, end in ((across[known], source.width), (down[known], source.height)):
            margin = MARGIN_PX + math.ceil(
                2 * np.ptp(places) / size
            )  # where the file is finer, its pixels are averaged
            low, high = max(0, math.floor(places.min()) - margin), min(end, math.ceil(places.max()) + margin)
            if low >= high:
                return None
            edges.append((low, high - low))
        (left, width), (top, height) = edges
        return Window(left, top, width, height)


def _window(row: int, column: int, size: int) -> "Window":
    from rasterio.windows import Window

    return Window(column, row, size, size)
