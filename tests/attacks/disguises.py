"""Files whose bytes are another format than their names say, made by code: what a hostile corpus may hold."""

import gzip
import io
import os
import socket
import sqlite3
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

SIDE = 48
GRID = f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}">'


def raw_band(name: object, relative: int = 0) -> str:
    return (
        f'{GRID}<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename relativeToVRT='
        f'"{relative}">{name}</SourceFilename><ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>'
        f"{SIDE}</LineOffset></VRTRasterBand></VRTDataset>"
    )


def mosaic(name: object, relative: int = 0) -> str:
    return (
        f'{GRID}<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="{relative}">'
        f"{name}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def virtual_rasters(outside: Path, port: int) -> Iterator[tuple[str, str]]:
    """Yields names and texts of virtual rasters that name something outside their folder."""
    http = f"http://127.0.0.1:{port}"
    yield "vrt_raw_absolute", raw_band(outside / "secret.txt")
    yield "vrt_raw_relative", raw_band("../outside/secret.txt", 1)
    yield "vrt_absolute", mosaic(outside / "secret.tif")
    yield "vrt_relative", mosaic("../outside/secret.tif", 1)
    yield "vrt_nested", mosaic("vrt_relative.tif", 1)
    yield "vrt_inside", mosaic("plain.tif", 1)
    for scheme, rest in {
        "vsicurl": f"/{http}/x.tif",
        "vsicurl_streaming": f"/{http}/x.tif",
        "vsizip": f"/{outside}/secret.zip/secret.tif",
        "vsitar": f"/{outside}/secret.tar/secret.tif",
        "vsigzip": f"/{outside}/secret.tif.gz",
        "vsisubfile": f"/0_4000,{outside}/secret.tif",
        "vsis3": "/bucket/x.tif",
        "vsigs": "/bucket/x.tif",
        "vsiaz": "/bucket/x.tif",
        "vsihdfs": f"/{http}/x.tif",
        "vsiwebhdfs": f"/{http}/x.tif",
        "vsistdin": "/",
        "vsicrypt": f"/key=0123456789abcdef,file={outside}/secret.tif",
    }.items():
        yield f"vrt_{scheme}", mosaic(f"/{scheme}{rest}")
    yield "vrt_zip_in_curl", mosaic(f"/vsizip//vsicurl/{http}/x.zip/x.tif")
    yield "vrt_address", mosaic(f"{http}/x.tif")
    for prefix in ("NETCDF", "HDF5", "GTIFF_DIR:1", "GTIFF_RAW", "WMS", "ZARR", "SENTINEL2_L2A"):
        yield f"vrt_{prefix.lower().replace(':', '_')}", mosaic(f'{prefix}:"{outside}/secret.tif"')
    yield "vrt_xml_inside", mosaic(raw_band(outside / "secret.txt").replace("<", "&lt;"))
    yield "vrt_mask", f"{GRID}<MaskBand>{raw_band(outside / 'secret.txt')[len(GRID) : -13]}</MaskBand></VRTDataset>"
    yield "vrt_warped", mosaic(outside / "secret.tif").replace(GRID, GRID[:-1] + ' subClass="VRTWarpedDataset">')
    yield (
        "vrt_code",
        mosaic("plain.tif", 1).replace(
            '<VRTRasterBand dataType="Byte" band="1">',
            '<VRTRasterBand dataType="Byte" band="1" subClass="VRTDerivedRasterBand"><PixelFunctionLanguage>Python'
            f"</PixelFunctionLanguage><PixelFunctionType>f</PixelFunctionType><PixelFunctionCode><![CDATA[import os\n"
            f"def f(*a, **k): os.system('touch {outside}/ran')]]></PixelFunctionCode>",
        ),
    )
    yield "vrt_with_a_mark", "\ufeff" + mosaic(outside / "secret.tif")
    yield "vrt_after_spaces", "\n \t" + mosaic(outside / "secret.tif")
    yield "vrt_with_a_declaration", '<?xml version="1.0"?>\n' + mosaic(outside / "secret.tif")
    yield (
        "vrt_with_an_entity",
        f'<!DOCTYPE a [<!ENTITY e SYSTEM "file://{outside}/secret.txt">]>' + mosaic("&e;"),
    )


def descriptions(outside: Path, port: int) -> Iterator[tuple[str, str]]:
    """Yields names and texts that other drivers of GDAL, Pillow or their helpers take for images, or follow."""
    http = f"http://127.0.0.1:{port}"
    yield (
        "eps",
        f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 {SIDE} {SIDE}\n({outside}/ran) (w) file closefile\n%%EOF\n",
    )
    yield "postscript", f"%!PS\n%%BoundingBox: 0 0 {SIDE} {SIDE}\n({outside}/secret.txt) run\nshowpage\n"
    yield "pdf", "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    yield "svg", f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIDE}" height="{SIDE}"><rect width="9"/></svg>'
    yield "svg_of_a_file", f'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{outside}/secret.png"/></svg>'
    yield "svg_of_an_address", f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{http}/x.png"/></svg>'
    yield "html", f'<html><img src="{http}/x.png"></html>'
    yield (
        "wms",
        f'<GDAL_WMS><Service name="WMS"><ServerUrl>{http}/?</ServerUrl><Layers>a</Layers></Service></GDAL_WMS>',
    )
    yield "tms", f'<GDAL_WMS><Service name="TMS"><ServerUrl>{http}/${{z}}</ServerUrl></Service></GDAL_WMS>'
    yield "wmts", f"<GDAL_WMTS><GetCapabilitiesUrl>{http}/wmts</GetCapabilitiesUrl></GDAL_WMTS>"
    yield "wcs", f"<WCS_GDAL><ServiceURL>{http}/wcs?</ServiceURL><CoverageName>a</CoverageName></WCS_GDAL>"
    yield "capabilities", f'<WMS_Capabilities version="1.3.0"><Service><OnlineResource href="{http}"/></Service>'
    yield (
        "tile_index",
        f"<GDALTileIndexDataset><IndexDataset>{outside}/secret.gpkg</IndexDataset></GDALTileIndexDataset>",
    )
    yield "stac_items", f'{{"type": "FeatureCollection", "stac_version": "1.0.0", "links": [{{"href": "{http}"}}]}}'
    yield "stac_tiles", f'{{"stac_extensions": ["tiled-assets"], "asset_templates": {{"a": {{"href": "{http}"}}}}}}'
    yield (
        "dimap",
        f'<Dimap_Document><Data_File><DATA_FILE_PATH href="{outside}/secret.tif"/></Data_File></Dimap_Document>',
    )
    yield "ers", f'DatasetHeader Begin\n RasterInfo Begin\n FileName = "{outside}/secret.txt"\nDatasetHeader End\n'
    yield "pds", f'PDS_VERSION_ID = PDS3\n^IMAGE = ("{outside}/secret.txt", 1)\nEND\n'
    yield "isis", f"Object = IsisCube\n Object = Core\n ^Core = {outside}/secret.txt\n End_Object\nEnd_Object\nEnd\n"
    yield "ozi_map", f"OziExplorer Map Data File Version 2.2\nx\n{outside}/secret.tif\n1 ,Map Code,\n"
    yield (
        "til",
        f'bandId="P";\nnumTiles=1;\nBEGIN_GROUP=TILE_1\n filename="{outside}/secret.tif";\nEND_GROUP=TILE_1\nEND;\n',
    )
    yield "kml", f"<kml><GroundOverlay><Icon><href>{http}/x.png</href></Icon></GroundOverlay></kml>"
    yield "ascii_grid", f"ncols {SIDE}\nnrows {SIDE}\nxllcorner 0\nyllcorner 0\ncellsize 1\n" + "1 " * SIDE * SIDE
    yield "xyz", "".join(f"{column} {row} 1\n" for row in range(SIDE) for column in range(SIDE))
    yield "envi_header", f"ENVI\nsamples = {SIDE}\nlines = {SIDE}\nbands = 1\ndata type = 1\ninterleave = bsq\n"
    yield "xpm", '/* XPM */\nstatic char *a[] = {\n"2 2 1 1",\n"a c #000",\n"aa",\n"aa"};\n'
    yield "script", f"#!/bin/sh\ntouch {outside}/ran\n"
    yield "a_name_of_netcdf", f'NETCDF:"{outside}/secret.nc":band'
    yield "a_name_of_curl", f"/vsicurl/{http}/x.tif"
    yield "git_lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"


def archives(outside: Path) -> Iterator[tuple[str, bytes]]:
    """Yields names and bytes of binary formats under the names of others."""
    from PIL import Image

    image = Image.radial_gradient("L").resize((SIDE, SIDE))
    encoded = {}
    for name in (
        "PNG",
        "TIFF",
        "JPEG",
        "GIF",
        "BMP",
        "PCX",
        "TGA",
        "SGI",
        "IM",
        "PPM",
        "MSP",
        "DDS",
        "ICNS",
        "WEBP",
        "PDF",
    ):
        buffer = io.BytesIO()
        (image.convert("1") if name == "MSP" else image.convert("RGB") if name == "DDS" else image).save(buffer, name)
        encoded[name] = buffer.getvalue()
        yield f"{name.lower()}_bytes", encoded[name]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.tif", encoded["TIFF"])
    yield "zip", buffer.getvalue()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../a.tif"))
    yield "tar", buffer.getvalue()
    yield "gzip", gzip.compress(encoded["TIFF"])
    yield "netcdf3", b"CDF\x01" + bytes(28)
    yield "hdf5", b"\x89HDF\r\n\x1a\n" + bytes(88)
    yield "grib", b"GRIB" + bytes(4) + b"\x02" + bytes(91)
    yield "bufr", b"BUFR" + bytes(96)
    yield "fits", b"SIMPLE  =                    T" + b" " * 50 + b"END".ljust(2800)
    yield "ole", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)
    yield "wmf", struct.pack("<IHHHHHHIH", 0x9AC6CDD7, 0, 0, 0, 9, 9, 72, 0, 0) + b"\1\0\x09\0\0\3" + bytes(18)
    yield "psd", b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 9, 9, 8, 3) + bytes(12)
    yield "nitf", b"NITF02.10" + b"0" * 500
    yield "pickle", b"cos\nsystem\n(S'touch " + os.fsencode(outside / "ran") + b"'\ntR."
    yield "elf", b"\x7fELF\x02\x01\x01" + bytes(57)
    for name, identity in (("geopackage", 0x47504B47), ("mbtiles", 0x4D504258)):
        yield name, _tiles(identity, encoded["PNG"])


