import logging

import pytest
from datasets import concatenate_datasets
from trl import SFTConfig

from fusionrs_hf.errors import InputError
from tests.training.made.captioned_rows import make_rows
from training.data.vlm_rows import TrainingRows, rows_a_step
from training.vlm_arguments import VlmArguments


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "data").mkdir()
    make_rows(10).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet", batch_size=2)
    return str(tmp_path)


def loaded(dataset, tmp_path, streaming=False, ir_origin="auto", **options):
    arguments = VlmArguments(dataset, "clip", "language", streaming=streaming, ir_origin=ir_origin)
    training = SFTConfig(tmp_path / "run", use_cpu=True, bf16=False, report_to="none", **options)
    return TrainingRows.load(arguments, training), training


def test_processes_share_a_sample_without_a_row_in_common(dataset, tmp_path):
    rows, _ = loaded(dataset, tmp_path)
    parts = [TrainingRows(rows.table, "sensor", None, 3, process, 2).sample(7) for process in range(2)]
    names = [row["sample_id"] for part in parts for row in part]
    assert len(names) == len({*names}) == 7
    whole = [row["sample_id"] for row in TrainingRows(rows.table, "sensor", None, 3, 0, 1).sample(100)]
    assert len({*whole}) == 10 and {*names} <= {*whole}


def test_steps_are_those_of_the_recipe_or_its_epochs(dataset, tmp_path):
    rows, training = loaded(dataset, tmp_path, max_steps=7)
    assert rows.steps(training) == 7
    epochs = SFTConfig(
        tmp_path / "epochs", use_cpu=True, bf16=False, num_train_epochs=2, per_device_train_batch_size=3,
        gradient_accumulation_steps=2,
    )  # fmt: skip
    assert rows_a_step(epochs) == 6
    assert rows.steps(epochs) == 4  # 20 rows, 6 a step


def test_a_stream_has_the_same_rows_and_needs_an_end(dataset, tmp_path):
    rows, _ = loaded(dataset, tmp_path, streaming=True, max_steps=2)
    table, _ = loaded(dataset, tmp_path)
    assert {row["sample_id"] for row in rows.sample(100)} == {*table.table["sample_id"]}
    assert len(rows.first(3)) == 3 and rows.first(3)[0]["ir"].mode == "L"
    assert sorted(rows.table["ir_band"]) == sorted(table.table["ir_band"])
    with pytest.raises(InputError, match="streaming needs max_steps"):
        loaded(dataset, tmp_path, streaming=True)


@pytest.mark.parametrize("streaming", [False, True])
def test_infrared_of_a_sensor_is_learnt_from_before_translated_which_is_where_there_is_no_other(
    tmp_path, caplog, streaming
):
    caplog.set_level(logging.INFO)
    (tmp_path / "data").mkdir()
    path, options = tmp_path / "data" / "train-00000-of-00001.parquet", {"streaming": streaming, "max_steps": 2}
    alone, sensor = make_rows(4, ir_origin="translated"), make_rows(6)
    alone.to_parquet(path)
    rows, _ = loaded(str(tmp_path), tmp_path, **options)
    assert (rows.origin, len(rows.table), len(list(rows.sample(9)))) == ("translated", 4, 4)
    assert "infrared-style images made from RGB (4 rows of train); --ir_origin" in caplog.text
    concatenate_datasets([alone, sensor]).to_parquet(path)
    for asked, origin, count in (("auto", "sensor", 6), ("translated", "translated", 4), ("any", None, 10)):
        rows, _ = loaded(str(tmp_path), tmp_path, ir_origin=asked, **options)
        assert (rows.origin, len(rows.table), len(rows.first(99))) == (origin, count, count)
    with pytest.raises(InputError, match="ir_origin must be one of .*got 'thermal'"):
        loaded(str(tmp_path), tmp_path, ir_origin="thermal", **options)
