import json

import pytest

from dataset_builder.cli import parse_option
from fusionrs_hf.cli import main
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.captioned_tiles import row, write
from tests.made.command import assert_one_line_error, run_command


def test_a_missing_recipe_is_one_line_and_exit_code_2(tmp_path):
    assert_one_line_error(run_command("build", tmp_path / "none.yaml", tmp_path / "out"), "none.yaml")


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["OUT"], "give RECIPE and OUT"),
        (["OUT", "--publish", "full", "--date", "2026-03-01"], "--date goes with --remove"),
    ],
)
def test_build_says_in_one_line_what_goes_together(tmp_path, arguments, fragment, capsys):
    places = {"OUT": str(tmp_path / "out")}
    assert main(["build", *(places.get(argument, argument) for argument in arguments)]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(f"error: {fragment}")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write(tmp_path_factory.mktemp("dataset"), [row(index) for index in range(3)])


def test_caption_writes_and_check_scores_it(dataset, tmp_path):
    config = tmp_path / "recipe.yaml"
    config.write_text("caption: {seed: 3, rules: {near_copy: false}}\n")
    options = ["--config", config, "--seed", 4, "--workers", 1]
    done = run_command("caption", dataset, tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    assert "of 3 rows captioned" in done.stderr
    report = json.loads((tmp_path / "out" / "caption_report.json").read_text())
    assert report["identity"]["recipe"]["settings"]["seed"] == 4  # the command line wins
    assert report["identity"]["recipe"]["rules"] == {"near_copy": False}
    again = run_command("caption", dataset, tmp_path / "out", *options)
    assert again.returncode == 0 and "nothing to do" in again.stderr
    scored = run_command("caption", "--check", tmp_path / "out", "--report", tmp_path / "scores.json", "--workers", 1)
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
        (["DATA", "OUT", "--repairs", "-1"], "--repairs: must be a whole number from 0 to 100, got '-1'"),
        (["DATA", "/proc/nothing/out"], "cannot write to /proc/nothing/out"),
        (["--check", "DATA", "--workers", "0"], "--workers: must be a whole number from 1 to 4096, got '0'"),
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


def test_an_option_is_a_name_and_a_yaml_value():
    assert parse_option("model=NAME") == ("model", "NAME")
    assert parse_option("bands={red: 3, nir: 4}") == ("bands", {"red": 3, "nir": 4})
    assert parse_option("prompt=a: b: c") == ("prompt", "a: b: c")  # no YAML, so a text
    for wrong in ("model", "=NAME"):
        with pytest.raises(InputError, match="must be KEY=VALUE"):
            parse_option(wrong)
