"""What becomes of a training's folder when its command is run again, changed, stopped, or run beside another."""

import errno
import json
import os
import shutil
import signal
import time

import pytest
from datasets import Dataset

from dataset_builder.schema import FEATURES
from fusionrs_hf.cli import main as fusionrs
from fusionrs_hf.encoders import load_clip
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import MANIFEST, read_manifest
from fusionrs_hf.output_folder import files_below, writing
from tests.made import tiny, tiny_dataset, tiny_vlm
from tests.training.made.interrupted import interrupted, unfinished
from training import train_clip, train_vlm
from training.data.held_folders import holding
from training.trainers.contrastive import ContrastiveTrainer
from training.trainers.run_record import RECORD

ROUNDS = 5  # of SIGKILL
TIMED = ("README.md", "training_log.json", "trainer_state.json", "training_args.bin", MANIFEST)  # they tell times


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    text = tiny.text_config()
    text.max_position_embeddings = 40
    tiny.clip_model(text_config=text).save_pretrained(home / "clip")
    tiny.clip_processor().save_pretrained(home / "clip")
    tiny_vlm.save_clip(home / "tower")
    tiny_vlm.save_language_model(home / "language")
    return {"home": home, "dataset": tiny_dataset.write(home / "dataset")}


def options(folders, output, **changes):
    fixed = {"dataset": folders["dataset"], "clip": folders["home"] / "clip", "output_dir": output, "max_steps": 3}
    fixed |= {"save_steps": 1, "lr_scheduler_type": "constant", "per_device_train_batch_size": 4, "use_cpu": True}
    fixed |= {"report_to": "none", "learning_rate": 1e-2, "disable_tqdm": True, "keep_checkpoints": True}
    return [part for name, value in {**fixed, **changes}.items() for part in (f"--{name}", str(value))]


def vlm_options(folders, output, **changes):
    towers = {"clip_model": folders["home"] / "tower", "language_model": folders["home"] / "language"}
    changes = {"clip": None, "activation_checkpointing": False, "bf16": False, **towers, **changes}
    changes = {"text_steps": 1, "projector_steps": 1, **changes}
    named = options(folders, output, **changes)
    position = named.index("--clip")
    return named[:position] + named[position + 2 :]


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files_below(folder)}


def lasting(folder):
    """What two runs of one recipe have in common: all bytes but those that tell times."""
    return {name: value for name, value in contents(folder).items() if name.split("/")[-1] not in TIMED}


@pytest.fixture(scope="module")
def finished(folders):
    output = folders["home"] / "finished"
    train_clip.main(options(folders, output))
    return output


def test_a_finished_run_is_left_as_it_is(folders, finished, caplog):
    before = contents(finished)
    caplog.set_level("INFO")
    train_clip.main(options(folders, finished))
    assert contents(finished) == before and "nothing to do" in caplog.text and "max_steps 3" in caplog.text
    manifest = read_manifest(finished)
    assert manifest.finished and sorted([*manifest.files, MANIFEST]) == files_below(finished)
    assert json.loads((finished / "training_log.json").read_text())["steps"] == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"learning_rate": 1e-3}, "learning_rate is 0.01 there and 0.001 here"),
        ({"rgb_ir_weight": 0.5}, "rgb_ir_weight is 1.0 there and 0.5 here"),
        ({"max_steps": 2}, "another goal .max_steps 3 there and max_steps 2 here"),
        ({"max_steps": 6, "lr_scheduler_type": "linear"}, "lr_scheduler_type is constant there and the default here"),
        ({"seed": 1}, "seed is the default there and 1 here"),
    ],
)
def test_another_recipe_is_refused_and_named(folders, finished, changes, expected):
    before = contents(finished)
    with pytest.raises(InputError, match=f"{expected}.*--overwrite to start anew"):
        train_clip.main(options(folders, finished, **changes))
    assert contents(finished) == before


