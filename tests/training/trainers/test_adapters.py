import copy
import json

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer, LoraModel
from safetensors.torch import load_file, save_file
from transformers import AutoModel, TrainingArguments

from fusionrs_hf.errors import InputError
from tests.made import tiny
from tests.training.made.interrupted import interrupted, unfinished
from tests.training.test_train_clip import (  # noqa: F401 - folders is a fixture
    ONE_STEP,
    command,
    folders,
    losses,
    train_in_two_processes,
    weights,
)
from training.train_clip import main
from training.trainers.adapters import STATE_NAME, AdapterTrainer, add_adapters, merged
from training.trainers.frozen import freeze_lower_layers


def adapted(**options):
    model = tiny.clip_model(modality_embedding=True, fusion="gated")
    plain = copy.deepcopy(model)
    add_adapters(model, **{"rank": 2, **options})
    return plain, model


def trained_names(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def images():
    generator = torch.Generator().manual_seed(0)
    return {"pixel_values": torch.randn(2, 3, tiny.IMAGE_PX, tiny.IMAGE_PX, generator=generator)}


def test_adapters_and_heads_are_trained_and_the_start_is_unchanged():
    plain, model = adapted()
    heads = {"visual_projection.weight", "text_projection.weight", "logit_scale", "modality_embedding"}
    heads |= {"fusion.gate.weight", "fusion.gate.bias"}
    names = trained_names(model)
    assert heads <= names and all(".lora_" in name for name in names - heads)
    assert sum(isinstance(module, LoraLayer) for module in model.modules()) == 2 * 2 * 6  # towers, layers, linear ones
    torch.testing.assert_close(model(**images()).rgb_embeds, plain(**images()).rgb_embeds, rtol=0, atol=0)


def test_merged_weights_are_pefts_own_and_give_the_adapted_model_s_embeddings():
    plain, model = adapted(alpha=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B" in name:
                parameter.normal_()
    state = merged(model.state_dict(), scaling=3 / 2)
    assert state.keys() == plain.state_dict().keys()
    plain.load_state_dict(state)
    torch.testing.assert_close(plain(**images()).rgb_embeds, model(**images()).rgb_embeds, rtol=0, atol=1e-6)

    theirs = LoraModel(tiny.clip_model(), LoraConfig(r=2, lora_alpha=3, target_modules=["q_proj", "fc1"]), "default")
    for _, parameter in theirs.named_parameters():
        torch.nn.init.normal_(parameter)
    ours = merged(theirs.model.state_dict(), scaling=3 / 2)
    for name, value in theirs.merge_and_unload().state_dict().items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-6)


def test_what_is_frozen_gets_no_adapters_and_names_choose_layers():
    model = tiny.clip_model()
    freeze_lower_layers(model.vision_model, 1)
    freeze_lower_layers(model.text_model, -1)
    add_adapters(model, 2, modules=["q_proj", "fc2"])
    found = {name for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    prefix = "vision_model.encoder.layers.1"
    assert found == {f"{prefix}.self_attn.q_proj", f"{prefix}.mlp.fc2"}


def test_nothing_to_adapt_says_what_there_is():
    with pytest.raises(InputError, match=r"lora_modules must be of \['fc1', 'fc2', 'k_proj'.*, got \['query'\]"):
        add_adapters(tiny.clip_model(), 2, modules=["query"])
    model = tiny.clip_model().requires_grad_(False)
    with pytest.raises(InputError, match="all towers are frozen"):
        add_adapters(model, 2)


LORA = {"lora_rank": 2, "lora_dropout": 0.2, "frozen_vision_layers": 1}
BEST = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 2}


@pytest.mark.parametrize(
    "options",
    [
        {"encode_rows": 3, **BEST},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"lora_modules": "q_proj", "modality_embedding": True}, marks=pytest.mark.slow),
        pytest.param({"remember_images": True}, marks=pytest.mark.slow),
    ],
    ids=["in parts, the best kept", "whole", "named", "remembered"],
)
def test_a_run_leaves_a_plain_model_and_resumes_exactly(folders, tmp_path, options):  # noqa: F811
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    options = LORA | options
    main(command(folders, straight, **options))
    interrupted(straight, resumed, 2)
    main(command(folders, resumed, **options))
    assert losses(resumed) == losses(straight) and len(set(losses(straight))) > 1
    last = weights(straight)
    assert last.keys() == AutoModel.from_pretrained(straight / "checkpoint-2").state_dict().keys()
    assert not (straight / STATE_NAME).exists()
    for name, value in weights(resumed).items():
        torch.testing.assert_close(value, last[name], rtol=0, atol=0)
    start = AutoModel.from_pretrained(folders["home"] / "vision").state_dict()
    moved = {name for name, value in start.items() if not torch.equal(last[f"vision_model.{name}"], value)}
    assert moved and all(name.startswith("encoder.layer.1.") and name.endswith("weight") for name in moved)
    log = json.loads((straight / "training_log.json").read_text())
    trained = load_file(straight / "checkpoint-2" / STATE_NAME)
    buffers = ("feature_norm", "position_ids")
    size = sum(value.numel() for name, value in trained.items() if not any(word in name for word in buffers))
    assert log["trainable_parameters"] == size
    assert log["parameters"] == sum(
        parameter.numel() for parameter in AutoModel.from_pretrained(straight).parameters()
    )


def test_a_checkpoint_of_other_adapters_is_refused(folders, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    main(command(folders, run, **LORA, max_steps=2))
    unfinished(run, 2)
    with pytest.raises(InputError, match="frozen_vision_layers is 1 there and 0 here"):
        main(command(folders, run, **LORA | {"frozen_vision_layers": 0}, max_steps=2))
    path = run / "checkpoint-2" / STATE_NAME
    state = load_file(path)
    save_file(dict(list(state.items())[1:]), path)
    with pytest.raises(InputError, match="does not hold the adapters of this run"):
        main(command(folders, run, **LORA, max_steps=2))
    path.unlink()
    with pytest.raises(InputError, match="it has 0 tensors"):
        main(command(folders, run, **LORA, max_steps=2))


def test_sharded_parameters_are_refused(monkeypatch):
    monkeypatch.setattr(AdapterTrainer, "is_fsdp_enabled", True, raising=False)
    monkeypatch.setattr(
        "training.trainers.contrastive.ContrastiveTrainer.__init__",
        lambda self, **kwargs: setattr(self, "is_deepspeed_enabled", False),
    )
    with pytest.raises(InputError, match="lora_rank does not run with sharded parameters"):
        AdapterTrainer(model=adapted()[1], args=TrainingArguments(report_to="none", use_cpu=True))


@pytest.mark.slow
@pytest.mark.every_change
def test_two_processes_equal_one_with_the_same_global_batch(folders, tmp_path):  # noqa: F811
    options = ONE_STEP | {"lora_rank": 2, "ir_caption_probability": 0, "train_sampling_strategy": "sequential"}
    main(command(folders, tmp_path / "one", **options))
    arguments = command(folders, tmp_path / "two", **options | {"per_device_train_batch_size": 4})
    train_in_two_processes(arguments)
    one, two = (weights(tmp_path / name) for name in ("one", "two"))
    start = AutoModel.from_pretrained(folders["home"] / "vision").state_dict()
    assert max((one[f"vision_model.{name}"] - value).abs().max() for name, value in start.items()) > 1e-6
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-6)
