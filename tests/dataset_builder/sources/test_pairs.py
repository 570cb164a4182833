import io
import json
import pickle
import unicodedata

import numpy as np
import pytest
from PIL import Image

from dataset_builder.images.decoding import DecodeStage
from dataset_builder.schema import COLUMNS
from dataset_builder.sources import open_source
from dataset_builder.sources.formats.colormaps import colormap_tables
from dataset_builder.sources.pairs import PairsSource
from fusionrs_hf.errors import InputError

DUCK = "caltech_duck_ONR_2023-03-22-08-44-31"
BEAR = "big_bear_ONR_2022-05-08-11-34-00"


def put(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def colour(seed, side=8):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def rows_of(source):
    return [row for shard in source.shards() for row in source.read(shard)]


def pairs(path, **values):
    return PairsSource(path, **{"rights": "x", "rgb": "visible", "ir": "infrared", "ir_band": "lwir"} | values)


@pytest.fixture
def llvip(tmp_path):
    """The layout of LLVIP: pairs have the same name; infrared is three-channel JPEG whose channels agree."""
    root = tmp_path / "LLVIP"
    for number, name in enumerate(("train/010001", "train/010002", "test/190001")):
        put(root / "visible" / f"{name}.jpg", colour(number))
        put(root / "infrared" / f"{name}.jpg", np.repeat(colour(number)[..., :1], 3, 2))
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{name[-6:]}.xml").write_text("<annotation/>")
    return root


@pytest.fixture
def caltech(tmp_path):
    """The layout of labeled_rgbt_pairs: kind and number stand at the end of the name, thermal16 is 16-bit TIFF."""
    root = tmp_path / "labeled_rgbt_pairs"
    names = [(DUCK, "04824"), (DUCK, "02124"), (BEAR, "00360")]
    for number, (flight, frame) in enumerate(names):
        put(root / "color" / f"{flight}_eo-{frame}.jpg", colour(number))
        put(root / "thermal16" / f"{flight}_thermal-{frame}.tiff", colour(number)[..., 0].astype(np.uint16) * 200)
        put(root / "thermal8" / f"{flight}_thermal-{frame}.jpg", colour(number)[..., 0])
        put(root / "annotations" / f"{flight}_mask-{frame}.png", colour(number)[..., 0])
    for split, chosen in (("train", names[:1]), ("val", names[1:2]), ("test", names[2:])):
        lines = [f"color/{a}_eo-{b}.jpg,annotations/{a}_mask-{b}.png\n" for a, b in chosen]
        (root / f"rgb_{split}.txt").write_text("".join(lines))
    return root


def test_llvip_pairs_have_the_same_name_and_the_split_of_their_folder(llvip):
    rows = rows_of(pairs(llvip))
    assert [row["source_locator"] for row in rows] == [
        "visible/test/190001.jpg",
        "visible/train/010001.jpg",
        "visible/train/010002.jpg",
    ]
    assert [row["_split"] for row in rows] == ["test", "train", "train"]
    assert all(set(row) == {*COLUMNS, "_split", "_reason"} and row["_reason"] is None for row in rows)
    for row in rows:
        assert row["rgb"]["bytes"] == (llvip / row["source_locator"]).read_bytes()
        assert row["ir"]["path"] == row["source_locator"].replace("visible", "infrared")
        assert row["ir"]["bytes"] == (llvip / row["ir"]["path"]).read_bytes()
        assert (row["ir_origin"], row["ir_band"], row["ir_unit"]) == ("sensor", "lwir", "display")
    assert rows[0]["sample_id"] == "LLVIP/visible/test/190001.jpg/lwir"


def test_three_equal_channels_become_one_when_decoded(llvip):
    rows = rows_of(pairs(llvip))
    batch = {name: [row[name] for row in rows] for name in ("sample_id", "rgb", "ir", "ir_band", "_reason")}
    batch = DecodeStage({}, {})(batch)
    assert batch["_reason"] == [None] * 3
    assert [Image.open(io.BytesIO(image["bytes"])).mode for image in batch["ir"]] == ["L"] * 3


def test_caltech_pairs_share_flight_and_frame_and_16_bit_stays_bit_for_bit(caltech):
    source = pairs(caltech, rgb="color/*_eo-*", ir="thermal16/*_thermal-*", ir_unit="dn")
    rows = rows_of(source)
    assert [row["source_locator"] for row in rows] == [
        f"color/{BEAR}_eo-00360.jpg",
        f"color/{DUCK}_eo-02124.jpg",
        f"color/{DUCK}_eo-04824.jpg",
    ]
    for row, seed in zip(rows, (2, 1, 0), strict=True):
        assert row["ir"]["bytes"] == (caltech / row["ir"]["path"]).read_bytes() and row["ir_unit"] == "dn"
        image = Image.open(io.BytesIO(row["ir"]["bytes"]))
        assert image.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(image), colour(seed)[..., 0].astype(np.uint16) * 200)


