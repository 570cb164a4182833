import json
import logging
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from dataset_builder.publish import takedown
from dataset_builder.publish.clearance import check_folder
from dataset_builder.publish.copies import publish_dataset
from dataset_builder.publish.takedown import remove
from dataset_builder.rights.tombstones import read_tombstones
from dataset_builder.schema import FEATURES, SPLITS
from dataset_builder.shards.counts import COUNTED, Counts, shard_sizes
from dataset_builder.shards.parquet import file_sha256, write_shard
from dataset_builder.shards.report import build_report
from fusionrs_hf.errors import InputError
from fusionrs_hf.output_folder import writing
from tests.dataset_builder.made.noise_images import noise, png
from tests.dataset_builder.made.rights_rows import TILES, build_rows, recipe_of, rows_of, tile_rows, write_source

WANTED = {"t7/nir": "asked by its owner", "t2/lwir": "", "bad": "broken anyway"}


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A build of three shards or more; two rows were quarantined, one of them for a group in two splits."""
    root = tmp_path_factory.mktemp("takedown")
    source = write_source(root / "source")
    rows = tile_rows(20, "CC0-1.0")[:2]
    rows[0] |= {"sample_id": "bad", "ir": png(noise(5, 1)), "rgb": {"bytes": b"no image", "path": None}}
    rows[1] |= {"sample_id": "torn", "rgb": tile_rows(7, "CC0-1.0")[0]["rgb"]}  # the image of a test tile, in train
    table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
    write_shard(source / "data" / "train-00001-of-00002.parquet", table)
    build_rows(source, root / "out")
    return root


@pytest.fixture
def out(origin, tmp_path):
    return shutil.copytree(origin / "out", tmp_path / "out")


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): file_sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def report_of(folder):
    return json.loads((folder / "build_report.json").read_text())


def test_the_fixture_has_what_the_tests_need(out):
    report = report_of(out)
    assert report["quarantine"] == {"split_group": 1, "unreadable": 1}
    assert len([name for name in report["files"] if name.startswith("data/train")]) > 1


def test_rows_go_from_data_and_quarantine_and_no_other_row_changes_but_a_mark(out):
    before, left = rows_of(out), rows_of(out, "quarantine/*.parquet")
    remove(out, WANTED, workers=1)
    after = rows_of(out)
    assert set(after) == set(before) - set(WANTED)
    assert list(after) == [name for name in before if name in after]
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"t7/rgb"}  # nir, too: it may represent its group in the place of the sensor's
    assert rows_of(out, "quarantine/*.parquet") == {name: row for name, row in left.items() if name != "bad"}


def test_only_the_shards_concerned_are_written(out):
    before = digests(out)
    holding = {
        path.relative_to(out).as_posix()
        for path in out.rglob("*.parquet")
        if set(pq.read_table(path, columns=["sample_id"])["sample_id"].to_pylist()) & {*WANTED, "t7/rgb"}
    }
    remove(out, WANTED, workers=1)
    after = digests(out)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == holding | {"README.md", "croissant.json", "build_report.json", ".fusionrs.json"}
    assert set(after) - set(before) == {"tombstones.jsonl"}
    assert any(name.startswith("data/") and name not in holding for name in before)


def test_each_row_leaves_a_tombstone(out):
    places = {
        name: path.relative_to(out).as_posix()
        for path in out.rglob("*.parquet")
        for name in pq.read_table(path, columns=["sample_id"])["sample_id"].to_pylist()
    }
    remove(out, WANTED, date="2026-03-01", workers=1)
    stones = {stone.pop("sample_id"): stone for stone in read_tombstones(out)}
    shared = {"version": "1.0.1", "date": "2026-03-01"}
    assert stones == {
        "t7/nir": {"split": "test", "file": places["t7/nir"], "reason": "asked by its owner", **shared},
        "t2/lwir": {"split": "train", "file": places["t2/lwir"], "reason": None, **shared},
        "bad": {"split": None, "file": places["bad"], "reason": "broken anyway", **shared},
    }


def recounted(folder):
    """What a build's report says, counted anew from the rows that are there."""
    counts, configs = Counts(), {}
    groups = {"image_group_id": set(), "joint_group_id": set()}
    for path in sorted((folder / "data").iterdir()):
        split, table = path.name.split("-")[0], pq.read_table(path)
        counts.add(split, table)
        for name, found in groups.items():
            found.update(table[name].to_pylist())
        for config, size in shard_sizes(path).items():
            configs.setdefault(config, Counter())[split] += size["rows"]
    for row in rows_of(folder, "quarantine/*.parquet").values():
        if row["reason"] == "split_group":
            for name, found in groups.items():
                found.add(row[name])
    return counts.report(), configs, {name: len(found) for name, found in groups.items()}


