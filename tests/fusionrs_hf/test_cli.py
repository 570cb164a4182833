import subprocess
import sys

import pytest

from fusionrs_hf.cli import VERBS, main
from tests.made.command import assert_light_help, assert_one_line_error


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments):
    assert "usage: fusionrs" in assert_light_help(arguments)


def test_the_help_names_every_verb_and_what_it_does():
    text = " ".join(assert_light_help(["--help"]).split())
    for name, verb in VERBS.items():
        assert f"{name} {' '.join(verb.help.split())[:20]}" in text


def test_an_unknown_verb_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["buidl"])
    assert stop.value.code == 2 and "invalid choice: 'buidl'" in capsys.readouterr().err


def test_an_interrupted_verb_says_how_to_go_on(monkeypatch, capsys):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("dataset_builder.cli.caption", interrupt)
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