def test_caltech_lists_prescribe_the_splits(caltech):
    lists = {split: f"rgb_{name}.txt" for split, name in (("train", "train"), ("validation", "val"), ("test", "test"))}
    values = {"rgb": "color/*_eo-*", "ir": "thermal8/*_thermal-*", "base": caltech}
    rows = rows_of(pairs(caltech, split_files=lists, **values))
    assert [row["_split"] for row in rows] == ["test", "validation", "train"]
    (caltech / "rgb_val.txt").write_text(f"color/{BEAR}_eo-00360.jpg,x\n")
    with pytest.raises(InputError, match=r"color/big_bear\S+ stands in the lists of two splits; keep it in one"):
        rows_of(pairs(caltech, split_files=lists, **values))
    (caltech / "rgb_val.txt").write_text("color/none_eo-1.jpg,x\n")
    with pytest.raises(InputError, match=r"name RGB images that are not there, such as color/none_eo-1.jpg; add"):
        rows_of(pairs(caltech, split_files=lists, **values))
    with pytest.raises(InputError, match=r"list of a split \S+none.txt does not exist"):
        rows_of(pairs(caltech, split_files={"test": "none.txt"}, **values))


@pytest.mark.parametrize(
    ("rgb", "ir", "names"),
    [
        (
            "*/rgb/*",
            "*/thermal/*",
            [("train/rgb/a.png", "train/thermal/a.tif"), ("val/rgb/a.png", "val/thermal/a.PNG")],
        ),
        ("*_rgb.png", "*_lwir.tif", [("x_rgb.png", "x_lwir.tif"), ("y.1_rgb.png", "y.1_lwir.tif")]),
        ("**/rgb/*", "**/ir/*", [("a/b/rgb/x.png", "a/b/ir/x.png"), ("rgb/x.png", "ir/x.png")]),
        ("v/?.png", "t/?.png", [("v/1.png", "t/1.png"), ("v/2.png", "t/2.png")]),
        ("v[1]/*", "t(1)/*", [("v[1]/a+b.png", "t(1)/a+b.png")]),
    ],
)
def test_what_the_wildcards_match_is_the_key(tmp_path, rgb, ir, names):
    for pair in names:
        for name in pair:
            put(tmp_path / name, colour(0)[..., 0])
    rows = rows_of(pairs(tmp_path, rgb=rgb, ir=ir))
    assert sorted((row["rgb"]["path"], row["ir"]["path"]) for row in rows) == sorted(names)
    assert {row["_reason"] for row in rows} == {None}


def test_images_without_a_partner_are_rows_with_a_reason(llvip):
    put(llvip / "visible" / "train" / "alone.jpg", colour(5))
    put(llvip / "infrared" / "test" / "alone.jpg", colour(6)[..., 0])
    put(llvip / "visible" / "train" / "010002.png", colour(7))
    rows = {row["source_locator"]: row for row in rows_of(pairs(llvip))}
    assert {name: row["_reason"] for name, row in rows.items()} == {
        "visible/test/190001.jpg": None,
        "visible/train/010001.jpg": None,
        "visible/train/010002.jpg": "pair_ambiguous",
        "visible/train/010002.png": "pair_ambiguous",
        "infrared/train/010002.jpg": "pair_ambiguous",
        "visible/train/alone.jpg": "ir_missing",
        "infrared/test/alone.jpg": "rgb_missing",
    }
    lone = rows["infrared/test/alone.jpg"]
    assert lone["rgb"] == {"bytes": None, "path": None} and lone["ir"]["bytes"] and lone["_split"] == "test"
    assert rows["visible/train/alone.jpg"]["ir"] is None and rows["visible/train/alone.jpg"]["ir_band"] is None


