"""GeoTIFF and JPEG 2000, described or not, a folder with a file per band, and folders of scenes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset_builder.inspecting.bands import COLOURS, band_numbers, roles
from dataset_builder.inspecting.found import NOT_STATED, Found, quantiles
from dataset_builder.sources.formats.raster_files import USUAL, driver_of, open_raster
from dataset_builder.sources.raster import Raster
from dataset_builder.sources.scene_grid import Grid
from fusionrs_hf.errors import InputError

if TYPE_CHECKING:
    from rasterio import DatasetReader

TILES = (256, 128, 64, 32)
HELD_OUT = 5  # tiles that each held-out split of a grid should have: of fewer, scores tell nothing
SAMPLED = 4  # parts along each axis that values are read of
PART = 128  # pixels
SUFFIXES = (".tif", ".tiff", ".jp2", ".j2k")


def is_raster(path: Path) -> bool:
    """Whether a file is a raster of a kind that scenes are read from."""
    return path.is_file() and path.suffix.lower() in SUFFIXES and driver_of(path) in USUAL


def inspect_raster(path: Path) -> Found:
    """Returns what a multi-band file is; raises InputError for one without three bands to show as RGB."""
    with open_raster(path, path.parent) as source:
        numbers, how = band_numbers(source)
        facts = [*_file_facts(source), f"bands are {how}: " + ", ".join(f"{n} {role}" for role, n in numbers.items())]
        spec = _spec(path, numbers, [source.dtypes[number - 1] for number in numbers.values()])
    return _found(path, f"{path.name}: one raster, cut into tiles", facts, spec)


def inspect_band_folder(path: Path, files: Sequence[Path]) -> Found | None:
    """Returns what a folder with a file per band is; None where the names do not tell three colours.

    Args:
        path: The folder.
        files: Its rasters.
    """
    told = roles([file.stem for file in files])
    if not told:
        return None
    bands, facts, types = {}, [], []
    for file in files:
        with open_raster(file, path) as source:
            facts += [line for line in _file_facts(source) if line.startswith(("band", file.name))]
            if file.stem in told and source.count == 1:
                bands[told[file.stem]] = file.name
                types.append(source.dtypes[0])
    if not set(COLOURS) <= set(bands):
        return None
    facts.append("bands by file name: " + ", ".join(f"{role} {name}" for role, name in bands.items()))
    return _found(path, f"{path.name}: a folder with a file per band", facts, _spec(path, bands, types))


def inspect_scenes(path: Path, files: Sequence[Path]) -> Found:
    """Returns what a folder of multi-band rasters is: many scenes by one entry."""
    one = inspect_raster(files[0])
    suffix = files[0].suffix
    spec = dict(one.source) | {"path": str(path / f"*{suffix}")}
    facts = [f"{len(files)} rasters; of the first, {files[0].name}:", *one.facts]
    return Found(
        f"{path.name}: many scenes, one entry by a pattern",
        facts,
        spec,
        one.infrared,
        False,
        True,
        one.prescribed,
        one.more,
        one.smallest,
    )


def _spec(path: Path, bands: dict[str, Any], types: Sequence[str]) -> dict[str, Any]:
    infrared = [role for role in bands if role not in COLOURS]
    deep = any(kind != "uint8" for kind in types)
    return {
        "kind": "scene",
        "path": str(path),
        "rights": NOT_STATED,
        "bands": dict(bands),
        "ir": {role: role for role in infrared},
        **({"limits": "auto"} if deep else {}),
    }


def _found(path: Path, title: str, facts: list[str], spec: dict[str, Any]) -> Found:
    bands = spec["bands"]
    with Raster(path, bands, list(bands)) as raster:
        shape = raster.shape
        facts += [f"grid: {shape[1]} x {shape[0]} px north-up, pixel {raster.gsd_m or 'of no known size'} m"]
        box = raster.footprint(0, 0, min(shape))
        facts += [f"footprint from its north-west corner, degrees: {box}" if box else "no reference: no footprint"]
        date = raster.acquired()
        facts += [f"acquired: {date}" if date else "no date in the file: give acquired_at"]
        facts += [f"values of {name}: {quantiles(_values(raster, name))}" for name in bands]
    tile, grid = _cut(shape, path.stem)
    spec |= {"tile_px": tile, **({"grid": {"validation": 0.15, "test": 0.15}} if grid else {})}
    infrared = bool(spec["ir"])
    return Found(title, facts, spec, infrared, False, True, grid, smallest=tile)


def _cut(shape: tuple[int, int], name: str) -> tuple[int, bool]:
    """Returns the side of tiles, and whether a grid of cells has room for each split."""
    sides = [side for side in TILES if side <= min(shape)] or [min(shape)]
    held = {side: _held_out(shape, side, name) for side in sides}
    side = next((side for side in sides if held[side] >= HELD_OUT), max(sides, key=held.get))
    return side, held[side] > 0


def _held_out(shape: tuple[int, int], side: int, name: str) -> int:
    """Returns how many tiles the smaller of a grid's held-out splits has; 0 where the grid has no room."""
    try:
        regions = Grid().regions(shape, side, name)
    except InputError:
        return 0
    tiles = dict.fromkeys(("validation", "test"), 0)
    for region in regions:
        if region.split in tiles:
            tiles[region.split] += math.prod((stop - start) // side for start, stop in (region.rows, region.columns))
    return min(tiles.values())


def _values(raster: Raster, name: str) -> np.ndarray:
    """Returns values with data of parts spread over a band."""
    height, width = raster.shape
    side = min(PART, height, width)
    parts = []
    for row in np.linspace(0, height - side, SAMPLED, dtype=int).tolist():
        for column in np.linspace(0, width - side, SAMPLED, dtype=int).tolist():
            parts.append(raster.read(name, row, column, side)[raster.valid([name], row, column, side)])
    return np.concatenate(parts)


def _file_facts(source: "DatasetReader") -> list[str]:
    facts = [
        f"{Path(source.name).name}: {source.driver}, {source.width} x {source.height} px, {source.crs or 'no crs'}"
    ]
    for number in range(1, source.count + 1):
        scale, offset = source.scales[number - 1], source.offsets[number - 1]
        told = [source.descriptions[number - 1], source.colorinterp[number - 1].name, source.dtypes[number - 1]]
        told += [f"unit {source.units[number - 1]}"] if source.units[number - 1] else []
        told += [f"scale {scale:g} offset {offset:g}"] if (scale, offset) != (1, 0) else []
        told += [f"nodata {source.nodatavals[number - 1]:g}"] if source.nodatavals[number - 1] is not None else []
        facts.append(f"band {number}: " + ", ".join(part for part in told if part))
    return facts


def band_count(path: Path) -> int:
    """Returns the number of bands of a raster."""
    with open_raster(path, path.parent) as source:
        return source.count


def is_scene(path: Path) -> bool:
    """Whether a raster is to be cut into tiles: it lies on a map, or has more than colours and an alpha band."""
    with open_raster(path, path.parent) as source:
        return source.count >= 3 and (source.crs is not None or source.count > 4)