def test_other_data_are_refused_and_a_moved_folder_is_the_same(folders, finished, tmp_path, caplog):
    caplog.set_level("INFO")
    moved = tiny_dataset.write(tmp_path / "moved")
    train_clip.main(options(folders, finished, dataset=moved))
    assert "nothing to do" in caplog.text
    rows = tiny_dataset.rows("train", 4, 0)
    rows[0]["captions"] = ["dry ground north"]  # as long as the one before
    Dataset.from_list(rows, features=FEATURES).to_parquet(moved / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(InputError, match="dataset holds other files"):
        train_clip.main(options(folders, finished, dataset=moved))


def test_an_origin_that_is_none_is_told_before_anything_is_trained(folders, tmp_path):
    clip = shutil.copytree(folders["home"] / "clip", tmp_path / "clip")
    (clip / "origin.json").write_text("[]")
    with pytest.raises(InputError, match="origin.json is none of ours"):
        train_clip.main(options(folders, tmp_path / "run", clip=clip))
    assert not (tmp_path / "run").exists()


def test_a_run_killed_before_its_model_was_saved_takes_no_step_more(folders, finished, tmp_path, monkeypatch):
    run = interrupted(finished, tmp_path / "run", 3)
    monkeypatch.setattr(ContrastiveTrainer, "training_step", lambda *given: pytest.fail("a step beyond the goal"))
    train_clip.main(options(folders, run))
    assert lasting(run) == lasting(finished)
    assert json.loads((run / "training_log.json").read_text())["steps"] == 3


def test_a_higher_goal_goes_on_where_the_schedule_does_not_ask_for_it(folders, finished, tmp_path, caplog):
    longer, straight = interrupted(finished, tmp_path / "longer", 3), tmp_path / "straight"
    train_clip.main(options(folders, longer))
    (longer / "metrics.json").write_text("{}")
    with writing(longer, "train clip") as output:
        output.list_files(["metrics.json"])  # as `eval clip` does
    caplog.set_level("INFO")
    train_clip.main(options(folders, longer, max_steps=4))
    assert "going on from" in caplog.text and not (longer / "metrics.json").exists()  # it was of another model
    train_clip.main(options(folders, straight, max_steps=4))
    assert lasting(longer) == {**lasting(straight), RECORD: (longer / RECORD).read_bytes()}
    with pytest.raises(InputError, match="max_steps 4 there and max_steps 3 here"):
        train_clip.main(options(folders, longer))


def test_a_finished_run_holds_no_pickle_unless_checkpoints_are_kept(folders, finished, tmp_path, caplog):
    run = tmp_path / "run"
    run_options = options(folders, run, keep_checkpoints=False)
    train_clip.main(run_options)
    (run / "checkpoint-mine").mkdir()
    before = contents(run)
    assert {name for name in before if "/" in name or name.endswith((".bin", ".pt", ".pth"))} == set()
    assert before["model.safetensors"] == (finished / "model.safetensors").read_bytes()
    assert sorted([*read_manifest(run).files, MANIFEST]) == files_below(run)
    caplog.set_level("INFO")
    train_clip.main(run_options)
    train_clip.main(options(folders, run))  # what is gone is not made again to be kept
    assert caplog.text.count("nothing to do") == 2 and contents(run) == before
    with pytest.raises(InputError, match="max_steps 3 there and max_steps 4 here.*left no checkpoint .--keep_checkp"):
        train_clip.main(options(folders, run, max_steps=4))
    assert not (finished / "training_args.bin").exists() and (finished / "checkpoint-3" / "optimizer.pt").exists()


def test_a_schedule_that_ends_at_its_goal_does_not_lead_on(folders, tmp_path):
    run = tmp_path / "run"
    train_clip.main(options(folders, run, max_steps=1, lr_scheduler_type="linear"))
    with pytest.raises(InputError, match="which does not lead there by its schedule"):
        train_clip.main(options(folders, run, max_steps=2, lr_scheduler_type="linear"))
    train_clip.main(options(folders, tmp_path / "bare", max_steps=1, save_strategy="no"))
    with pytest.raises(InputError, match="left no checkpoint"):
        train_clip.main(options(folders, tmp_path / "bare", max_steps=2, save_strategy="no"))


def test_overwriting_says_what_goes_and_spares_what_is_of_others(folders, tmp_path, caplog):
    run = tmp_path / "run"
    train_clip.main(options(folders, run, max_steps=1))
    (run / "checkpoint-mine").mkdir()
    (run / "checkpoint-mine" / "thesis.txt").write_text("mine")
    before = contents(run)
    with pytest.raises(InputError, match="did not write .checkpoint-mine/thesis.txt.; move them away"):
        train_clip.main([*options(folders, run, max_steps=1, seed=5), "--overwrite"])
    assert contents(run) == before
    (run / "checkpoint-mine").rename(tmp_path / "mine")
    caplog.set_level("INFO")
    train_clip.main([*options(folders, run, max_steps=1, seed=5), "--overwrite"])
    assert "replacing" in caplog.text and contents(run)["model.safetensors"] != before["model.safetensors"]


def test_checkpoints_beyond_the_limit_go_and_folders_of_the_user_stay(folders, tmp_path):
    run = tmp_path / "run"
    train_clip.main(options(folders, run, max_steps=1, save_total_limit=1))
    for name in ("checkpoint-mine/a", "checkpoint-notes/b", "checkpoint-1/c"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("mine")
    train_clip.main(options(folders, run, max_steps=3, save_total_limit=1))
    assert {path.parent.name for path in run.glob("checkpoint-*/trainer_state.json")} == {"checkpoint-3"}
    kept = {name for name in files_below(run) if name not in read_manifest(run).files}
    assert kept == {MANIFEST, "checkpoint-mine/a", "checkpoint-notes/b", "checkpoint-1/c"}


def test_folders_of_others_are_refused_and_stay(folders, tmp_path):
    run, target = tmp_path / "run", tmp_path / "target"
    run.mkdir()
    target.mkdir()
    (run / "config.json").write_text("mine")
    for more in ([], ["--overwrite"]):
        with pytest.raises(InputError, match="is not empty and not of `fusionrs train clip` .config.json"):
            train_clip.main([*options(folders, run), *more])
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(InputError, match="is a link"):
        train_clip.main(options(folders, tmp_path / "link"))
    assert contents(run) == {"config.json": b"mine"} and not list(target.iterdir())


def test_an_unfinished_model_and_a_folder_in_use_are_read_by_nobody(folders, finished, tmp_path, capsys):
    run = interrupted(finished, tmp_path / "run", 2)
    with pytest.raises(InputError, match="is not finished: .*train clip"):
        load_clip(str(run))
    for place in (run, *([run / "adapter"] if (run / "adapter").is_dir() else [])):
        with pytest.raises(InputError, match="is not finished"), holding(place):
            pass
    assert fusionrs(["push", "clip", str(run), "a/b"]) == 2
    assert "is not finished" in capsys.readouterr().err
    load_clip(str(run / "checkpoint-2"))  # whole by itself
    with writing(folders["home"] / "held", "build"), holding(finished):
        with pytest.raises(InputError, match="is not finished|in use"), holding(folders["home"] / "held"):
            pass
        with pytest.raises(InputError, match="in use"):
            train_clip.main([*options(folders, finished), "--overwrite"])


@pytest.mark.parametrize(("saved", "expected"), [("steps", "continues from checkpoint-1"), ("no", "starts anew")])
def test_an_interrupted_run_says_only_what_is_true(folders, tmp_path, monkeypatch, capsys, saved, expected):
    steps, step = [], ContrastiveTrainer.training_step

    def interrupt(self, *given):
        steps.append(1)
        if len(steps) == 2:
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(ContrastiveTrainer, "training_step", interrupt)
    command = ["train", "clip", *options(folders, tmp_path / "run", save_strategy=saved)]
    assert fusionrs(command) == 130
    assert f"interrupted: the same command {expected}" in capsys.readouterr().err


def test_a_full_disk_ends_in_a_line_that_says_how_to_go_on(folders, tmp_path, monkeypatch, capsys):
    saves, save = [], ContrastiveTrainer._save

    def fail(self, *given, **named):
        saves.append(1)
        if len(saves) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(self, *given, **named)

    monkeypatch.setattr(ContrastiveTrainer, "_save", fail)
    command = ["train", "clip", *options(folders, tmp_path / "run")]
    assert fusionrs(command) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "No space left on device; make room" in line and "the same command continues from checkpoint-1" in line
    assert fusionrs(command) == 0 and not (tmp_path / "run" / ".work").exists()


def start(main, arguments):
    """Trains in a process of its own, which need not import anything; returns its number."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            main(arguments)
            code = 0
        finally:
            os._exit(code)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clip", "vlm"])
def test_killed_runs_end_with_the_bytes_of_one_that_was_not(folders, tmp_path, kind):
    make, main = (options, train_clip.main) if kind == "clip" else (vlm_options, train_vlm.main)
    straight, kept = tmp_path / "straight", {"max_steps": 6, "save_total_limit": 2}
    began = time.monotonic()
    assert os.waitpid(start(main, make(folders, straight, **kept)), 0)[1] == 0
    seconds = time.monotonic() - began
    for number in range(ROUNDS):
        run = tmp_path / f"run{number}"
        process = start(main, make(folders, run, **kept))
        time.sleep(seconds * (number + 0.5) / ROUNDS)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        assert os.waitpid(start(main, make(folders, run, **kept)), 0)[1] == 0
        expected = {name: value.replace(bytes(straight), bytes(run)) for name, value in lasting(straight).items()}
        assert lasting(run) == expected
        assert sorted([*read_manifest(run).files, MANIFEST]) == files_below(run)


def test_a_vlm_is_finished_once_and_goes_on_to_the_same_bytes(folders, tmp_path, caplog):
    straight, run = tmp_path / "straight", tmp_path / "run"
    train_vlm.main(vlm_options(folders, straight, max_steps=2))
    before = contents(straight)
    caplog.set_level("INFO")
    train_vlm.main(vlm_options(folders, straight, max_steps=2))
    assert contents(straight) == before and "nothing to do" in caplog.text
    assert sorted([*read_manifest(straight).files, MANIFEST]) == files_below(straight)
    train_vlm.main(vlm_options(folders, run, max_steps=2))
    unfinished(run, 2)
    train_vlm.main(vlm_options(folders, run, max_steps=2))
    expected = {name: value.replace(bytes(straight), bytes(run)) for name, value in lasting(straight).items()}
    assert lasting(run) == expected
