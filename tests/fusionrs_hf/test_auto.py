"""Checkpoints work where the package is not installed: remote code in a fresh process that cannot import us."""

import json
import os
import subprocess
import sys

import pytest
import torch

import fusionrs_hf.auto  # noqa: F401
from tests.made import tiny

LOAD_CLIP = """
import json, sys
sys.modules["fusionrs_hf"] = None
import numpy as np
from PIL import Image
from transformers import AutoModel, AutoProcessor
folder = sys.argv[1]
model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
rgb, ir = Image.open(f"{folder}/rgb.png"), Image.open(f"{folder}/ir.png")
outputs = model(**processor(images=rgb, ir_images=ir, text="dark water"))
print(json.dumps({
    "module": type(model).__module__,
    "embeds": [outputs[name].tolist() for name in ("rgb_embeds", "ir_embeds", "text_embeds")],
}))
"""


@pytest.mark.slow
@pytest.mark.every_change
def test_clip_loads_by_remote_code_with_equal_numbers(tmp_path):
    model, processor = tiny.clip_model(feature_norm=True, vision_pooling="grid"), tiny.clip_processor()
    model.fit_feature_norm(torch.randn(9, 160), 1 + torch.randn(9, 160))
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    rgb, ir = tiny.rgb_image(), tiny.ir_image()
    rgb.save(tmp_path / "rgb.png")
    ir.save(tmp_path / "ir.png")
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD_CLIP, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["module"].startswith("transformers_modules.")
    with torch.no_grad():
        here = model(**processor(images=rgb, ir_images=ir, text="dark water"))
    for name, values in zip(("rgb_embeds", "ir_embeds", "text_embeds"), result["embeds"]):
        torch.testing.assert_close(torch.tensor(values), here[name], rtol=0, atol=1e-6)
