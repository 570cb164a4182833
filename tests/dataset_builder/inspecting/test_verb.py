"""Every kind that is inspected: the printed recipe builds without an edit, and pixels are those of a plain reader."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import yaml
from PIL import Image
from rasterio.transform import from_origin
from scipy import ndimage

from dataset_builder.inspecting.rasters import _cut
from dataset_builder.inspecting.verb import inspect_place
from dataset_builder.pipeline import build
from dataset_builder.recipe import load_recipe
from fusionrs_hf import cli
from fusionrs_hf.errors import InputError

GRID = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 10, 10)}


def texture(seed, side=64, low=20, high=230, dtype=np.uint8):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 3)
    return (low + (noise - noise.min()) / np.ptp(noise) * (high - low)).astype(dtype)


def rgb(seed, side=64):
    return np.dstack([texture(10 * seed + band, side) for band in range(3)])


def raster(path, bands, names=(), driver="GTiff", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = bands[0].shape
    with rasterio.open(
        path, "w", driver=driver, height=height, width=width, count=len(bands), dtype=bands[0].dtype, **GRID, **options
    ) as file:
        file.write(np.stack(bands))
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)


def png(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def encoded(values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def images(folder, captions=None):
    for split in ("train", "test"):
        for index in range(3):
            png(folder / split / f"{index}.png", rgb(index + 10 * (split == "test")))
    lines = [{"file_name": f"train/{index}.png", "caption": f"a field beside road {index}"} for index in range(3)]
    if captions == "csv":
        rows = "".join(f"{line['file_name']},{line['caption']}\n" for line in lines)
        (folder / "metadata.csv").write_text("file_name,caption\n" + rows)
    elif captions == "jsonl":
        (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def paired(folder, rgb_name, ir_name, dtype=np.uint8):
    for index in range(4):
        png(folder / rgb_name.format(index), rgb(index))
        low, high = (20, 230) if dtype == np.uint8 else (28_000, 31_000)
        png(folder / ir_name.format(index), texture(900 + index, low=low, high=high, dtype=dtype))


def table(folder, suffix):
    rows = [{"id": f"n{index}", "image": f"images/{index}.png", "caption": f"a lake {index}"} for index in range(3)]
    for index in range(3):
        png(folder / "images" / f"{index}.png", rgb(index))
    if suffix == "csv":
        lines = ["id,image,caption", *(",".join(row.values()) for row in rows)]
        (folder / "t.csv").write_text("\n".join(lines) + "\n")
    elif suffix == "jsonl":
        (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), folder / "t.parquet")
    return folder / f"t.{suffix}"


def hub(folder):
    for split in ("train", "test"):
        rows = [
            {
                "image": {"bytes": encoded(rgb(index + 10 * (split == "test"))), "path": None},
                "text": f"{split}: a wood {index}",
            }
            for index in range(3)
        ]
        (folder / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / f"data/{split}-00000-of-00001.parquet")


def tars(folder, caption=("txt", "a bay {}")):
    folder.mkdir()
    end, text = caption
    with tarfile.open(folder / "a.tar", "w") as tar:
        for index in range(3):
            texts = text.replace("{}", str(index)).encode()
            for name, data in ((f"{index}.png", encoded(rgb(index))), (f"{index}.{end}", texts)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def run(place, tmp_path, capsys):
    """Inspects, builds what is printed as it is; returns the rows, the report and what was printed."""
    assert cli.main(["inspect", str(place)]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "printed.yaml").write_text(printed)
    report = build(load_recipe(tmp_path / "printed.yaml"), tmp_path / "out", workers=1)
    rows = [
        row for path in sorted((tmp_path / "out/data").glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    return rows, report, printed


def pixels(image):
    return np.asarray(Image.open(io.BytesIO(image["bytes"])))


def levels(values, limits):
    low, high = limits
    return np.rint(np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def check_scene(rows, report, bands, name, infrared="nir"):
    """Every tile against the plain array: `bands` by role, as a reader of the file gives them."""
    limits = report.display[name]["limits"]
    assert rows
    for row in rows:
        top, left, side = (int(part) for part in row["source_locator"].split("@r")[1].replace("c", "s").split("s"))
        part = {role: values[top : top + side, left : left + side] for role, values in bands.items()}
        shown = {role: levels(values, limits[role]) if role in limits else values for role, values in part.items()}
        np.testing.assert_array_equal(
            pixels(row["rgb"]), np.dstack([shown[role] for role in ("red", "green", "blue")])
        )
        if row["ir_origin"] == "sensor":
            np.testing.assert_array_equal(pixels(row["ir"]), shown[row["ir_band"]])


DEEP = [texture(seed, 320, 200, 3000, np.uint16) for seed in range(4)]
FLAT = [texture(seed, 320) for seed in range(4)]
ROLES = ("red", "green", "blue", "nir")


def test_a_geotiff_without_descriptions(tmp_path, capsys):
    raster(tmp_path / "s.tif", DEEP, nodata=0)
    rows, report, printed = run(tmp_path / "s.tif", tmp_path, capsys)
    assert "not described, taken in the order" in printed and {row["ir_origin"] for row in rows} == {"sensor"}
    check_scene(rows, report, dict(zip(ROLES, DEEP)), "s")
    assert {split for split, sizes in report.configs["default"].items() if sizes["rows"]} == {
        "train",
        "validation",
        "test",
    }


@pytest.mark.parametrize(
    "names", [("nir", "blue", "green", "red"), ("B8A", "B02", "B03", "B04"), ("NIR", "b", "g", "r")]
)
def test_a_geotiff_whose_bands_are_described(tmp_path, capsys, names):
    raster(tmp_path / "s.tif", FLAT, names)
    rows, report, printed = run(tmp_path / "s.tif", tmp_path, capsys)
    assert "as their descriptions say" in printed
    check_scene(rows, report, dict(zip(("nir", "blue", "green", "red"), FLAT)), "s")


@pytest.mark.parametrize(("suffix", "driver"), [("tif", "GTiff"), ("jp2", "JP2OpenJPEG")])
def test_a_folder_with_a_file_per_band(tmp_path, capsys, suffix, driver):
    exact = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
    for name, values in zip(("T18_B04_10m", "T18_B03_10m", "T18_B02_10m", "T18_B08_10m"), DEEP):
        raster(tmp_path / "S2" / f"{name}.{suffix}", [values], driver=driver, **exact)
    rows, report, _ = run(tmp_path / "S2", tmp_path, capsys)
    check_scene(rows, report, dict(zip(ROLES, DEEP)), "S2")


def test_a_geotiff_of_rgb_alone_is_translated(tmp_path, capsys):
    raster(tmp_path / "s.tif", FLAT[:3], photometric="RGB")
    rows, report, printed = run(tmp_path / "s.tif", tmp_path, capsys)
    assert "as the file's colours say" in printed and {row["ir_origin"] for row in rows} == {"translated"}
    check_scene(rows, report, dict(zip(ROLES, FLAT)), "s")


def test_a_folder_of_scenes(tmp_path, capsys):
    for date in ("2020", "2021"):
        raster(tmp_path / "all" / f"{date}.tif", [band + np.uint8(int(date) % 2) for band in FLAT])
    rows, report, printed = run(tmp_path / "all", tmp_path, capsys)
    assert "many scenes" in printed and "*.tif" in printed
    for date in ("2020", "2021"):
        own = [row for row in rows if row["source_dataset"] == date]
        check_scene(own, report, dict(zip(ROLES, [band + np.uint8(int(date) % 2) for band in FLAT])), date)


@pytest.mark.parametrize("captions", [None, "csv", "jsonl"])
def test_a_folder_of_rgb(tmp_path, capsys, captions):
    images(tmp_path / "photos", captions)
    rows, _, printed = run(tmp_path / "photos", tmp_path, capsys)
    assert len(rows) == 6 and ("no captions" in printed) is (captions is None)
    for row in rows:
        file = tmp_path / "photos" / row["source_locator"]
        assert row["rgb"]["bytes"] == file.read_bytes()
        told = captions is not None and row["source_locator"].startswith("train/")
        assert bool(row["captions"]) is told


@pytest.mark.parametrize(
    ("rgb_name", "ir_name", "band"),
    [
        ("visible/train/{}.png", "infrared/train/{}.png", "unspecified"),
        ("train/rgb/{}.png", "train/thermal/{}.png", "lwir"),
        ("{}_rgb.png", "{}_lwir.png", "lwir"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pairs(tmp_path, capsys, rgb_name, ir_name, band, dtype):
    paired(tmp_path / "pairs", rgb_name, ir_name, dtype)
    rows, report, printed = run(tmp_path / "pairs", tmp_path, capsys)
    assert len(rows) == 4 and {row["ir_band"] for row in rows} == {band}
    for row in rows:
        index = int("".join(filter(str.isdigit, row["source_locator"])))
        np.testing.assert_array_equal(pixels(row["rgb"]), rgb(index))
        held = np.asarray(Image.open(tmp_path / "pairs" / ir_name.format(index)))
        np.testing.assert_array_equal(pixels(row["ir"]), held)
    assert (band in report.identity["recipe"]["ir_range"]) is (dtype == np.uint16)
    assert ("kelvin times 100" in printed) is (dtype == np.uint16)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_table_of_file_names(tmp_path, capsys, suffix):
    rows, _, _ = run(table(tmp_path, suffix), tmp_path, capsys)
    assert [row["sample_id"] for row in rows] == ["n0", "n1", "n2"]
    for index, row in enumerate(rows):
        np.testing.assert_array_equal(pixels(row["rgb"]), rgb(index))
        assert row["captions"] == [f"a lake {index}"]


def test_a_hub_layout(tmp_path, capsys):
    hub(tmp_path / "hub")
    rows, report, _ = run(tmp_path / "hub", tmp_path, capsys)
    assert report.total(split="train") == report.total(split="test") == 3
    texts = {f"{split}: a wood {index}" for split in ("train", "test") for index in range(3)}
    assert {row["captions"][0] for row in rows} == texts
    held = {pixels(row["rgb"]).tobytes() for row in rows}
    assert held == {rgb(index + shift).tobytes() for index in range(3) for shift in (0, 10)}


@pytest.mark.parametrize(
    "caption",
    [("txt", "a bay {}"), ("json", '{"key": "k", "caption": "a bay {}"}'), ("json", '\ufeff{"text": ["a bay {}"]}')],
)
def test_a_folder_of_tars(tmp_path, capsys, caption):
    tars(tmp_path / "tars", caption)
    rows, _, _ = run(tmp_path / "tars", tmp_path, capsys)
    assert {row["captions"][0] for row in rows} == {f"a bay {index}" for index in range(3)}
    assert {pixels(row["rgb"]).tobytes() for row in rows} == {rgb(index).tobytes() for index in range(3)}


def test_names_with_further_dots_in_a_tar_are_told(tmp_path):
    tars(tmp_path / "tars")
    with tarfile.open(tmp_path / "dots.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("22.00.jpg"))
    with pytest.raises(
        InputError, match="images among 00.jpg; a key ends at the first dot of a name, as .00.jpg shows"
    ):
        inspect_place(tmp_path / "dots.tar")


def test_what_a_build_wrote(tmp_path, capsys):
    images(tmp_path / "photos", "csv")
    run(tmp_path / "photos", tmp_path, capsys)
    found = inspect_place(tmp_path / "out")
    assert found.recipe()["sources"] == [{"kind": "repository", "path": str(tmp_path / "out")}]
    assert any("6 translated" in fact for fact in found.facts)


def test_what_no_source_reads_is_told(tmp_path):
    with pytest.raises(InputError, match="does not exist; give a GeoTIFF"):
        inspect_place(tmp_path / "none")
    (tmp_path / "notes.md").write_text("no data")
    with pytest.raises(InputError, match="holds nothing that a source reads"):
        inspect_place(tmp_path)
    raster(tmp_path / "gray.tif", FLAT[:1])
    with pytest.raises(InputError, match="has 1 band, and RGB needs three"):
        inspect_place(tmp_path / "gray.tif")


def test_of_many_images_some_are_opened_from_the_first_to_the_last_and_how_many_is_said(tmp_path):
    for index in range(70):
        png(tmp_path / f"{index:02d}.png", np.full((4, 4 if index < 69 else 6, 3), index, np.uint8))
    facts = inspect_place(tmp_path).facts
    assert facts[0] == "70 images: of 64 that were opened 64 PNG RGB; px 4 x 4, 6 x 4"


def test_names_cannot_leave_the_comments(tmp_path):
    raster(tmp_path / "s.tif", FLAT, ["red\nname: x", "green\x1b[31m", "blue", "nir"])
    text = inspect_place(tmp_path / "s.tif").text()
    assert "\x1b" not in text and yaml.safe_load(text)["name"] == "s"


@pytest.mark.parametrize(
    ("shape", "cut"),
    [  # a cell is a fifth of the scene in whole tiles, at least one, and half a tile lies between two
        ((640, 640), (64, True)),  # 7 x 7 cells of a tile, of which .15 are 7; of 128 px 3 x 3, of which one
        ((10980, 10980), (256, True)),
        ((3000, 64), (64, True)),  # 31 cells in a row
        ((200, 200), (32, True)),  # 4 x 4 cells, two held out: no side has more
        ((130, 70), (32, True)),
        ((90, 40), (32, False)),
        ((20, 20), (20, False)),
    ],
)
def test_tiles_are_the_largest_of_which_enough_are_held_out(shape, cut):
    assert _cut(shape, "scene") == cut
