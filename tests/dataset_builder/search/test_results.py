import json

import numpy as np
import pytest
from PIL import Image

from dataset_builder.search.results import TILE_PX, footprint, results_table, write_geojson, write_sheet
from dataset_builder.search.retrieval import Hit, Query
from fusionrs_hf.cli import main
from tests.made import tiny, tiny_dataset


def hit(rank, bbox, **row):
    given = {"sample_id": f"s/{rank}", "source_dataset": "s", "source_locator": f"s@r{rank}", "ir_band": "nir"}
    return Hit(rank, 1 / rank, given | {"split": None, "bbox": bbox, "skipped": []} | row)


def assert_rfc7946(collection):
    """What the standard asks of such a file: members, closed rings, counter-clockwise, in range, no other CRS."""
    assert collection["type"] == "FeatureCollection" and "crs" not in collection
    for feature in collection["features"]:
        assert feature["type"] == "Feature" and {"geometry", "properties"} <= set(feature)
        kind, coordinates = feature["geometry"]["type"], feature["geometry"]["coordinates"]
        polygons = {"Polygon": [coordinates], "MultiPolygon": coordinates}[kind]
        for (ring,) in polygons:
            assert len(ring) >= 4 and ring[0] == ring[-1]
            corners = np.asarray(ring)
            assert (np.abs(corners) <= [180, 90]).all()
            (x, y), (next_x, next_y) = corners[:-1].T, corners[1:].T
            assert (x * next_y - next_x * y).sum() > 0  # shoelace: twice the area, positive counter-clockwise
            assert np.ptp(corners[:, 0]) < 180


def test_a_footprint_is_a_counter_clockwise_ring():
    ring = [[1, 2], [3, 2], [3, 4], [1, 4], [1, 2]]
    assert footprint([1, 2, 3, 4]) == {"type": "Polygon", "coordinates": [ring]}


def test_a_footprint_is_cut_at_the_antimeridian():
    east = [[179, -17], [180, -17], [180, -16], [179, -16], [179, -17]]
    west = [[-180, -17], [-178, -17], [-178, -16], [-180, -16], [-180, -17]]
    assert footprint([179, -17, -178, -16]) == {"type": "MultiPolygon", "coordinates": [[east], [west]]}


def test_geojson_holds_scores_and_ids_and_counts_rows_without_a_place(tmp_path):
    hits = [hit(1, [1.0, 2.0, 3.0, 4.0]), hit(2, None), hit(3, [179.0, -17.0, -178.0, -16.0])]
    assert write_geojson(tmp_path / "out.geojson", hits) == 1
    collection = json.loads((tmp_path / "out.geojson").read_text())
    assert_rfc7946(collection)
    assert [feature["id"] for feature in collection["features"]] == ["s/1", "s/3"]
    assert [feature["properties"]["score"] for feature in collection["features"]] == [1, 1 / 3]
    assert {feature["geometry"]["type"] for feature in collection["features"]} == {"MultiPolygon"}  # one layer
    assert collection["features"][1]["bbox"] == [179, -17, -178, -16]


def test_the_table_lines_up():
    lines = results_table([hit(1, None), hit(10, None, ir_band=None)]).splitlines()
    assert lines[0].split() == ["rank", "score", "sample_id", "ir_band", "split", "source_locator"]
    assert lines[2].split() == ["10", "0.1000", "s/10", "-", "-", "s@r10"]
    assert len({line.index("s/") for line in lines[1:]}) == 1


def test_the_sheet_shows_the_query_and_both_images_of_a_hit(tmp_path):
    [row, _] = tiny_dataset.rows("test", 1, 0)
    tiny.ir_image(7, TILE_PX).save(tmp_path / "ir.png")
    hits = [hit(rank, None, sample_id="a/very/long/name/" * 9) for rank in range(1, 5)]
    write_sheet(tmp_path / "sheet.png", Query(ir=tmp_path / "ir.png"), hits, [row] * 4, None)
    sheet = Image.open(tmp_path / "sheet.png")
    shown = np.asarray(sheet)
    top, left = 32, 8
    np.testing.assert_array_equal(shown[top : top + TILE_PX, left : left + TILE_PX, 0], tiny.ir_image(7, TILE_PX))
    below = top + TILE_PX + 8
    first = tiny.rgb_image(0).resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(shown[below : below + TILE_PX, left : left + TILE_PX], first)
    beside = shown[below : below + TILE_PX, left + TILE_PX : left + 2 * TILE_PX]
    infrared = tiny.ir_image(0).convert("RGB").resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(beside, infrared)
    assert sheet.width == 8 + 3 * (2 * TILE_PX + 16) and shown[-8:, :left].min() == 255


