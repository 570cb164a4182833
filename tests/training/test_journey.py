import pytest

from fusionrs_hf.output_folder import writing
from training.journey import Step, main, travel


def stages(done, recipe, fail=None):
    def run(name):
        if name == fail:
            raise RuntimeError(name)
        done.append(name)

    return [
        Step("first", "First", 1, lambda: run("first"), ()),
        Step("second", "Second", 1, lambda: run("second"), (recipe,)),
        Step("third", "Third", 1, lambda: run("third"), ()),
    ]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 1\n")
    return path


def test_a_second_run_reuses_what_is_done(tmp_path, recipe):
    done = []
    travel(stages(done, recipe), tmp_path / "out")
    times = travel(stages(done, recipe), tmp_path / "out")
    assert done == ["first", "second", "third"]
    assert times == [("First", 0.0), ("Second", 0.0), ("Third", 0.0)]


def test_an_interrupted_run_continues_where_it_stopped(tmp_path, recipe):
    done = []
    with pytest.raises(RuntimeError, match="third"):
        travel(stages(done, recipe, fail="third"), tmp_path / "out")
    travel(stages(done, recipe), tmp_path / "out")
    assert done == ["first", "second", "third"]


def test_a_changed_input_runs_its_step_and_all_below_again(tmp_path, recipe):
    done = []
    travel(stages(done, recipe), tmp_path / "out")
    recipe.write_text("steps: 2\n")
    travel(stages(done, recipe), tmp_path / "out")
    assert done == ["first", "second", "third", "second", "third"]


def test_a_half_finished_training_is_continued_only_from_the_same_inputs(tmp_path, recipe):
    out = tmp_path / "out"

    def training(fail):
        def run():
            with writing(out / "clip", "train clip") as folder:
                if fail:
                    folder.list_files(["checkpoint-1/state"])
                    (out / "clip" / "checkpoint-1").mkdir()
                    (out / "clip" / "checkpoint-1" / "state").write_text("1")
                    raise RuntimeError("killed")

        return [Step("train_clip", "Training", 1, run, (recipe,))]

    with pytest.raises(RuntimeError):
        travel(training(fail=True), out)
    travel(training(fail=False), out)
    assert (out / "clip" / "checkpoint-1").is_dir()
    (out / "clip" / "checkpoint-mine").mkdir()
    (out / "clip" / "checkpoint-mine" / "thesis").write_text("mine")
    recipe.write_text("steps: 2\n")
    travel(training(fail=False), out)
    assert not (out / "clip" / "checkpoint-1").is_dir()
    assert (out / "clip" / "checkpoint-mine" / "thesis").read_text() == "mine"


def test_a_folder_of_others_is_refused_and_stays(tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "thesis").write_text("mine")
    assert main(["--out", str(tmp_path), "--packages", str(tmp_path / "none")]) == 2
    assert "is not empty and not of `fusionrs demo`" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["clip"] and (tmp_path / "clip" / "thesis").is_file()