@pytest.mark.parametrize(("rgb", "ir"), [("vis/*.jpg", "ir/*.jpg"), ("vis/**/*.jpg", "ir/**/*.jpg")])
def test_files_that_fit_no_pattern_are_counted(tmp_path, caplog, rgb, ir):
    caplog.set_level("INFO")
    for folder in ("vis", "ir"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            suffix = "jpg" if number < 2 else "JPG"
            (tmp_path / folder / f"{number}.{suffix}").write_bytes(b"x")
        (tmp_path / folder / "._0.jpg").write_bytes(b"x")
    (tmp_path / "vis" / "notes.txt").write_text("x")
    source = PairsSource(tmp_path, rights="x", rgb=rgb, ir=ir, ir_band="lwir")
    assert len([row for shard in source.shards() for row in source.read(shard)]) == 2
    assert "and are not read: 4 .JPG (ir/2.JPG), 1 .txt (vis/notes.txt)" in caplog.text
    assert "2 names in" in caplog.text


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_pairs_find_each_other_in_any_normal_form_and_lists_may_have_a_mark(tmp_path, forms):
    name = [unicodedata.normalize(form, "Köln") for form in forms]
    for folder, stem in zip(("vis", "ir"), name):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{stem}.png").write_bytes(folder.encode())
    (tmp_path / "list.txt").write_text(f"\ufeffvis/{unicodedata.normalize('NFC', 'Köln')}.png\r\n", encoding="utf-8")
    options = {"rgb": "vis", "ir": "ir", "ir_band": "lwir", "split_files": {"test": "list.txt"}, "base": tmp_path}
    source = PairsSource(tmp_path, rights="x", **options)
    (row,) = [row for shard in source.shards() for row in source.read(shard)]
    assert (row["rgb"]["bytes"], row["ir"]["bytes"], row["_reason"]) == (b"vis", b"ir", None)
    assert row["_split"] == "test"


def test_hit_uav_as_published_has_no_pairs_and_is_refused(tmp_path):
    """Its layout: infrared by split beside COCO annotations, and no RGB."""
    for split in ("train", "val", "test"):
        put(tmp_path / "normal_json" / split / "0_60_30_0_01609.jpg", colour(0)[..., 0])
    (tmp_path / "normal_json" / "annotations").mkdir()
    (tmp_path / "normal_json" / "annotations" / "train.json").write_text("{}")
    message = (
        r"no image below \S+ fits 'visible/\*/\*'; pairs need RGB and infrared: .*as HIT-UAV has them, are no pairs"
    )
    with pytest.raises(InputError, match=message):
        rows_of(pairs(tmp_path / "normal_json", ir="*/*", rgb="visible/*/*"))
    put(tmp_path / "rgb" / "train" / "0_60_30_0_01609.jpg", colour(1))  # of one's own
    rows = rows_of(pairs(tmp_path, ir="normal_json/*/*", rgb="rgb/*/*"))
    assert sorted((row["_split"], row["_reason"] or "") for row in rows) == [
        ("test", "rgb_missing"),
        ("train", ""),
        ("validation", "rgb_missing"),
    ]


def test_captions_come_from_a_metadata_file_by_the_rgb_name(llvip):
    lines = [
        {
            "file_name": "visible/train/010001.jpg",
            "captions": ["a street", "a road"],
            "acquired_at": "2021-01-01",
        },
        {"file_name": "visible/train/010002.jpg", "text": 5},
    ]
    (llvip / "words.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = rows_of(pairs(llvip, captions="words.jsonl", base=llvip, caption_origin="hand", acquired_at="2020"))
    assert [row["captions"] for row in rows] == [[], ["a street", "a road"], []]
    assert rows[1]["caption_origin"] == ["hand", "hand"]
    assert [row["acquired_at"] for row in rows] == ["2020", "2021-01-01", "2020"]
    assert [row["_reason"] for row in rows] == [None, None, "caption_unreadable"]
    (llvip / "words.jsonl").write_text('{"file_name": "visible/none.jpg", "text": "x"}')
    with pytest.raises(InputError, match=r"name RGB images that are not there, such as visible/none.jpg"):
        rows_of(pairs(llvip, captions="words.jsonl", base=llvip))


def test_colour_mapped_infrared_is_undone_or_leaves_with_a_reason(tmp_path):
    levels = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    drawn = {"a": colormap_tables("inferno")[0][levels], "b": colormap_tables("viridis")[0][levels], "c": levels}
    for name, array in drawn.items():
        put(tmp_path / "visible" / f"{name}.png", colour(1, 64))
        put(tmp_path / "infrared" / f"{name}.png", array)
    a, b, c = rows_of(pairs(tmp_path, colormap="inferno"))
    assert (a["_reason"], a["ir_unit"]) == (None, "display")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(a["ir"]["bytes"]))), levels)
    assert [row["_reason"] for row in (b, c)] == ["colormap_mismatch"] * 2
    assert b["ir"]["bytes"] == (tmp_path / "infrared" / "b.png").read_bytes()


