import json
import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    AutoModel,
    AutoProcessor,
    CLIPConfig,
    CLIPModel,
    CLIPProcessor,
)

import fusionrs_hf.auto  # noqa: F401
from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.modeling_fusionrs_features import whitening
from tests.made import tiny, tiny_dataset
from tests.training.made.interrupted import interrupted, unfinished
from training import evaluate_clip, train_clip
from training.data.pairs import PairCollator, load_pairs, pooled_features
from training.train_clip import frozen_image_layers, limit_training, main, remembered_images
from training.trainers.frozen import lower_layers


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("clip")
    model = tiny.clip_model(vision_config=tiny.dinov2_config(), vision_pooling="grid")
    model.vision_model.save_pretrained(home / "vision")
    tiny.image_processor().save_pretrained(home / "vision")
    model.text_model.save_pretrained(home / "text")
    tiny.tokenizer().save_pretrained(home / "text")
    return {"home": home, "dataset": tiny_dataset.write(home / "dataset", train=6)}


def command(folders, output, **options):
    fixed = {
        "dataset": folders["dataset"],
        "vision_tower": folders["home"] / "vision",
        "text_tower": folders["home"] / "text",
        "output_dir": output,
        "vision_pooling": "grid",
        "projection_dim": 8,
        "feature_norm": True,
        "max_steps": 4,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_steps": 2,
        "report_to": "none",
        "use_cpu": True,
        "keep_checkpoints": True,
        "seed": 3,
    }
    return [part for name, value in {**fixed, **options}.items() for part in (f"--{name}", str(value))]


