import logging

import pytest
from datasets import Dataset

from dataset_builder.schema import FEATURES
from fusionrs_hf.errors import InputError
from tests.made import tiny_dataset
from training.data.dataset_contents import chosen_origin, origin_counts, scored_split, split_names


def write(folder, **origins):
    """Splits whose rows have these origins, in turn."""
    (folder / "data").mkdir(parents=True)
    for split, names in origins.items():
        rows = tiny_dataset.rows(split, len(names), 0)[: len(names)]
        rows = [row | {"ir_origin": origin} for row, origin in zip(rows, names)]
        Dataset.from_list(rows, features=FEATURES).to_parquet(folder / f"data/{split}-00000-of-00001.parquet")
    return str(folder)


def test_the_sensor_s_infrared_goes_before_translated_and_the_choice_is_told(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    dataset = write(tmp_path, train=["translated", "sensor", "translated"], test=["translated"])
    assert split_names(dataset) == ["train", "test"]
    assert origin_counts(dataset, "train") == {"translated": 2, "sensor": 1}
    assert chosen_origin(dataset, "auto", "train") == "sensor"
    assert "infrared of a sensor (1 rows of train, 2 others are left out); --ir_origin" in caplog.text
    assert chosen_origin(dataset, "auto", "test") == "translated"
    assert [chosen_origin(dataset, asked, "train") for asked in ("sensor", "translated", "any")] == [
        "sensor",
        "translated",
        None,
    ]


def test_test_is_scored_where_there_is_one_else_what_there_is(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    both, alone = (
        write(tmp_path / "a", validation=["sensor"], test=["sensor"]),
        write(tmp_path / "b", train=["sensor"]),
    )
    assert scored_split(both, None) == "test" and not caplog.text
    assert scored_split(alone, None) == "train" and "no test split: train is scored" in caplog.text
    with pytest.raises(InputError, match="no split 'train'; it has validation, test"):
        scored_split(both, "train")
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match="has no data of train, validation, test"):
        split_names(str(tmp_path / "c"))