@pytest.mark.parametrize(
    "ids",
    [
        ["t7/nir", "t7/lwir", "t7/rgb", "torn"],
        pytest.param(["t7/nir"], marks=pytest.mark.slow),
        pytest.param(["torn", "bad"], marks=pytest.mark.slow),
        [f"t{tile}/{band}" for tile in (0, 3, 8) for band in ("nir", "lwir", "rgb")],
        ["t6/nir", "t6/lwir", "t6/rgb"],  # all of validation
    ],
)
def test_the_report_is_what_counting_anew_gives(out, ids):
    remove(out, dict.fromkeys(ids, ""), workers=1)
    report = report_of(out)
    counts, configs, groups = recounted(out)
    assert report["rows"] == sorted(counts["rows"], key=lambda row: [str(row[name]) for name in COUNTED])
    assert report["facts"] == counts["facts"]
    assert {split: n for split, n in report["representatives"].items() if n} == {
        split: n for split, n in counts["representatives"].items() if n
    }
    for name, found in configs.items():
        assert {split: size["rows"] for split, size in report["configs"][name].items()} == found
    assert report["groups"]["image_groups"] == groups["image_group_id"]
    assert report["groups"]["joint_groups"] == groups["joint_group_id"]
    assert report["rows_kept"] == len(rows_of(out))
    assert report["rows_kept"] + sum(report["quarantine"].values()) == report["rows_read"]
    assert report["quarantine"]["removed"] == len(ids) == report["removed"]
    files = {name: (file["bytes"], file["sha256"]) for name, file in report["files"].items()}
    assert files == {name: ((out / name).stat().st_size, file_sha256(out / name)) for name in files}
    assert {name: pq.read_metadata(out / name).num_rows for name in files} == {
        name: file["rows"] for name, file in report["files"].items()
    }
    sources = report["split_report"]["sources"]
    for source in sources:
        own = [row for row in report["rows"] if row["source_dataset"] == source]
        assert sources[source] == {split: sum(r["rows"] for r in own if r["split"] == split) for split in SPLITS}
    sizes = Counter(row["joint_group_id"] for row in [*rows_of(out).values(), *rows_of(out, "quarantine/*").values()])
    for component in report["groups"]["largest"]:
        first = {**rows_of(out), **rows_of(out, "quarantine/*.parquet")}[component["sample_id"]]
        assert component["size"] == sizes[first["joint_group_id"]]
        assert component["share"] == component["size"] / sum(sizes[name] for name in sizes if name)
        assert component["sample_id"] == min(
            name
            for name, row in {**rows_of(out), **rows_of(out, "quarantine/*.parquet")}.items()
            if row["joint_group_id"] == first["joint_group_id"]
        )


def test_another_row_represents_the_group_sensor_before_translated(out):
    assert rows_of(out)["t7/nir"]["is_eval_representative"]
    assert not rows_of(out)["t7/rgb"]["is_eval_representative"]
    remove(out, {"t7/nir": ""}, workers=1)
    rows = rows_of(out)
    marked = Counter((r["joint_group_id"], r["ir_band"]) for r in rows.values() if r["is_eval_representative"])
    held_out = [row for row in rows.values() if TILES[int(row["sample_id"][1])][0] != "train"]
    assert marked == Counter({(row["joint_group_id"], row["ir_band"]) for row in held_out})
    assert rows["t7/rgb"]["is_eval_representative"]
    assert rows["t7/lwir"]["is_eval_representative"]


