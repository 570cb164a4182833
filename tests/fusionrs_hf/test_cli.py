import json
import os
import subprocess
import sys
import time

import pytest

from fusionrs_hf.cli import main, make_parser
from tests.dataset_builder.made.captioned_tiles import row, write

VERBS = [
    "audit",
    "build",
    "caption",
    "train",
    "eval",
    "ablate",
    "embed",
    "search",
    "convert",
    "export",
    "push",
    "verify",
]
HEAVY = ("torch", "transformers", "datasets", "numpy", "pyarrow", "huggingface_hub", "yaml")


def run(*arguments, cwd=None):
    command = [sys.executable, "-m", "fusionrs_hf.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=cwd)


def test_the_verbs_tested_here_are_all_the_verbs():
    actions = [action for action in make_parser()._actions if action.dest == "verb"]
    assert sorted(actions[0].choices) == sorted(VERBS)


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom fusionrs_hf.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 1 or os.getloadavg()[0] > 2
    assert "usage: fusionrs" in done.stdout and done.stdout.splitlines()[-1] == "[]"


def assert_one_line_error(done, *fragments):
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert lines[-1].startswith("error: ") and "Traceback" not in done.stderr
    for fragment in fragments:
        assert fragment in lines[-1]


def test_a_missing_recipe_is_one_line_and_exit_code_2(tmp_path):
    assert_one_line_error(run("build", tmp_path / "none.yaml", tmp_path / "out"), "none.yaml")


def test_an_unknown_recipe_key_names_the_nearest(tmp_path):
    recipe = tmp_path / "clip.yaml"
    recipe.write_text("datset: x\n")
    assert_one_line_error(run("train", "clip", "--config", recipe), "'datset'", "did you mean 'dataset'?")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write(tmp_path_factory.mktemp("dataset"), [row(index) for index in range(3)])


def test_caption_writes_and_check_scores_it(dataset, tmp_path):
    config = tmp_path / "recipe.yaml"
    config.write_text("caption: {seed: 3, rules: {near_copy: false}}\n")
    options = ["--config", config, "--seed", 4, "--workers", 1]
    done = run("caption", dataset, tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    assert "of 3 rows captioned" in done.stderr
    report = json.loads((tmp_path / "out" / "caption_report.json").read_text())
    assert report["identity"]["recipe"]["settings"]["seed"] == 4  # the command line wins
    assert report["identity"]["recipe"]["rules"] == {"near_copy": False}
    again = run("caption", dataset, tmp_path / "out", *options)
    assert again.returncode == 0 and "nothing to do" in again.stderr
    scored = run("caption", "--check", tmp_path / "out", "--report", tmp_path / "scores.json", "--workers", 1)
    assert scored.returncode == 0, scored.stderr
    assert scored.stdout.startswith("3 rows, ") and (tmp_path / "scores.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["nowhere/at/all", "OUT"], "nowhere/at/all is no folder"),
        (["DATA"], "give OUT"),
        (["DATA", "OUT", "--captioner", "grouned"], "no captioner 'grouned'; did you mean 'grounded'?"),
        (["DATA", "OUT", "--option", "seed=1"], "'grounded' takes no options, got seed"),
        (["DATA", "OUT", "--option", "model"], "must be KEY=VALUE"),
        (["DATA", "OUT", "--captioner", "endpoint", "--option", "modle=x"], "'modle'; did you mean 'model'?"),
        (["DATA", "OUT", "--captioner", "endpoint"], "'endpoint' needs base_url, model"),
        (["DATA", "OUT", "--captioner", "local"], "'local' needs model"),
        (["DATA", "OUT", "--repairs", "-1"], "repairs must be a whole number of at least 0, got -1"),
        (["DATA", "/proc/nothing/out"], "cannot write to /proc/nothing/out"),
        (["--check", "DATA", "--workers", "0"], "workers must be at least 1, got 0"),
        (["--check", "DATA", "OUT"], "--check writes no dataset"),
        (["--check", "OUT"], "is no folder"),
    ],
)
def test_caption_says_in_one_line_what_is_wrong(dataset, tmp_path, arguments, fragment, capsys):
    places = {"DATA": str(dataset), "OUT": str(tmp_path / "out")}
    assert main(["caption", *(places.get(argument, argument) for argument in arguments)]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors[-1].startswith("error: ") and fragment in errors[-1]
    assert not (tmp_path / "out").exists()


def test_an_interrupted_verb_says_how_to_go_on(monkeypatch, capsys):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("fusionrs_hf.cli._caption", interrupt)
    assert main(["caption", "data", "out"]) == 130
    assert "the same command continues" in capsys.readouterr().err


def test_a_hidden_package_is_named(tmp_path):
    other = tmp_path / "dataset_builder"
    other.mkdir()
    (other / "__init__.py").write_text("")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from fusionrs_hf.cli import main; "
        "sys.exit(main(['verify', 'clip', 'x', 'y/z']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert_one_line_error(done, "'dataset_builder' is not ours", "environment of its own")
