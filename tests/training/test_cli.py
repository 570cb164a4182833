import dataclasses
import subprocess
import sys

import pytest

from fusionrs_hf.cli import main
from tests.made.command import assert_light_help, assert_one_line_error, run_command
from training.clip_arguments import ClipArguments
from training.vlm_arguments import VlmArguments


def test_an_unknown_recipe_key_names_the_nearest(tmp_path):
    recipe = tmp_path / "clip.yaml"
    recipe.write_text("datset: x\n")
    done = run_command("train", "clip", "--config", recipe)
    assert_one_line_error(done, "'datset'", "did you mean 'dataset'?")


@pytest.mark.parametrize(("method", "kind"), [("clip", ClipArguments), ("vlm", VlmArguments)])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_of_training_shows_config_then_the_own_fields_with_help_and_default(method, kind, flag):
    text = assert_light_help(["train", method, flag])
    options = [line.split()[0] for line in text.splitlines() if line.startswith("  -")]
    fields = dataclasses.fields(kind)
    assert options == ["--config", "-h,", "--help-all", *(f"--{field.name}" for field in fields)]
    words = " ".join(text.split())
    for field in fields:
        assert " ".join(field.metadata["help"].split()) in words
    assert "(required)" in words and "(default: 16)" in words or method == "clip"
    assert "--learning_rate" not in words


def test_every_field_is_behind_help_all():
    done = run_command("train", "clip", "--help-all")
    assert done.returncode == 0, done.stderr
    own, stock = " ".join(done.stdout.split()).split("transformers.TrainingArguments: options:")
    assert "--rgb_ir_weight" in own and "--rgb_ir_weight" not in stock
    assert "--learning_rate" in stock and "(default: 5e-05)" in stock
    assert own.index("--config") < own.index("--dataset") and "--output_dir" in stock


def test_a_missing_field_is_one_line(capsys):
    assert main(["train", "clip", "--output_dir", "x"]) == 2
    last = capsys.readouterr().err.strip().splitlines()
    assert last == ["error: the recipe is refused: the following arguments are required: --dataset"]


@pytest.mark.parametrize("verb", ["train", "eval"])
def test_a_verb_without_its_method_shows_its_help(verb, capsys):
    assert main([verb]) == 0
    assert f"usage: fusionrs {verb} {{clip," in capsys.readouterr().out


def test_what_is_released_is_known_without_torch():
    code = "import sys, training.release.door; print('torch' in sys.modules, 'huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"], done.stderr


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["clip", "here", "a/b", "--base", "a/c"], "--base goes with a VLM's adapter, got kind 'clip'; leave it out"),
        (["dataset", "here", "a/b", "--as-clip"], "--as-clip goes with a dual-modal CLIP, got kind 'dataset'"),
    ],
)
def test_an_option_of_another_kind_is_refused(arguments, fragment, capsys):
    assert main(["push", *arguments]) == 2
    assert fragment in capsys.readouterr().err
