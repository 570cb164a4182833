"""All attacks hold; slow, and in a process of its own, since verbs are forked from it."""

import subprocess
import sys

import pytest

from tests.attacks import traced
from tests.attacks.__main__ import KINDS
from tests.attacks.disguises import contents
from tests.attacks.snapshots import difference, snapshot

TRACED = ("files",)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_attacks_of_this_kind_hold(kind):
    if kind in TRACED and (reason := traced.missing()):
        pytest.skip(f"system calls cannot be traced: {reason}")
    done = subprocess.run([sys.executable, "-m", "tests.attacks", "--kind", kind], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_the_hostile_corpus_has_sixty_disguises_or_more(tmp_path):
    held = contents(tmp_path / "outside", 9)
    assert len(held) >= 60 and len(set(held.values())) == len(held)


REACHES = """
import socket, subprocess, sys
open(sys.argv[1]).close()
subprocess.run(["true"])
with socket.socket() as one:
    one.connect_ex(("127.0.0.1", 9))
"""


@pytest.mark.slow
def test_the_trace_shows_what_a_verb_reaches(tmp_path):
    if reason := traced.missing():
        pytest.skip(f"system calls cannot be traced: {reason}")
    (tmp_path / "secret").write_text("")
    (tmp_path / "link").symlink_to("secret")
    reaching, idle = traced.trace([["python", REACHES, tmp_path / "link"], ["python", "1"]], tmp_path)
    assert str(tmp_path / "secret") in reaching.files
    assert "true" in reaching.processes[0] and any("connect" in one for one in reaching.sockets)
    assert not idle.processes and not idle.sockets and str(tmp_path / "secret") not in idle.files


def test_snapshots_tell_what_was_touched(tmp_path):
    for name in ("a/b", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    before = snapshot(tmp_path)
    assert difference(before, snapshot(tmp_path)) == ""
    (tmp_path / "a" / "b").write_text("x")
    (tmp_path / "c").unlink()
    (tmp_path / "d").symlink_to("a")
    assert difference(before, snapshot(tmp_path)) == "1 gone: c; 1 new: d; 1 changed: a/b"