@pytest.mark.parametrize("name", ["x" * 1_000_000, "a\nb\n" * 90, "\u202e\x1b[2J"])
def test_hostile_names_stay_in_their_lines_of_the_sheet(tmp_path, name):
    [row, _] = tiny_dataset.rows("test", 1, 0)
    shown = {}
    for place, text in (("plain", "plain"), ("hostile", name)):
        hits = [hit(1, None, sample_id=text, ir_band=text), hit(2, None)]
        write_sheet(tmp_path / f"{place}.png", Query(text=text), hits, [row | {"ir_band": None}] * 2, None)
        shown[place] = np.asarray(Image.open(tmp_path / f"{place}.png"))
    left, top = 2 * TILE_PX + 16, 32  # of the second hit, and of both hits' images
    for part in (np.s_[top : top + TILE_PX], np.s_[top:, left + 8 :]):
        np.testing.assert_array_equal(shown["hostile"][part], shown["plain"][part])


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """16-bit scene of 64 x 96 px across the antimeridian, near Fiji: UTM zone 60 reaches beyond 180 degrees."""
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path_factory.mktemp("scene") / "fiji.tif"
    values = np.random.default_rng(0).integers(1, 3000, (4, 64, 96), dtype=np.uint16)
    values[:, :32, :32] = 0
    transform = rasterio.transform.from_origin(815_000.0, 8_150_000.0, 200.0, 200.0)
    profile = {"count": 4, "height": 64, "width": 96, "dtype": "uint16", "nodata": 0}
    with rasterio.open(path, "w", "GTiff", crs="EPSG:32760", transform=transform, **profile) as file:
        file.write(values)
        file.descriptions = ("red", "green", "blue", "nir")
    return path


def test_a_scene_is_embedded_searched_and_shown_on_a_map(scene, tmp_path, capsys):
    pytest.importorskip("faiss")
    tiny.clip_model().save_pretrained(tmp_path / "model")
    tiny.clip_processor(ir_range={"nir": [0, 3000]}).save_pretrained(tmp_path / "model")
    limits = "limits={red: [0, 3000], green: [0, 3000], blue: [0, 3000]}"
    options = ["--tile", "32", "--stride", "16", "--option", limits, "--option", "ir_unit=dn"]
    index = ["--output", str(tmp_path / "i"), "--model", str(tmp_path / "model"), *options]
    assert main(["embed", str(scene), *index]) == 0
    printed = capsys.readouterr().out
    assert "15 rows" in printed and "row: nodata" in printed  # 3 x 5 tiles
    asked = ["--text", "water", "--json", "--geojson", str(tmp_path / "g.json"), "--sheet", str(tmp_path / "s.png")]
    assert main(["search", str(tmp_path / "i"), *asked, "--k", "11"]) == 0
    hits = json.loads(capsys.readouterr().out)
    collection = json.loads((tmp_path / "g.json").read_text())
    assert_rfc7946(collection)
    assert [feature["id"] for feature in collection["features"]] == [hit["row"]["sample_id"] for hit in hits]
    assert any(len(feature["geometry"]["coordinates"]) == 2 for feature in collection["features"])
    assert Image.open(tmp_path / "s.png").size[1] > 4 * TILE_PX


def test_a_recipe_gives_its_sources_and_their_limits(scene, tmp_path, capsys):
    pytest.importorskip("faiss")
    tiny.clip_model().save_pretrained(tmp_path / "model")
    tiny.clip_processor().save_pretrained(tmp_path / "model")
    bands = dict.fromkeys(("red", "green", "blue"), [0, 3000])
    source = {"kind": "scene", "path": str(scene), "rights": "x", "limits": bands, "ir_unit": "dn", "tile_px": 32}
    recipe = {"name": "x", "sources": [source], "ir_range": {"nir": [0, 1500]}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    out = ["--model", str(tmp_path / "model"), "--output", str(tmp_path / "i")]
    assert main(["embed", str(tmp_path / "recipe.yaml"), *out, "--modalities", "ir"]) == 0
    printed = capsys.readouterr().out
    assert "6 rows" in printed and "5 ir embeddings" in printed and "of its pixels lie beyond ir_range" in printed
    meta = json.loads((tmp_path / "i" / "index.json").read_text())
    assert meta["ir_clipped_ratio"] == pytest.approx(0.5, abs=0.05)  # of values up to 3000, those above 1500
    assert meta["ir_range"] == {"nir": [0, 1500]} and meta["skipped"] == {"row: nodata": 1}
