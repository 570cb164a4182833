import os
import subprocess
import sys
from pathlib import Path

import pytest

from fusionrs_hf.cli import VERBS, main
from tests.made.command import assert_light_help, assert_one_line_error

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments):
    assert "usage: fusionrs" in assert_light_help(arguments)


def test_the_help_names_every_verb_and_what_it_does():
    text = " ".join(assert_light_help(["--help"]).split())
    for name, verb in VERBS.items():
        assert f"{name} {' '.join(verb.help.split())[:20]}" in text


def test_an_unknown_verb_is_refused(capsys):
    assert main(["buidl"]) == 2
    assert "invalid choice: 'buidl'" in capsys.readouterr().err


def test_an_unforeseen_error_is_a_line_that_names_a_report_and_exit_code_70(monkeypatch, capsys, tmp_path):
    def fail(arguments):
        raise ZeroDivisionError("by\n\x1b[2Jnothing")

    monkeypatch.setattr("fusionrs_hf.cli.export", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["export", "clip", "model", "out", "--overwrite"]) == 70
    (report,) = tmp_path.iterdir()
    assert capsys.readouterr().err == (
        f"error: a fault of fusionrs: ZeroDivisionError: by \\x1b[2Jnothing; {report} says where; please report it\n"
    )
    text = report.read_text()
    assert "Traceback" in text and "--overwrite" in text and "model" not in text.partition("Traceback")[0]


def test_memory_that_runs_out_is_a_line(monkeypatch, capsys):
    def fail(arguments):
        raise MemoryError

    monkeypatch.setattr("fusionrs_hf.cli.export", fail)
    assert main(["export", "clip", "model", "out"]) == 2
    assert capsys.readouterr().err.startswith("error: memory ran out; ")


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


STREAMS = ["2>&-", ">&-", "<&-", "<&- >&- 2>&-", "2>/dev/full"]
LIGHT = [(["--version"], 0), (["build", "missing.yaml", "out"], 2)]
HEAVY = [
    (["export", "clip", "missing/model", "out"], 2),
    (["eval", "clip"], 2),
    (["train", "clip", "--config", "missing.yaml"], 2),
    (["push", "clip", "missing", "a/b"], 2),
]


@pytest.mark.parametrize(
    ("arguments", "code", "closed"),
    [
        *((*verb, closed) for verb in LIGHT for closed in STREAMS),
        *(pytest.param(*verb, closed, marks=pytest.mark.slow) for verb in HEAVY for closed in STREAMS),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else str(value),
)
def test_a_closed_or_full_stream_changes_no_exit_code(tmp_path, arguments, code, closed):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = f'exec "$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-m", "fusionrs_hf.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == code, done.stderr
    if code and "2>" not in closed:
        last = done.stderr.strip().splitlines()[-1]
        assert "Traceback" not in done.stderr and last.startswith(("error", "fusionrs"))
    assert not any(tmp_path.iterdir())


def test_a_process_that_a_verb_starts_gets_open_streams(tmp_path):
    code = (
        "import os, subprocess, sys\nfrom fusionrs_hf.terminal import open_closed_streams\nopen_closed_streams()\n"
        "test = 'import os, sys; [os.fstat(number) for number in range(3)]; print(1); print(2, file=sys.stderr)'\n"
        "subprocess.run([sys.executable, '-c', test], check=True)\n"
        f"open({str(tmp_path / 'first')!r}, 'w').write('mine')"
    )
    shell = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0 and (tmp_path / "first").read_text() == "mine"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_progress_that_cannot_be_written_stops_no_verb():
    code = (
        "import logging, sys\nfrom tqdm import tqdm\nfrom fusionrs_hf.terminal import open_closed_streams\n"
        "open_closed_streams()\nlogging.basicConfig(level=logging.INFO)\n"
        "for step in tqdm(range(3)):\n    logging.info(step)\nprint('done')"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_only_a_verb_that_continues_says_so(monkeypatch, capsys):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.cli.evaluate", interrupt)
    assert main(["eval", "clip"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"
    monkeypatch.setattr("fusionrs_hf.cli.export", interrupt)
    assert main(["export", "clip", "model", "out"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"
