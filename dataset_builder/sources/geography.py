"""Boxes on a map -> boxes in degrees, anywhere on the globe: across the 180th meridian and around the poles."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rasterio.crs import CRS

WGS84 = "EPSG:4326"
STEP = 1e-4  # degrees, about ten metres


def degrees_box(crs: "CRS", left: float, bottom: float, right: float, top: float) -> list[float] | None:
    """Returns the box around a box of a map: west, south, east, north in WGS 84 degrees; None where it has no place.

    West is in [-180, 180); east below west says that the box crosses the 180th meridian. A box with a pole in it
    reaches around the globe.
    """
    from rasterio._err import CPLE_BaseError  # what GDAL reports, which rasterio has no public name for
    from rasterio.warp import transform_bounds

    try:
        if not crs.is_geographic:
            edges = [transform_bounds(crs, WGS84, left, bottom, right, top)]
        else:
            circle = 2 * math.pi / crs.units_factor[1]  # once around, in the map's unit: 360 of degrees
            if right - left >= circle * (1 - 1e-9):
                left, right = -circle / 2, circle / 2
            shift = circle * math.floor((left + circle / 2) / circle)
            left, right = left - shift, right - shift
            ends = (
                [(left, right)]
                if right <= circle / 2 * (1 + 1e-12)
                else [(left, circle / 2), (-circle / 2, right - circle)]
            )
            edges = [transform_bounds(crs, WGS84, west, bottom, east, top) for west, east in ends]
    except CPLE_BaseError:  # of a building site or another planet
        return None
    box = [edges[0][0], min(edge[1] for edge in edges), edges[-1][2], max(edge[3] for edge in edges)]
    if not all(map(math.isfinite, box)):
        return None
    box = [round(degrees, 6) for degrees in box]
    if box[0] == 180.0 and box[2] != 180.0:
        box[0] = -180.0
    return box


def grid_north(crs: "CRS", x: float, y: float) -> float | None:
    """Returns the degrees, clockwise, from true north to the map's up at a place; None where it has none."""
    from rasterio._err import CPLE_BaseError  # what GDAL reports, which rasterio has no public name for
    from rasterio.warp import transform

    try:
        (longitude,), (latitude,) = transform(crs, WGS84, [x], [y])
        if not math.isfinite(longitude) or abs(latitude) > 89.999:
            return None
        (x0, x1), (y0, y1) = transform(WGS84, crs, [longitude] * 2, [latitude - STEP, latitude + STEP])
    except CPLE_BaseError:
        return None
    return -math.degrees(math.atan2(x1 - x0, y1 - y0)) if all(map(math.isfinite, (x0, x1, y0, y1))) else None
