import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import Dataset

from dataset_builder.schema import FEATURES
from fusionrs_hf import cli
from fusionrs_hf.errors import InputError
from tests.made import tiny, tiny_dataset
from training import ablate
from training.recipe import parse_recipe, read_recipe
from training.train_clip import ClipArguments

RECIPES = Path(ablate.__file__).parent / "recipes"


def recipe(folder, name, **fields):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


@pytest.fixture(scope="module")
def size(tmp_path_factory):
    """Fields laid over recipes: a tiny dataset, tiny towers, two steps."""
    home = tmp_path_factory.mktemp("ablate")
    model = tiny.clip_model()
    model.vision_model.save_pretrained(home / "vision")
    tiny.image_processor().save_pretrained(home / "vision")
    model.text_model.save_pretrained(home / "text")
    tiny.tokenizer().save_pretrained(home / "text")
    dataset = tiny_dataset.write(home / "dataset", train=4, held_out=4, unseen=2)
    return recipe(
        home,
        "size",
        dataset=str(dataset),
        vision_tower=str(home / "vision"),
        text_tower=str(home / "text"),
        projection_dim=8,
        max_steps=2,
        per_device_train_batch_size=4,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
    )


def test_fields_are_laid_over_every_recipe(tmp_path):
    first, second = recipe(tmp_path, "a", seed=7, max_steps=9), recipe(tmp_path, "b", max_steps=9, dataset="here")
    over = recipe(tmp_path, "over", max_steps=1)
    runs = ablate.plan([first, second], [over], 2, tmp_path / "out")
    assert list(runs) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert all(fields["max_steps"] == 1 and fields["seed"] == seed for (_, seed), fields in runs.items())
    assert runs["b", 1]["output_dir"] == str(tmp_path / "out" / "b" / "seed-1") and runs["b", 0]["dataset"] == "here"


def test_two_recipes_of_one_name_are_refused(tmp_path):
    (tmp_path / "more").mkdir()
    paths = [recipe(tmp_path, "a"), recipe(tmp_path / "more", "a")]
    with pytest.raises(InputError, match="two recipes are called a"):
        ablate.plan(paths, [], 1, tmp_path / "out")


def test_a_run_of_other_fields_is_not_taken_for_this_one(tmp_path):
    runs = ablate.plan([recipe(tmp_path, "a", max_steps=1)], [], 1, tmp_path / "out")
    assert not ablate.is_done(runs["a", 0])
    folder = Path(runs["a", 0]["output_dir"])
    folder.mkdir(parents=True)
    ablate.recipe_path(folder).write_text(yaml.safe_dump(runs["a", 0] | {"max_steps": 2}))
    with pytest.raises(InputError, match="holds a run of another recipe"):
        ablate.is_done(runs["a", 0])


def test_a_reference_that_is_none_of_the_recipes_is_named(tmp_path, capsys):
    path = recipe(tmp_path, "a")
    assert cli.main(["ablate", str(path), "--output", str(tmp_path / "out")]) == 2
    assert "'trimodal' is none of the recipes a" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*s/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recipes_that_ship_are_read(path):
    fields = read_recipe(path)
    del fields["fp16"]  # wants a GPU
    arguments, _ = parse_recipe((ClipArguments, ablate.train_clip.TrainingArguments), _options(fields))
    assert arguments.output_dir if hasattr(arguments, "output_dir") else fields["output_dir"].endswith(path.stem)


def _options(fields):
    return [part for key, value in fields.items() if value is not None for part in (f"--{key}", str(value))]


