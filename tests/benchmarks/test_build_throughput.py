import os
import sys

import pyarrow.parquet as pq
import pytest

from dataset_builder.pipeline import BuildRecipe, build
from tests.benchmarks.build_peers import map_rows
from tests.benchmarks.build_throughput import TASKS, _cpu_seconds, _output, image_bytes, recipe_of
from tests.benchmarks.build_tiles import write_tiles

SAME = ("rgb_phash", "ir_phash")


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "tiles"
    write_tiles(folder, 12)
    (folder / "rgb" / "000003.jpg").write_bytes((folder / "rgb" / "000005.jpg").read_bytes())
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted by Linux alone")
def test_processor_time_of_orphans_is_counted():
    busy = "import time; end = time.process_time() + .3\nwhile time.process_time() < end: pass"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {busy!r}]); print('done')"
    before = _cpu_seconds()
    assert _output([sys.executable, "-c", code], os.environ) == "done\n"
    assert _cpu_seconds() - before >= 0.3


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_builds_that_are_compared_keep_and_hash_the_same_images(tiles, tmp_path, task):
    report = build(BuildRecipe.from_mapping(recipe_of(task, tiles)), tmp_path / "ours", workers=1)
    kept = [row for path in (tmp_path / "ours" / "data").iterdir() for row in pq.read_table(path).to_pylist()]
    found = {row["captions"][0]: row for row in kept}
    for quick in (False, True):
        out = tmp_path / f"map{quick}"
        assert map_rows(tiles, out, task == "translate", quick) == {"read": 12, "kept": report.rows_kept}
        rows = pq.read_table(out / "kept.parquet").to_pylist()
        assert [[row[name] for name in SAME] for row in rows] == [
            [found[row["caption"]][name] for name in SAME] for row in rows
        ]
        assert all(row["rgb"]["bytes"] == found[row["caption"]]["rgb"]["bytes"] for row in rows)


@pytest.mark.slow
def test_bytes_passed_through_are_counted_apart_from_those_encoded(tiles, tmp_path):
    for task in TASKS:
        build(BuildRecipe.from_mapping(recipe_of(task, tiles)), tmp_path / task, workers=1)
    jpeg, png = (sum(path.stat().st_size for path in (tiles / name).glob("*.[jp][pn]g")) for name in ("rgb", "ir"))
    assert image_bytes(tmp_path / "pairs") == {"unchanged": jpeg + png, "encoded": 0}
    translated = image_bytes(tmp_path / "translate")
    assert translated["unchanged"] == jpeg and translated["encoded"] > 0
