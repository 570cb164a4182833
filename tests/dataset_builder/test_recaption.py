import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import get_dataset_config_names, load_dataset
from huggingface_hub import DatasetCard

from dataset_builder import recaption
from dataset_builder.pipeline import build
from dataset_builder.recaption import caption_dataset
from dataset_builder.recipe import BuildRecipe, CaptionRecipe
from dataset_builder.schema import FEATURES
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.captioned_tiles import NoWord, noise, png, row, stage_of, write

REWRITTEN = {
    "ir_captions",
    "ir_caption_form",
    "joint_captions",
    "captioner",
    "captioner_revision",
    "captioner_settings",
}
CARD = """---
license: cc0-1.0
configs:
- config_name: default
  default: true
  data_files: [{split: train, path: data/train-*}]
- config_name: theirs
  default: true
  data_files: [{split: train, path: data/train-*}]
dataset_info:
  features: [{name: gone, dtype: string}]
  splits: [{name: train, num_bytes: 1, num_examples: 99}]
---

# Made tiles

Words of its author.
"""


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def table_of(folder):
    return pa.concat_tables(pq.read_table(path) for path in sorted((folder / "data").glob("*.parquet")))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three shards of twelve rows; one row has no infrared, one a broken image."""
    folder = tmp_path_factory.mktemp("source")
    rows = [row(index) for index in range(36)]
    rows[5]["ir"] = None
    rows[20]["rgb"] = {"bytes": b"no image", "path": None}
    write(folder, rows)
    (folder / "README.md").write_text(CARD)
    (folder / "LICENSE").write_text("CC0")
    return folder


@pytest.fixture(scope="module")
def captioned(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("captioned") / "out"
    return out, caption_dataset(source, out, workers=1)


def test_only_caption_columns_change(source, captioned):
    before, after = table_of(source), table_of(captioned[0])
    assert after.schema == before.schema
    assert {name for name in before.column_names if before[name] != after[name]} == REWRITTEN
    names = sorted(path.name for path in (source / "data").iterdir())
    assert sorted(path.name for path in (captioned[0] / "data").iterdir()) == names
    assert (captioned[0] / "LICENSE").read_text() == "CC0"


def test_rows_that_cannot_be_measured_stay_without_caption_and_are_told(captioned):
    out, report = captioned
    rows = {known["sample_id"]: known for known in table_of(out).to_pylist()}
    for name in ("made/005", "made/020"):
        assert (rows[name]["ir_captions"], rows[name]["captioner"]) == ([], None)
    assert all(len(known["ir_captions"]) >= 1 for name, known in rows.items() if name not in ("made/005", "made/020"))
    assert report["captions"]["total"]["failed"] == {"ir_missing": 1, "unreadable": 1}
    lines = [json.loads(line) for line in (out / "quarantine" / "captions.jsonl").open()]
    failed = {(line["sample_id"], line["reason"]) for line in lines if line["text"] is None}
    assert failed == {("made/005", "ir_missing"), ("made/020", "unreadable")}


def test_both_configs_load_and_sizes_are_right(captioned, tmp_path):
    out = captioned[0]
    default = load_dataset(str(out), cache_dir=str(tmp_path))
    aware = load_dataset(str(out), "ir_aware", cache_dir=str(tmp_path))
    assert (len(default["train"]), len(default["test"])) == (24, 12)
    assert (len(aware["train"]), len(aware["test"])) == (22, 12)
    assert default["train"].features == FEATURES
    infos = {info["config_name"]: info for info in DatasetCard.load(out / "README.md").data.dataset_info}
    assert {split["name"]: split["num_examples"] for split in infos["ir_aware"]["splits"]} == {"train": 22, "test": 12}


def test_a_card_of_others_keeps_its_words(captioned):
    card = DatasetCard.load(captioned[0] / "README.md")
    assert "# Made tiles\n\nWords of its author." in card.text
    assert card.text.count("## Infrared-aware captions") == 1
    assert card.data.license == "cc0-1.0"
    assert [config["config_name"] for config in card.data.configs if config.get("default")] == ["default"]
    assert "theirs" in [config["config_name"] for config in card.data.configs]


def test_captioning_again_replaces_the_section(captioned, tmp_path):
    caption_dataset(captioned[0], tmp_path / "again", CaptionRecipe(seed=5), workers=1)
    assert (tmp_path / "again" / "README.md").read_text().count("## Infrared-aware captions") == 1


def test_two_workers_write_the_same_bytes(source, captioned, tmp_path):
    caption_dataset(source, tmp_path / "two", workers=2)
    assert digests(tmp_path / "two") == digests(captioned[0])


def test_a_run_killed_in_the_middle_continues_to_the_same_bytes(source, captioned, tmp_path):
    out = tmp_path / "killed"
    script = f"""
        import os, signal
        from dataset_builder import recaption
        from dataset_builder.shards.parquet import ShardWriter
        close, calls = ShardWriter.close, []
        def kill(self):  # the second shard dies while it closes its file
            calls.append(self)
            if len(calls) == 3:  # a shard is closed twice
                os.kill(os.getpid(), signal.SIGKILL)
            return close(self)
        ShardWriter.close = kill
        recaption.caption_dataset({str(source)!r}, {str(out)!r}, workers=1)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert list(out.rglob(".*.partial")) and len(list((out / ".work" / "shards").glob("*.json"))) == 1
    caption_dataset(source, out, workers=1)
    assert digests(out) == digests(captioned[0])


