"""All attacks hold; slow, and in a process of its own, since verbs are forked from it."""

import subprocess
import sys

import pytest

from tests.attacks import traced
from tests.attacks.__main__ import KINDS
from tests.attacks.disguises import contents

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