def test_a_representative_in_another_shard_makes_that_shard_concerned(tmp_path):
    source = write_source(tmp_path / "source", {0: TILES[0], 7: TILES[7]})
    build_rows(source, tmp_path / "out", max_shard_bytes=1)  # a shard a row
    before = digests(tmp_path / "out")
    remove(tmp_path / "out", {"t7/nir": ""}, workers=1)
    changed = {name for name, digest in digests(tmp_path / "out").items() if before.get(name, digest) != digest}
    assert len([name for name in changed if name.startswith("data/")]) == 2
    assert rows_of(tmp_path / "out")["t7/rgb"]["is_eval_representative"]
    assert len(load_dataset(str(tmp_path / "out"), split="test", cache_dir=str(tmp_path / "cache"))) == 2


def test_a_shard_that_loses_nothing_comes_out_as_the_build_wrote_it(out):
    plan = {"remove": [], "mark": []}
    before = digests(out)
    for path in sorted((out / "data").iterdir()):
        takedown._filter_rows(path, plan)
    assert digests(out) == before


def test_it_loads_and_the_version_is_told(out, tmp_path):
    report = remove(out, WANTED, workers=1)
    data = load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in data.items()} == {split: report.total(split=split) for split in SPLITS}
    card = (out / "README.md").read_text()
    assert "This is version 1.0.1: 3 rows were taken down" in card
    assert "| `removed` | 3 |" in card
    assert json.loads((out / "croissant.json").read_text())["version"] == "1.0.1"
    assert remove(out, {"t0/nir": ""}, workers=1).version == "1.0.2"
    assert [stone["version"] for stone in read_tombstones(out)] == ["1.0.1"] * 3 + ["1.0.2"]


def test_the_same_build_says_what_became_of_it(out, origin, caplog):
    remove(out, WANTED, workers=1)
    before = digests(out)
    with caplog.at_level(logging.INFO):
        report = build_rows(origin / "source", out)
    assert "already holds this build at version 1.0.1, 3 rows removed since," in caplog.text
    assert report.removed == 3
    assert digests(out) == before


def test_a_build_elsewhere_keeps_the_rows_out_by_the_tombstones(out, origin, tmp_path):
    remove(out, WANTED, workers=1)
    report = build_rows(origin / "source", tmp_path / "new", exclude=str(out / "tombstones.jsonl"))
    assert set(rows_of(tmp_path / "new")) == set(rows_of(out))
    assert report.quarantine == report_of(out)["quarantine"]


def test_unknown_ids_are_named_and_nothing_is_removed(out):
    remove(out, {"t2/lwir": ""}, workers=1)
    before = digests(out)
    ids = {"t2/lwir": "", "t0/nir": "", **{f"no{index}": "" for index in range(7)}}
    with pytest.raises(InputError) as error:
        remove(out, ids, workers=1)
    told = "t2/lwir (removed in version 1.0.1), no0, no1, no2, no3, and 3 more; nothing was removed"
    assert f"8 of 9 sample ids are not in {out}: {told}" in str(error.value)
    assert digests(out) == before


def test_what_was_removed_already_is_nothing_to_do(out, caplog):
    remove(out, WANTED, workers=1)
    before = digests(out)
    with caplog.at_level(logging.INFO):
        remove(out, WANTED, workers=1)
    assert "all 3 rows were removed before" in caplog.text
    assert digests(out) == before


def test_bad_requests_change_nothing(out, origin, tmp_path):
    before = digests(out)
    with pytest.raises(InputError, match="all 27 rows of .* would leave"):
        remove(out, dict.fromkeys(rows_of(out), ""), workers=1)
    with pytest.raises(InputError, match="date '1.3.2026' is no day; expected YYYY-MM-DD"):
        remove(out, WANTED, date="1.3.2026", workers=1)
    with pytest.raises(InputError, match=r"was built by another recipe \(name differ\)"):
        remove(out, WANTED, recipe=recipe_of(origin / "source", name="Another"), workers=1)
    with pytest.raises(InputError, match="holds no finished build"):
        remove(tmp_path, WANTED, workers=1)
    with pytest.raises(InputError, match="is a published copy; remove from the build"):
        remove(publish_dataset(out, "index", workers=1), WANTED, workers=1)
    shutil.rmtree(out / "publish")
    assert digests(out) == before
    remove(out, WANTED, recipe=recipe_of(origin / "source"), workers=1)


