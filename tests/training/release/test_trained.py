"""What a trainer pushes when it is told to: scored, through the one door, and verified from the Hub."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, parse_eval_result_entries
from transformers import ResNetConfig, ResNetModel

from fusionrs_hf.bounded_yaml import read_yaml
from fusionrs_hf.convert_demo import MOBILENET, convert_demo_weights
from tests.house import ROOT
from tests.made import tiny, tiny_vlm
from tests.training.made.captioned_rows import make_rows
from training.release import door, verify
from training.release.checks import check_rights

PACKAGES = ROOT / ".demo-packages"
FAST = ["--report_to", "none", "--use_cpu", "true", "--logging_steps", "1", "--disable_tqdm", "true"]
CARD = "---\nlicense: cc0-1.0\npretty_name: Rows\n---\n# Rows\n"


def train(page: str, arguments: list[str]) -> None:
    """Runs a trainer's page, in the process that knows the Hub."""
    from importlib import import_module

    import_module(page).main(arguments)


@pytest.fixture
def in_client(hub_client: ProcessPoolExecutor) -> Callable[..., Any]:
    return lambda function, *arguments, **options: hub_client.submit(function, *arguments, **options).result()


@pytest.fixture(scope="module")
def rows(hub_client: ProcessPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dataset with captions, released as trained/rows."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "data").mkdir()
    for split, count in (("train", 8), ("validation", 4), ("test", 8)):
        made = make_rows(count, captions=["dry ground"], caption_origin=["rule"])
        made.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text(CARD)
    hub_client.submit(door.push, "dataset", folder, "trained/rows").result()
    return "trained/rows"


def commands(home: Path, kind: str) -> tuple[str, list[str]]:
    """Returns the page that trains a kind, and a run of two steps."""
    if kind == "translator":
        return "training.train_translator", ["--bands", "nir", "--channels", "4", "4", "4", "--tile_px", "16"]
    if kind == "vlm":
        towers = ["--clip_model", str(tiny_vlm.save_clip(home / "clip"))]
        towers += ["--language_model", str(tiny_vlm.save_language_model(home / "language"))]
        stages = ["--keep_language_layers", "0-1", "--text_steps", "2", "--projector_steps", "2", "--lora_rank", "2"]
        return "training.train_vlm", [*towers, *stages, "--activation_checkpointing", "false", "--bf16", "false"]
    ResNetModel(
        ResNetConfig(embedding_size=4, hidden_sizes=[4, 6], depths=[1, 1], layer_type="basic")
    ).save_pretrained(home / "vision")
    tiny.image_processor().save_pretrained(home / "vision")
    tiny.clip_model().text_model.save_pretrained(home / "text")
    tiny.tokenizer().save_pretrained(home / "text")
    towers = ["--vision_tower", str(home / "vision"), "--text_tower", str(home / "text")]
    return "training.train_clip", [*towers, "--projection_dim", "8", "--frozen_vision_layers", "-1"]


@pytest.mark.slow
@pytest.mark.every_change
@pytest.mark.skipif(
    not (PACKAGES / MOBILENET.file).is_file(), reason="needs .demo-packages, which `make demo` installs"
)
def test_the_recipe_of_stated_licences_leaves_a_clip_that_may_be_published(in_client, rows: str, tmp_path: Path):
    weights = convert_demo_weights(PACKAGES, tmp_path / "weights", ["mobilenet", "text"])
    towers = ["--vision_tower", str(weights["mobilenet"]), "--text_tower", str(weights["text"])]
    output = tmp_path / "output"
    options = ["--config", "training/recipes/clip_open.yaml", "--dataset", rows, "--output_dir", str(output), *towers]
    push = ["--push_to_hub", "true", "--hub_model_id", "trained/open"]
    in_client(train, "training.train_clip", [*options, "--max_steps", "2", *FAST, *push])

    check_rights(output, "https://hub.example")  # nothing is unstated
    card = ModelCard.load(output / "README.md")
    assert card.data.license == "apache-2.0" and "demo_only" not in card.data
    assert "bsd-3-clause" in card.text and "apache-2.0" in card.text
    assert (output / ".eval_results/fusionrs.yaml").is_file()
    assert in_client(verify.verify, "trained/open").equal


@pytest.mark.slow
@pytest.mark.every_change
@pytest.mark.parametrize("kind", ["clip", "vlm", "translator"])
def test_a_trainer_s_push_is_a_verified_release_with_results(hub, in_client, rows: str, tmp_path: Path, kind: str):
    repo_id, output = f"trained/{kind}", tmp_path / "output"
    page, options = commands(tmp_path, kind)
    arguments = ["--dataset", rows, "--output_dir", str(output), "--max_steps", "2", *FAST, *options]
    push = ["--per_device_train_batch_size", "4", "--push_to_hub", "true", "--hub_model_id", repo_id]
    in_client(train, page, [*arguments, *push])

    assert in_client(verify.verify, repo_id).equal
    entries = parse_eval_result_entries(read_yaml(output / ".eval_results/fusionrs.yaml", ""))
    assert entries and {entry.dataset_id for entry in entries} == {rows}
    assert f"datasets:\n- {rows}\n" in (output / "README.md").read_text()
