import subprocess
import sys

SLOW = ("datasets", "huggingface_hub", "scipy", "dataset_builder.claims.grounding", "dataset_builder.captioning.stage")


def test_what_builds_without_captions_imports_nothing_that_it_does_not_use():
    script = f"import sys, dataset_builder.pipeline; print([name for name in {SLOW} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"
