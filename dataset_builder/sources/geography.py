"""Boxes on a map -> boxes in degrees, anywhere on the globe: across the 180th meridian and around the poles."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rasterio.crs import CRS

WGS84 = "EPSG:4326"
STEP = 1e-4  # degrees, about ten metres
POLE_INSET = 1e-9  # of a box's longer side
EQUATOR_M, ECCENTRICITY_2 = 6_378_137.0, 0.00669437999  # of WGS 84: equatorial radius, squared eccentricity
TRUE_TO_SCALE = 0.01


def degrees_box(crs: "CRS", left: float, bottom: float, right: float, top: float) -> list[float] | None:
    """Returns the box around a box of a map: west, south, east, north in WGS 84 degrees; None where it has no place.

    West is in [-180, 180); east below west says that the box crosses the 180th meridian. A box with a pole in it
    reaches around the globe.
    """
    from rasterio._err import CPLE_BaseError  # what GDAL reports, which rasterio has no public name for
    from rasterio.warp import transform_bounds

    try:
        if not crs.is_geographic:
            edges = [transform_bounds(crs, WGS84, *_beside_poles(crs, left, bottom, right, top))]
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


def _beside_poles(crs: "CRS", *box: float) -> list[float]:
    """Returns left, bottom, right and top with edges that run through a pole moved off it: it has no longitude."""
    from rasterio.warp import transform

    left, bottom, right, top = box
    inset = POLE_INSET * max(right - left, top - bottom)
    for x, y in zip(*transform(WGS84, crs, [0, 0], [90, -90])):
        if left - inset <= x <= right + inset and bottom - inset <= y <= top + inset:  # never of infinity
            left, right = (
                edge + side if abs(edge - x) < inset else edge for edge, side in ((left, inset), (right, -inset))
            )
            bottom, top = (
                edge + side if abs(edge - y) < inset else edge for edge, side in ((bottom, inset), (top, -inset))
            )
    return [left, bottom, right, top]


def ground_scale(crs: "CRS", x: float, y: float, step: float) -> tuple[float, float]:
    """Returns how many metres on the ground a metre of a map is at a place, upwards and across; 1 where nobody knows.

    Within a hundredth it is 1: maps made for a place are that true, and their pixels keep their round numbers.

    Args:
        crs: Projected.
        x, y: Of the place.
        step: In the map's unit; what is measured lies so far on either side.
    """
    from rasterio._err import CPLE_BaseError  # what GDAL reports, which rasterio has no public name for
    from rasterio.warp import transform

    try:
        longitudes, latitudes = transform(crs, WGS84, [x, x, x - step, x + step], [y - step, y + step, y, y])
    except CPLE_BaseError:
        return 1.0, 1.0
    unit, scales = crs.linear_units_factor[1], []
    for first in (0, 2):
        ends = [(longitudes[end], latitudes[end]) for end in (first, first + 1)]
        scale = _ground_metres(*ends) / (2 * step * unit)
        scales.append(scale if math.isfinite(scale) and abs(scale - 1) > TRUE_TO_SCALE else 1.0)
    return scales[0], scales[1]


def _ground_metres(start: tuple[float, float], end: tuple[float, float]) -> float:
    """Returns the length of a short line on the ellipsoid of WGS 84 between two places in degrees."""
    middle = math.radians((start[1] + end[1]) / 2)
    curved = 1 - ECCENTRICITY_2 * math.sin(middle) ** 2
    north = math.radians(end[1] - start[1]) * EQUATOR_M * (1 - ECCENTRICITY_2) / curved**1.5
    east = math.radians((end[0] - start[0] + 180) % 360 - 180) * EQUATOR_M / math.sqrt(curved) * math.cos(middle)
    return math.hypot(north, east)


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
