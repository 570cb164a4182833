"""`fusionrs inspect`: what there is in a file or folder, and a recipe that builds it as it is printed."""

from pathlib import Path

from dataset_builder.inspecting.found import Found
from dataset_builder.inspecting.images import inspect_images
from dataset_builder.inspecting.rasters import (
    SUFFIXES,
    band_count,
    inspect_band_folder,
    inspect_raster,
    inspect_scenes,
    is_raster,
    is_scene,
)
from dataset_builder.inspecting.tables import (
    inspect_dataset,
    inspect_table,
    inspect_tars,
    is_ours,
    is_table,
    is_tar,
    tables_below,
)
from dataset_builder.sources.formats.files import walk
from fusionrs_hf.errors import InputError

KINDS = "a GeoTIFF, a folder of bands, a folder of images, RGB beside infrared, a table, tars, or a dataset"


def inspect_place(place: Path) -> Found:
    """Looks at a file or folder; images are opened by their first bytes, a sample of them, and nothing is written.

    Args:
        place: Of the user.

    Raises:
        InputError: There is nothing there, or nothing that a source reads.
    """
    path = place.absolute()
    if not path.exists():
        raise InputError(f"{place} does not exist; give {KINDS}")
    found = _folder(path) if path.is_dir() else _file(path)
    if found is None:
        raise InputError(f"{place} holds nothing that a source reads; give {KINDS}")
    return found


def _file(path: Path) -> Found | None:
    if is_tar(path.name):
        return inspect_tars(path, ())
    if is_raster(path):
        return inspect_raster(path)
    return inspect_table(path) if is_table(path.name) else None


def _folder(path: Path) -> Found | None:
    shards = sorted((path / "data").glob("*.parquet"))
    if shards and all(map(is_ours, shards)):
        return inspect_dataset(path, shards)
    names = list(walk(path))
    rasters = [path / name for name in names if "/" not in name and name.lower().endswith(SUFFIXES)]
    rasters = [file for file in rasters if is_raster(file)]
    if rasters and all(band_count(file) == 1 for file in rasters) and (found := inspect_band_folder(path, rasters)):
        return found
    if rasters and all(map(is_scene, rasters)):
        return inspect_scenes(path, rasters)
    if tars := [name for name in names if is_tar(name)]:
        return inspect_tars(path, tars)
    return inspect_images(path) or (inspect_table(path, tables) if (tables := tables_below(path)) else None)
