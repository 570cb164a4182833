import io
import os

import numpy as np
import pyarrow as pa
import pytest
from datasets import load_dataset
from PIL import Image

from dataset_builder.fusionrs import FusionRS
from dataset_builder.schema import FEATURES, IMAGE_COLUMNS, new_row
from dataset_builder.shards.parquet import write_shard


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": "tile.png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six pairs in train, in two shards, and three in test; every other one sensor data, each third IR-aware."""
    root = tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(0)
    rows = [
        new_row(
            sample_id=f"s{index}",
            source_dataset="made",
            source_locator=f"{index}.png",
            rights="CC0-1.0",
            rgb=png(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)),
            ir=png(rng.integers(0, 60_000, (8, 8), dtype=np.uint16)),
            ir_origin="sensor" if index % 2 else "translated",
            ir_band="lwir",
            ir_unit="dn",
            captions=["a field"],
            caption_origin=["hand"],
            ir_captions=["bright"] if index % 3 == 2 else [],
        )
        for index in range(9)
    ]
    for name, part in (
        ("train-00000-of-00002", rows[:3]),
        ("train-00001-of-00002", rows[3:6]),
        ("test-00000-of-00001", rows[6:]),
    ):
        write_shard(root / "data" / f"{name}.parquet", pa.Table.from_pylist(part, schema=FEATURES.arrow_schema))
    return root


def prepare(folder, config, cache, **kwargs):
    builder = FusionRS(data_dir=str(folder), config_name=config, cache_dir=str(cache))
    builder.download_and_prepare(**kwargs)
    return builder.as_dataset()


@pytest.mark.parametrize(
    ("config", "train", "test"),
    [
        ("default", ["s0", "s1", "s2", "s3", "s4", "s5"], ["s6", "s7", "s8"]),
        ("captions", ["s0", "s1", "s2", "s3", "s4", "s5"], ["s6", "s7", "s8"]),
        ("ir_aware", ["s2", "s5"], ["s8"]),
        ("sensor", ["s1", "s3", "s5"], ["s7"]),
    ],
)
def test_each_config_gives_its_rows_in_order(folder, tmp_path, config, train, test):
    data = prepare(folder, config, tmp_path)
    assert data["train"]["sample_id"][:] == train
    assert data["test"]["sample_id"][:] == test
    assert set(data) == {"train", "test"}


def test_captions_has_no_images_and_the_others_have_every_column(folder, tmp_path):
    assert list(prepare(folder, "captions", tmp_path)["train"].features) == [
        n for n in FEATURES if n not in IMAGE_COLUMNS
    ]
    assert prepare(folder, "default", tmp_path)["train"].features == FEATURES


def test_rows_equal_those_of_the_parquet_files_bit_for_bit(folder, tmp_path):
    ours = prepare(folder, "default", tmp_path / "a")["train"]
    plain = load_dataset(
        "parquet", data_files=str(folder / "data" / "train-*"), split="train", cache_dir=str(tmp_path / "b")
    )
    for mine, theirs in zip(ours, plain, strict=True):
        for name in FEATURES:
            if name in IMAGE_COLUMNS:
                assert mine[name].mode == theirs[name].mode == ("RGB" if name == "rgb" else "I;16")
                np.testing.assert_array_equal(np.asarray(mine[name]), np.asarray(theirs[name]))
            else:
                assert mine[name] == theirs[name]


def test_a_local_file_with_an_image_s_name_does_not_replace_its_bytes(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (1, 1)).save("tile.png")
    assert prepare(folder, "default", tmp_path / "cache")["train"][0]["rgb"].size == (8, 8)


def test_two_processes_prepare_the_same_rows(folder, tmp_path):
    data = prepare(folder, "sensor", tmp_path, num_proc=2)
    assert data["train"]["sample_id"][:] == ["s1", "s3", "s5"]


def test_streams(folder, tmp_path):
    builder = FusionRS(data_dir=str(folder), config_name="ir_aware", cache_dir=str(tmp_path))
    assert [row["sample_id"] for row in builder.as_streaming_dataset("train")] == ["s2", "s5"]


def test_a_folder_without_shards_is_an_error_that_says_what_to_give(tmp_path):
    os.makedirs(tmp_path / "data")
    with pytest.raises(FileNotFoundError, match="give data_dir="):
        prepare(tmp_path, "default", tmp_path / "cache")
