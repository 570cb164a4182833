import json

import pytest

from tests.benchmarks.gpu_steps import main


@pytest.mark.slow
@pytest.mark.parametrize("model", ["clip", "vlm"])
def test_the_script_for_a_gpu_runs_with_tiny_models_on_a_cpu(model, tmp_path):
    output = tmp_path / "found.json"
    main([model, "--small", "--batch", "2", "--output", str(output)])
    found = json.loads(output.read_text())
    assert found["model"] == model and found["median_ms"] > 0 and found["batch"] == 2