def test_a_finished_run_is_left_alone(source, captioned):
    before = {path: path.stat().st_mtime_ns for path in captioned[0].rglob("*")}
    assert caption_dataset(source, captioned[0]) == captioned[1]
    assert caption_dataset(source, captioned[0], retry=True) == captioned[1]
    assert {path: path.stat().st_mtime_ns for path in captioned[0].rglob("*")} == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 1}, "recipe: settings changed"),
        ({"repairs": 1}, "recipe: repairs changed"),
        ({"rules": {"near_copy": False}}, "recipe: rules changed"),
    ],
)
def test_a_finished_run_of_something_else_is_refused(source, captioned, change, sentence):
    with pytest.raises(InputError, match=sentence):
        caption_dataset(source, captioned[0], CaptionRecipe(**change))


def test_another_dataset_is_refused(captioned, tmp_path):
    other = write(tmp_path / "other")
    with pytest.raises(InputError, match="inputs changed"):
        caption_dataset(other, captioned[0])


def test_a_damaged_output_is_not_called_finished(source, tmp_path):
    caption_dataset(source, tmp_path / "out", workers=1)
    next((tmp_path / "out" / "data").glob("test-*")).write_bytes(b"")
    with pytest.raises(InputError, match="test-00000.* is missing or changed"):
        caption_dataset(source, tmp_path / "out")


def test_retry_asks_for_failed_rows_only_in_their_shards(source, tmp_path, monkeypatch):
    down = {"made/003", "made/030"}
    stages = []

    def make(recipe):
        stages.append(stage_of(lambda known: "request_failed" if known["sample_id"] in down else ["very bright"]))
        return stages[-1]

    monkeypatch.setattr(recaption, "make_caption_stage", make)
    report = caption_dataset(source, tmp_path / "out", workers=1)
    assert report["unanswered"] == 2
    assert report["captions"]["total"]["failed"]["request_failed"] == 2
    assert caption_dataset(source, tmp_path / "out", workers=1) == report  # nothing to do
    assert stages[-1].captioner.asked == []
    down.clear()
    report = caption_dataset(source, tmp_path / "out", workers=1, retry=True)
    assert report["unanswered"] == 0 and report["captions"]["total"]["captioned"] == 34
    asked = Counter(stages[-1].captioner.asked)
    # Shards of rows 0 to 11 and 24 to 35; row 5 has no infrared.
    assert set(asked) == {f"made/{i:03d}" for i in [*range(12), *range(24, 36)] if i != 5} and set(asked.values()) == {
        1
    }
    assert not (tmp_path / "out" / ".work").exists()
    whole = caption_dataset(source, tmp_path / "whole", workers=1)
    assert digests(tmp_path / "out")["data/test-00000-of-00001.parquet"] == whole["files"][
        "data/test-00000-of-00001.parquet"
    ]["sha256"]  # fmt: skip


def test_rejected_captions_leave_the_row(source, tmp_path, monkeypatch):
    say = stage_of(lambda known: ["very bright", "very bad"], NoWord("bad"))
    monkeypatch.setattr(recaption, "make_caption_stage", lambda recipe: say)
    report = caption_dataset(source, tmp_path / "out", workers=1)
    rows = table_of(tmp_path / "out").to_pylist()
    assert len(rows) == 36
    assert [known["ir_captions"] for known in rows if known["captioner"]] == [["very bright"]] * 34
    assert report["captions"]["total"]["rejected"] == {"has_word": 34}


