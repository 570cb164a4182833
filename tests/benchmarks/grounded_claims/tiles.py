"""Draws the tiles that statements about things are written on, and shows them to annotators.

    pip install --no-deps --require-hashes --no-compile --target FOLDER -r requirements-tiles.txt  # beside this file
    python -m tests.benchmarks.grounded_claims.tiles --packages FOLDER --sheets SHEETS

Writes `things_tiles.jsonl` beside this file, and into SHEETS a PNG per tile and `A.txt` to `D.txt`, the sheets of the
annotators: A and B of a first draw (t01, ...), C and D of a second one (u01, ...). A sheet shows RGB on the left and
infrared on the right, enlarged, with the id of the tile and no more.
The same scenes give the same draws: tiles of the sample of which no band is in another set of claims, and in the first
draw all that the two scenes of requirements-tiles.txt hold.
"""

import argparse
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from dataset_builder.shards.parquet import file_sha256
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError
from fusionrs_hf.processing_fusionrs_images import scale_infrared

HERE = Path(__file__).parent
SAMPLE = HERE.parents[2] / "dataset_builder" / "sample" / "data"
INDEX = HERE / "things_tiles.jsonl"
PLAIN_SETS = ("open", "sealed", "practice", "rehearsal", "sealed_second")
SEED, SECOND_SEED = 13, 31
QUOTAS = {  # tiles of the sample's test region by scene and band
    **{("s2_virginia", band): 12 for band in ("nir", "swir")},
    **{("l7_saltlake", band): 8 for band in ("nir", "swir", "lwir")},
    **{("l8_alabama", band): 4 for band in ("nir", "swir", "lwir")},
}
SECOND_QUOTAS = {  # tiles of the second draw by part, and by scene and band
    "practice": {
        **{("s2_virginia", band): 10 for band in ("nir", "swir")},
        **{("l7_saltlake", band): 7 for band in ("nir", "swir")},
        ("l7_saltlake", "lwir"): 6,
    },
    "sealed_second": {
        **{("s2_virginia", band): 10 for band in ("nir", "swir")},
        **{("l7_saltlake", band): 6 for band in ("nir", "swir", "lwir")},
        **{("l8_alabama", band): 4 for band in ("nir", "swir", "lwir")},
    },
}
SPLITS = {"practice": "train", "sealed_second": "test"}  # of the sample, for the parts of the second draw
OPEN_SHARE = 4  # one in so many tiles of each scene is open, the others are sealed
PERCENTILES = (1, 99)  # of each band over all valid pixels of a package's scene: what becomes 0 and 255
SIDE, GAP, CAPTION = 448, 16, 34  # pixels of a sheet
Pair = tuple[np.ndarray, np.ndarray]  # infrared and RGB, uint8


@dataclass(frozen=True, slots=True)
class PackageScene:
    """A scene that a package of the index carries, cut into a grid of tiles that do not overlap.

    Attributes:
        name: Of the scene, and of the package.
        file, sha256: Below the folder of packages.
        read: Reads the file to `(bands, height, width)`: blue, green, red, near infrared.
        origin: First row and column of the grid.
        size: Side of a tile, pixels.
        count: Tiles on a side of the grid.
        nodata: Value that means no data; tiles hold none of it.
    """

    name: str
    file: str
    sha256: str
    read: Callable[[Path], np.ndarray]
    origin: tuple[int, int]
    size: int
    count: int
    nodata: int | None = None

    def open(self, packages: Path) -> np.ndarray:
        """Returns the bands as uint8, after a check of the file."""
        path = packages / self.file
        if not path.is_file():
            raise InputError(f"{path} is missing; install requirements-tiles.txt into {packages} (see its first line)")
        if (digest := file_sha256(path)) != self.sha256:
            raise InputError(f"{path} has SHA-256 {digest}, expected {self.sha256}; install {self.name} again")
        bands = self.read(path)
        return np.stack([scale_infrared(band, self.limits(band))[0] for band in bands])

    def limits(self, band: np.ndarray) -> tuple[float, float]:
        """Display limits of a band: percentiles over the scene's valid pixels."""
        valid = band if self.nodata is None else band[band != self.nodata]
        low, high = np.percentile(valid, PERCENTILES)
        return round(float(low)), round(float(high))

    def places(self) -> list[tuple[int, int]]:
        """First row and column of each tile."""
        steps = range(0, self.count * self.size, self.size)
        return [(self.origin[0] + row, self.origin[1] + column) for row in steps for column in steps]


