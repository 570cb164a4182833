"""Limits of infrared above 8 bit travel in the Parquet and on the card, and one function reads them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dataset_builder.pipeline import BuildRecipe, build
from dataset_builder.shards.layout import DATA_SCHEMA
from dataset_builder.shards.limits import declared_ir_range, limits_of, parse_limits, reading_limits, with_limits
from fusionrs_hf.errors import InputError

LIMITS = {"lwir": [27000, 32000]}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("thermal")
    rng = np.random.default_rng(0)
    for folder in ("vis", "ir"):
        (root / folder).mkdir()
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(root / "vis" / f"{number}.png")
        Image.fromarray(rng.integers(28000, 31000, (40, 40), dtype=np.uint16)).save(root / "ir" / f"{number}.png")
    source = {"kind": "pairs", "path": str(root), "rgb": "vis", "ir": "ir", "ir_band": "lwir", "rights": "x"}
    plain = {"filters": {"caption_empty": False, "rgb_ir_misaligned": False}, "name": "x"}
    recipe = {**plain, "sources": [{**source, "ir_unit": "kelvin_1e2"}], "ir_range": LIMITS}
    build(BuildRecipe.from_mapping(recipe), root / "out", workers=1)
    return root / "out"


def test_a_build_tells_its_limits_in_each_data_file_and_on_the_card(built):
    for path in (built / "data").glob("*.parquet"):
        assert limits_of(pq.read_schema(path)) == LIMITS
        assert b"huggingface" in pq.read_schema(path).metadata
    assert not any(b"fusionrs" in (pq.read_schema(path).metadata or {}) for path in (built / "quarantine").glob("*"))
    assert "fusionrs:\n  ir_range:\n    lwir:\n    - 27000\n    - 32000\n" in (built / "README.md").read_text()
    assert declared_ir_range(built) == LIMITS
    assert declared_ir_range(built, {"nir": [0, 1]}) == {**LIMITS, "nir": [0, 1]}
    assert declared_ir_range(built, {"lwir": [0, 1]}) == {"lwir": [0, 1]}


@pytest.mark.parametrize("left", ["data", "README.md", "build_report.json"])
def test_any_of_the_three_places_is_enough(built, tmp_path, left):
    target = tmp_path / left
    if left == "data":
        target.mkdir()
        for path in (built / "data").glob("*.parquet"):
            (target / path.name).write_bytes(path.read_bytes())
    else:
        target.write_bytes((built / left).read_bytes())
    assert declared_ir_range(tmp_path) == LIMITS


def test_without_limits_nothing_is_told(tmp_path):
    assert with_limits(DATA_SCHEMA, {}) is DATA_SCHEMA
    assert declared_ir_range(tmp_path) == {}
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\nno limits\n")
    assert declared_ir_range(tmp_path) == {}


def test_what_are_no_limits_is_told(tmp_path):
    (tmp_path / "README.md").write_text("---\nfusionrs: {ir_range: {lwir: [5, 1]}}\n---\n")
    with pytest.raises(
        InputError, match=r"README.md tells no limits: ir_range must map a band .* got 'lwir': \[5, 1\]"
    ):
        declared_ir_range(tmp_path)
    schema = pa.schema([("a", pa.int64())], {"fusionrs": "{"})
    with pytest.raises(InputError, match="metadata `fusionrs` of a Parquet file is no JSON"):
        limits_of(schema)
    for number, high in enumerate((1, 2)):
        (tmp_path / "data").mkdir(exist_ok=True)
        told = with_limits(pa.schema([("a", pa.int64())]), {"lwir": [0, high]})
        pq.write_table(told.empty_table(), tmp_path / "data" / f"train-{number}.parquet")
    with pytest.raises(InputError, match="tell other limits of lwir"):
        declared_ir_range(tmp_path)


def test_a_reader_by_datasets_is_not_disturbed(built):
    import datasets

    rows = datasets.load_dataset(str(built), split="train")
    assert len(rows) == 3 and json.dumps(rows[0]["ir_band"]) == '"lwir"'


def test_limits_are_read_or_refused():
    assert parse_limits("nir=0,10000") == ("nir", [0, 10000])
    for wrong in ("nir", "nir=5", "nir=5,1", "=0,1", "nir=a,b"):
        with pytest.raises(InputError, match="BAND=LOW,HIGH"):
            parse_limits(wrong)


def test_limits_are_those_asked_for_then_the_model_s_then_the_dataset_s(caplog):
    told = {"lwir": [1, 2], "nir": [3, 4]}
    assert reading_limits({}, None, {}) is None and reading_limits({}, None, told) == told
    assert reading_limits({}, {"lwir": [5, 6]}, told) == {"lwir": [5, 6], "nir": [3, 4]}
    assert "reads lwir by the limits [5, 6], the dataset declares [1, 2]" in caplog.text
    assert reading_limits({"lwir": [7, 8]}, {"lwir": [5, 6]}, told) == {"lwir": [7, 8], "nir": [3, 4]}
    assert reading_limits({}, [5, 6], told) == [5, 6]
    assert reading_limits({"lwir": [7, 8]}, [5, 6], told) == {"lwir": [7, 8], "nir": [5, 6]}
