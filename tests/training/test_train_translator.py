import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from dataset_builder.sample.scenes import declared_scenes
from fusionrs_hf.errors import InputError
from fusionrs_hf.output_folder import files_below
from fusionrs_hf.translator import load_pipeline
from tests.house import ROOT
from tests.made import tiny_dataset
from tests.training.made.interrupted import interrupted
from training.train_translator import main


def command(dataset, output, **options):
    fixed = {
        "dataset": dataset,
        "output_dir": output,
        "bands": ["nir", "swir"],
        "channels": [4, 4, 4],
        "tile_px": 32,
        "max_steps": 4,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_steps": 2,
        "report_to": "none",
        "use_cpu": True,
        "keep_checkpoints": True,
        "seed": 3,
    }
    parts = []
    for name, value in {**fixed, **options}.items():
        parts += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return parts


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset.write(tmp_path_factory.mktemp("pairs") / "dataset", train=6)


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    output = tmp_path_factory.mktemp("translator") / "output"
    main(command(dataset, output))
    return output


def weights(folder):
    return load_pipeline(folder).translator.state_dict()


def test_a_run_leaves_a_pipeline_its_code_and_its_log(trained):
    names = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert {"model_index.json", "pipeline_fusionrs_translator.py", "training_log.json"} <= names
    assert {"translator/config.json", "translator/modeling_fusionrs_translator.py"} <= names
    log = json.loads((trained / "training_log.json").read_text())
    assert log["steps"] == 4 and log["bands"] == ["nir", "swir"]
    assert json.loads((trained / ".fusionrs.json").read_text())["finished"]
    config = load_pipeline(trained).translator.config
    assert config.conditions == ["unknown", "scene"] and config.condition_bands["scene"] == ["nir", "swir"]


def test_a_run_fits_intervals_and_domain(trained):
    state = weights(trained)
    assert (state["interval_scale"] != 1).all()  # of both conditions and bands
    assert [len(state[f"domains.{place}.own"]) for place in (0, 1)] == [0, 6]
    assert len(state["domains.1.foreign"]) >= 18 and (state["domains.1.limits"] > 0).all()
    assert (state["blend"][:, 0] != 1).all()


def test_a_resumed_run_repeats_the_uninterrupted_one(dataset, trained, tmp_path):
    output = interrupted(trained, tmp_path / "again", 2)
    main(command(dataset, output))
    resumed = weights(output)
    for name, value in weights(trained).items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=1e-6)


def test_a_mean_of_other_weights_is_refused(dataset, trained, tmp_path):
    averaged = interrupted(trained, tmp_path / "run", 2) / "checkpoint-2" / "averaged.safetensors"
    save_file(load_file(averaged) | {"0": torch.ones(3)}, averaged)
    with pytest.raises(InputError, match="averaged.safetensors does not hold the averaged weights of this run"):
        main(command(dataset, tmp_path / "run"))


def test_a_finished_run_is_left_as_it_is_and_holds_no_pickle_unless_checkpoints_are_kept(
    dataset, trained, tmp_path, caplog
):
    output = tmp_path / "output"
    options = command(dataset, output, keep_checkpoints=False)
    main(options)
    before = {name: (output / name).read_bytes() for name in files_below(output)}
    assert [name for name in before if "checkpoint" in name or name.endswith((".bin", ".pt", ".pth"))] == []
    for name, value in weights(trained).items():
        torch.testing.assert_close(weights(output)[name], value, rtol=0, atol=0)
    caplog.set_level("INFO")
    main(options)
    assert "nothing to do" in caplog.text
    assert {name: (output / name).read_bytes() for name in files_below(output)} == before
    assert (trained / "checkpoint-4" / "optimizer.pt").is_file()


def test_a_start_that_has_changed_is_another_run(dataset, trained, tmp_path):
    start = shutil.copytree(trained, tmp_path / "start")
    options = command(dataset, tmp_path / "tuned", translator=start, max_steps=1)
    main(options)
    saved = start / "translator" / "diffusion_pytorch_model.safetensors"
    save_file({name: value + 0.5 for name, value in load_file(saved).items()}, saved)
    with pytest.raises(InputError, match="translator holds other files"):
        main(options)


def test_what_is_saved_is_the_mean_over_the_steps(dataset, trained, tmp_path):
    main(command(dataset, tmp_path / "last", ema_decay=0.0, save_strategy="no"))
    last, mean = weights(tmp_path / "last"), weights(trained)
    assert any((last[name] - mean[name]).abs().max() > 1e-4 for name in last if name.startswith("fine"))


