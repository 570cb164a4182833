import numpy as np
import pytest

from dataset_builder.translators.radiometric import RadiometricTranslator
from tests.benchmarks.translator_downstream import gap_closed, infrared_of, summarise, write_view
from tests.made import tiny_dataset
from training.data.pairs import load_pairs


def test_the_share_of_the_gap_is_that_of_its_definition():
    hits = {"gray": np.zeros((2, 40)), "sensor": np.ones((2, 40)), "formula": np.tile([1.0, 0.0, 0.0, 0.0], (2, 10))}
    share = gap_closed(hits, "formula")
    assert share.value == pytest.approx(0.25) and 0.05 < share.low < 0.25 < share.high < 0.5
    assert gap_closed(hits | {"formula": hits["sensor"]}, "formula") == (1, 1, 1)


def test_the_table_has_a_share_for_what_is_translated_alone():
    ranks = {"sensor": [0, 0], "gray": [3, 0], "formula": [0, 0], "unknown": [9, 0], "scene": [0, 2]}
    table = summarise({(view, seed): {"ranks": values} for view, values in ranks.items() for seed in (0, 1)}, [0, 1])
    assert table["queries"] == 2 and table["views"]["gray"]["R@1"] == [0.5, 0.5]
    shares = {view: part["gap_closed"].value for view, part in table["views"].items() if "gap_closed" in part}
    assert shares == {"formula": 1.0, "unknown": 0.0, "scene": 0.0}


@pytest.mark.parametrize("view", ["sensor", "gray", "formula"])
def test_a_view_has_the_rows_of_one_band_with_its_infrared(view, tmp_path):
    dataset = tiny_dataset.write(tmp_path / "dataset", train=4, held_out=2, unseen=2)
    write_view(str(dataset), view, tmp_path / "view")
    rows, before = load_pairs(str(tmp_path / "view"), "train", None), load_pairs(str(dataset), "train")
    assert set(rows["ir_band"]) == {"nir"} and set(rows["ir_origin"]) == {
        "sensor" if view == "sensor" else "translated"
    }
    old = {row["sample_id"]: row for row in before}
    for row in rows:
        rgb = np.asarray(row["rgb"])
        np.testing.assert_array_equal(rgb, np.asarray(old[row["sample_id"]]["rgb"]))
        expected = np.asarray(old[row["sample_id"]]["ir"]) if view == "sensor" else infrared_of(view, rgb, "", {})
        np.testing.assert_array_equal(np.asarray(row["ir"]), expected)
    if view == "formula":
        np.testing.assert_array_equal(expected, RadiometricTranslator().translate([rgb], "nir", [0])[0])
