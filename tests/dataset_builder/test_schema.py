import subprocess
import sys

import pytest

from dataset_builder.schema import COLUMNS, FEATURES, IR_CAPTION_FORMS, LIST_COLUMNS, REQUIRED, TYPES, VIEWS, new_row
from dataset_builder.shards.layout import DATA_SCHEMA

KNOWN = dict.fromkeys(REQUIRED, "x") | {"rgb": {"bytes": b"x", "path": None}}
LATER = {"ir_caption_form", "joint_captions", "translator_interval", "translator_in_domain", "rgb_conversion"}


def test_features_types_and_arrow_schema_are_one():
    assert tuple(FEATURES) == COLUMNS == tuple(TYPES)
    assert FEATURES.arrow_schema.equals(DATA_SCHEMA, check_metadata=True)
    assert {name for view in VIEWS for name in view.columns} == set(COLUMNS)


def test_columns_are_null_until_something_fills_them():
    row = new_row(**KNOWN)
    assert {name for name in COLUMNS if row[name] is None} == {*COLUMNS} - {*REQUIRED, *LIST_COLUMNS}
    assert {name for name in COLUMNS if row[name] is None} >= LATER


def test_forms_are_as_many_as_infrared_captions_and_of_the_list():
    texts = ["one", "two", "three"]
    row = new_row(**KNOWN, ir_captions=texts, ir_caption_form=list(IR_CAPTION_FORMS))
    assert row["ir_caption_form"] == ["compact", "fluent", "free"]
    with pytest.raises(ValueError, match="3 ir_captions but 1 ir_caption_form entries"):
        new_row(**KNOWN, ir_captions=texts, ir_caption_form=["compact"])
    with pytest.raises(ValueError, match=r"must be of \('compact', 'fluent', 'free'\), got \['terse'\]"):
        new_row(**KNOWN, ir_captions=texts, ir_caption_form=["compact", "fluent", "terse"])


@pytest.mark.parametrize("module", ["building.reading", "building.merging", "building.writing", "shards.counts"])
def test_workers_start_without_datasets_and_torch(module):
    code = f"import sys, dataset_builder.{module}; print({{'datasets', 'torch'}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_schema_needs_the_standard_library_alone():
    code = (
        "import sys; from dataset_builder.schema import COLUMNS, new_row;"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'numpy', 'pyarrow', 'datasets', 'torch'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