def read_nested_list(path: Path) -> np.ndarray:
    """Reads bands from JSON."""
    return np.asarray(json.loads(path.read_text()))


def read_tiff(path: Path) -> np.ndarray:
    """Reads all bands of a GeoTIFF."""
    import rasterio

    with rasterio.open(path) as raster:
        return raster.read()


PACKAGE_SCENES = {
    scene.name: scene
    for scene in (
        PackageScene(
            name="spyndex",
            file="spyndex/data/S2_10m.json",
            sha256="09c41f19340407f84017a89460822539e9380aed673bfc1538fa532f9443ef2f",
            read=read_nested_list,
            origin=(0, 0),
            size=75,
            count=4,
        ),
        PackageScene(
            name="satsense",
            file="test/data/source/section_2_sentinel.tif",
            sha256="adb3e1a38db9fe88110666cea0ad796c46b549fbac034c0ddca3106b7d10e4bb",
            read=read_tiff,
            origin=(2, 2),
            size=74,
            count=2,
            nodata=9999,
        ),
    )
}


def place_of(sample_id: str) -> str:
    """Scene and place of a row: what its bands share."""
    return sample_id.rsplit("/", 1)[0]


def taken_places() -> set[str]:
    """Places that the committed plain claims are about."""
    rows = (json.loads(line) for name in PLAIN_SETS for line in (HERE / f"{name}.jsonl").read_text().splitlines())
    return {place_of(row["sample_id"]) for row in rows}


def draw_sample(
    generator: np.random.Generator, quotas: Mapping[tuple[str, str], int], split: str, taken: set[str]
) -> list[dict[str, Any]]:
    """Draws tiles of a split by scene and band: each place once, none that is taken; the drawn ones then are."""
    columns = ["sample_id", "source_dataset", "ir_band"]
    ids = defaultdict(list)
    for path in sorted(SAMPLE.glob(f"{split}-*.parquet")):
        for row in pq.read_table(path, columns=columns).to_pylist():
            ids[row["source_dataset"], row["ir_band"]].append(row["sample_id"])
    tiles = []
    for (scene, band), count in quotas.items():
        free = sorted(name for name in ids[scene, band] if place_of(name) not in taken)
        for name in sorted(generator.permutation(free)[:count].tolist()):
            taken.add(place_of(name))
            tiles.append({"source": "sample", "scene": scene, "band": band, "sample_id": name})
    return tiles


def draw() -> list[dict[str, Any]]:
    """Both draws, the second of places that the first does not show."""
    first = draw_first()
    return first + draw_second({place_of(tile["sample_id"]) for tile in first if tile["source"] == "sample"})


def draw_second(taken: set[str]) -> list[dict[str, Any]]:
    """Draws `SECOND_QUOTAS` of places that are not taken; an annotator gets half of a scene's tiles in each part."""
    generator, taken, tiles = np.random.default_rng(SECOND_SEED), taken | taken_places(), []
    for part, quotas in SECOND_QUOTAS.items():
        split = SPLITS[part]
        tiles += [tile | {"split": split, "part": part} for tile in draw_sample(generator, quotas, split, taken)]
    tiles = [tiles[number] for number in generator.permutation(len(tiles))]
    seen: Counter[tuple[str, str]] = Counter()
    named = []
    for number, tile in enumerate(tiles, 1):
        seen[tile["scene"], tile["part"]] += 1
        named.append({"tile": f"u{number:02d}", **tile, "annotator": "CD"[seen[tile["scene"], tile["part"]] % 2]})
    return named


def draw_first() -> list[dict[str, Any]]:
    """Draws all tiles of the first draw, names them in random order, and gives each to one annotator and to one part.

    Halves and parts are drawn within each scene, so that both hold their share of it.
    """
    generator = np.random.default_rng(SEED)
    tiles = draw_sample(generator, QUOTAS, "test", taken_places())
    for scene in PACKAGE_SCENES.values():
        size = {"size": scene.size}
        where = [{"row": row, "column": column, **size} for row, column in scene.places()]
        tiles += [{"source": "package", "scene": scene.name, "band": "nir", **place} for place in where]
    tiles = [tiles[number] for number in generator.permutation(len(tiles))]
    named = [{"tile": f"t{number:02d}", **tile} for number, tile in enumerate(tiles, 1)]
    orders = defaultdict(list)
    for tile in named:
        orders[tile["scene"]].append(tile)
    for members in orders.values():
        for number, tile in enumerate(members):
            tile["annotator"] = "AB"[number % 2]
        for rank, number in enumerate(generator.permutation(len(members))):
            members[number]["part"] = "open" if rank < len(members) // OPEN_SHARE else "sealed"
    return named


