"""The one builder file under datasets 3.6, by path as a loading script, and under this one, as a class."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Image

from dataset_builder import fusionrs
from dataset_builder.fusionrs import FusionRS
from dataset_builder.pipeline import build
from dataset_builder.recipe import BuildRecipe, CaptionRecipe

SAMPLE = Path(fusionrs.__file__).parent / "sample"
OLD = ("datasets==3.6.0", "pyarrow==20.0.0", "numpy==2.4.6", "pillow==12.3.0")
# Prints a line a config and split: name, then SHA-256 over its rows: values as JSON, images as stored and as decoded.
SCRIPT = """
import hashlib, json, sys, datasets
folder, script, cache = sys.argv[1:]
assert datasets.__version__ == "3.6.0", datasets.__version__
for config in ("default", "captions", "ir_aware", "sensor"):
    data = datasets.load_dataset(script, config, data_dir=folder, trust_remote_code=True, cache_dir=cache)
    for split, rows in data.items():
        print(json.dumps([config, split, len(rows), list(rows.features), digest(rows, datasets.Image)]))
"""
DIGEST = """
def digest(rows, Image):
    import hashlib, json
    found = hashlib.sha256()
    stored = rows
    for name in [name for name in ("rgb", "ir") if name in rows.features]:
        stored = stored.cast_column(name, Image(decode=False))
    for index, row in enumerate(stored):
        for name in ("rgb", "ir"):
            if name in row:
                found.update(row.pop(name)["bytes"])
                if index % 50 == 0:
                    image = rows[index][name]
                    found.update(image.mode.encode() + image.tobytes())
        found.update(json.dumps(row, sort_keys=True).encode())
    return found.hexdigest()
"""


@pytest.mark.slow
def test_by_path_on_datasets_3_and_as_a_class_on_datasets_5_give_equal_rows(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "old"], check=True)
    python = tmp_path / "old" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *OLD]
    subprocess.run(install, check=True)
    recipe = BuildRecipe(
        name="captioned sample",
        sources=[{"kind": "repository", "path": str(SAMPLE), "splits": ["validation", "test"]}],
        caption=CaptionRecipe(),
    )
    folder = tmp_path / "built"
    build(recipe, folder)
    command = [python, "-c", DIGEST + SCRIPT, folder, fusionrs.__file__, tmp_path / "cache"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    theirs = [json.loads(line) for line in run.stdout.splitlines()]
    scope: dict = {}
    exec(DIGEST, scope)
    ours = []
    for config in ("default", "captions", "ir_aware", "sensor"):
        builder = FusionRS(data_dir=str(folder), config_name=config, cache_dir=str(tmp_path / "new"))
        builder.download_and_prepare()
        for split, rows in builder.as_dataset().items():
            ours.append([config, split, len(rows), list(rows.features), scope["digest"](rows, Image)])
    assert ours == theirs
    assert {config for config, *_ in ours} == {"default", "captions", "ir_aware", "sensor"}
