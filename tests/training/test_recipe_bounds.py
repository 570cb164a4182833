import dataclasses
from importlib import import_module

import pytest

from fusionrs_hf.errors import InputError
from training.cli import TRAIN
from training.recipe import parse_recipe
from training.recipe_bounds import LIMITS, check_number

FIELDS = [
    field
    for method in TRAIN.values()
    for kind in import_module(method.page).RECIPE
    for field in dataclasses.fields(kind)
]
BASE = ["--dataset", "d", "--clip", "c", "--output_dir", "o", "--use_cpu", "true"]


def test_limits_are_of_fields_and_take_their_defaults():
    assert LIMITS.keys() <= {field.name for field in FIELDS}
    for field in FIELDS:
        check_number(field.name, field.default)


@pytest.mark.parametrize(
    "option",
    [
        *("--learning_rate=nan", "--rgb_ir_weight=inf", "--max_steps=-7", "--seed=-1", "--projection_dim=0"),
        *("--per_device_train_batch_size=0", "--fusion_weight=2", "--logit_scale_init_value=99", "--adam_beta1=-1"),
    ],
)
def test_numbers_beyond_their_limits_are_refused(option):
    with pytest.raises(InputError, match="the recipe is refused"):
        parse_recipe(import_module(TRAIN["clip"].page).RECIPE, [*BASE, option])