def test_views_without_rows_are_not_offered(source, tmp_path, monkeypatch):
    """`datasets` loads no empty split: all captions of test rows are rejected, then all there are."""
    stage = stage_of(lambda known: ["very bad" if known["sample_id"] >= "made/024" else "very bright"], NoWord("bad"))
    monkeypatch.setattr(recaption, "make_caption_stage", lambda recipe: stage)
    caption_dataset(source, tmp_path / "some", workers=1)
    aware = load_dataset(str(tmp_path / "some"), "ir_aware", cache_dir=str(tmp_path / "cache"))
    assert set(aware) == {"train"} and len(aware["train"]) == 22
    monkeypatch.setattr(recaption, "make_caption_stage", lambda recipe: stage_of(lambda known: ["bad"], NoWord("bad")))
    report = caption_dataset(source, tmp_path / "none", workers=1)
    assert report["captions"]["total"]["accepted"] == 0
    assert len(load_dataset(str(tmp_path / "none"), cache_dir=str(tmp_path / "cache"))["test"]) == 12
    assert "ir_aware" not in get_dataset_config_names(str(tmp_path / "none"))


def test_scene_captions_are_written_only_where_there_were_none(tmp_path, monkeypatch):
    rows = [row(index, **({"captions": [], "caption_origin": []} if index == 7 else {})) for index in range(12)]
    source = write(tmp_path / "source", rows)
    stage = stage_of(lambda known: ["very bright"])
    asked = stage.captioner.caption

    def with_scenes(rows, facts, faults=None):
        written = asked(rows, facts, faults)
        for answer in written:
            answer.captions = ["a lake"]
        return written

    stage.captioner.caption = with_scenes
    monkeypatch.setattr(recaption, "make_caption_stage", lambda recipe: stage)
    caption_dataset(source, tmp_path / "out", workers=1)
    found = table_of(tmp_path / "out").to_pylist()
    assert [known["captions"] for known in found if known["caption_origin"] == ["model"]] == [["a lake"]]
    assert sum(known["caption_origin"] == ["hand"] for known in found) == 11
    assert "1 scene captions were written" in (tmp_path / "out" / "README.md").read_text()


def test_columns_of_others_stay_and_columns_of_the_record_are_added(tmp_path):
    source = write(tmp_path / "source")
    for path in (source / "data").iterdir():
        table = pq.read_table(path).drop_columns(["captioner", "captioner_settings", "gsd_m"])
        pq.write_table(table.append_column("note", pa.array(["x"] * len(table))).replace_schema_metadata(None), path)
    caption_dataset(source, tmp_path / "out", workers=1)
    for config in ("default", "ir_aware"):
        rows = load_dataset(str(tmp_path / "out"), config, cache_dir=str(tmp_path / "cache"))["train"]
        assert set(rows.features) == {*FEATURES, "note"}
        assert rows[0]["note"] == "x" and rows[0]["captioner"] == "grounded" and rows[0]["gsd_m"] is None
        assert np.asarray(rows[0]["ir"]).shape == (48, 48)


def test_a_build_is_updated_with_its_card_and_its_report(tmp_path):
    source = write(tmp_path / "source")
    given = {"name": "Made tiles", "sources": [{"kind": "repository", "path": "."}], "caption": {}}
    given["filters"] = {"rgb_ir_misaligned": False, "ir_is_gray_of_rgb": False}
    built = build(BuildRecipe.from_mapping(given, base=source), tmp_path / "built", workers=1)
    report = caption_dataset(tmp_path / "built", tmp_path / "out", CaptionRecipe(seed=9), workers=1)
    known = json.loads((tmp_path / "out" / "build_report.json").read_text())
    assert known["captions"] == report["captions"]
    assert known["identity"]["recipe"]["caption"]["seed"] == 9
    assert known["fingerprint"] != built.fingerprint
    assert (known["rows"], known["quarantine"], known["groups"]) == (built.rows, built.quarantine, built.groups)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "Captions of the infrared were written anew by" in text and text.count("## Infrared-aware captions") == 1
    before, after = table_of(tmp_path / "built"), table_of(tmp_path / "out")
    assert {name for name in before.column_names if before[name] != after[name]} <= REWRITTEN
    aware = load_dataset(str(tmp_path / "out"), "ir_aware", cache_dir=str(tmp_path / "cache"))
    assert sum(map(len, aware.values())) == report["captions"]["total"]["captioned"]
    with pytest.raises(InputError, match="was written by `fusionrs caption`; give `fusionrs build` another folder"):
        build(BuildRecipe.from_mapping(given, base=source), tmp_path / "out")
    # The same captions as the build's own: the same shards, byte for byte.
    caption_dataset(tmp_path / "built", tmp_path / "same", workers=1)
    files = json.loads((tmp_path / "same" / "build_report.json").read_text())["files"]
    assert files == {name: file for name, file in built.files.items() if not name.startswith("quarantine/rows")}


