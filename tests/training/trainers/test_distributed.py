import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from torch import nn
from transformers import AutoModel, AutoProcessor, TrainingArguments

import training
from fusionrs_hf.errors import InputError
from tests.made import tiny, tiny_dataset
from tests.training.made.interrupted import interrupted
from tests.training.test_train_clip import command, folders, losses, weights  # noqa: F401 - folders is a fixture
from training.train_clip import main
from training.trainers.contrastive import ContrastiveTrainer
from training.trainers.distributed import check_processes, forward_as, prepare_fsdp

CONFIGS = Path(training.__file__).parent / "accelerate_configs"
MODULES = {"ddp": "training.train_clip", "fsdp": "tests.training.made.fsdp_on_cpu"}
OPTIONS = {
    "published": {"decay_all": True, "max_logit_scale": "none", "weight_decay": 0.1, "encode_rows": 3},
    "ours": {
        "contrastive_loss": "sigmoid",
        "logit_scale_init_value": 2.3,
        "max_logit_scale": 9.0,
        "modality_embedding": True,
        "fusion": "gated",
        "fused_text_weight": 1,
        "modality_dropout": 0.5,
        "activation_checkpointing": True,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "load_best_model_at_end": True,
    },
}
STEPS = {"learning_rate": 1e-2, "adam_epsilon": 1e-3}  # else Adam blows up what rounding leaves of zero gradients


@pytest.fixture(scope="module")
def start(folders):  # noqa: F811
    """Sixteen rows: two steps of eight an epoch, however many processes."""
    return {**folders, "dataset": tiny_dataset.write(folders["home"] / "sixteen", train=8)}


def launch(kind, module, arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = ["-m", "accelerate.commands.launch", "--config_file", CONFIGS / f"{kind}.yaml", "-m", module, *arguments]
    done = subprocess.run([sys.executable, *map(str, words)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def run(start):
    """Returns the output folder of a run in one process, or in two under `ddp` or `fsdp`; each is made once."""

    @cache
    def made(kind, name):
        output = start["home"] / f"{kind}_{name}"
        rows = {"per_device_train_batch_size": 8 if kind == "one" else 4}
        arguments = command(start, output, **STEPS, **OPTIONS[name], **rows)
        main(arguments) if kind == "one" else launch(kind, MODULES[kind], arguments)
        return output

    return made


def test_configs_name_two_processes_or_more_and_the_second_fsdp_with_whole_checkpoints():
    configs = {path.stem: load_config_from_file(str(path)) for path in CONFIGS.glob("*.yaml")}
    assert {name: config.distributed_type for name, config in configs.items()} == {"ddp": "MULTI_GPU", "fsdp": "FSDP"}
    assert all(config.num_processes >= 2 and not config.use_cpu for config in configs.values())
    assert configs["fsdp"].fsdp_config["fsdp_version"] == 2
    assert configs["fsdp"].fsdp_config["fsdp_state_dict_type"] == "FULL_STATE_DICT"


def test_processes_that_would_train_each_for_itself_are_refused(monkeypatch):
    arguments = TrainingArguments(report_to="none", use_cpu=True)
    trainer = ContrastiveTrainer(model=tiny.clip_model(), args=arguments)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(InputError, match="accelerate would run DDP, not FSDP, for it shards on GPUs only"):
        check_processes(trainer)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="2 processes would train each for itself, .* add --use_cpu true"):
        check_processes(trainer)


def test_scalars_stay_whole_and_units_are_parts_that_the_model_has():
    model = tiny.clip_model(vision_config=tiny.dinov2_config(), contrastive_loss="sigmoid")
    plugin = SimpleNamespace(fsdp_version=2, transformer_cls_names_to_wrap=None, mixed_precision_policy=None)
    prepare_fsdp(model, plugin, torch.device("cpu"))
    whole = {id(parameter) for module in plugin.ignored_modules for parameter in module.parameters()}
    assert whole == {id(model.logit_scale), id(model.logit_bias)}
    assert plugin.transformer_cls_names_to_wrap == ["CLIPEncoderLayer", "Dinov2Embeddings", "Dinov2Layer"]
    with pytest.raises(InputError, match="fsdp_version must be 2, got 1"):
        prepare_fsdp(model, SimpleNamespace(fsdp_version=1), torch.device("cpu"))


def test_a_module_gets_its_own_forward_back():
    module = nn.Identity()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), forward_as(module, lambda value: value / 0):
            module(1)
        assert module(1) == 1
        module.forward = lambda value: value  # as mixed precision sets it


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", MODULES)
def test_two_processes_give_the_losses_and_weights_of_one_with_the_whole_batch(run, kind, name):
    one, two = run("one", name), run(kind, name)
    assert len(losses(two)) == 4
    torch.testing.assert_close(torch.tensor(losses(two)), torch.tensor(losses(one)), rtol=1e-6, atol=1e-6)
    for folder in ("checkpoint-2", "checkpoint-4"):
        found, expected = weights(two / folder), weights(one / folder)
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODULES)
def test_two_processes_take_part_and_leave_a_plain_folder(run, kind):
    output = run(kind, "published")
    assert json.loads((output / "training_log.json").read_text())["batch_size"] == 2 * 4
    states = sorted(path.name for path in (output / "checkpoint-2").glob("rng_state*"))  # one a process
    assert states == ["rng_state_0.pth", "rng_state_1.pth"]
    for folder in (output, output / "checkpoint-2"):
        model, info = AutoModel.from_pretrained(folder, output_loading_info=True)
        assert type(model).__name__ == "FusionRSCLIPModel"
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        assert AutoProcessor.from_pretrained(folder) and (folder / "modeling_fusionrs_clip.py").is_file()


