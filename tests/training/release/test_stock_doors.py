"""The libraries' own `push_to_hub`: what it leaves loads where this project is not installed, and is unverified."""

import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch

from fusionrs_hf.errors import InputError
from tests.made import tiny, tiny_dataset, tiny_vlm
from training.release import verify
from training.release.contents import AUTO, OURS, settled

LOAD = f"""
import sys
sys.modules |= dict.fromkeys({OURS})
import transformers
auto_class, repo_id, out = sys.argv[1:]
model = getattr(transformers, auto_class).from_pretrained(repo_id, trust_remote_code=True)
processor = transformers.AutoProcessor.from_pretrained(repo_id, trust_remote_code=True)
import torch
torch.save((model.state_dict(), processor.to_json_string()), out)
"""


def push_model(kind: str, repo_id: str) -> str:
    """In the client: pushes model and processor as transformers does; returns what the processor says of itself."""
    import fusionrs_hf.auto  # noqa: F401 - so that the code goes up

    model = tiny.clip_model() if kind == "clip" else tiny_vlm.vlm_model()
    processor = tiny.clip_processor() if kind == "clip" else tiny_vlm.vlm_processor()
    model.push_to_hub(repo_id)
    processor.push_to_hub(repo_id)
    return processor.to_json_string()


@pytest.mark.slow
@pytest.mark.every_change
@pytest.mark.parametrize("kind", ["clip", "vlm"])
def test_a_model_pushed_by_transformers_loads_and_is_no_release(hub, hub_client, tmp_path: Path, kind: str):
    said = hub_client.submit(push_model, kind, f"stock/{kind}").result()
    command = [sys.executable, "-c", LOAD, AUTO[kind], f"stock/{kind}", str(tmp_path / "loaded")]
    done = subprocess.run(command, env=hub.environment(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded, processor = torch.load(tmp_path / "loaded")
    expected = (tiny.clip_model() if kind == "clip" else tiny_vlm.vlm_model()).state_dict()
    assert loaded.keys() == expected.keys() and all(torch.equal(loaded[name], expected[name]) for name in expected)
    assert settled(json.loads(processor)) == settled(json.loads(said))
    with pytest.raises(InputError, match="was not released by `fusionrs push`"):
        hub_client.submit(verify.verify, f"stock/{kind}").result()


def push_rows(folder: Path, repo_id: str) -> bool:
    """In the client: pushes a dataset as `datasets` does, and tells whether it loads equal."""
    from datasets import load_dataset

    rows = load_dataset(str(folder))
    rows.push_to_hub(repo_id)
    again = load_dataset(repo_id)
    return again.keys() == rows.keys() and all(
        again[split].features == rows[split].features and again[split].data.table.equals(rows[split].data.table)
        for split in rows
    )


def test_a_dataset_pushed_by_datasets_loads_equal_and_is_no_release(hub_client: ProcessPoolExecutor, tmp_path: Path):
    assert hub_client.submit(push_rows, tiny_dataset.write(tmp_path / "rows"), "stock/rows").result()
    with pytest.raises(InputError, match="the dataset has no verification.json: it was not released"):
        hub_client.submit(verify.verify, "stock/rows").result()
