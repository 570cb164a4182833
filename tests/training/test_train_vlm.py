"""VLM training: what LoRA touches, resuming, and what a run leaves behind."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import AutoModelForImageTextToText, AutoProcessor

from dataset_builder.claims.grounding import FACT_KINDS
from dataset_builder.images.png import encode_png
from dataset_builder.shards.limits import with_limits
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import MANIFEST
from tests.made import tiny, tiny_vlm
from tests.training.made.captioned_rows import make_rows
from tests.training.made.interrupted import interrupted
from training import train_vlm
from training.train_vlm import main
from training.trainers.captioning import CaptionTrainer
from training.trainers.run_log import read_run_log


@pytest.fixture(scope="session")
def vlm_run(tmp_path_factory):
    """A dataset, towers, and a finished run of two steps; the folders by name."""
    root = tmp_path_factory.mktemp("vlm")
    write_splits(root / "dataset")
    tiny_vlm.save_clip(root / "clip")
    tiny_vlm.save_language_model(root / "language", layers=3)
    folders = {name: str(root / name) for name in ("dataset", "clip", "language", "output")}
    main(command(folders))
    return folders


def write_splits(folder: Path, **changes: object) -> str:
    (folder / "data").mkdir(parents=True)
    for split, count in (("train", 8), ("validation", 4), ("test", 8)):
        make_rows(count, **changes).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return str(folder)


@pytest.fixture(scope="session")
def deep_dataset(vlm_run, tmp_path_factory):
    """The same dataset in 16 bit, a hundred times the grey levels, with the limits that undo it in its metadata."""
    folder = tmp_path_factory.mktemp("deep")
    (folder / "data").mkdir()
    for path in Path(vlm_run["dataset"], "data").glob("*.parquet"):
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            grey = np.asarray(Image.open(io.BytesIO(row["ir"]["bytes"])))
            row["ir"] = {"bytes": encode_png(grey.astype(np.uint16) * 100), "path": None}
        schema = with_limits(table.schema, dict.fromkeys(("nir", "lwir"), [0, 25500]))
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / "data" / path.name)
    return str(folder)


def command(folders: dict[str, str], **options: object) -> list[str]:
    options = {
        "dataset": folders["dataset"],
        "clip_model": folders["clip"],
        "language_model": folders["language"],
        "output_dir": folders["output"],
        "keep_language_layers": "0-1",
        "text_steps": 2,
        "projector_steps": 3,
        "max_steps": 2,
        "save_steps": 1,
        "logging_steps": 1,
        "per_device_train_batch_size": 2,
        "learning_rate": 0.05,
        "remember_images": True,
        "lora_rank": 2,
        "activation_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "keep_checkpoints": True,
        "report_to": "none",
        "disable_tqdm": True,
        **options,
    }
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def logits(model, processor) -> torch.Tensor:
    inputs = processor(images=[tiny.rgb_image(9), tiny.ir_image(9)], text="<image><image>dry", return_tensors="pt")
    with torch.no_grad():
        return model.eval()(**inputs).logits


def test_adapter_holds_lora_of_the_language_model_and_the_projectors_only(vlm_run):
    names = load_file(f"{vlm_run['output']}/adapter/adapter_model.safetensors")
    lora = {name for name in names if "lora_" in name}
    assert len(lora) == 2 * 7 * 2  # layers, linears, A and B
    assert all(".language_model.layers." in name for name in lora)
    assert all("multi_modal_projector" in name for name in names.keys() - lora)


def test_adapter_on_its_base_equals_the_merged_model_and_both_differ_from_the_base(vlm_run):
    output = vlm_run["output"]
    processor = AutoProcessor.from_pretrained(output)
    merged = logits(AutoModelForImageTextToText.from_pretrained(output), processor)
    base = AutoModelForImageTextToText.from_pretrained(f"{output}/base")
    untrained = logits(base, processor)
    adapted = logits(PeftModel.from_pretrained(base, f"{output}/adapter"), processor)
    assert_close(adapted, merged, atol=1e-5, rtol=1e-4)
    assert (untrained - merged).abs().max() > 0.01
    assert (
        json.loads(Path(f"{output}/adapter/adapter_config.json").read_text())["base_model_name_or_path"]
        == f"{output}/base"
    )


def test_frozen_parts_are_as_loaded_and_projectors_as_their_stage_left_them(vlm_run):
    merged = load_file(f"{vlm_run['output']}/model.safetensors")
    base = load_file(f"{vlm_run['output']}/base/model.safetensors")
    for name, value in load_file(f"{vlm_run['output']}/projector/projector.safetensors").items():
        assert torch.equal(merged[f"model.multi_modal_projector.{name}"], value), name
        if ".position" not in name:  # the mean of an image's tokens tells nothing of their positions
            assert not torch.equal(base[f"model.multi_modal_projector.{name}"], value), name
    clip = load_file(f"{vlm_run['clip']}/model.safetensors")
    for name in base:
        if "projector" not in name and "_proj." not in name:
            assert torch.equal(merged[name], base[name]), name
    for name in clip:
        if name.startswith("vision_model."):
            assert torch.equal(merged[name.replace("vision_model.", "model.vision_tower.")], clip[name]), name


def test_checkpoint_carries_its_code_and_log(vlm_run):
    config = json.loads(Path(f"{vlm_run['output']}/config.json").read_text())
    assert config["auto_map"]["AutoModelForImageTextToText"].startswith("modeling_fusionrs_vlm.")
    log = json.loads(Path(f"{vlm_run['output']}/training_log.json").read_text())
    assert [entry["step"] for entry in log["history"] if "loss" in entry] == [1, 2]


def test_interrupted_run_does_the_missing_step_and_ends_with_the_same_weights(vlm_run, tmp_path, monkeypatch):
    again = tmp_path / "output"
    interrupted(vlm_run["output"], again, 1)
    steps, training_step = [], CaptionTrainer.training_step
    monkeypatch.setattr(
        CaptionTrainer, "training_step", lambda self, *rest: steps.append(1) or training_step(self, *rest)
    )
    main(command({**vlm_run, "output": str(again)}))
    assert len(steps) == 1
    resumed, whole = (load_file(f"{folder}/model.safetensors") for folder in (again, vlm_run["output"]))
    for name in whole:
        assert_close(resumed[name], whole[name], atol=1e-6, rtol=1e-5)


def test_training_on_16_bit_with_declared_limits_is_training_on_their_grey_levels(vlm_run, deep_dataset, tmp_path):
    main(command(vlm_run, dataset=deep_dataset, output_dir=tmp_path / "run"))
    weights, wanted = (
        load_file(Path(folder, "model.safetensors")) for folder in (tmp_path / "run", vlm_run["output"])
    )
    assert weights.keys() == wanted.keys() and all(torch.equal(weights[name], wanted[name]) for name in wanted)
    assert AutoProcessor.from_pretrained(tmp_path / "run").ir_range == dict.fromkeys(("lwir", "nir"), [0, 25500])


def test_a_finished_stage_is_not_done_again(vlm_run, tmp_path, monkeypatch):
    again = interrupted(vlm_run["output"], tmp_path / "output", 0)
    (again / "projector/stage.json").unlink()
    manifest = json.loads((again / MANIFEST).read_text())
    manifest["files"].remove("projector/stage.json")
    (again / MANIFEST).write_text(json.dumps(manifest))
    done = []
    for name in ("train_on_texts", "train_projectors"):
        function = getattr(train_vlm, name)
        monkeypatch.setattr(
            train_vlm, name, lambda *rest, name=name, function=function: done.append(name) or function(*rest)
        )
    main(command({**vlm_run, "output": str(again)}))
    assert done == ["train_projectors"]
    resumed, whole = (load_file(f"{folder}/model.safetensors") for folder in (again, vlm_run["output"]))
    for name in whole:
        assert_close(resumed[name], whole[name], atol=1e-6, rtol=1e-5)


def test_base_has_learnt_the_texts_and_the_log_says_where_the_loss_begins(vlm_run):
    told = json.loads(Path(f"{vlm_run['output']}/base/stage.json").read_text())
    assert sum(told["counts"]["level"].values()) == 8
    (start,) = (entry for entry in read_run_log(Path(vlm_run["output"]))["history"] if "start_loss" in entry)
    assert {"uniform_loss", "unread_loss", "blind_loss"} <= start.keys()
    assert start["uniform_loss"] > start["unread_loss"] > 0


def test_a_stream_of_infrared_style_trains_and_the_best_checkpoint_by_facts_is_kept(vlm_run, tmp_path):
    styled = {**vlm_run, "dataset": write_splits(tmp_path / "styled", ir_origin="translated")}
    options = {"streaming": True, "validation_pairs": 4, "eval_strategy": "steps", "eval_steps": 1, "max_steps": 2}
    options |= {"load_best_model_at_end": True, "metric_for_best_model": "fact_accuracy", "save_total_limit": 1}
    main(command({**styled, "output": str(tmp_path / "output")}, **options))
    log = read_run_log(tmp_path / "output")
    history, origins = log["history"], log["ir_origins"]
    assert origins == ["translated"] and "infrared-style" in (tmp_path / "output/README.md").read_text()
    scores = [entry["eval_fact_accuracy"] for entry in history if "eval_fact_accuracy" in entry]
    assert len(scores) == 2 and all(
        {"eval_loss", "eval_brightest"} <= entry.keys() for entry in history if "eval_loss" in entry
    )
    told = json.loads((tmp_path / "output/projector/stage.json").read_text())
    assert set(told["training_accuracy"]) == set(told["validation_accuracy"]) == set(FACT_KINDS)
    (kept,) = (tmp_path / "output").glob("checkpoint-*")
    assert kept.name == f"checkpoint-{1 + scores.index(max(scores))}"


@pytest.mark.parametrize("images", ["rgb", "none"])
def test_a_model_that_is_shown_less_goes_through_its_stages(vlm_run, tmp_path, images):
    folders = vlm_run | {"output": str(tmp_path / "out")}
    scored = {"eval_strategy": "steps", "eval_steps": 2, "validation_pairs": 2}
    main(command(folders, images=images, **scored))
    projectors = load_file(tmp_path / "out/projector/projector.safetensors")
    base = load_file(tmp_path / "out/base/model.safetensors")
    moved = {
        name.split(".")[0]
        for name, value in projectors.items()
        if ".own." in name and not torch.equal(value, base[f"model.multi_modal_projector.{name}"])
    }
    assert moved == ({"rgb"} if images == "rgb" else set())
    history = read_run_log(tmp_path / "out")["history"]
    assert any("eval_fact_accuracy" in entry for entry in history)
    assert any("start_loss" in entry for entry in history) == (images == "rgb")


def test_an_evaluation_without_validation_rows_is_refused(vlm_run, tmp_path):
    with pytest.raises(InputError, match="give validation_pairs"):
        main(command({**vlm_run, "output": str(tmp_path)}, eval_strategy="steps", eval_steps=1))


def test_unknown_key_is_refused(vlm_run):
    with pytest.raises(InputError, match="keep_language_layer.*did you mean 'keep_language_layers'"):
        main([*command(vlm_run), "--keep_language_layer", "2"])


def test_feature_norm_is_refitted_on_the_training_images(vlm_run):
    merged = load_file(f"{vlm_run['output']}/model.safetensors")
    model, processor = (
        kind.from_pretrained(vlm_run["output"]) for kind in (AutoModelForImageTextToText, AutoProcessor)
    )
    images = [tiny.ir_image(index) for index in range(8)]
    pixels = processor(images=images, text="<image>" * 8, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        features = model.model.get_image_features(pixels).last_hidden_state.flatten(1)
    assert_close(merged["model.feature_norm.ir_mean"], features.mean(0), atol=1e-5, rtol=1e-4)
    assert np.all(merged["model.feature_norm.ir_std"].numpy() > 0)


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
def test_two_processes_go_through_all_stages(vlm_run, tmp_path, streaming):
    output = tmp_path / "output"
    options = {"streaming": streaming, "validation_pairs": 4, "eval_strategy": "steps", "eval_steps": 1}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    arguments = command({**vlm_run, "output": str(output)}, per_device_train_batch_size=1, **options)
    subprocess.run([*launcher, "-m", "training.train_vlm", *arguments], check=True, env={**os.environ})
    told = json.loads((output / "base/stage.json").read_text())
    assert sum(told["counts"]["level"].values()) == 8  # each row was measured once, by one of the processes
    history = read_run_log(output)["history"]
    assert [entry["step"] for entry in history if "loss" in entry] == [1, 2]
    assert sum("eval_fact_accuracy" in entry for entry in history) == 2
    AutoModelForImageTextToText.from_pretrained(output)