@pytest.mark.slow
def test_under_fsdp_each_process_holds_half(run):
    counts = [json.loads((run("fsdp", "ours") / f"rank_{rank}.json").read_text()) for rank in range(2)]
    assert all(abs(count["held"] / count["all"] - 0.5) < 0.05 for count in counts)
    assert sum(count["held"] for count in counts) == counts[0]["all"] + 2  # both hold scale and bias


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODULES)
def test_two_processes_resume_to_the_losses_and_weights_of_the_uninterrupted_run(start, run, kind, tmp_path):
    straight = run(kind, "ours")
    interrupted(straight, tmp_path, 2)
    options = {**STEPS, **OPTIONS["ours"], "per_device_train_batch_size": 4}
    launch(kind, MODULES[kind], command(start, tmp_path, **options))
    assert losses(tmp_path) == losses(straight)
    for folder in ("", "checkpoint-4"):  # the best model and the last
        resumed = weights(tmp_path / folder)
        assert all(torch.equal(resumed[key], value) for key, value in weights(straight / folder).items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODULES)
def test_bfloat16_and_statistics_run_in_two_processes(start, kind, tmp_path):
    options = {**STEPS, "bf16": True, "feature_norm": True, "fusion": "gated", "fused_text_weight": 1, "max_steps": 2}
    main(command(start, tmp_path / "one", **options, per_device_train_batch_size=8))
    two = command(start, tmp_path / "two", **options, per_device_train_batch_size=4, encode_rows=3)
    launch(kind, MODULES[kind], two)
    near = {"rtol": 2e-2, "atol": 0}  # bfloat16 keeps eight bits
    torch.testing.assert_close(*(torch.tensor(losses(tmp_path / name)) for name in ("two", "one")), **near)
    assert {value.dtype for value in weights(tmp_path / "two").values()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices; the tests above run on a CPU")
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", MODULES)
def test_two_gpus_give_the_losses_of_one_cpu(start, run, kind, name, tmp_path):
    options = {**STEPS, **OPTIONS[name], "per_device_train_batch_size": 4, "use_cpu": False}
    launch(kind, "training.train_clip", command(start, tmp_path, **options))
    torch.testing.assert_close(
        torch.tensor(losses(tmp_path)), torch.tensor(losses(run("one", name))), rtol=1e-3, atol=0
    )
