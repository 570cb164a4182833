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
    assert set(part["mean_recall"]) == {"rgb_ir", "rgb_scene", "scene", "ir_aware"}
    assert set(metrics["by_band"]) == {"nir", "swir"} and set(metrics["by_source"]) == {"scene/nir", "scene/swir"}
    assert metrics["fusion"]["chosen_on"] == "validation" and len(metrics["fusion"]["grid"]) == 11


def test_metrics_keep_their_keys_in_their_order(metrics, metrics_file):
    assert list(metrics) == ["trained", "fusion", "by_band", "by_source"]
    assert list(metrics["fusion"]) == ["weight", "grid", "text_kind", "fusion", "chosen_on"]
    four = ["queries", "scores", "intervals", "ranks"]
    recalls = ["R@1", "R@5", "R@10", "mean_recall", "median_rank", "queries"]
    for part in metrics["trained"].values():
        assert (
            list(part) == [*four, "fused", "mean_recall", "missing_modality", "chance"] and list(part["fused"]) == four
        )
        assert all(list(scores) == recalls for scores in part["scores"].values())
        assert all(len(interval) == 3 for interval in part["intervals"].values())
        assert list(part["missing_modality"]["scene"]) == ["rgb", "ir", "fused", "fused_minus"]
    for table_ in (*metrics["by_band"].values(), *metrics["by_source"].values()):
        assert list(table_) == [*four[:3], "mean_recall", "chance"]
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


def only(folder, *splits, **changes):
    """Writes some splits of the tiny dataset, with columns changed."""
    (folder / "data").mkdir(parents=True)
    for split in splits:
        rows = [row | changes for row in tiny_dataset.rows(split, 6, 200)]
        Dataset.from_list(rows, features=FEATURES).to_parquet(folder / f"data/{split}-00000-of-00001.parquet")
    return folder


def scored(model, dataset, tmp_path, *options):
    output = tmp_path / "metrics.json"
    arguments = ["--model", str(model), "--dataset", str(dataset), "--output", str(output), *options]
    assert cli.main(["eval", "clip", *arguments]) == 0
    return ClipResults.load(output)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("captions", [{}, {"captions": [], "ir_captions": []}, {"ir_captions": []}])
def test_any_split_alone_is_scored_with_what_captions_it_has(model, tmp_path, capsys, split, captions):
    dataset = only(tmp_path / "dataset", split, **captions)
    found = scored(model, dataset, tmp_path)
    expected = {"train": "train_split", "validation": "held_out_scene", "test": "held_out_scene"}[split]
    assert set(found.trained) == {f"{expected}/nir", f"{expected}/swir"}
    kinds = {"scene": "captions", "ir_aware": "ir_captions"}
    there = [kind for kind, column in kinds.items() if captions.get(column, True)]
    part = found.trained[f"{expected}/nir"]
    assert {name.partition("/")[2] for name in part.scores} - {""} == set(there)
    assert set(part.mean_recall) == {"rgb_ir", *there, *(["rgb_scene"] if "scene" in there else [])}
    assert found.fusion.as_dict() == {"weight": None, "chosen_on": "model"}
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[0] == "scored" and len(printed) > 2 * len(part.scores)
    assert all("small gallery" in line for line in printed[1:])


def test_what_is_printed_is_what_is_written(model, dataset, tmp_path, capsys):
    found = scored(model, dataset, tmp_path)
    part = found.trained["held_out_region/nir"]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("held_out_region/nir ")]
    recall = next(line for line in lines if " RGB → IR " in line and "hard" not in line).split()
    value, low, high = (f"{100 * number:.1f}" for number in part.intervals["rgb_to_ir"])
    at = recall.index("IR") + 1
    assert recall[at : at + 4] == [value, f"[{low},", f"{high}]", "16.7"]  # of six tiles
    mean = next(line for line in lines if "RGB ↔ IR alone" in line)
    assert f"{100 * part.mean_recall['rgb_ir'].value:.1f} [" in mean and "66.7" in mean  # (1/6 + 5/6 + 1) / 3


def test_the_infrared_that_there_is_gets_scored_and_the_option_named(model, tmp_path, caplog):
    caplog.set_level("INFO")
    dataset = only(tmp_path / "dataset", "test", ir_origin="translated", captions=[], ir_captions=[])
    assert scored(model, dataset, tmp_path).trained
    assert "infrared-style images made from RGB (12 rows of test); --ir_origin" in caplog.text
    arguments = ["eval", "clip", "--model", str(model), "--dataset", str(dataset), "--ir_origin", "sensor"]
    assert cli.main(arguments) == 2


def test_nothing_to_score_is_an_error(model, tmp_path, capsys):
    one = {"image_group_id": "g", "joint_group_id": "g", "is_eval_representative": False, "captions": []}
    dataset = only(tmp_path / "dataset", "test", **one)
    assert cli.main(["eval", "clip", "--model", str(model), "--dataset", str(dataset)]) == 2
    told = capsys.readouterr().err
    assert "nothing to score: the 12 test rows" in told and "form 1 joint groups" in told


def test_a_split_that_is_not_there_is_named(model, dataset, tmp_path, capsys):
    folder = only(tmp_path / "dataset", "test")
    assert cli.main(["eval", "clip", "--model", str(model), "--dataset", str(folder), "--split", "train"]) == 2
    assert "has no split 'train'; it has test" in capsys.readouterr().err


def test_a_clip_that_was_started_from_is_the_control_with_captions_too(model, tmp_path):
    dataset = only(tmp_path / "dataset", "test")
    trained = tmp_path / "trained"
    tiny.clip_model(seed=1).save_pretrained(trained)
    tiny.clip_processor().save_pretrained(trained)
    log = {"recipe": {"clip": str(model)}, "scenes": ["scene"], "source_datasets": ["scene"]}
    (trained / "training_log.json").write_text(json.dumps(log))
    found = scored(trained, dataset, tmp_path)
    assert set(found.trained) == {"held_out_region/nir", "held_out_region/swir"} == set(found.pretrained)
    alone = scored(model, dataset, tmp_path).trained["held_out_scene/nir"]
    control = found.pretrained["held_out_region/nir"]
    assert control.ranks == alone.ranks and "text_to_ir/scene" in control.ranks


def test_towers_are_scored_raw_where_no_training_split_standardises_them(dataset, tmp_path):
    towers = {"vision_tower": tmp_path / "vision", "text_tower": tmp_path / "text"}
    start = tiny.clip_model()
    start.vision_model.save_pretrained(towers["vision_tower"])
    start.text_model.save_pretrained(towers["text_tower"])
    alone = only(tmp_path / "dataset", "test", captions=[], ir_captions=[])
    found = evaluate_clip.evaluate_pretrained(start.config, tiny.clip_processor(), towers, str(alone))
    encoder = Encoder.for_scores(start, tiny.clip_processor(), pooled=True)
    rows = evaluate_clip.held_out(str(alone), "test")["held_out_scene/nir"]
    raw = evaluate_clip.score_images(encoder, rows)
    assert found["held_out_scene/nir"].ranks["rgb_to_ir"] == raw["rgb_to_ir"].tolist()


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
