import json
import os
import shutil
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import get_dataset_config_names, load_dataset

from dataset_builder.fusionrs import FusionRS
from dataset_builder.publish import copies as publishing
from dataset_builder.publish.clearance import check_folder
from dataset_builder.publish.copies import publish_dataset, redact
from dataset_builder.rights.table import Rights, read_policy
from dataset_builder.schema import COLUMNS, FEATURES, LIST_COLUMNS
from dataset_builder.shards.parquet import file_sha256
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.rights_rows import BARE, TILES, build_rows, rows_of, tile_rows, write_source

LEVELS = ("full", "redacted", "index")
CODE = {f"t{tile}/{band}": code for tile, (_, code) in TILES.items() for band in ("nir", "lwir", "rgb")}
FREE = {tile: found for tile, found in TILES.items() if found[1].startswith("CC")}
# What is taken out of a row that has it, by code.
LOST = {
    "CC0-1.0": set(),
    "CC-BY-SA-4.0": set(),
    "RSICD": {"rgb", "ir", "captions", "ir_captions"},
    "NWPU-Captions": {"captions", "ir_captions"},
    "skyscript/US": {"ir_captions"},
}
FOLLOWING = {
    "captions": {"caption_origin"},
    "ir_captions": {"captioner", "captioner_revision", "captioner_settings"},
    "rgb": set(),
    "ir": set(),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A build with rows of every kind of right, and one of free rows alone."""
    root = tmp_path_factory.mktemp("rights")
    for name, tiles in (("mixed", TILES), ("free", FREE)):
        build_rows(write_source(root / f"{name}-source", tiles), root / name)
    return root


@pytest.fixture
def mixed(kept, tmp_path):
    return shutil.copytree(kept / "mixed", tmp_path / "mixed", ignore=shutil.ignore_patterns("publish"))


@pytest.fixture
def free(kept, tmp_path):
    return shutil.copytree(kept / "free", tmp_path / "free", ignore=shutil.ignore_patterns("publish"))


@pytest.fixture(scope="module")
def copies(kept):
    """The copies of each level; tests that use it leave them, and the builds, as they are."""
    before = {name: digests(kept / name) for name in ("mixed", "free")}
    made = {level: publish_dataset(kept / "mixed", level, workers=1) for level in ("redacted", "index")}
    made["full"] = publish_dataset(kept / "free", "full", workers=1)
    assert {name: digests(kept / name) for name in before} == before
    return made


def digests(folder):
    """SHA-256 of a folder's files by name, but of its copies."""
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    found = {name.as_posix(): file_sha256(folder / name) for name in files if name.parts[0] != "publish"}
    assert {"README.md", "build_report.json"} <= set(found)
    return found


def test_redaction_takes_out_what_a_code_does_not_allow_and_nothing_else(kept, copies):
    given, rows = rows_of(kept / "mixed"), rows_of(copies["redacted"])
    assert list(rows) == list(given)
    for name, row in rows.items():
        lost = {column for column in LOST[CODE[name]] if given[name][column]}
        lost |= {follower for column in lost for follower in FOLLOWING[column]}
        empty = {column: [] if column in LIST_COLUMNS else None for column in lost}
        assert row == {**given[name], **empty}
    assert "secret" not in str([row for row in rows.values() if row["rights"] == "RSICD"])


def test_the_index_holds_neither_image_nor_caption_and_all_the_rest(kept, copies):
    target = copies["index"]
    given, rows = rows_of(kept / "mixed"), rows_of(target)
    gone = {"rgb", "ir", "captions", "ir_captions", *FOLLOWING["captions"], *FOLLOWING["ir_captions"]}
    for name, row in rows.items():
        assert row == {**given[name], **{column: [] if column in LIST_COLUMNS else None for column in gone}}
        assert len(row["rgb_phash"]) == len(row["ir_phash"]) == 16
    for path in (path for path in target.rglob("*") if path.is_file()):
        assert b"secret" not in path.read_bytes(), path
        assert b"\x89PNG" not in path.read_bytes(), path


def test_full_is_every_byte_of_the_data(kept, copies):
    target, free = copies["full"], kept / "free"
    shards = [path.name for path in sorted((free / "data").iterdir())]
    assert [path.name for path in sorted((target / "data").iterdir())] == shards
    assert all(file_sha256(target / "data" / name) == file_sha256(free / "data" / name) for name in shards)
    assert not (target / "refused.txt").exists()
    assert not (target / "quarantine").exists()


def test_full_refuses_with_counts_by_code_a_few_ids_and_all_in_a_file(mixed):
    with pytest.raises(InputError) as error:
        publish_dataset(mixed, "full", workers=1)
    for words in (
        "may not be published as full: 8 rows: ",
        "'NWPU-Captions': captions of 3, ir_captions of 2 rows not allowed (t3/nir, t3/lwir, t3/rgb)",
        "'RSICD': images of 3, infrared of 1, captions of 3, ir_captions of 2 rows not allowed (t2/",
        "'skyscript/US': ir_captions of 2 rows not allowed (t4/nir, t4/lwir)",
        "publish/full/refused.txt",
        "`fusionrs build OUT --publish redacted` or index",
        "`rights_policy`",
    ):
        assert words in str(error.value)
    lines = [line.split("\t") for line in (mixed / "publish/full/refused.txt").read_text().splitlines()]
    assert {name: (code, parts) for name, code, parts in lines} == {
        "t2/nir": ("RSICD", "images,captions,ir_captions"),
        "t2/lwir": ("RSICD", "images,captions,ir_captions"),
        "t2/rgb": ("RSICD", "images,infrared,captions"),
        "t3/nir": ("NWPU-Captions", "captions,ir_captions"),
        "t3/lwir": ("NWPU-Captions", "captions,ir_captions"),
        "t3/rgb": ("NWPU-Captions", "captions"),
        "t4/nir": ("skyscript/US", "ir_captions"),
        "t4/lwir": ("skyscript/US", "ir_captions"),
    }
    assert {path.name for path in (mixed / "publish/full").iterdir()} == {".fusionrs.json", "refused.txt"}


@pytest.mark.parametrize("level", ["full", pytest.param("redacted", marks=pytest.mark.slow), "index"])
def test_a_code_that_is_not_listed_is_published_in_no_form(tmp_path, level):
    source = write_source(tmp_path / "source", {0: ("train", "CC0-1.0"), 6: ("test", "wild code")})
    build_rows(source, tmp_path / "out")
    with pytest.raises(
        InputError, match="'wild code': 3 rows, code not listed .*add it with licence, images, infrared"
    ):
        publish_dataset(tmp_path / "out", level, workers=1)
    (tmp_path / "out/rights.yaml").write_text(
        "Wild Code: {licence: own, images: yes, infrared: yes, captions: yes, ir_captions: yes, index: no}"
    )
    with pytest.raises(InputError, match="index of 3 rows not allowed"):
        publish_dataset(tmp_path / "out", level, workers=1)
    (tmp_path / "out/rights.yaml").write_text(
        "Wild Code: {licence: own, images: yes, infrared: yes, captions: yes, ir_captions: yes, index: yes}"
    )
    check_folder(publish_dataset(tmp_path / "out", level, workers=1))


@pytest.mark.parametrize("level", LEVELS)
def test_every_config_of_every_level_loads(copies, level, tmp_path):
    target = copies[level]
    shown = {"default", "captions", "sensor"} | ({"ir_aware"} if level != "index" else set())
    assert set(get_dataset_config_names(str(target))) == shown
    rows = rows_of(target)
    sizes = json.loads((target / "build_report.json").read_text())["configs"]
    for name in shown:
        config = next(config for config in FusionRS.BUILDER_CONFIGS if config.name == name)
        data = load_dataset(str(target), name, cache_dir=str(tmp_path / "cache"))
        expected = {key for key, row in rows.items() if config.keeps(row)}
        assert {key for part in data.values() for key in part["sample_id"]} == expected
        assert {split: len(part) for split, part in data.items()} == {
            split: size["rows"] for split, size in sizes[name].items() if size["rows"]
        }
        assert data["train"].features == config.features
    streamed = load_dataset(str(target), split="train", streaming=True)
    images = [(row["sample_id"], row["rgb"]) for row in streamed]
    assert all((image is None) == (rows[name]["rgb"] is None) for name, image in images)


def test_croissant_of_the_index_validates_and_reads_its_rows(copies):
    mlcroissant = pytest.importorskip("mlcroissant")
    target = copies["index"]
    dataset = mlcroissant.Dataset(str(target / "croissant.json"))
    assert not dataset.metadata.issues.errors
    records = list(dataset.records("test"))
    assert [record["test/sample_id"].decode() for record in records] == list(rows_of(target, "data/test-*"))
    assert {record["test/rgb"] for record in records} == {None}


def test_report_counts_what_is_there_and_what_was_left_out(kept, copies):
    target = copies["redacted"]
    report = json.loads((target / "build_report.json").read_text())
    rows = rows_of(target)
    assert report["rows_kept"] == len(rows) == 27
    assert sum(row["rows"] for row in report["rows"]) == 27
    assert report["facts"]["caption_origin"] == {"source": 21, "hand": 21}  # two of nine tiles lost theirs: 7 * 3 rows
    assert report["facts"]["captioner"] == {"source": 2 * 5}  # nir and lwir of tiles 1, 5, 6, 7, 8
    assert report["rights"]["left_out"] == {
        "rgb": {"RSICD": 3},
        "ir": {"RSICD": 3},
        "captions": {"NWPU-Captions": 3, "RSICD": 3},
        "ir_captions": {"NWPU-Captions": 2, "RSICD": 2, "skyscript/US": 2},
    }
    assert BARE not in {1, 5, 6, 7, 8}
    assert {name: file["sha256"] for name, file in report["files"].items()} == {
        f"data/{path.name}": file_sha256(path) for path in (target / "data").iterdir()
    }
    private = json.loads((kept / "mixed" / "build_report.json").read_text())
    assert (private["rights"], private["version"]) == ({}, "1.0.0")


def test_notices_and_card_tell_the_terms_with_counts(copies):
    target = copies["redacted"]
    notice, card = (target / "NOTICE.md").read_text(), (target / "README.md").read_text()
    counts = Counter(CODE.values())
    for code, entry in ((code, read_policy().get(code)) for code in counts):
        assert f"### {code} ({counts[code]} rows)" in notice
        assert entry.notice in notice
        assert entry.licence.split("(")[0].strip() in card
    assert "| CC-BY-SA-4.0 | CC-BY-SA-4.0 | A. N. Other | 6 |" in notice
    assert "Not legal advice" in notice
    assert "Not legal advice" in card
    assert "| rights | rows without `rgb` | rows without `ir` |" in card
    assert "fusionrs build RECIPE OUT" in card
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "other"
    assert front["license_name"] == "per-row-rights-non-commercial-share-alike"
    assert front["license_link"] == "NOTICE.md"


def test_one_licence_for_all_is_the_cards(tmp_path):
    source = write_source(tmp_path / "source", {1: TILES[1], 8: TILES[8]})
    build_rows(source, tmp_path / "out")
    card = (publish_dataset(tmp_path / "out", "full", workers=1) / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["license"] == "cc-by-sa-4.0"
    assert "Nothing." in (tmp_path / "out/publish/full/NOTICE.md").read_text()
    assert "are here without it" not in card


@pytest.mark.slow
@pytest.mark.every_change
def test_any_number_of_workers_and_any_day_give_the_same_bytes(mixed, kept, tmp_path):
    first = digests(publish_dataset(mixed, "redacted", workers=1))
    again = shutil.copytree(kept / "mixed", tmp_path / "again", ignore=shutil.ignore_patterns("publish"))
    assert digests(publish_dataset(again, "redacted", workers=2)) == first


@pytest.mark.parametrize("dies_in", ["write_json", "write_dataset_card"])
def test_a_copy_that_was_interrupted_has_no_card_and_continues(copies, mixed, monkeypatch, dies_in):
    expected = digests(copies["redacted"])
    with monkeypatch.context() as patched:
        patched.setattr(publishing, dies_in, lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            publish_dataset(mixed, "redacted", workers=1)
    assert not (mixed / "publish/redacted/README.md").exists()
    assert digests(publish_dataset(mixed, "redacted", workers=1)) == expected


def test_a_copy_that_is_there_is_left_as_it_is(mixed, caplog):
    caplog.set_level("INFO")
    target = publish_dataset(mixed, "redacted", workers=1)
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert "nothing to do" not in caplog.text
    assert publish_dataset(mixed, "redacted", workers=1) == target
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before and "nothing to do" in caplog.text
    (target / "croissant.json").unlink()
    publish_dataset(mixed, "redacted", workers=1)
    assert (target / "croissant.json").is_file()


def test_a_copy_is_brought_up_to_date_by_the_shards_that_changed(mixed):
    target = publish_dataset(mixed, "redacted", workers=1)
    written = {path.name: path.stat().st_ino for path in (target / "data").iterdir()}
    stray = target / "data" / "train-00009-of-00010.parquet"
    stray.write_bytes(b"stray")
    with pytest.raises(InputError, match=rf"did not write \(data/{stray.name}\); move them away"):
        publish_dataset(mixed, "redacted", workers=1)
    assert stray.read_bytes() == b"stray"
    stray.unlink()
    publish_dataset(mixed, "redacted", workers=1)
    assert {path.name: path.stat().st_ino for path in (target / "data").iterdir()} == written
    (mixed / "rights.yaml").write_text("RSICD: {images: yes}")
    rows = rows_of(publish_dataset(mixed, "redacted", workers=1))
    assert rows["t2/nir"]["rgb"] is not None
    assert rows["t2/rgb"]["ir"] is None


def test_a_leftover_of_a_killed_copy_never_reaches_the_build(free):
    before = digests(free)
    name = sorted(path.name for path in (free / "data").iterdir())[0]
    target = publish_dataset(free, "full", workers=1)
    (target / "data" / name).unlink()
    os.link(free / "data" / name, target / "data" / f".{name}.partial")
    publish_dataset(free, "full", workers=1)
    assert digests(free) == before


def test_texts_of_rejected_captions_go_with_their_rows_alone(mixed):
    path = mixed / "build_report.json"
    report = json.loads(path.read_text())
    examples = [{"sample_id": name, "text": f"rejected {name}", "detail": ""} for name in ("t1/nir", "t2/nir", "gone")]
    part = {"rows": 3, "captioned": 0, "written": 3, "accepted": 0, "words": 0, "scene_captions": 0, "usage": {}}
    part |= {"rejected": {"bad": 3}, "failed": {}, "claims": {}, "rejected_claims": {}}
    variety = {"captions": 0, "mean_words": None, "distinct_1": 0, "distinct_2": 0, "self_bleu": None}
    report["captions"] = {"captioner": "x", "revision": "1", "repairs": 0, "total": part, "sources": {"s": part}}
    report["captions"] |= {"variety": variety, "examples": {"bad": examples}}
    path.write_text(json.dumps(report))
    card = (publish_dataset(mixed, "redacted", workers=1) / "README.md").read_text()
    assert "rejected t1/nir" in card
    assert "rejected t2/nir" not in card
    assert "rejected gone" not in card
    index = publish_dataset(mixed, "index", workers=1)
    assert "rejected t" not in (index / "README.md").read_text() + (index / "build_report.json").read_text()


def test_only_a_finished_whole_build_is_published(free, tmp_path):
    with pytest.raises(InputError, match="no level 'ful' to publish; did you mean 'full'"):
        publish_dataset(free, "ful")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no finished build"):
        publish_dataset(tmp_path / "empty", "full")
    target = publish_dataset(free, "full", workers=1)
    with pytest.raises(InputError, match="is a published copy already"):
        publish_dataset(target, "full")
    next((free / "data").iterdir()).unlink()
    with pytest.raises(InputError, match="is missing or changed"):
        publish_dataset(free, "index")


def test_a_recipe_over_a_build_does_not_read_its_copies(free, tmp_path):
    publish_dataset(free, "full", workers=1)
    assert build_rows(free, tmp_path / "again").rows_read == 3 * len(FREE)


def test_a_folder_passes_the_gate_with_what_its_codes_allow_and_their_notices_alone(kept, copies, tmp_path):
    with pytest.raises(InputError, match="may not be published: 8 rows: 'NWPU-Captions': captions of 3"):
        check_folder(kept / "mixed")
    with pytest.raises(
        InputError, match="NOTICE.md does not hold the notice that rows of code 'CC-BY-SA-4.0' ask for"
    ):
        check_folder(kept / "free")
    for folder in copies.values():
        check_folder(folder)
    bare = shutil.copytree(copies["full"], tmp_path / "bare")
    (bare / "NOTICE.md").write_text("Nothing to see.")
    with pytest.raises(InputError, match="does not hold the notice"):
        check_folder(bare)


def test_redaction_of_every_case_of_infrared():
    rows = [dict(row) for row in tile_rows(3, "a") + tile_rows(4, "b")]
    for row, origin in zip(rows, ("sensor", "translated", None) * 2, strict=True):
        row |= {"ir": {"bytes": b"ir", "path": None}, "ir_origin": origin}
    table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
    keys = {"licence": "x", "images": True, "infrared": False, "captions": True, "ir_captions": True, "index": True}
    policy = read_policy()
    policy.entries |= {"a": Rights(**keys), "b": Rights(**{**keys, "images": False, "infrared": True})}
    found, left_out = redact(table, policy, "redacted")
    assert found["rgb"].is_valid().to_pylist() == [True, True, True, False, False, False]
    # Code a allows images, not derivatives: sensor infrared stays. Code b the other way: translated infrared stays.
    assert found["ir"].is_valid().to_pylist() == [True, False, False, False, True, False]
    assert left_out["ir"] == {"a": 2, "b": 2}
    assert found.schema == table.schema
    assert found.column_names == list(COLUMNS)


def test_joint_captions_stay_where_both_kinds_of_captions_may():
    rows = [row for code in ("both", "scene", "infrared") for row in tile_rows(3, code)[:1]]
    for row in rows:
        row |= {"joint_captions": ["words on both"], "ir_caption_form": ["free"]}
    table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
    keys = {"licence": "x", "images": True, "infrared": True, "captions": True, "ir_captions": True, "index": True}
    policy = read_policy()
    policy.entries |= {
        "both": Rights(**keys),
        "scene": Rights(**{**keys, "ir_captions": False}),
        "infrared": Rights(**{**keys, "captions": False}),
    }
    found, left_out = redact(table, policy, "redacted")
    assert found["joint_captions"].to_pylist() == [["words on both"], None, None]
    assert found["ir_caption_form"].to_pylist() == [["free"], None, ["free"]]
    assert left_out["joint_captions"] == {"scene": 1, "infrared": 1}
    found, _ = redact(table, policy, "index")
    assert found["joint_captions"].null_count == len(rows)


def test_the_sample_passes_the_gate():
    from tests.dataset_builder.made.sample_tiles import SAMPLE

    check_folder(SAMPLE.parent)


def test_the_bytes_of_a_copy_do_not_tell_where_it_was_made(kept, copies):
    target = copies["redacted"]
    for path in (path for path in target.rglob("*") if path.is_file()):
        assert str(kept).encode() not in path.read_bytes()
    assert pq.read_schema(next((target / "data").iterdir())).metadata == FEATURES.arrow_schema.metadata
