"""How a raster's pixels are stored -> north-up, by exact flips and quarter turns; the rotated is refused by name."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fusionrs_hf.errors import InputError

if TYPE_CHECKING:
    from affine import Affine
    from rasterio import DatasetReader
    from rasterio.windows import Window

ROUNDING_PX = 1e-6
DRIFT_PX = 0.01  # across the whole raster; less is the rounding of whoever wrote the transform


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a stored image north-up: first it is transposed, then its rows, then its columns are reversed.

    Args:
        transposed: Stored rows run along the y axis.
        rows, columns: Which of them are reversed.
        height, width: Of the north-up image, in pixels.
        transform: From pixels of the north-up image to coordinates.
    """

    transposed: bool
    rows: bool
    columns: bool
    height: int
    width: int
    transform: "Affine"

    @property
    def is_stored(self) -> bool:
        """Whether the image is stored north-up."""
        return not (self.transposed or self.rows or self.columns)

    def window(self, row: int, column: int, height: int, width: int) -> "Window":
        """Returns the stored window that holds a window of the north-up image."""
        from rasterio.windows import Window

        row = self.height - row - height if self.rows else row
        column = self.width - column - width if self.columns else column
        return Window(row, column, height, width) if self.transposed else Window(column, row, width, height)

    def upright(self, stored: np.ndarray) -> np.ndarray:
        """Returns what was read of a stored window as it lies in the north-up image, `(height, width)`."""
        image = stored.T if self.transposed else stored
        image = image[::-1] if self.rows else image
        return image[:, ::-1] if self.columns else image


def is_placed(source: "DatasetReader") -> bool:
    """Whether a raster says where its pixels lie; rasterio gives the identity where a file has no transform."""
    return not source.transform.is_identity


def check_overlap(source: "DatasetReader", first: "DatasetReader") -> None:
    """Raises InputError where a file of a scene cannot be laid on the grid of the first: unplaced, or of elsewhere."""
    from rasterio._err import CPLE_BaseError  # what GDAL reports, which rasterio has no public name for
    from rasterio.warp import transform_bounds

    for file, other in ((source, first), (first, source)):
        if not is_placed(file) or bool(other.crs) > bool(file.crs):
            raise InputError(
                f"{file.name} ({file.width} x {file.height} px) has no reference by which it and {other.name} "
                f"({other.width} x {other.height} px) could be laid on one another; give it one, such as by "
                "gdal_edit.py -a_srs EPSG:CODE -a_ullr LEFT TOP RIGHT BOTTOM"
            )
    one, two = (first, source) if source.crs and source.crs.is_projected else (source, first)
    box, there = _bounds(one), _bounds(two)
    try:
        box = transform_bounds(one.crs, two.crs, *box) if one.crs else box
    except CPLE_BaseError:
        return  # of no place: reading says so
    turns = (-360, 0, 360) if two.crs and two.crs.is_geographic else (0,)
    if all(map(math.isfinite, box)) and not any(_meet(box, there, turn) for turn in turns):
        raise InputError(
            f"{source.name} shows another place than {first.name}: in the map of {two.name} the edges are at "
            f"{_shown(box)} and {_shown(there)} (left, bottom, right, top); give bands of one place"
        )


def _bounds(file: "DatasetReader") -> tuple[float, float, float, float]:
    """Returns left, bottom, right and top, whatever way the file is stored."""
    west, south, east, north = file.bounds
    return min(west, east), min(south, north), max(west, east), max(south, north)


def _meet(one: Sequence[float], other: Sequence[float], turn: float) -> bool:
    across = max(one[0] + turn, other[0]) < min(one[2] + turn, other[2])
    return across and max(one[1], other[1]) < min(one[3], other[3])


def _shown(box: Sequence[float]) -> str:
    return f"[{', '.join(f'{edge:g}' for edge in box)}]"


def orientation(source: "DatasetReader") -> Orientation:
    """Returns what makes a raster north-up; one without a transform stays as it is.

    Raises:
        InputError: Its rows run neither along an axis nor across it (rotated or sheared), or it has no grid at all
            but control points or a camera model.
    """
    from affine import Affine

    grid, height, width = source.transform, source.height, source.width
    if not is_placed(source):
        if kind := _other_placement(source):
            raise InputError(
                f"{source.name} is placed by {kind}, not by a grid, so that nobody knows its north; warp it north-up "
                "first, such as by gdalwarp IN.tif OUT.tif"
            )
        return Orientation(False, False, False, height, width, grid)
    along, across = _drift(grid, width, height), _drift(grid @ Affine(0, 1, 0, 1, 0, 0), height, width)
    if min(along, across) > DRIFT_PX:
        turn = math.degrees(math.atan2(grid.d, grid.a))
        raise InputError(
            f"{source.name} is rotated by {turn:.4g} degrees or sheared (transform {tuple(grid)[:6]}); tiles are cut "
            "from north-up grids and their quarter turns: warp it north-up first, such as by gdalwarp IN.tif OUT.tif"
        )
    transposed = across < along
    if transposed:
        grid, height, width = grid @ Affine(0, 1, 0, 1, 0, 0), width, height
    rows, columns = grid.e > 0, grid.a < 0
    if rows:
        grid = grid @ Affine(1, 0, 0, 0, -1, height)
    if columns:
        grid = grid @ Affine(-1, 0, width, 0, 1, 0)
    return Orientation(transposed, rows, columns, height, width, grid)


def _drift(grid: "Affine", width: int, height: int) -> float:
    """Returns by how many pixels rows and columns leave their axes from one edge to the other."""
    if not grid.a or not grid.e:
        return math.inf
    return max(abs(grid.d / grid.e) * width, abs(grid.b / grid.a) * height)


def _other_placement(source: "DatasetReader") -> str | None:
    if source.gcps[0]:
        return "ground control points"
    return "a camera model (RPC)" if source.rpcs else None


def same_grid(grid: "Affine", other: "Affine", width: int, height: int) -> bool:
    """Whether two transforms put the corners of a raster at the same places, up to rounding of a flip."""
    corners = [(0, 0), (width, height)]
    pixel = max(abs(grid.a), abs(grid.e))
    return all(math.dist(grid @ corner, other @ corner) < ROUNDING_PX * pixel for corner in corners)
