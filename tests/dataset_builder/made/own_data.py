"""Real tiles of the sample as a user might have them: a GeoTIFF, RGB with captions, 16-bit thermal pairs."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from dataset_builder.schema import LOCATOR

SAMPLE = Path(__file__).parents[3] / "dataset_builder" / "sample" / "data"
SIDE = 64


def tiles(scene: str, band: str) -> dict[tuple[int, int], dict]:
    """Rows of a scene and band by row and column of the tile."""
    found = {}
    for path in sorted(SAMPLE.glob("*.parquet")):
        table = pq.read_table(path, filters=[("source_dataset", "==", scene), ("ir_band", "==", band)])
        for row in table.to_pylist():
            place = LOCATOR.fullmatch(row["source_locator"])
            found[int(place["row"]), int(place["column"])] = row
    return found


def pixels(image: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image["bytes"])))


def write_scene(path: Path, across: int = 10) -> None:
    """Red, green, blue and near infrared of Sentinel-2, uint16, undescribed; no data where the sample has no tile."""
    values = np.zeros((4, across * SIDE, across * SIDE), np.uint16)
    for (row, column), tile in tiles("s2_virginia", "nir").items():
        if row < across * SIDE and column < across * SIDE and row % SIDE == column % SIDE == 0:
            bands = [*np.moveaxis(pixels(tile["rgb"]), 2, 0), pixels(tile["ir"])]
            values[:, row : row + SIDE, column : column + SIDE] = 300 + 12 * np.stack(bands).astype(np.uint16)
    grid = {"crs": "EPSG:32618", "transform": from_origin(400_000, 4_180_000, 10, 10), "nodata": 0}
    with rasterio.open(
        path, "w", driver="GTiff", height=across * SIDE, width=across * SIDE, count=4, dtype="uint16", **grid
    ) as file:
        file.write(values)


def write_photos(folder: Path, count: int = 120) -> None:
    """JPEG images with a caption each."""
    folder.mkdir()
    held = sorted(tiles("s2_virginia", "nir").items())
    with open(folder / "metadata.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "caption"])
        for number, (_, tile) in enumerate(held[:: len(held) // count][:count]):
            Image.fromarray(pixels(tile["rgb"])).save(folder / f"{number:04d}.jpg", quality=95)
            writer.writerow([f"{number:04d}.jpg", tile["captions"][0]])


def write_pairs(folder: Path, count: int = 12) -> None:
    """RGB beside thermal infrared of Landsat 7 in 16 bit, as cameras count."""
    for side in ("rgb", "thermal"):
        (folder / side).mkdir(parents=True)
    held = sorted(tiles("l7_saltlake", "lwir").items())
    for number, (_, tile) in enumerate(held[:: len(held) // count][:count]):
        Image.fromarray(pixels(tile["rgb"])).save(folder / "rgb" / f"{number:02d}.png")
        warm = 28_000 + 12 * pixels(tile["ir"]).astype(np.uint16)
        Image.fromarray(warm).save(folder / "thermal" / f"{number:02d}.png")
