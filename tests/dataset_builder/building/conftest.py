"""Inputs of builds whose identity is asked for."""

from pathlib import Path

import pytest


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder with one file in `in/deep`, as `made.identities.recipe` reads it."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.png").write_bytes(b"123")
    return tmp_path