def train_in_two_processes(arguments):
    """Runs `training.train_clip` with these arguments by torchrun, one thread each."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m"]
    done = subprocess.run(
        [*launch, "training.train_clip", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def trained(folders):
    output = folders["home"] / "output"
    main(command(folders, output, eval_strategy="steps", eval_steps=2))
    return output


def weights(folder):
    return AutoModel.from_pretrained(folder).state_dict()


def losses(folder):
    history = json.loads((folder / "training_log.json").read_text())["history"]
    return [float(entry["loss"]) for entry in history if "loss" in entry]


def test_a_run_leaves_model_processor_code_log_and_card(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"model.safetensors", "config.json", "processor_config.json", "modeling_fusionrs_clip.py"} <= names
    log = json.loads((trained / "training_log.json").read_text())
    assert log["steps"] == 4 and log["train_rows"] == 12 and log["bands"] == ["nir", "swir"]
    assert "eval_rgb_to_ir_R@1" in log["history"][-2] or "eval_rgb_to_ir_R@1" in log["history"][-3]
    assert "Not evaluated yet" in (trained / "README.md").read_text()


def test_a_resumed_run_repeats_the_uninterrupted_one(folders, trained, tmp_path):
    interrupted(trained, tmp_path, 2)
    main(command(folders, tmp_path, eval_strategy="steps", eval_steps=2))
    assert losses(tmp_path) == losses(trained)
    straight, resumed = (weights(folder) for folder in (trained, tmp_path))
    for name, value in straight.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=1e-6)


def test_two_processes_equal_one_with_the_same_global_batch(folders, tmp_path):
    """Plain SGD, no shuffling differences: one step of the gathered loss moves the weights as one process does."""
    options = {"max_steps": 1, "optim": "sgd", "learning_rate": 0.1, "max_grad_norm": 0, "ir_caption_probability": 0}
    options |= {"train_sampling_strategy": "sequential", "lr_scheduler_type": "constant", "save_strategy": "no"}
    main(command(folders, tmp_path / "one", per_device_train_batch_size=8, **options))
    arguments = command(folders, tmp_path / "two", per_device_train_batch_size=4, **options)
    train_in_two_processes(arguments)
    one, two = (weights(tmp_path / name) for name in ("one", "two"))
    start = AutoModel.from_pretrained(folders["home"] / "vision").state_dict()
    moved = max((one[f"vision_model.{name}"] - value).abs().max() for name, value in start.items())
    assert moved > 1e-4  # the step did something
    for name, value in one.items():  # what a long step rounds away is of its size, not of the weight's
        torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-6 * max(1.0, moved.item()))


def test_frozen_layers_stay_as_loaded(folders, tmp_path):
    main(command(folders, tmp_path, frozen_vision_layers=1, max_steps=2, save_strategy="no"))
    before = AutoModel.from_pretrained(folders["home"] / "vision").state_dict()
    after = weights(tmp_path)
    changed = {name for name, value in before.items() if not torch.equal(after[f"vision_model.{name}"], value)}
    assert changed and not any(name.startswith(("embeddings.", "encoder.layer.0.")) for name in changed)


def test_whole_towers_stay_as_loaded(folders, tmp_path):
    whole = {"frozen_vision_layers": -1, "frozen_text_layers": -1}
    main(command(folders, tmp_path, **whole, max_steps=1, save_strategy="no"))
    after = weights(tmp_path)
    for tower, prefix in (("vision", "vision_model"), ("text", "text_model")):
        before = AutoModel.from_pretrained(folders["home"] / tower).state_dict()
        assert all(torch.equal(after[f"{prefix}.{name}"], value) for name, value in before.items())
    heads = {"visual_projection.weight": 8 * 160, "text_projection.weight": 8 * 16, "logit_scale": 1}
    assert json.loads((tmp_path / "training_log.json").read_text())["trainable_parameters"] == sum(heads.values())
    with pytest.raises(InputError, match="frozen_text_layers must be -1 or more, got -2"):
        main(command(folders, tmp_path, frozen_text_layers=-2))


def test_a_whitened_head_starts_from_the_features_of_the_layers_that_are_kept(folders, tmp_path):
    options = {"vision_layers": 1, "projection_start": "whitened", "remember_images": True, "learning_rate": 1e-9}
    main(command(folders, tmp_path, **options, max_steps=1, save_strategy="no"))
    model, processor = AutoModel.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)
    assert model.config.vision_config.num_hidden_layers == len(model.vision_model.encoder.layer) == 1
    features = pooled_features(model, load_pairs(str(folders["dataset"]), "train"), PairCollator(processor))
    standard = [model.feature_norm(side, name) for side, name in zip(features, ("rgb", "ir"))]
    torch.testing.assert_close(model.visual_projection.weight, whitening(*standard, 8), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="layers to keep must ascend and lie between 0 and 1"):
        main(command(folders, tmp_path / "deep", vision_layers=3))


def test_a_scene_that_is_left_out_is_not_trained_on(folders, tmp_path):
    with pytest.raises(InputError, match="leave_out_scenes leaves no training row"):
        main(command(folders, tmp_path, leave_out_scenes="scene"))
    with pytest.raises(InputError, match="leave_out_scenes has 'elsewhere', but the scenes are 'scene'"):
        main(command(folders, tmp_path, leave_out_scenes="elsewhere"))


def test_the_best_checkpoint_is_that_of_the_highest_recall_also_after_a_resume(folders, tmp_path, monkeypatch):
    recalls, run = [], tmp_path / "run"
    monkeypatch.setattr(train_clip, "make_recall", lambda *given: lambda prediction: {"mean_recall": recalls.pop(0)})
    options = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 1, "save_steps": 1}
    for coming in ([0.1, 0.9, 0.5, 0.2], [0.2]):  # then on from step 3
        recalls[:] = coming
        main(command(folders, run, **options))
        state = json.loads((run / "checkpoint-4" / "trainer_state.json").read_text())
        assert state["best_metric"] == 0.9 and state["best_model_checkpoint"] == str(run / "checkpoint-2")
        history = json.loads((run / "training_log.json").read_text())["history"]
        lowest = min((entry for entry in history if "eval_loss" in entry), key=lambda entry: entry["eval_loss"])
        assert lowest["step"] != 2
        best, last = weights(run / "checkpoint-2"), weights(run / "checkpoint-4")
        for name, value in weights(run).items():
            torch.testing.assert_close(value, best[name], rtol=0, atol=0)
        assert not torch.equal(best["visual_projection.weight"], last["visual_projection.weight"])
        unfinished(run, 3)


def test_remembering_images_changes_nothing_but_the_work(folders, tmp_path, monkeypatch):
    frozen = command(folders, tmp_path / "frozen", max_steps=2, save_strategy="no", remember_images=True)
    main(frozen)
    monkeypatch.setattr(train_clip, "remember_layers", lambda tower, count: nullcontext())
    main(command(folders, tmp_path / "again", max_steps=2, save_strategy="no", remember_images=True))
    remembered, plain = weights(tmp_path / "frozen"), weights(tmp_path / "again")
    start = AutoModel.from_pretrained(folders["home"] / "vision").state_dict()
    assert all(torch.equal(remembered[f"vision_model.{name}"], value) for name, value in start.items())
    for name, value in plain.items():
        torch.testing.assert_close(remembered[name], value, rtol=1e-4, atol=1e-5)


ONE_STEP = {
    "max_steps": 1,
    "optim": "sgd",
    "learning_rate": 0.1,
    "max_grad_norm": 0,
    "lr_scheduler_type": "constant",
    "save_strategy": "no",
    "per_device_train_batch_size": 8,
}


@pytest.mark.parametrize(
    "options", [{}, {"fusion": "gated", "fused_text_weight": 1, "modality_dropout": 0.5, "texts_per_row": 2}]
)
def test_encoding_in_parts_gives_the_whole_batch_s_step(folders, tmp_path, options):
    for name, rows in (("whole", 0), ("parts", 3)):  # 3 does not divide 8
        main(command(folders, tmp_path / name, encode_rows=rows, **ONE_STEP, **options))
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    start = AutoModel.from_pretrained(folders["home"] / "vision").state_dict()
    assert max((whole[f"vision_model.{name}"] - value).abs().max() for name, value in start.items()) > 1e-4
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-5)  # moved by up to 100


@pytest.mark.slow
@pytest.mark.every_change
def test_parts_and_processes_together_equal_one_process(folders, tmp_path):
    options = ONE_STEP | {"train_sampling_strategy": "sequential", "texts_per_row": 2}
    main(command(folders, tmp_path / "one", **options))
    options |= {"per_device_train_batch_size": 4, "encode_rows": 3}
    train_in_two_processes(command(folders, tmp_path / "two", **options))
    one, two = (weights(tmp_path / name) for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.every_change
@pytest.mark.parametrize(
    "options",
    [
        {"modality_embedding": True},
        {"ir_channels": 1},
        {"contrastive_loss": "sigmoid", "logit_scale_init_value": 2.3},
        {"fusion": "gated", "fused_text_weight": 1, "modality_dropout": 0.3},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_option_trains_and_resumes_to_the_same_weights(folders, tmp_path, options):
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    main(command(folders, straight, **options))
    interrupted(straight, resumed, 2)
    main(command(folders, resumed, **options))
    assert losses(resumed) == losses(straight)
    first, last = weights(straight / "checkpoint-2"), weights(straight)
    for name, value in last.items():
        torch.testing.assert_close(weights(resumed)[name], value, rtol=0, atol=1e-6)
    new = [name for name in last if name.startswith(("modality", "ir_v", "logit_bias", "fusion"))]
    assert new and any(not torch.equal(first[name], last[name]) for name in new)


def test_training_starts_from_any_clip(folders, trained, tmp_path):
    config = CLIPConfig(
        text_config=tiny.text_config().to_dict(), vision_config=tiny.vision_config().to_dict(), projection_dim=8
    )
    CLIPModel(config).save_pretrained(tmp_path / "clip")
    CLIPProcessor(tiny.image_processor(), tiny.tokenizer()).save_pretrained(tmp_path / "clip")
    for start in (tmp_path / "clip", trained):
        output = tmp_path / f"from_{start.name}"
        options = {"clip": start, "vision_tower": "", "text_tower": "", "vision_pooling": "cls", "learning_rate": 0}
        feature_norm = start == trained
        main(command(folders, output, **options, max_steps=1, save_strategy="no", feature_norm=feature_norm))
        before, after = AutoModel.from_pretrained(start).state_dict() if start == trained else None, weights(output)
        before = before or FusionRSCLIPModel.from_pretrained(start).state_dict()
        for name, value in before.items():
            if not name.startswith("feature_norm"):
                torch.testing.assert_close(after[name], value, rtol=0, atol=1e-6)


def test_a_run_starts_from_one_thing(folders, tmp_path):
    with pytest.raises(InputError, match="give clip, or vision_tower and text_tower"):
        main(command(folders, tmp_path, clip="somewhere"))


def test_the_logit_scale_is_clamped(folders, tmp_path):
    main(command(folders, tmp_path, max_logit_scale=5.0, max_steps=1, save_strategy="no"))
    assert weights(tmp_path)["logit_scale"].exp() <= 5.0 + 1e-5


def test_evaluation_writes_ranks_that_agree_with_the_embeddings(folders, trained, tmp_path):
    output = tmp_path / "metrics.json"
    towers = ["--vision_tower", str(folders["home"] / "vision"), "--text_tower", str(folders["home"] / "text")]
    arguments = ["--model", str(trained), "--dataset", str(folders["dataset"]), "--output", str(output)]
    evaluate_clip.main([*arguments, *towers])
    metrics = json.loads(output.read_text())
    assert set(metrics["trained"]) == {"held_out_region/nir", "held_out_region/swir"}
    part = metrics["trained"]["held_out_region/nir"]
    assert set(part["ranks"]) >= {
        "rgb_to_ir",
        "ir_to_rgb",
        "rgb_to_text/scene",
        "text_to_ir/ir_aware",
        "rgb_to_ir_hard",
    }

    model, processor = AutoModel.from_pretrained(trained).eval(), AutoProcessor.from_pretrained(trained)
    rows = [row for row in evaluate_clip.load_pairs(str(folders["dataset"]), "test") if row["ir_band"] == "nir"]
    with torch.no_grad():
        outputs = model(**processor(images=[row["rgb"] for row in rows], ir_images=[row["ir"] for row in rows]))
    scores = outputs.rgb_embeds @ outputs.ir_embeds.T
    expected = [int((scores[i] > scores[i, i]).sum()) for i in range(len(rows))]
    assert part["ranks"]["rgb_to_ir"] == expected
    assert "rgb_to_text/scene" not in metrics["pretrained"]["held_out_region/nir"]["ranks"]
    assert Path(output).is_file()


def count_images(calls, name, forward, hidden, *args, **kwargs):
    calls.extend([name] * len(hidden))
    return forward(hidden, *args, **kwargs)


@pytest.mark.parametrize(
    ("frozen", "remember", "kept", "runs"), [(0, True, -1, 1), (1, True, 1, 1), (1, False, 1, 2), (0, False, 0, 2)]
)
def test_frozen_layers_run_once_an_image_where_they_are_remembered(frozen, remember, kept, runs):
    model = tiny.clip_model().with_options(ir_channels=1).eval()
    arguments = SimpleNamespace(
        frozen_vision_layers=frozen, remember_images=remember, frozen_text_layers=1, lora_rank=0
    )
    limit_training(model, arguments)
    assert frozen_image_layers(arguments) == kept
    towers, calls = {"rgb": model.vision_model, "ir": model.ir_vision_model}, []
    for name, tower in towers.items():
        free = [parameter.requires_grad for parameter in tower.parameters()]
        assert (all(free), any(free)) == (kept == 0, kept != -1)
        layer = lower_layers(tower, 1)[0]
        layer.forward = partial(count_images, calls, name, layer.forward)
    size = (tiny.IMAGE_PX, tiny.IMAGE_PX)
    pixels, infrared = torch.randn(2, 3, *size), torch.randn(2, 3, *size)
    with remembered_images(model, arguments), torch.no_grad():
        first = model.get_rgb_features(pixels), model.get_ir_features(infrared)
        second = model.get_rgb_features(pixels), model.get_ir_features(infrared)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert sorted(calls) == ["ir"] * 2 * runs + ["rgb"] * 2 * runs  # of two images
