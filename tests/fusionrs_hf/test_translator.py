import numpy as np
import pytest
import torch

from fusionrs_hf import translator
from fusionrs_hf.errors import InputError
from fusionrs_hf.translator import load_pipeline
from tests.made import tiny_translator


def test_a_saved_translator_loads_without_running_code_of_its_folder(tmp_path):
    pipe = tiny_translator.pipeline()
    pipe.save_pretrained(tmp_path)
    for code in tmp_path.rglob("*.py"):
        code.write_text("raise RuntimeError")
    image = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    first, second = (one(image, band="nir", output_type="np") for one in (pipe, load_pipeline(tmp_path)))
    np.testing.assert_array_equal(first.images[0], second.images[0])
    np.testing.assert_array_equal(first.high[0], second.high[0])


def test_what_is_no_translator_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no translator"):
        load_pipeline(tmp_path)


def test_damaged_weights_are_refused(tmp_path):
    pipe = tiny_translator.pipeline()
    with torch.no_grad():
        pipe.translator.head.bias[0] = float("nan")
    pipe.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="'head.bias' holds NaN"):
        load_pipeline(tmp_path)


def test_without_shipped_weights_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(translator, "SHIPPED", tmp_path / "absent")
    with pytest.raises(InputError, match="fusionrs train translator"):
        load_pipeline()