def test_a_start_keeps_its_widths_and_gains_the_scenes(dataset, trained, tmp_path):
    output = tmp_path / "tuned"
    main(command(dataset, output, translator=trained, channels=[4, 4, 4], train_tiles=2, max_steps=1))
    config = load_pipeline(output).translator.config
    assert config.channels == [4, 4, 4] and config.conditions == ["unknown", "scene"]
    with pytest.raises(InputError, match="cannot change them"):
        main(command(dataset, tmp_path / "other", translator=trained, channels=[4, 4, 8]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenes": ["mars"]}, r"no training tile of \['mars'\]; its scenes are \['scene'\]"),
        ({"bands": ["lwir"]}, "no row of the bands lwir"),
        ({"train_tiles": 99}, "between 1 and the 6 tiles"),
        ({"bands": ["red"]}, "bands must be of"),
        ({"haze": 2}, r"haze must lie in \[0, 1\], got 2"),
        ({"reflectance_condition": "scene"}, "needs an entry of stretches"),
        ({"stretches": '{"scene": {"rgb": []}}'}, "must have the keys"),
    ],
)
def test_wrong_recipes_are_refused(dataset, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        main(command(dataset, tmp_path / "output", **options))


def test_a_folder_of_something_else_is_not_written(dataset, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty and not of `fusionrs train translator`"):
        main(command(dataset, tmp_path))


@pytest.mark.slow
def test_two_processes_train_one_model(dataset, tmp_path):
    options = {"max_steps": 1, "optim": "sgd", "learning_rate": 0.1, "max_grad_norm": 0, "save_strategy": "no"}
    options |= {"train_sampling_strategy": "sequential", "lr_scheduler_type": "constant", "unknown_ratio": 0.0}
    main(command(dataset, tmp_path / "one", per_device_train_batch_size=4, **options))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m"]
    done = subprocess.run(
        [*launch, "training.train_translator", *command(dataset, tmp_path / "two", **options)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        if not name.startswith(("interval", "domain", "blend")):
            torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5)


def test_the_recipes_stretches_are_the_samples_limits():
    recipe = yaml.safe_load((ROOT / "training" / "recipes" / "translator_sample.yaml").read_text())
    for scene in declared_scenes():
        if scene.name in recipe["stretches"]:
            stretch, limits = recipe["stretches"][scene.name], scene.source["limits"]
            assert stretch["rgb"] == [limits[band] for band in scene.source["rgb"]]
            for kind, pair in stretch["ir"].items():
                assert pair == limits[scene.source["ir"][kind]]
    assert set(recipe["stretches"]) == set(recipe["scenes"])


def test_it_learns_what_can_be_learned(tmp_path):
    """Infrared that is a function of the colours is found, and the interval then is narrow."""
    from datasets import Dataset
    from PIL import Image

    from dataset_builder.schema import FEATURES

    folder = tmp_path / "dataset"
    (folder / "data").mkdir(parents=True)
    for split, count, start in (("train", 24, 0), ("validation", 4, 100), ("test", 4, 200)):
        rows = [row for row in tiny_dataset.rows(split, count, start) if row["ir_band"] == "nir"]
        for index, row in enumerate(rows):
            rgb = np.random.default_rng(start + index).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            grey = np.rint(0.7 * rgb[..., 1] + 0.3 * (255 - rgb[..., 0])).astype(np.uint8)
            row["rgb"] = tiny_dataset.encoded(Image.fromarray(rgb))
            row["ir"] = tiny_dataset.encoded(Image.fromarray(grey))
        Dataset.from_list(rows, features=FEATURES).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    output = tmp_path / "output"
    options = {"max_steps": 120, "per_device_train_batch_size": 4, "save_strategy": "no", "ema_decay": 0.9}
    main(command(folder, output, bands=["nir"], channels=[8, 4, 4], learning_rate=2e-2, **options))
    rgb = np.random.default_rng(7).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    truth = 0.7 * rgb[..., 1] + 0.3 * (255 - rgb[..., 0].astype(float))
    result = load_pipeline(output)(rgb, band="nir", condition="scene", output_type="np")
    assert np.mean((result.images[0] - truth) ** 2) < 0.2 * truth.var()
    assert result.interval_width[0] < 80
