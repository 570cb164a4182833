import json

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import CLIPConfig, CLIPModel, CLIPProcessor

from dataset_builder.schema import FEATURES
from fusionrs_hf import cli
from fusionrs_hf.encoders import load_clip
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from tests.made import tiny, tiny_dataset
from training import evaluate_clip
from training.scoring.clip_results import ClipResults
from training.scoring.embedded_rows import EmbeddedRows, EmbeddedTexts, text_ranks
from training.scoring.encoders import Encoders
from training.scoring.recall_tables import (
    choose_fusion_weight,
    mean_recall,
    missing_modality,
    published_directions,
    table,
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


def vectors(rows, seed):
    values = np.random.default_rng(seed).normal(size=(rows, 6)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def embedded(rows=8, captions=2):
    """Rows in two bands and two sources, several captions each."""
    owner = np.repeat(np.arange(rows), captions)
    texts = EmbeddedTexts(owner, np.array([f"key{i}" for i in range(len(owner))]), vectors(len(owner), 3))
    images = {"rgb": vectors(rows, 1), "ir": vectors(rows, 2), "fused": vectors(rows, 4)}
    names = [np.array([f"{name}{index % modulus}" for index in range(rows)]) for name, modulus in (("b", 2), ("s", 2))]
    return EmbeddedRows(np.array([f"g{index}" for index in range(rows)]), *names, images, {"scene": texts})


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
    encoders = Encoders(*load_clip(str(model)))
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


def test_several_captions_a_row_by_hand():
    """Each image's text positives are both its captions; a caption equal to another row's is one of that row, too."""
    part = embedded(rows=4)
    part.texts["scene"].keys[7] = part.texts["scene"].keys[0]  # row 3 says what row 0 says
    scores = part.images["ir"] @ part.texts["scene"].embeds.T  # (4, 8)
    positive = np.zeros((4, 8), bool)
    positive[np.repeat(np.arange(4), 2), np.arange(8)] = True
    positive[0, 7] = positive[3, 0] = True
    found = text_ranks(part)
    for row in range(4):
        best = scores[row, positive[row]].max()
        assert found["ir_to_text/scene"][row] == (scores[row, ~positive[row]] >= best).sum()
    for text in range(8):
        best = scores[positive[:, text], text].max()
        assert found["text_to_ir/scene"][text] == (scores[~positive[:, text], text] >= best).sum()


def test_a_row_without_captions_asks_nothing_but_stays_in_the_gallery():
    part = embedded(rows=3, captions=1)
    texts = part.texts["scene"]
    part.texts["scene"] = EmbeddedTexts(texts.owner[:2], texts.keys[:2], texts.embeds[:2])
    found = text_ranks(part, ["rgb"])
    assert len(found["rgb_to_text/scene"]) == 2 and len(found["text_to_rgb/scene"]) == 2
    scores = part.images["rgb"] @ texts.embeds[:2].T
    assert found["text_to_rgb/scene"][0] == (scores[1:, 0] >= scores[0, 0]).sum()


def test_selected_rows_keep_their_captions():
    part = embedded(rows=6)
    chosen = part.select(np.array([4, 1]))
    assert chosen.groups.tolist() == ["g4", "g1"] and sorted(chosen.texts["scene"].owner.tolist()) == [0, 0, 1, 1]
    assert chosen.texts["scene"].keys.tolist() == ["key2", "key3", "key8", "key9"]
    assert chosen.texts["scene"].owner.tolist() == [1, 1, 0, 0]


def test_the_interval_of_mean_recall_counts_groups_not_queries():
    """With all rows in one group there is nothing to resample: the interval is the value."""
    part = embedded(rows=5)
    part.groups[:] = "one"
    value, low, high = table(part).mean_recall["scene"]
    assert value == low == high == 1.0


def test_mean_recall_of_queries_of_unequal_number_by_hand():
    """Row 0 has two captions: text queries hit 2 of 3 at 1; with k = 5 and 10 all hit, (2/3 + 1 + 1) / 3."""
    part = embedded(rows=2, captions=1)
    part.texts["scene"] = EmbeddedTexts(np.array([0, 0, 1]), np.array(["a", "b", "c"]), vectors(3, 0))
    value, _, _ = mean_recall(part, {"text_to_ir/scene": np.array([0, 1, 0])}, ("text_to_ir/scene",))
    assert value == pytest.approx((2 / 3 + 2) / 3)


def test_the_fusion_weight_is_the_best_on_the_grid_and_a_half_among_equals():
    """Captions lie on the infrared: the more of it the better; with equal images every weight is the same."""
    encoders = Encoders(tiny.clip_model(), tiny.clip_processor())
    part = embedded(rows=40, captions=1)
    part.texts["scene"].embeds = part.images["ir"] + 0.5 * part.images["rgb"][::-1]
    found = choose_fusion_weight(encoders, part)
    assert found.weight > 0.5 and found.search.grid[found.weight] == max(found.search.grid.values())
    part.images["rgb"] = part.images["ir"]
    assert choose_fusion_weight(encoders, part).weight == 0.5


def test_a_learned_fusion_has_no_weight():
    encoders = Encoders(tiny.clip_model(fusion="gated"), tiny.clip_processor())
    assert choose_fusion_weight(encoders, embedded()).weight is None


def test_missing_modality_compares_the_same_texts():
    ranks = {f"text_to_{m}/scene": np.array(r) for m, r in (("rgb", [0, 3]), ("ir", [2, 2]), ("fused", [0, 0]))}
    ranks |= {f"{m}_to_text/scene": np.array([0, 9]) for m in ("rgb", "ir", "fused")}
    found = missing_modality(ranks, ["scene"])["scene"]
    assert found.fused_minus["rgb"][0] == 0.5 and found.fused_minus["ir"] == (1.0, 1.0, 1.0)
    assert found.rgb.image_to_text["R@10"] == 1.0 and found.ir.text_to_image["R@1"] == 0.0


def test_fusing_as_the_model_does_equals_the_model(dataset):
    model, processor = tiny.clip_model(fusion_weight=0.3), tiny.clip_processor()
    rgb, ir = [tiny.rgb_image(i) for i in range(3)], [tiny.ir_image(i) for i in range(3)]
    encoders = Encoders(model, processor)
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
    encoders = Encoders(model, tiny.clip_processor(), batch_size=2)
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
    assert Encoders(model, processor).ir([tiny.ir_image(0)]).shape == (1, 8)
