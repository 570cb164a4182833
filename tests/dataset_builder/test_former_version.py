"""A dataset of a former version, `tests/data/built_at_0_1`, is read everywhere: columns that it lacks are null."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from dataset_builder.audit.verb import audit_dataset
from dataset_builder.building.rewriting import INFRARED_COLUMNS
from dataset_builder.caption_check import check_captions
from dataset_builder.fusionrs import FusionRS
from dataset_builder.pipeline import build
from dataset_builder.publish.copies import publish_dataset
from dataset_builder.publish.takedown import remove
from dataset_builder.recaption import caption_dataset
from dataset_builder.recipe import BuildRecipe, load_recipe
from dataset_builder.schema import COLUMNS, FEATURES
from dataset_builder.search import embedding
from dataset_builder.search.rows import describe_rows
from dataset_builder.shards.batches import read_batches
from dataset_builder.shards.folder import light_batches
from dataset_builder.shards.layout import DATA_SCHEMA
from dataset_builder.sources.repository import RepositorySource
from fusionrs_hf.errors import InputError
from tests.made import tiny
from training.data.pairs import load_pairs

FORMER = Path(__file__).parents[1] / "data" / "built_at_0_1"
LACKS = ["rgb_conversion", "ir_caption_form", "joint_captions", "translator_interval", "translator_in_domain"]
SPLITS = {"train": 3, "test": 3}


@pytest.fixture
def dataset(tmp_path):
    return shutil.copytree(FORMER / "dataset", tmp_path / "dataset")


def stored(folder, pattern="data/*.parquet"):
    return {row["sample_id"]: row for path in sorted(folder.glob(pattern)) for row in pq.read_table(path).to_pylist()}


def loaded(folder, tmp_path, config="default"):
    return load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))


def test_it_lacks_the_columns():
    for path in FORMER.glob("dataset/data/*.parquet"):
        assert [name for name in COLUMNS if name not in pq.read_schema(path).names] == LACKS


@pytest.mark.parametrize("config", ["default", "captions", "ir_aware", "sensor"])
def test_it_loads_as_it_lies_and_by_the_builder_with_nulls(config, tmp_path):
    plain = loaded(FORMER / "dataset", tmp_path, config)
    builder = FusionRS(data_dir=str(FORMER / "dataset"), config_name=config, cache_dir=str(tmp_path / "built"))
    builder.download_and_prepare()
    ours = builder.as_dataset()
    assert {split: len(rows) for split, rows in plain.items()} == SPLITS
    for split, rows in ours.items():
        assert rows["sample_id"][:] == plain[split]["sample_id"][:]
        assert all(rows[name][:] == [None] * len(rows) for name in LACKS)
        assert rows["captions"][:] == plain[split]["captions"][:]


def test_readers_give_nulls_of_the_columns_own_types():
    path = next(FORMER.glob("dataset/data/train-*.parquet"))
    (table,) = light_batches(path, ("sample_id", *LACKS))
    assert [table.schema.field(name).type for name in LACKS] == [DATA_SCHEMA.field(name).type for name in LACKS]
    assert all(table[name].null_count == len(table) for name in LACKS)
    ((_, batch),) = read_batches(path)
    assert all(batch[name] == [None] * len(table) for name in LACKS)


def test_it_is_a_source(tmp_path):
    source = RepositorySource(path=FORMER / "dataset")
    rows = [row for shard in source.shards() for row in source.read(shard)]
    assert len(rows) == sum(SPLITS.values()) and all(row[name] is None for row in rows for name in LACKS)
    recipe = BuildRecipe(name="again", sources=[{"kind": "repository", "path": str(FORMER / "dataset")}])
    report = build(recipe, tmp_path / "again", workers=1)
    assert report.rows_kept == len(rows)
    again = stored(tmp_path / "again")
    for name, row in stored(FORMER / "dataset").items():
        assert {**row, **dict.fromkeys(LACKS)} == again[name]
    assert loaded(tmp_path / "again", tmp_path)["train"].features == FEATURES


def test_it_is_audited():
    report = audit_dataset(FORMER / "dataset", workers=1)
    assert {check.status for check in report.checks} <= {"passed", "skipped"}


def test_its_captions_are_checked_and_written_anew(dataset, tmp_path):
    # Three captions name fewer objects of the scene than is asked for since.
    assert check_captions(dataset, workers=1)["total"]["rejected"] == {"object_missing": 3}
    caption_dataset(dataset, tmp_path / "captioned", workers=1)
    before, after = stored(dataset), stored(tmp_path / "captioned")
    for name, row in after.items():
        assert row["joint_captions"] or row["ir_captions"]
        assert row == {**before[name], **dict.fromkeys(LACKS), **{column: row[column] for column in INFRARED_COLUMNS}}
    assert loaded(tmp_path / "captioned", tmp_path)["train"].features == FEATURES


@pytest.mark.parametrize("level", ["full", "redacted", "index"])
def test_it_is_published(dataset, level, tmp_path):
    target = publish_dataset(dataset, level, workers=1)
    rows = loaded(target, tmp_path)
    assert {split: len(part) for split, part in rows.items()} == SPLITS
    there = set(pq.read_schema(next((target / "data").glob("train-*"))).names)
    assert there == {*COLUMNS} - ({*LACKS} if level == "full" else set())  # a full copy is the same bytes
    assert set(rows["train"].features) == there
    assert all(rows["train"][name][:] == [None] * 3 for name in there.intersection(LACKS))
    texts = loaded(target, tmp_path, "captions")["train"]
    given = stored(dataset)
    assert texts["captions"][:] == [[] if level == "index" else given[name]["captions"] for name in texts["sample_id"]]
    for part in json.loads((target / "croissant.json").read_text())["recordSet"]:
        assert {field["source"]["extract"]["column"] for field in part["field"]} == there


def test_rows_are_removed_and_every_other_file_stays(dataset, tmp_path):
    before = stored(dataset)
    schemas = {path.name: pq.read_schema(path) for path in dataset.glob("*/*.parquet")}
    untouched = next(dataset.glob("data/train-*.parquet"))
    whole = untouched.read_bytes()
    gone = ["l7_saltlake/r1280c0960/lwir", "s2_virginia/r0064c0256/swir"]  # of test, and quarantined
    report = remove(dataset, dict.fromkeys(gone, ""), workers=1)
    assert (report.rows_kept, report.version) == (5, "1.0.1")
    assert stored(dataset) == {name: row for name, row in before.items() if name not in gone}
    assert untouched.read_bytes() == whole
    for path in dataset.glob("*/*.parquet"):
        assert pq.read_schema(path).equals(schemas[path.name], check_metadata=True)
    assert len(loaded(dataset, tmp_path)["test"]) == 2
    assert len(loaded(dataset, tmp_path, "captions")["test"]) == 2


def test_its_rows_are_embedded_and_trained_on(tmp_path):
    pytest.importorskip("faiss")
    tiny.clip_model().save_pretrained(tmp_path / "model")
    tiny.clip_processor().save_pretrained(tmp_path / "model")
    place = describe_rows(str(FORMER / "dataset"), ("train", "test"), {})
    settings = embedding.EmbedSettings()
    meta = embedding.embed(place, str(tmp_path / "model"), tmp_path / "index", settings)
    assert meta is not None
    assert len(load_pairs(str(FORMER / "dataset"), "train")) == 3


def test_an_unfinished_build_of_a_former_version_is_not_continued(tmp_path):
    source = tmp_path / "source" / "data"
    source.mkdir(parents=True)
    for path in FORMER.glob("dataset/data/*.parquet"):
        shutil.copyfile(path, source / path.name)
    shutil.copyfile(FORMER / "recipe.yaml", tmp_path / "recipe.yaml")
    work = shutil.copytree(FORMER / "unfinished", tmp_path / "out" / ".work")
    before = sorted((path.name, path.read_bytes()) for path in work.iterdir())
    with pytest.raises(InputError, match=r"is not empty and not of `fusionrs build` \(.work\); give a new") as told:
        build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "out", workers=1)
    assert "\n" not in str(told.value)
    assert sorted((path.name, path.read_bytes()) for path in work.iterdir()) == before


def test_a_finished_build_of_a_former_version_is_not_taken_for_one_of_this(dataset):
    with pytest.raises(InputError, match="holds a build that differs .*code changed") as told:
        recipe = BuildRecipe(name="other", sources=[{"kind": "repository", "path": str(FORMER / "dataset")}])
        build(recipe, dataset, workers=1)
    assert "\n" not in str(told.value)


def test_what_is_no_column_of_the_record_is_not_published_in_part(dataset):
    path = next(dataset.glob("data/train-*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.append_column("note", pa.array(["secret"] * len(table))), path)
    report = json.loads((dataset / "build_report.json").read_text())
    report["files"][f"data/{path.name}"]["bytes"] = path.stat().st_size
    (dataset / "build_report.json").write_text(json.dumps(report))
    with pytest.raises(InputError, match=r"no part of the record \(note\)"):
        publish_dataset(dataset, "redacted", workers=1)