def test_wide_infrared_needs_its_range(tmp_path):
    wide = [row(i, ir=png(noise(i, 1).astype(np.uint16) * 100), ir_unit="dn") for i in range(12)]
    source = write(tmp_path / "source", wide)
    with pytest.raises(InputError, match=r"none of 12 rows has infrared that can be read \(12 ir_range_missing\)"):
        caption_dataset(source, tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / "data").exists()
    report = caption_dataset(source, tmp_path / "out", ir_range={"nir": [0, 25500]}, workers=1)
    assert report["captions"]["total"]["captioned"] >= 11


def test_the_output_may_not_be_the_dataset_nor_hold_something_else(source, tmp_path):
    with pytest.raises(InputError, match="the dataset itself"):
        caption_dataset(source, source)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"is not empty and not of `fusionrs caption` \(thesis.tex"):
        caption_dataset(source, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to"):
        caption_dataset(source, tmp_path / "file" / "out")


def test_what_cannot_be_captioned_is_said_in_a_line(tmp_path):
    with pytest.raises(InputError, match="nowhere is no folder"):
        caption_dataset(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(InputError, match="neither a folder here nor a Hub dataset"):
        caption_dataset("nobody/nothing", tmp_path / "out")
    with pytest.raises(InputError, match="has no data/train"):
        caption_dataset(tmp_path, tmp_path / "out")
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    path.write_bytes(b"no Parquet")
    with pytest.raises(InputError, match="is not Parquet"):
        caption_dataset(tmp_path, tmp_path / "out")
    pq.write_table(pa.table({"sample_id": ["a"], "rgb": [b""]}), path)
    with pytest.raises(InputError, match="lacks the columns source_dataset, source_locator, rights, ir"):
        caption_dataset(tmp_path, tmp_path / "out")
    columns = {name: ["a"] for name in ("sample_id", "source_dataset", "source_locator", "rights", "rgb", "ir")}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InputError, match="column rgb of .* is string, expected images"):
        caption_dataset(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_front_matter_is_said_in_a_line(tmp_path):
    source = write(tmp_path / "source")
    (source / "README.md").write_text("---\nconfigs: [\n---\ntext\n")
    with pytest.raises(InputError, match="front matter of .*README.md"):
        caption_dataset(source, tmp_path / "out", workers=1)


def test_the_bar_counts_rows_and_shows_acceptance_and_cost(source, tmp_path, monkeypatch, capfd):
    stage = stage_of(lambda known: ["very bright", "very bad"], NoWord("bad"))
    monkeypatch.setattr(recaption, "make_caption_stage", lambda recipe: stage)
    caption_dataset(source, tmp_path / "out", CaptionRecipe(captioner="endpoint"))  # one worker, in this process
    last = capfd.readouterr().err.replace("\r", "\n").strip().splitlines()[-1]
    assert "36/36" in last and "accepted=50.0%" in last and "cost=$8.5" in last and "failed=2" in last


def test_a_dataset_of_the_hub_is_captioned(hub_client, hub, source, tmp_path):
    assert hub_client.submit(on_hub, str(source), str(tmp_path / "out")).result() == 34


def on_hub(source, out):
    from huggingface_hub import HfApi

    HfApi().create_repo("me/made-captions", repo_type="dataset", exist_ok=True)
    HfApi().upload_folder(repo_id="me/made-captions", repo_type="dataset", folder_path=source)
    return caption_dataset("me/made-captions", out, workers=1)["captions"]["total"]["captioned"]


def test_no_machine_is_in_the_reports(source, captioned):
    for name in ("caption_report.json", "README.md", "croissant.json"):
        text = (captioned[0] / name).read_text()
        assert str(source) not in text and str(captioned[0]) not in text and os.uname().nodename not in text
