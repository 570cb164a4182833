"""Boxes in degrees, anywhere on the globe; expected edges by hand, or from projections' own definitions."""

import math

import pytest
from rasterio.crs import CRS

from dataset_builder.search.results import footprint
from dataset_builder.sources.geography import degrees_box, grid_north, ground_scale

RADIUS = 6_378_137.0  # of Web Mercator's sphere


@pytest.mark.parametrize(
    ("left", "right", "west", "east"),
    [
        (170, 175, 170, 175),
        (175, 185, 175, -175),
        (175, 180, 175, 180),
        (180, 190, -180, -170),
        (190, 200, -170, -160),
        (350, 370, -10, 10),
        (-190, -170, 170, -170),
        (-200, -190, 160, 170),
        (-180, 180, -180, 180),
        (0, 360, -180, 180),
        (-10, 350, -180, 180),
    ],
)
def test_longitudes_are_counted_from_minus_180(left, right, west, east):
    assert degrees_box(CRS.from_epsg(4326), left, 10, right, 20) == pytest.approx([west, 10, east, 20], abs=1e-6)


@pytest.mark.parametrize(("left", "right"), [(175, 185), (190, 200)])
def test_another_datum_is_no_other_place(left, right):
    box = degrees_box(CRS.from_epsg(4269), left, 10, right, 20)  # NAD 83 lies within two metres
    assert box == pytest.approx(degrees_box(CRS.from_epsg(4326), left, 10, right, 20), abs=1e-4)


def test_a_map_across_the_180th_meridian():
    """Pacific Mercator (3832) is centred on 150 degrees east: x is R times the angle from there."""
    left, right = (RADIUS * math.radians(angle) for angle in (28, 33))
    box = degrees_box(CRS.from_epsg(3832), left, 0, right, 100_000)
    assert (box[0], box[2]) == (pytest.approx(178, abs=1e-6), pytest.approx(-177, abs=1e-6))


@pytest.mark.parametrize(("epsg", "south", "north"), [(3413, None, 90.0), (3995, None, 90.0), (3031, -90.0, None)])
def test_a_box_with_a_pole_in_it_reaches_around_the_globe(epsg, south, north):
    box = degrees_box(CRS.from_epsg(epsg), -50_000, -50_000, 50_000, 50_000)
    assert (box[0], box[2]) == (-180, 180)
    assert box[1] == south if south else box[3] == north
    rim = 90 - math.degrees(math.hypot(50_000, 50_000) / 6_370_000)  # the corners, to a per cent
    assert min(abs(box[1]), abs(box[3])) == pytest.approx(rim, abs=0.03)


@pytest.mark.parametrize(
    ("box", "west", "east"),
    [  # south polar, up along the meridian of Greenwich: y is north of it, x along 90 degrees east
        ((0, 0, 1, 1), 0, 90),
        ((0, -1, 1, 0), 90, 180),
        ((-1, -1, 0, 0), -180, -90),
        ((-1, 0, 0, 1), -90, 0),
        ((0, -1, 1, 1), 0, 180),
        ((-1, -1, 0, 1), -180, 0),
        ((-1, 0, 1, 1), -90, 90),
    ],
)
@pytest.mark.parametrize("epsg", [3031, 3995])
def test_a_box_with_a_pole_at_its_edge_reaches_around_what_it_shows(epsg, box, west, east):
    left, bottom, right, top = (64_000 * edge for edge in box)
    if epsg == 3995:  # north polar: y is south of Greenwich's meridian
        bottom, top = -top, -bottom
    found = degrees_box(CRS.from_epsg(epsg), left, bottom, right, top)
    assert (found[0], found[2]) == pytest.approx((west, east), abs=1e-5)
    assert -found[1] if epsg == 3031 else found[3] == 90
    rim = math.degrees(math.hypot(64_000, 64_000) / 6_370_000)
    assert 90 - min(abs(found[1]), abs(found[3])) == pytest.approx(rim, abs=0.03)


@pytest.mark.parametrize("latitude", [0, 45, -60])
def test_a_map_that_stretches_the_ground_is_measured_and_one_made_for_a_place_is_taken_as_it_is(latitude):
    """Web Mercator stretches by the secant of the latitude on a sphere; here by the ellipsoid's radii there."""
    y = RADIUS * math.asinh(math.tan(math.radians(latitude)))
    up, across = ground_scale(CRS.from_epsg(3857), 1_000_000, y, 10)
    curved = 1 - 0.00669438 * math.sin(math.radians(latitude)) ** 2
    cosine = math.cos(math.radians(latitude))
    if latitude:
        assert (up, across) == pytest.approx((cosine * (1 - 0.00669438) / curved**1.5, cosine / curved**0.5), rel=1e-6)
        assert across == pytest.approx(cosine, rel=3e-3)
    else:
        assert (up, across) == (1, 1)
    zone = CRS.from_epsg(32733 if latitude < 0 else 32633)
    assert ground_scale(zone, 300_000, 5_000_000, 10) == (1, 1)
    assert ground_scale(CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]'), 0, 0, 1) == (1, 1)


@pytest.mark.parametrize(("epsg", "zone"), [(32601, 1), (32660, 60), (32701, 1)])
def test_utm_zones_at_the_180th_meridian(epsg, zone):
    """100 km across the zone's outer edge at the equator: .9 degrees, half of it on each side."""
    edge = math.radians(3) * 6_378_137 * 0.9996 * 1.00046  # metres from the middle meridian, to some 20 m
    outer = 500_000 - edge if zone == 1 else 500_000 + edge
    low = 10_000_000 - 1000 if epsg > 32700 else 0
    box = degrees_box(CRS.from_epsg(epsg), outer - 50_000, low, outer + 50_000, low + 1000)
    assert (box[0], box[2]) == (pytest.approx(179.55, abs=0.01), pytest.approx(-179.55, abs=0.01))
    shape = footprint(box)
    assert shape["type"] == "MultiPolygon"
    longitudes = [[point[0] for point in ring] for (ring,) in shape["coordinates"]]
    assert [(min(ring), max(ring)) for ring in longitudes] == [(box[0], 180), (-180, box[2])]


def test_a_map_of_no_place_has_no_box():
    site = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    assert degrees_box(site, 0, 0, 10, 10) is None and grid_north(site, 0, 0) is None


def test_a_maps_up_is_turned_from_north_as_its_meridians_say():
    assert grid_north(CRS.from_epsg(32618), 500_000, 4_000_000) == pytest.approx(0, abs=1e-6)  # its middle meridian
    assert grid_north(CRS.from_epsg(4326), 10, 50) == pytest.approx(0, abs=1e-6)
    # North polar, straight up along 45 W: at 45 E (x > 0, y = 0) the pole lies to the left.
    assert grid_north(CRS.from_epsg(3413), 1_000_000, 0) == pytest.approx(90, abs=1e-3)
    assert abs(grid_north(CRS.from_epsg(3413), 0, 1_000_000)) == pytest.approx(180, abs=1e-3)
    assert grid_north(CRS.from_epsg(3413), 0, 0) is None
