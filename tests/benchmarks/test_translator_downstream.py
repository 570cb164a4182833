import numpy as np
import pytest
import torch

from dataset_builder.translators.radiometric import RadiometricTranslator
from tests.benchmarks.heads import BATCH
from tests.benchmarks.translator_downstream import gap_closed, hits, of_band, shown, summarise, train_head
from tests.made import tiny, tiny_dataset
from training.data.pairs import load_pairs


def test_the_share_of_the_gap_is_that_of_its_definition():
    hits = {"gray": np.zeros((2, 40)), "sensor": np.ones((2, 40)), "formula": np.tile([1.0, 0.0, 0.0, 0.0], (2, 10))}
    share = gap_closed(hits, "formula")
    assert share.value == pytest.approx(0.25) and 0.05 < share.low < 0.25 < share.high < 0.5
    assert gap_closed(hits | {"formula": hits["sensor"]}, "formula") == (1, 1, 1)


def test_the_table_has_a_share_for_what_is_translated_alone():
    found = {"sensor": [1, 1], "gray": [0, 1], "formula": [1, 1], "unknown": [0, 1], "scene": [1, 0.5]}
    with np.errstate(all="ignore"):  # where no tile of a resample tells gray from the sensor
        table = summarise({view: np.tile(values, (2, 1)) for view, values in found.items()})
    assert table["tiles"] == 2 and table["views"]["gray"]["R@1"] == [0.5, 0.5]
    shares = {view: part["gap_closed"].value for view, part in table["views"].items() if "gap_closed" in part}
    assert shares == {"formula": 1.0, "unknown": 0.0, "scene": 0.5}


@pytest.mark.parametrize("view", ["sensor", "gray", "formula"])
def test_a_view_has_the_rows_of_one_band_with_its_infrared(view, tmp_path):
    rows = load_pairs(str(tiny_dataset.write(tmp_path / "dataset", train=4, held_out=2, unseen=2)), "train")
    nir = of_band(rows, "nir")
    assert set(nir["ir_band"]) == {"nir"} and 0 < len(nir) < len(rows)
    for row, seen in zip(nir, shown(nir, view), strict=True):
        rgb = np.asarray(row["rgb"])
        expected = {
            "sensor": lambda row=row: np.asarray(row["ir"]),
            "gray": lambda row=row: np.asarray(row["rgb"].convert("L")),
            "formula": lambda rgb=rgb: RadiometricTranslator().translate([rgb], "nir", [0])[0],
        }[view]()
        np.testing.assert_array_equal(np.asarray(seen["ir"]), expected)
        np.testing.assert_array_equal(np.asarray(seen["rgb"]), rgb)


def test_a_head_learns_which_features_belong_together_and_its_start_is_the_seeds():
    model = tiny.clip_model(feature_norm=True)
    generator = torch.Generator().manual_seed(0)
    told = torch.randn(2 * BATCH, model.config.image_feature_size, generator=generator)
    features = told, told.clone()
    features[1][:, ::2] = torch.randn(features[1][:, ::2].shape, generator=generator)  # half of them tell nothing
    names = [str(index) for index in range(len(told))]

    def trained(seed, count):
        train_head(model, features, torch.arange(len(told)), seed, count)
        return hits(model, features, names).mean(), model.visual_projection.weight.detach().clone()

    before, after, again, other = trained(0, 0), trained(0, 150), trained(0, 150), trained(1, 150)
    assert before[0] + 0.05 < after[0]
    assert torch.equal(after[1], again[1]) and not torch.equal(after[1], other[1])