def test_rows_of_the_same_image_that_stay_are_told(out, caplog):
    remove(out, {"t7/nir": ""}, workers=1)
    assert "3 rows stay that are of the same image groups" in caplog.text  # lwir, rgb, and the torn one
    caplog.clear()
    remove(out, {"t0/nir": "", "t0/lwir": "", "t0/rgb": ""}, workers=1)
    assert "rows stay" not in caplog.text


def test_rejected_captions_of_a_row_go_with_it(out):
    report = report_of(out)
    lines = [{"sample_id": name, "text": f"about {name}"} for name in ("t0/nir", "t7/nir")]
    path = out / "quarantine" / "captions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report["files"]["quarantine/captions.jsonl"] = {
        "rows": 2,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
    }
    report["captions"] = captions_report([{"detail": "", **line} for line in lines])
    (out / "build_report.json").write_text(json.dumps(report))
    written = {"captions": report["captions"], "files": report["files"], "rows": 27, "fingerprint": "f"}
    (out / "caption_report.json").write_text(json.dumps(written))
    with writing(out, "build") as folder:
        folder.list_files(["caption_report.json", "quarantine/captions.jsonl"])
    remove(out, {"t7/nir": ""}, workers=1)
    for file in (path, out / "build_report.json", out / "caption_report.json", out / "README.md"):
        assert "about t0/nir" in file.read_text()
        assert "about t7/nir" not in file.read_text()
    assert report_of(out)["files"]["quarantine/captions.jsonl"]["rows"] == 1
    known = json.loads((out / "caption_report.json").read_text())
    assert (known["files"], known["rows"], known["fingerprint"]) == (report_of(out)["files"], 26, "f")


def captions_report(examples):
    part = {"rows": 2, "captioned": 0, "written": 2, "accepted": 0, "words": 0, "scene_captions": 0, "usage": {}}
    part |= {"rejected": {"bad": 2}, "failed": {}, "claims": {}, "rejected_claims": {}}
    variety = {"captions": 0, "mean_words": None, "distinct_1": 0, "distinct_2": 0, "self_bleu": None}
    told = {"captioner": "x", "revision": "1", "repairs": 0, "total": part, "sources": {"s": part}}
    return {**told, "variety": variety, "examples": {"bad": examples}}


def test_published_copies_lose_the_rows_too(out):
    target = publish_dataset(out, "redacted", workers=1)
    written = {path.name: path.stat().st_ino for path in (target / "data").iterdir()}
    fresh = shutil.copytree(out, out.with_name("fresh"))
    remove(out, WANTED, workers=1)
    concerned = {Path(stone["file"]).name for stone in read_tombstones(out) if stone["split"]}
    assert set(rows_of(target)) == set(rows_of(out))
    assert {name for name, inode in written.items() if (target / "data" / name).stat().st_ino == inode} == (
        set(written) - concerned
    )
    assert report_of(target)["version"] == "1.0.1"
    assert "version 1.0.1" in (target / "NOTICE.md").read_text()
    assert len(read_tombstones(target)) == 3
    check_folder(target)
    shutil.rmtree(fresh / "publish")
    remove(fresh, WANTED, workers=1)
    assert digests(publish_dataset(fresh, "redacted", workers=1)) == digests(target)


def test_a_copy_that_may_not_be_published_any_more_goes(out, caplog):
    (out / "rights.yaml").write_text(
        "\n".join(
            f"{code}: {{images: yes, infrared: yes, captions: yes, ir_captions: yes}}"
            for code in ("RSICD", "NWPU-Captions", "skyscript/US")
        )
    )
    publish_dataset(out, "full", workers=1)
    (out / "rights.yaml").unlink()
    remove(out, WANTED, workers=1)
    assert "the copy full is gone" in caplog.text
    assert not (out / "publish" / "full").exists()