def _tiles(identity: int, tile: bytes) -> bytes:
    with sqlite3.connect(":memory:") as database:
        database.executescript(f"PRAGMA application_id = {identity}; CREATE TABLE metadata (name TEXT, value TEXT);")
        database.execute("CREATE TABLE tiles (zoom_level INT, tile_column INT, tile_row INT, tile_data BLOB)")
        database.execute("INSERT INTO tiles VALUES (0, 0, 0, ?)", (tile,))
        database.commit()
        data = database.serialize()
    database.close()
    return data


def contents(outside: Path, port: int) -> dict[str, bytes]:
    """Returns all disguises by name: what they are, and their bytes."""
    texts = [*virtual_rasters(outside, port), *descriptions(outside, port)]
    held = {name: text.encode() for name, text in texts} | dict(archives(outside))
    return held | {"vrt_utf16": mosaic(outside / "secret.tif").encode("utf-16")}


def write_outside(outside: Path) -> None:
    """Writes what must not be read."""
    from PIL import Image

    outside.mkdir()
    image = Image.radial_gradient("L").resize((SIDE, SIDE))
    image.save(outside / "secret.tif")
    image.save(outside / "secret.png")
    (outside / "secret.txt").write_bytes(b"S" * SIDE * SIDE)
    (outside / "secret.nc").write_bytes(b"CDF\x01" + bytes(28))
    (outside / "secret.tif.gz").write_bytes(gzip.compress((outside / "secret.tif").read_bytes()))
    (outside / "secret.tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    with zipfile.ZipFile(outside / "secret.zip", "w") as archive:
        archive.write(outside / "secret.tif", "secret.tif")
    with tarfile.open(outside / "secret.tar", "w") as archive:
        archive.add(outside / "secret.tif", "secret.tif")


def write_specials(folder: Path, outside: Path) -> list[str]:
    """Writes links, pipes, sockets and, where it may, devices; returns their names."""
    names = {
        "link_out.png": outside / "secret.png",
        "link_out.tif": outside / "secret.tif",
        "link_up.tif": "../outside/secret.tif",
        "link_to_itself.png": "link_to_itself.png",
        "link_to_itself.tif": "link_to_itself.tif",
        "link_a.png": "link_b.png",
        "link_b.png": "link_a.png",
        "link_nowhere.png": "nowhere.png",
        "link_to_zeros.png": "/dev/zero",
        "link_to_a_terminal.png": "/dev/tty",
        "link_to_memory.tif": "/proc/self/mem",
        "link_to_a_folder": outside,
        "link_to_a_folder.png": outside,
    }
    for name, target in names.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.tif")
    made = [*names, "pipe.png", "pipe.tif"]
    here = os.getcwd()
    os.chdir(folder)  # a socket's name may have 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket.png")
        made.append("socket.png")
        os.mknod("device.png", 0o644 | stat.S_IFCHR, os.makedev(1, 5))
        made.append("device.png")
    except OSError:  # who is not root makes no devices
        pass
    finally:
        os.chdir(here)
    return made