def read_index(path: Path = INDEX) -> dict[str, dict[str, Any]]:
    """The committed tiles by id."""
    return {tile["tile"]: tile for tile in map(json.loads, path.read_text().splitlines())}


def read_pairs(tiles: Sequence[dict[str, Any]], packages: Path | None) -> dict[str, Pair]:
    """Infrared and RGB of tiles, by id.

    Args:
        tiles: Lines of the index.
        packages: Folder that requirements-tiles.txt was installed to.

    Raises:
        InputError: A tile is a package's and the folder is not named, or the sample lacks a row.
    """
    pairs: dict[str, Pair] = {}
    wanted = {tile["sample_id"]: tile["tile"] for tile in tiles if tile["source"] == "sample"}
    splits = {tile.get("split", "test") for tile in tiles if tile["source"] == "sample"}
    for path in sorted(path for split in splits for path in SAMPLE.glob(f"{split}-*.parquet")):
        rows = pq.read_table(path, columns=["sample_id", "rgb", "ir"], filters=[("sample_id", "in", list(wanted))])
        for row in rows.to_pylist():
            ir, rgb = (np.asarray(Image.open(io.BytesIO(row[name]["bytes"]))) for name in ("ir", "rgb"))
            pairs[wanted[row["sample_id"]]] = ir, rgb
    if missing := sorted(name for name, tile in wanted.items() if tile not in pairs):
        raise InputError(f"the sample lacks {missing[0]}; draw the tiles again")
    cuts = defaultdict(list)
    for tile in tiles:
        if tile["source"] == "package":
            cuts[tile["scene"]].append(tile)
    if cuts and packages is None:
        raise InputError(f"tiles of {', '.join(sorted(cuts))} need --packages, the folder of requirements-tiles.txt")
    for scene, members in cuts.items():
        blue, green, red, infrared = PACKAGE_SCENES[scene].open(packages)
        rgb = np.stack([red, green, blue], axis=-1)
        for tile in members:
            window = np.s_[tile["row"] : tile["row"] + tile["size"], tile["column"] : tile["column"] + tile["size"]]
            pairs[tile["tile"]] = infrared[window], rgb[window]
    return pairs


def sheet(tile: str, pair: Pair) -> Image.Image:
    """RGB on the left and infrared on the right, enlarged bicubically, and the id below."""
    page = Image.new("RGB", (2 * SIDE + GAP, SIDE + CAPTION), "white")
    for left, array in ((0, pair[1]), (SIDE + GAP, pair[0])):
        enlarged = Image.fromarray(array).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        page.paste(enlarged.convert("RGB"), (left, 0))
    ImageDraw.Draw(page).text((4, SIDE + 4), tile, fill="black", font=ImageFont.load_default(size=22))
    return page


def write_sheets(tiles: Sequence[dict[str, Any]], pairs: dict[str, Pair], folder: Path) -> None:
    """Writes a PNG per tile, and per annotator the list of theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    lists = defaultdict(list)
    for tile in tiles:
        path = folder / f"{tile['tile']}.png"
        sheet(tile["tile"], pairs[tile["tile"]]).save(path)
        lists[tile["annotator"]].append(f"{path}\n")
    for annotator, paths in lists.items():
        (folder / f"{annotator}.txt").write_text("".join(paths))


def main() -> None:
    """Draws, writes the index and the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True, help="folder of requirements-tiles.txt")
    parser.add_argument("--sheets", type=Path, required=True, help="folder for the sheets of the annotators")
    arguments = parser.parse_args()
    tiles = draw()
    try:
        pairs = read_pairs(tiles, arguments.packages)
    except InputError as error:
        parser.error(str(error))
    write_sheets(tiles, pairs, arguments.sheets)
    with atomic_path(INDEX) as temporary:
        temporary.write_text("".join(json.dumps(tile) + "\n" for tile in tiles))
    counts = Counter((tile["scene"], tile["band"], tile["part"]) for tile in tiles)
    parser.exit(0, "".join(f"{' '.join(names)}: {count}\n" for names, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
