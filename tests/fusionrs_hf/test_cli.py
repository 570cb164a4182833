import subprocess
import sys

import pytest

from fusionrs_hf.cli import make_parser

VERBS = ["build", "train", "eval", "convert", "push", "verify"]
HEAVY = ("torch", "transformers", "datasets", "numpy")


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
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
