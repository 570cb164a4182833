import json

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import CLIPConfig, CLIPModel, CLIPProcessor

from dataset_builder.schema import FEATURES
from fusionrs_hf import cli
from fusionrs_hf.encoders import Encoder, load_clip
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from tests.made import tiny, tiny_dataset
from training import evaluate_clip
from training.scoring.clip_results import ClipResults
from training.scoring.recall_tables import (
    published_directions,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset.write(tmp_path_factory.mktemp("data") / "dataset", held_out=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny.clip_model().save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def metrics_file(model, dataset, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "metrics.json"
    assert cli.main(["eval", "clip", "--model", f"{model}", "--dataset", f"{dataset}", "--output", f"{output}"]) == 0
    return output


@pytest.fixture(scope="module")
def metrics(metrics_file):
    return json.loads(metrics_file.read_text())


def test_metrics_hold_every_table(metrics):
    assert set(metrics) == {"trained", "fusion", "by_band", "by_source"}
    part = metrics["trained"]["held_out_region/nir"]
    assert {f"{m}_to_text/scene" for m in ("rgb", "ir")} <= set(part["scores"]) and "fused" not in str(part["scores"])
    assert set(part["fused"]["scores"]) >= {"fused_to_text/scene", "text_to_fused/ir_aware"}
    assert set(part["mean_recall"]) == {"rgb_ir", "scene", "ir_aware"}
    assert set(metrics["by_band"]) == {"nir", "swir"} and set(metrics["by_source"]) == {"scene/nir", "scene/swir"}
    assert metrics["fusion"]["chosen_on"] == "validation" and len(metrics["fusion"]["grid"]) == 11


def test_metrics_keep_their_keys_in_their_order(metrics, metrics_file):
    assert list(metrics) == ["trained", "fusion", "by_band", "by_source"]
    assert list(metrics["fusion"]) == ["weight", "grid", "text_kind", "fusion", "chosen_on"]
    four = ["queries", "scores", "intervals", "ranks"]
    recalls = ["R@1", "R@5", "R@10", "mean_recall", "median_rank", "queries"]
    for part in metrics["trained"].values():
        assert list(part) == [*four, "fused", "mean_recall", "missing_modality"] and list(part["fused"]) == four
        assert all(list(scores) == recalls for scores in part["scores"].values())
        assert all(len(interval) == 3 for interval in part["intervals"].values())
        assert list(part["missing_modality"]["scene"]) == ["rgb", "ir", "fused", "fused_minus"]
    for table_ in (*metrics["by_band"].values(), *metrics["by_source"].values()):
        assert list(table_) == [*four[:3], "mean_recall"]
    assert json.dumps(ClipResults.load(metrics_file).as_dict(), indent=1) == metrics_file.read_text()


def test_mean_recall_is_the_mean_of_twelve_published_figures(metrics):
    found = metrics["by_band"]["nir"]
    twelve = [found["scores"][name][f"R@{k}"] for name in published_directions("scene") for k in (1, 5, 10)]
    value, low, high = found["mean_recall"]["scene"]
    assert value == pytest.approx(np.mean(twelve)) and low <= value <= high


def test_a_single_source_s_table_is_its_band_s(metrics):
    assert metrics["by_source"]["scene/nir"] == metrics["by_band"]["nir"]


def test_a_given_fusion_weight_is_reported_and_one_outside_is_refused(model, dataset, tmp_path, capsys):
    encoders = Encoder.for_scores(*load_clip(str(model)))
    found = evaluate_clip.choose_weight(encoders, str(dataset), 0.2, "sensor")
    assert found.as_dict() == {"weight": 0.2, "chosen_on": "command line"}
    with pytest.raises(InputError, match=r"must lie in \[0, 1\], got 2"):
        evaluate_clip.choose_weight(encoders, str(dataset), 2.0, "sensor")


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_all_of_the_weight_on_one_modality_is_that_modality(model, dataset, weight):
    found = evaluate_clip.evaluate(*load_clip(str(model)), str(dataset), fusion_weight=weight)
    for part in found.values():
        single = "ir" if weight else "rgb"
        for kind in ("scene", "ir_aware"):
            assert part.fused.ranks[f"text_to_fused/{kind}"] == part.ranks[f"text_to_{single}/{kind}"]
            assert part.missing_modality[kind].fused_minus[single] == (0.0, 0.0, 0.0)


def test_a_dataset_without_groups_is_refused(model, tmp_path, capsys):
    folder = tmp_path / "dataset"
    (folder / "data").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        rows = [row | {"image_group_id": None} for row in tiny_dataset.rows(split, 2, 0)]
        Dataset.from_list(rows, features=FEATURES).to_parquet(folder / f"data/{split}-00000-of-00001.parquet")
    where = ["--model", str(model), "--dataset", str(folder), "--output", str(tmp_path / "metrics.json")]
    assert cli.main(["eval", "clip", *where]) == 2
    assert "4 of 4 rows have no image_group_id" in capsys.readouterr().err
    with pytest.raises(InputError, match="rows have no image_group_id"):
        evaluate_clip.held_out(str(folder), "test")


def test_held_out_rows_are_told_apart_by_whether_training_saw_their_scene(tmp_path):
    folder = tiny_dataset.write(tmp_path / "dataset", held_out=5, unseen=2)
    parts = evaluate_clip.held_out(str(folder), "test")
    scenes = {
        name: {evaluate_clip.scene_of(locator) for locator in rows["source_locator"]} for name, rows in parts.items()
    }
    expected = {"held_out_region": {"scene"}, "held_out_scene": {"other"}}
    assert scenes == {f"{part}/{band}": names for part, names in expected.items() for band in tiny_dataset.BANDS}
    assert [len(rows) for rows in parts.values()] == [3, 3, 2, 2]


def test_fusing_as_the_model_does_equals_the_model(dataset):
    model, processor = tiny.clip_model(fusion_weight=0.3), tiny.clip_processor()
    rgb, ir = [tiny.rgb_image(i) for i in range(3)], [tiny.ir_image(i) for i in range(3)]
    encoders = Encoder.for_scores(model, processor)
    pixels = processor(images=rgb, ir_images=ir)
    with torch.no_grad():
        expected = model.get_fused_features(pixels["pixel_values"], pixels["ir_pixel_values"]).numpy()
    first, second = encoders.rgb(rgb), encoders.ir(ir)
    np.testing.assert_allclose(encoders.fuse(first, second), expected, atol=1e-6)
    np.testing.assert_allclose(encoders.fuse(first, second, 0.3), expected, atol=1e-6)


def test_nothing_is_encoded_twice(monkeypatch):
    calls = []
    model = tiny.clip_model()
    for name in ("get_rgb_features", "get_text_features"):
        inner = getattr(FusionRSCLIPModel, name)
        monkeypatch.setattr(
            model, name, lambda *a, inner=inner, **k: calls.append(len((*a, *k.values())[0])) or inner(model, *a, **k)
        )
    encoders = Encoder.for_scores(model, tiny.clip_processor(), batch_size=2)
    images = [tiny.rgb_image(0), tiny.rgb_image(1), tiny.rgb_image(0)]
    first = encoders.rgb(images)
    texts = encoders.text(["dry field", "water", "dry field"])
    assert sum(calls) == 4
    np.testing.assert_array_equal(encoders.rgb(images), first)
    np.testing.assert_array_equal(encoders.text(["dry field"]), texts[:1])
    assert sum(calls) == 4 and (first[0] == first[2]).all()


def test_a_plain_clip_loads_with_one_image_processor_for_both(tmp_path):
    towers = {"text_config": tiny.text_config().to_dict(), "vision_config": tiny.vision_config().to_dict()}

    plain = CLIPModel(CLIPConfig(**towers, projection_dim=8))
    plain.save_pretrained(tmp_path)
    CLIPProcessor(tiny.image_processor(), tiny.tokenizer()).save_pretrained(tmp_path)
    model, processor = load_clip(str(tmp_path))
    pixels = processor(images=tiny.rgb_image(0))["pixel_values"]
    with torch.no_grad():
        theirs = plain.eval().get_image_features(pixels)
        theirs = getattr(theirs, "pooler_output", theirs)
        torch.testing.assert_close(model.get_rgb_features(pixels), theirs)
    assert Encoder.for_scores(model, processor).ir([tiny.ir_image(0)]).shape == (1, 8)