STEPS = [
    ("write_json", 1, True),  # before the plan
    ("write_json", 1, False),
    ("shard_writer", 1, True),
    ("shard_writer", 2, True),
    ("shard_sizes", 1, True),  # a shard is written, its result is not
    ("shard_sizes", 2, False),
    ("write_tombstones", 1, False),
    ("write_dataset_card", 1, True),
    ("write_croissant", 1, False),
    ("write_json", 2, True),
    ("write_json", 2, False),  # the report tells of the new version, the copy is stale
    ("write_copy", 1, True),
    ("write_copy", 1, False),
]
FAST = (("shard_sizes", 1, True), ("write_json", 2, False))


@pytest.fixture(scope="module")
def removed(origin, tmp_path_factory):
    """The build with a published copy, before and after a removal that nothing interrupted."""
    root = tmp_path_factory.mktemp("removed")
    shutil.copytree(origin / "out", root / "before")
    publish_dataset(root / "before", "index", workers=1)
    shutil.copytree(root / "before", root / "after")
    remove(root / "after", WANTED, workers=1)
    return root


@pytest.mark.parametrize(
    ("step", "call", "before"), [pytest.param(*s, marks=() if s in FAST else pytest.mark.slow) for s in STEPS]
)
def test_a_removal_killed_at_any_step_continues_to_the_same_bytes(
    removed, origin, tmp_path, monkeypatch, step, call, before
):
    out = shutil.copytree(removed / "before", tmp_path / "out")
    calls, real = [], getattr(takedown, step)

    def dies(*arguments, **options):
        calls.append(step)
        if before and len(calls) == call:
            raise KeyboardInterrupt
        done = real(*arguments, **options)
        if not before and len(calls) == call:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patched:
        patched.setattr(takedown, step, dies)
        with pytest.raises(KeyboardInterrupt):
            remove(out, WANTED, workers=1)
    if (out / ".removal" / "plan.json").exists():
        refused(out, origin)
    remove(out, WANTED, workers=1)
    assert digests(out) == digests(removed / "after")


@pytest.mark.slow
@pytest.mark.every_change
@pytest.mark.parametrize("renames", [1, 2, 3, 5, 8, 13])
def test_a_removal_that_is_shot_continues_to_the_same_bytes(removed, tmp_path, renames):
    out = shutil.copytree(removed / "before", tmp_path / "out")
    script = f"""
        import os, signal
        from pathlib import Path
        from dataset_builder.publish.takedown import remove
        replace, done = os.replace, []
        def dies(*paths):  # what was written before this rename lies under its hidden name
            done.append(paths)
            if len(done) == {renames}:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*paths)
        os.replace = dies
        remove(Path({str(out)!r}), {WANTED!r}, workers=1)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    remove(out, WANTED, workers=1)
    assert digests(out) == digests(removed / "after")


def refused(out, origin):
    """Nothing is built on, published or pushed from a folder whose rows are half gone."""
    sentence = "is not finished: `fusionrs build --remove` is still at work there or was stopped; finish it with: "
    with pytest.raises(InputError, match=sentence):
        build_rows(origin / "source", out)
    with pytest.raises(InputError, match=sentence):
        publish_dataset(out, "index", workers=1)
    for folder in (out, out / "publish" / "index"):
        with pytest.raises(InputError, match="is not finished: .*; finish it with: "):
            check_folder(folder)


def test_another_list_ends_the_interrupted_removal_first(out, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(takedown, "write_tombstones", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            remove(out, WANTED, workers=1)
    report = remove(out, {"t0/nir": ""}, workers=1)
    assert report.version == "1.0.2"
    assert [stone["sample_id"] for stone in read_tombstones(out)][-1] == "t0/nir"
    assert not set(WANTED) & set(rows_of(out))


def test_a_report_of_an_older_build_counts_from_the_first_version(out):
    report = report_of(out)
    for name in ("version", "removed", "rights"):
        del report[name]
    (out / "build_report.json").write_text(json.dumps(report))
    assert build_report(out) == replace(build_report(out), version="1.0.0", removed=0, rights={})
    assert remove(out, WANTED, workers=1).version == "1.0.1"
