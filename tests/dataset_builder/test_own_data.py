"""The commands of the builder's README, one after the other on real tiles and the demo's towers, as they stand there.

Only trainings are shortened, by `--max_steps`.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dataset_builder.shards.limits import declared_ir_range
from tests.dataset_builder.made import own_data

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".demo-packages"
SHORT = "--max_steps 4 --eval_steps 4 --save_steps 4 --per_device_train_batch_size 16"


def blocks() -> list[str]:
    page = (ROOT / "dataset_builder" / "README.md").read_text()
    section = page.split("## Your own data")[1].split("\n## ")[0]
    return re.findall(r"^```bash\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def run(line: str, home: Path) -> str:
    """Runs a command of the page in a shell; returns its standard output, and fails with what it said."""
    line = re.sub(r"^(fusionrs train clip .*clip_demo.*)$", rf"\1 {SHORT}", line)
    line = re.sub(r"^(fusionrs train clip .*finetune.*)$", r"\1 --max_steps 2", line)
    command = re.sub(r"^fusionrs ", f"{sys.executable} -P -m fusionrs_hf.cli ", line)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, shell=True, cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with data of one's own, the recipes, and the demo's towers."""
    folder = tmp_path_factory.mktemp("own")
    own_data.write_photos(folder / "photos")
    own_data.write_scene(folder / "scene.tif")
    own_data.write_pairs(folder / "pairs")
    shutil.copytree(ROOT / "training" / "recipes", folder / "training" / "recipes")
    run(f"fusionrs convert demo-weights --packages {PACKAGES} --output runs/demo/weights", folder)
    return folder


def test_the_page_has_the_three_ways():
    starts = [re.search(r"fusionrs inspect (\S+)", block)[1] for block in blocks()]
    assert starts == ["photos", "scene.tif", "pairs"]
    for block in blocks():
        assert re.findall(r"^fusionrs (\w+)", block, re.MULTILINE)[-3:] == ["eval", "embed", "search"]


@pytest.mark.slow
@pytest.mark.skipif(not PACKAGES.is_dir(), reason="the demo's packages are not installed (make demo)")
def test_every_command_of_the_page_runs_to_its_end(home):
    photos, scene, pairs = ([line for line in block.splitlines() if line] for block in blocks())
    said = {line: run(line, home) for line in photos}
    scores = next(text for line, text in said.items() if line.startswith("fusionrs eval"))
    assert "held_out_scene/nir" in scores and "as loaded" in scores and "small gallery" in scores
    assert (home / "photos.png").is_file()
    shutil.copytree(
        home / "runs" / "photos-clip", home / "runs" / "demo" / "clip"
    )  # a finished CLIP, for what follows
    said = {line: run(line, home) for line in scene}
    assert "held_out_scene/nir" in next(text for line, text in said.items() if line.startswith("fusionrs eval"))
    rows = [row for path in (home / "runs/scene/data").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert len({row["source_locator"] for row in rows}) == len(rows) > 9 and all(row["ir_captions"] for row in rows)
    assert (home / "scene.geojson").is_file()
    said = {line: run(line, home) for line in pairs}
    low, high = declared_ir_range(home / "runs/pairs")["lwir"]
    assert 28_000 <= low < high <= 31_060
    scores = next(text for line, text in said.items() if line.startswith("fusionrs eval"))
    assert "as loaded" in scores and "33.3" in scores  # chance among three
