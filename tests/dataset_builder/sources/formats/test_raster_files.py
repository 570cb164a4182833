"""Virtual rasters in every disguise: nothing is read but what the scene names."""

import http.server
import os
import threading

import numpy as np
import pytest

from dataset_builder.sources.formats.raster_files import driver_of, open_raster
from fusionrs_hf.errors import InputError

rasterio = pytest.importorskip("rasterio")

SIDE = 32


def write_tif(path, value=7, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"driver": "GTiff", "height": SIDE, "width": SIDE, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    grid = rasterio.transform.from_origin(5e5, 5e6, 10, 10)
    with rasterio.open(path, "w", **{**kind, "transform": grid, **options}) as file:
        file.write(np.full((1, SIDE, SIDE), value, options.get("dtype", "uint8")))
    return path


def raw_vrt(name, relative=0):
    return (
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><VRTRasterBand dataType="Byte" band="1" '
        f'subClass="VRTRawRasterBand"><SourceFilename relativetoVRT="{relative}">{name}</SourceFilename>'
        f"<ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>{SIDE}</LineOffset></VRTRasterBand>"
        "</VRTDataset>"
    )


def mosaic(name):
    return (
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>EPSG:32633</SRS><GeoTransform>500000, 10, 0, '
        '5000000, 0, -10</GeoTransform><VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename '
        f'relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>'
        "</VRTDataset>"
    )


@pytest.mark.parametrize("name", ["scene.tif", "scene.vrt", "scene.jp2", "scene"])
@pytest.mark.parametrize("lead", ["", "\ufeff", "\n  "])
def test_a_virtual_raster_is_refused_whatever_its_name(tmp_path, name, lead):
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"S" * SIDE * SIDE)
    (tmp_path / name).write_text(lead + raw_vrt(secret))
    with pytest.raises(InputError, match="it holds VRT, which is read where the scene's `formats` names it"):
        open_raster(tmp_path / name, tmp_path)


def test_what_is_asked_for_may_be_a_mosaic_inside_the_folder_and_nothing_else(tmp_path):
    root = tmp_path / "scene"
    write_tif(root / "parts" / "a.tif")
    secret = write_tif(tmp_path / "secret.tif", 66)
    formats = ("GTiff", "VRT")
    (root / "a.vrt").write_text(mosaic("parts/a.tif"))
    with open_raster(root / "a.vrt", root, formats) as raster:
        assert raster.read(1).min() == 7
    hostile = {
        "raw": raw_vrt(secret),
        "raw_inside": raw_vrt("parts/a.tif", relative=1),
        "above": mosaic("../secret.tif"),
        "absolute": mosaic(secret),
        "network": mosaic("/vsicurl/http://127.0.0.1:9/x.tif"),
        "address": mosaic("http://127.0.0.1:9/x.tif"),
        "itself": mosaic("a.vrt"),
        "derived": mosaic("parts/a.tif").replace('band="1">', 'band="1" subClass="VRTDerivedRasterBand">'),
        "code": mosaic("parts/a.tif").replace("<SourceBand>", "<PixelFunctionType>f</PixelFunctionType><SourceBand>"),
        "mask": mosaic("parts/a.tif").replace(
            "<SimpleSource>", f"<MaskBand>{raw_vrt(secret)}</MaskBand><SimpleSource>"
        ),
        "broken": "<VRTDataset",
    }
    for name, text in hostile.items():
        (root / f"{name}.vrt").write_text(text)
        with pytest.raises(InputError):
            open_raster(root / f"{name}.vrt", root, formats)


def test_no_request_is_sent(tmp_path):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

        do_HEAD = do_GET

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/x.tif"
        for formats in (("GTiff",), ("GTiff", "VRT")):
            (tmp_path / "scene.tif").write_text(mosaic(f"/vsicurl/{address}"))
            with pytest.raises(InputError):
                open_raster(tmp_path / "scene.tif", tmp_path, formats)
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize("ending", [".tif.msk", ".tif.ovr", ".ovr"])
def test_a_mask_or_overview_that_is_no_tiff_is_refused(tmp_path, ending):
    path = write_tif(tmp_path / "scene.tif")
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"S" * SIDE * SIDE)
    (tmp_path / f"scene{ending}").write_text(raw_vrt(secret))
    with pytest.raises(InputError, match="is no TIFF, as a mask or overview"):
        open_raster(path, tmp_path)


def test_a_mask_beside_the_file_is_read_and_a_link_out_is_not(tmp_path):
    root = tmp_path / "scene"
    path = write_tif(root / "scene.tif")
    mask = write_tif(tmp_path / "mask.tif", 0)
    with rasterio.open(mask, "r+") as file:
        file.update_tags(INTERNAL_MASK_FLAGS_1="2")  # for the whole dataset, as GDAL writes it
    (root / "scene.tif.msk").write_bytes(mask.read_bytes())
    with open_raster(path, root) as raster:
        assert raster.read_masks(1).max() == 0
    (root / "scene.tif.msk").unlink()
    (root / "scene.tif.msk").symlink_to(mask)
    with pytest.raises(InputError, match="leads out of"):
        open_raster(path, root)


@pytest.mark.parametrize(
    "name", ["scene.tfw", "scene.TFW", "scene.wld", "scene.IMD", "scene_RPC.TXT", "x_metadata.txt"]
)
def test_metadata_beside_the_file_is_no_link_that_leads_out(tmp_path, name):
    root = tmp_path / "scene"
    path = write_tif(root / "scene.tif")
    (root / "grid.tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    (root / "inside.tfw").symlink_to("grid.tfw")
    with open_raster(path, root) as raster:
        assert raster.count == 1
    (tmp_path / "secret").write_text("1\n0\n0\n-1\n0\n0\n")
    (root / name).symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="leads out of .* by a link"):
        open_raster(path, root)


def test_pipes_and_other_formats_are_refused(tmp_path):
    os.mkfifo(tmp_path / "scene.tif")
    with pytest.raises(InputError, match="it is no regular file"):
        open_raster(tmp_path / "scene.tif", tmp_path)
    (tmp_path / "scene.asc").write_text("ncols 2\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2\n3 4\n")
    with pytest.raises(InputError, match="it holds something else"):
        open_raster(tmp_path / "scene.asc", tmp_path)


def test_what_a_file_holds_decides(tmp_path):
    assert driver_of(write_tif(tmp_path / "a.png")) == "GTiff"
    assert driver_of(write_tif(tmp_path / "big.tif", BIGTIFF="YES")) == "GTiff"