def test_the_published_recipe_takes_the_published_steps():
    """13,593 steps of 128 in three epochs over 579,992 usable rows, the last partial batch of each left out."""
    fields = read_recipe(RECIPES / "published" / "trimodal.yaml")
    steps = fields["num_train_epochs"] * (579_992 // fields["per_device_train_batch_size"])
    assert steps == 13_593 and fields["dataloader_drop_last"]


def dataset_of(folder, scenes):
    """A dataset of whose training tiles, two a scene, each scene has validation tiles, too."""
    (folder / "data").mkdir(parents=True)
    for start, split in ((0, "train"), (100, "validation"), (200, "test")):
        rows = tiny_dataset.rows(split, 2 * len(scenes), start)
        for number, row in enumerate(rows):
            row["source_locator"] = f"{scenes[number // 4]}@r{32 * number}c0s32"
        table = Dataset.from_list(rows, features=FEATURES)
        table.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def test_a_fold_is_the_run_without_a_scene_beside_it(tmp_path):
    dataset = dataset_of(tmp_path / "dataset", ["sea", "desert"])
    runs = ablate.plan([recipe(tmp_path, "a", dataset=str(dataset))], [], 2, tmp_path / "out")
    folds = ablate.plan_folds(runs)
    assert list(folds) == [("a", seed, scene) for seed in (0, 1) for scene in ("desert", "sea")]
    fields = folds["a", 1, "sea"]
    assert fields["leave_out_scenes"] == ["sea"] and fields["seed"] == 1
    assert fields["output_dir"] == str(tmp_path / "out" / "a" / "seed-1-without-sea")


def test_one_scene_cannot_be_left_out(tmp_path, capsys):
    dataset = tiny_dataset.write(tmp_path / "dataset")
    path = recipe(tmp_path, "trimodal", dataset=str(dataset))
    assert cli.main(["ablate", str(path), "--output", str(tmp_path / "out"), "--leave-out", "scene"]) == 2
    assert "needs training rows of 2 to 20 scenes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_others_is_refused_and_stays(tmp_path, capsys):
    path, out = recipe(tmp_path, "trimodal"), tmp_path / "out"
    out.mkdir()
    (out / "ablation.json").write_text("mine")
    assert cli.main(["ablate", str(path), "--output", str(out)]) == 2
    assert "is not empty and not of `fusionrs ablate` (ablation.json)" in capsys.readouterr().err
    assert [file.name for file in out.iterdir()] == ["ablation.json"]


@pytest.mark.slow
def test_a_matrix_is_trained_chosen_tested_and_not_repeated(tmp_path, size, caplog):
    paths = [recipe(tmp_path, "trimodal", group_aware=False), recipe(tmp_path, "dual_text", rgb_ir_weight=0.0)]
    command = ["ablate", *map(str, paths), "--over", str(size), "--seeds", "2", "--output", str(tmp_path / "out")]
    assert cli.main(command) == 0
    report = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert report["chosen"] in ("trimodal", "dual_text") and report["recipes"]["dual_text"]["rgb_ir_weight"] == 0.0
    assert set(report["test"]) == {"held_out_region", "held_out_scene"}
    for part in report["test"].values():
        assert set(part) == {report["chosen"], "trimodal"}
    (cells,) = report["validation"].values()
    assert len(cells["dual_text"]["mean recall"]["by_seed"]) == 2
    assert "## validation" in (tmp_path / "out" / "ablation.md").read_text()
    caplog.clear()
    assert cli.main(command) == 0 and "training" not in caplog.text
    paths[1].write_text(yaml.safe_dump({"rgb_ir_weight": -1.0}))
    ablate.recipe_path(tmp_path / "out" / "dual_text" / "seed-1").unlink()
    assert cli.main([*command[:-1], str(tmp_path / "other")]) == 2


@pytest.mark.slow
def test_what_a_scene_left_out_tells_counts_in_the_choice_and_stands_in_the_tables(tmp_path, size):
    fields = yaml.safe_load(size.read_text()) | {"dataset": str(dataset_of(tmp_path / "dataset", ["sea", "desert"]))}
    paths = [recipe(tmp_path, name, rgb_ir_weight=weight) for name, weight in (("trimodal", 1.0), ("dual_text", 0.0))]
    over = recipe(tmp_path, "over", **fields)
    command = ["ablate", *map(str, paths), "--over", str(over), "--seeds", "1", "--output", str(tmp_path / "out")]
    assert cli.main([*command, "--leave-out", "scene"]) == 0
    report = json.loads((tmp_path / "out" / "ablation.json").read_text())
    for split in ("validation", "test"):
        assert set(report[split]) == {"held_out_region", "left_out_scene"}
    log = json.loads((tmp_path / "out/trimodal/seed-0-without-sea/training_log.json").read_text())
    assert log["scenes"] == ["desert"] and log["train_rows"] == 4
    with np.load(tmp_path / "out/trimodal/seed-0-without-sea-validation.npz") as tallies:
        assert {column.split("|")[0] for column in tallies["columns"]} == {
            "left_out_scene/sea/nir",
            "left_out_scene/sea/swir",
        }
