"""Raster files that may be opened, and by which driver: what a file holds decides, never its name.

GDAL opens whatever one of its hundred drivers takes, and some take files that name others: a virtual raster reads any
local file or address. So a file is told by its first bytes and handed to one driver by name, and whatever GDAL counts
as part of it (masks, overviews, metadata) must be a file of its own name beside it.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from dataset_builder.sources.formats.paths import UnsafeNameError, inside
from fusionrs_hf.errors import InputError, shown

if TYPE_CHECKING:
    from rasterio import DatasetReader

SIGNATURES = {  # of the drivers that a scene may ask for
    "GTiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JP2OpenJPEG": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "netCDF": (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF\r\n\x1a\n"),
    "VRT": (b"<VRTDataset",),
}
USUAL = ("GTiff", "JP2OpenJPEG")
METADATA = (  # ends of the files beside a raster in which GDAL looks for a grid or for what a vendor tells
    *(".tfw", ".tifw", ".tiffw", ".wld", ".j2w", ".jp2w", ".tab", ".txt", ".xml", ".imd", ".rpb", ".rpc", ".pvl"),
    *(".til", ".att", ".eph", ".geo", ".prj", ".met", ".pass", ".hdr", ".aux", ".rrd", ".ovr", ".msk"),
)
VRT_BYTES = 1_000_000
VRT_NAMES = ("SourceFilename", "SourceDataset")  # elements that name a file
VRT_ELEMENTS = {  # what a mosaic or a choice of bands needs; nothing that runs code or reads raw bytes
    *("VRTDataset", "SRS", "GeoTransform", "Metadata", "MDI", "VRTRasterBand", "NoDataValue", "ColorInterp"),
    *("Description", "UnitType", "Offset", "Scale", "SimpleSource", "ComplexSource", "SourceFilename", "SourceBand"),
    *("SourceProperties", "SrcRect", "DstRect", "NODATA", "ScaleOffset", "ScaleRatio", "BlockXSize", "BlockYSize"),
}


def driver_of(path: Path) -> str | None:
    """Returns the driver for what a file holds, a key of `SIGNATURES`; None where it holds something else."""
    with open(path, "rb") as file:
        start = file.read(64)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    return next(
        (name for name, marks in SIGNATURES.items() if (text if name == "VRT" else start).startswith(marks)), None
    )


def open_raster(path: Path, root: Path, formats: Collection[str] = USUAL) -> "DatasetReader":
    """Opens a raster file by the driver for what it holds.

    Args:
        path: The file.
        root: Folder that nothing it is made of may lie outside of.
        formats: Drivers that may be used, of `SIGNATURES`; a virtual raster may name plain rasters below `root` only.

    Raises:
        InputError: It is no regular file, holds something else, or names files that it may not.
        OSError: GDAL cannot open it.
    """
    import rasterio

    if not path.is_file():
        raise InputError(f"{path} is not a raster that can be opened (it is no regular file); give a GeoTIFF")
    driver = driver_of(path)
    if driver not in formats:
        holds = f"{driver}, which is read where the scene's `formats` names it" if driver else "something else"
        raise InputError(
            f"{path} is not a raster that can be opened (it holds {holds}, not {' or '.join(formats)}); give a GeoTIFF"
        )
    parts = [path]
    if driver == "VRT":
        parts += _virtual_parts(path, root)
    _check_sidecars(parts, root)
    return rasterio.open(path, driver=driver)


def _virtual_parts(path: Path, root: Path) -> list[Path]:
    """Returns the files that a virtual raster names; raises InputError for one that is more than a mosaic of files."""
    if path.stat().st_size > VRT_BYTES:
        raise InputError(f"{path} is a virtual raster of over {VRT_BYTES} bytes; give the files that it names")
    try:
        tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no virtual raster that can be read ({error})") from error
    parts = []
    for element in tree.iter():
        if element.tag not in VRT_ELEMENTS or element.get("subClass"):
            kind = element.get("subClass") or element.tag
            raise InputError(f"{path} holds {shown(kind)}; a virtual raster may be a mosaic of files, nothing else")
        if element.tag in VRT_NAMES:
            name = (element.text or "").strip()
            base = path.parent.relative_to(root) if path.parent.is_relative_to(root) else Path()
            try:
                part = inside(root, str(base / name))
            except UnsafeNameError as error:
                raise InputError(f"{path} names {shown(name)}: {error}") from error
            if not part.is_file() or driver_of(part) not in USUAL:
                raise InputError(f"{path} names {shown(name)}, which is no {' or '.join(USUAL)} file below {root}")
            parts.append(part)
    return parts


def _check_sidecars(files: Collection[Path], root: Path) -> None:
    """Refuses a file, or what GDAL takes for a part of one (`name.msk`, `name.ovr`, ...), that is not what it seems.

    Masks and overviews are opened by any driver; they must be TIFF. Links must not lead out of the root, nor may those
    of metadata in the same folder: GDAL finds them by many rules.
    """
    top = os.path.join(os.path.realpath(root), "")
    for folder in {path.parent for path in files}:
        links = (entry for entry in os.scandir(folder) if entry.is_symlink() and entry.name.lower().endswith(METADATA))
        if out := next((link.path for link in links if not os.path.realpath(link).startswith(top)), None):
            raise InputError(f"{out} leads out of {root} by a link; copy the file there, or remove it")
    for path in files:
        beside = [path, *(path.parent / f"{path.name}{end}" for end in (".msk", ".ovr", ".aux.xml", ".MSK", ".OVR"))]
        beside += [path.with_suffix(end) for end in (".aux", ".aux.xml", ".rrd", ".ovr", ".msk")]
        for part in beside:
            if not os.path.lexists(part) or part == path and path.parent == root and not path.is_symlink():
                continue
            if not os.path.realpath(part).startswith(top):
                raise InputError(f"{part} leads out of {root} by a link; copy the file there")
            if part != path and part.suffix.lower() in (".msk", ".ovr") and driver_of(part) != "GTiff":
                raise InputError(f"{part} is no TIFF, as a mask or overview of {path.name} is; remove it")
            if part != path and part.suffix.lower() in (".aux", ".rrd"):
                raise InputError(f"{part} holds overviews of a kind that is not read; remove it")