def test_without_a_colormap_coloured_infrared_leaves_when_it_is_decoded(tmp_path):
    put(tmp_path / "visible" / "a.png", colour(1))
    put(tmp_path / "infrared" / "a.png", colormap_tables("inferno")[0][colour(2)[..., 0]])
    rows = rows_of(pairs(tmp_path))
    batch = {name: [row[name] for row in rows] for name in ("sample_id", "rgb", "ir", "ir_band", "_reason")}
    assert DecodeStage({}, {})(batch)["_reason"] == ["ir_is_colormapped"]


def test_any_cut_into_shards_gives_the_same_rows_also_after_pickling_and_json(llvip):
    put(llvip / "infrared" / "test" / "alone.jpg", colour(6)[..., 0])
    whole = rows_of(pairs(llvip))
    for size in (1, 2, 3):
        cut = pairs(llvip, pairs_per_shard=size)
        shards = json.loads(json.dumps(list(cut.shards())))
        assert len(shards) == -(-4 // size)
        assert [row for shard in shards for row in pickle.loads(pickle.dumps(cut)).read(shard)] == whole


def test_a_link_that_leads_out_is_a_row_with_a_reason(llvip):
    put(llvip.parent / "secret.jpg", colour(9))
    (llvip / "infrared" / "train" / "010002.jpg").unlink()
    (llvip / "infrared" / "train" / "010002.jpg").symlink_to(llvip.parent / "secret.jpg")
    row = rows_of(pairs(llvip))[2]
    assert row["_reason"] == "unsafe_path" and row["ir"]["bytes"] is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": "none"}, "folder none does not exist or is no folder; give one that holds RGB and infrared"),
        ({"ir_band": "thermal"}, "ir_band must be one of nir, swir, mwir, lwir, unspecified, got 'thermal'"),
        ({"ir_unit": "celsius"}, "ir_unit must be one of display, dn"),
        ({"rgb": "*/rgb/*"}, r"rgb '\*/rgb/\*' and ir 'infrared' have 2 and 1 wildcards; give two patterns"),
        ({"rgb": "infrared"}, "give two patterns with as many in both"),
        ({"rgb": "../visible"}, "'../visible' is no folder or pattern below `path`"),
        ({"rgb": "visibel"}, "no image below .* fits 'visibel'; pairs need RGB and infrared"),
        ({"colormap": "inferno", "ir_unit": "dn"}, "a colormap gives levels of a drawing: ir_unit must be display"),
        ({"colormap": "magna"}, r"there is no colormap 'magna'; did you mean 'magma'\?"),
        ({"split_files": {"val": "x.txt"}}, r"split_files names the split 'val'; known are train, validation, test"),
        ({"acquired_at": "once"}, "acquired_at is 'once', no ISO date"),
        ({"gsd_m": 0}, "a gsd_m that is no number above 0"),
        ({"captions": "none.jsonl"}, "file none.jsonl does not exist; give JSON Lines or CSV"),
        ({"pairs_per_shard": 0}, "pairs_per_shard must be positive and max_residual not negative, got 0 and 8.0"),
    ],
)
def test_declarations_that_cannot_be_are_told_in_one_line(llvip, values, message):
    with pytest.raises(InputError, match=message) as error:
        rows_of(pairs(**({"path": llvip} | values)))
    assert "\n" not in str(error.value)


def test_a_recipe_opens_it(llvip):
    spec = {"kind": "pairs", "path": "LLVIP", "rights": "x", "rgb": "visible", "ir": "infrared", "ir_band": "lwir"}
    assert len(rows_of(open_source(spec, llvip.parent))) == 3
