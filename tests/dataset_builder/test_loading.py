"""What a user does with a build: whole, streamed, shuffled, over workers and over nodes, infrared bit for bit."""

import io

import datasets
import numpy as np
import pyarrow as pa
import pytest
from datasets import Image as ImageFeature
from datasets import load_dataset
from datasets.distributed import split_dataset_by_node
from PIL import Image
from torch.utils.data import DataLoader

from dataset_builder.pipeline import BuildRecipe, build
from dataset_builder.schema import FEATURES, new_row
from dataset_builder.shards.parquet import write_shard

ROWS = 24
LIMITS = [0, 65535]


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def infrared(index):
    """All 16 bits of noise: any rounding, clipping or loss of a byte shows."""
    return np.random.default_rng(1000 + index).integers(0, 65536, (40, 48), dtype=np.uint16)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A build of 24 rows with 16-bit infrared, several shards a split."""
    root = tmp_path_factory.mktemp("loading")
    rows = [
        new_row(
            sample_id=f"noise/{index:02d}",
            source_dataset="noise",
            source_locator=f"{index}.png",
            rights="CC0-1.0",
            rgb=png(np.random.default_rng(index).integers(0, 256, (40, 48, 3), dtype=np.uint8)),
            ir=png(infrared(index)),
            ir_origin="sensor",
            ir_band="lwir",
            ir_unit="dn",
            captions=[f"noise of seed {index}"],
            caption_origin=["rule"],
        )
        for index in range(ROWS)
    ]
    for split, part in (("train", rows[:16]), ("test", rows[16:])):
        table = pa.Table.from_pylist(part, schema=FEATURES.arrow_schema)
        write_shard(root / "source" / "data" / f"{split}-00000-of-00001.parquet", table)
    recipe = BuildRecipe(
        name="noise",
        sources=[{"kind": "repository", "path": str(root / "source")}],
        ir_range={"lwir": LIMITS},
        max_shard_bytes=40_000,
    )
    build(recipe, root / "out", workers=1)
    assert len(list((root / "out" / "data").glob("train-*"))) >= 4
    return root / "out"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


def names(rows):
    return [row["sample_id"] for row in rows]


@pytest.fixture(scope="module")
def train(built, cache):
    return load_dataset(str(built), split="train", cache_dir=cache)


def stream(built):
    return load_dataset(str(built), split="train", streaming=True)


def test_whole_and_streamed_give_the_same_rows(built, train):
    streamed = list(stream(built))
    assert names(streamed) == train["sample_id"][:]
    assert sorted(names(streamed)) == [f"noise/{index:02d}" for index in range(16)]


def test_sixteen_bit_infrared_survives_bit_for_bit(built, train):
    for rows in (train, stream(built)):
        for row in rows:
            assert row["ir"].mode == "I;16"
            np.testing.assert_array_equal(np.asarray(row["ir"]), infrared(int(row["sample_id"][-2:])))


def test_stored_bytes_are_those_of_the_source(train, built, cache):
    source = load_dataset("parquet", data_dir=str(built.parent / "source" / "data"), split="train", cache_dir=cache)
    for name in ("rgb", "ir"):
        before = {row["sample_id"]: row[name]["bytes"] for row in source.cast_column(name, ImageFeature(decode=False))}
        after = {row["sample_id"]: row[name]["bytes"] for row in train.cast_column(name, ImageFeature(decode=False))}
        assert after == before


def test_shuffled_gives_every_row_once_and_the_same_for_the_same_seed(built, train, monkeypatch):
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)  # seconds, after each shuffled stream
    shuffled = names(stream(built).shuffle(seed=3, buffer_size=8))
    assert sorted(shuffled) == sorted(train["sample_id"][:])
    assert shuffled != train["sample_id"][:]
    assert shuffled == names(stream(built).shuffle(seed=3, buffer_size=8))
    assert sorted(names(train.shuffle(seed=3))) == sorted(shuffled)


def test_workers_share_the_shards(built, train):
    loader = DataLoader(stream(built).select_columns(["sample_id"]), batch_size=None, num_workers=2)
    assert sorted(names(loader)) == sorted(train["sample_id"][:])


@pytest.mark.parametrize("streaming", [False, True])
def test_nodes_get_disjoint_parts_that_are_everything(built, cache, train, streaming):
    rows = load_dataset(str(built), split="train", streaming=streaming, cache_dir=cache)
    parts = [names(split_dataset_by_node(rows, rank=rank, world_size=2)) for rank in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(train["sample_id"][:])
    assert all(parts)


def test_shards_of_a_stream_are_the_files(built):
    rows = stream(built)
    files = sorted((built / "data").glob("train-*"))
    assert rows.num_shards == len(files)
    first = names(rows.shard(num_shards=len(files), index=0))
    assert 0 < len(first) < 16
