import numpy as np
import pytest

from dataset_builder.claims.grounding import FACT_KINDS
from tests.benchmarks.readme_vlm import changes_table
from tests.benchmarks.vlm_changes import CHANGES, WHOLE, options_of, summarised
from training.journey import VLM_RECIPE
from training.recipe import parse_recipe
from training.train_vlm import RECIPE


@pytest.mark.parametrize("name", [name for name in CHANGES if name != WHOLE])
def test_each_variant_is_the_whole_recipe_but_for_the_fields_it_names(name):
    def fields(variant):
        options = {"output_dir": "runs", "dataset": "d", "bf16": False} | options_of(variant, 60)
        named = [str(part) for option, value in options.items() for part in (f"--{option}", value)]
        arguments, training = parse_recipe(RECIPE, ["--config", str(VLM_RECIPE), *named])
        return vars(arguments) | training.to_dict()

    whole, changed = fields(WHOLE), fields(name)
    assert {key for key in whole if whole[key] != changed[key]} == CHANGES[name][1].keys()
    assert whole["max_steps"] == 60 and whole["lr_scheduler_kwargs"]["num_decay_steps"] == 18


def test_a_variant_is_told_by_what_the_whole_recipe_has_more():
    tiles = ["a", "b", "c", "d"]
    whole, less = np.ones((4, len(FACT_KINDS)), int), np.zeros((4, len(FACT_KINDS)), int)
    less[:, 0] = 1
    runs = {(WHOLE, 0): whole, (WHOLE, 1): whole, ("layers", 0): less, ("layers", 1): whole}
    results = {job: {"tiles": tiles, "matches": table.tolist(), "steps": 60} for job, table in runs.items()}
    told = summarised(results)
    assert told["pairs"] == told["tiles"] == 4 and told["steps"] == 60
    layers = told["variants"]["layers"]
    assert layers["seeds"] == 2 and layers["mean"] == pytest.approx(0.6)
    assert layers["by_kind"] == pytest.approx(dict.fromkeys(FACT_KINDS, 0.5) | {FACT_KINDS[0]: 1})
    assert layers["whole_minus"] == pytest.approx([0.4, 0.4, 0.4])
    rows = changes_table(told).splitlines()
    assert rows[2].endswith("| 1.00 | 1.00 |  |") and rows[3].endswith("| 0.60 | +0.40 [+0.40, +0.40] |")
