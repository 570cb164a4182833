"""Files whose bytes are another format than their name says start no program, whoever opens them."""

import io
import os
import re
from pathlib import Path

import pytest
from datasets import Dataset
from PIL import EpsImagePlugin, Image

from dataset_builder.audit.verb import audit_dataset
from dataset_builder.images.decoding import DecodeError
from dataset_builder.images.decoding import open_image as open_bytes
from dataset_builder.schema import FEATURES
from fusionrs_hf.errors import InputError
from fusionrs_hf.images import open_image
from fusionrs_hf.processing_fusionrs_images import BROKEN
from tests.house import ROOT, source_files
from tests.made import tiny_dataset
from training.data.pairs import load_pairs


@pytest.fixture
def postscript():
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (9, 90, 200)).save(buffer, "EPS")
    return buffer.getvalue()


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A `gs` on the path that leaves a mark; returns the mark."""
    program, mark = tmp_path / "bin" / "gs", tmp_path / "started"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return mark


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.eps"])
def test_postscript_under_any_name_starts_no_program(tmp_path, postscript, started, name):
    (tmp_path / name).write_bytes(postscript)
    with pytest.raises(BROKEN):
        open_image(tmp_path / name)
    with pytest.raises(DecodeError, match="unreadable"):
        open_bytes(postscript, 10**6)
    assert not started.exists()


def test_rows_of_a_dataset_start_no_program(tmp_path, postscript, started):
    folder = tiny_dataset.write(tmp_path / "dataset")
    rows = tiny_dataset.rows("test", 3, 200)
    for row in rows:
        row["rgb"] = {"bytes": postscript, "path": "a.png"}
    Dataset.from_list(rows, features=FEATURES).to_parquet(folder / "data" / "test-00000-of-00001.parquet")
    audit_dataset(folder, workers=1)
    with pytest.raises(BROKEN):
        load_pairs(str(folder), "test")[0]["rgb"]
    assert not started.exists()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "a.png")
    with pytest.raises(InputError, match="a.png is no file but a folder, pipe or device"):
        open_image(tmp_path / "a.png")
    with pytest.raises(InputError, match="is no file"):
        open_image("/dev/zero")


def test_every_image_is_opened_with_a_list_of_formats():
    calls = [
        (path.relative_to(ROOT), call)
        for path in source_files()
        for call in re.findall(r"Image\.open\((?:[^()]|\([^()]*\))*\)", path.read_text())
    ]
    assert len(calls) >= 5 and [call for call in calls if "formats=" not in call[1]] == []
