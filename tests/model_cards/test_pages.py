import base64
import io

import numpy as np
import pytest
from jinja2 import UndefinedError
from PIL import Image

from model_cards.bands import BAND_NAMES
from model_cards.pages import data_uri, write_page


def test_an_image_keeps_its_grey_levels():
    image = Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64).astype(np.uint8))
    encoded = data_uri(image).partition(",")[2]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))), np.asarray(image))


def test_texts_neither_act_nor_hide(tmp_path):
    write_page(
        tmp_path / "page.html",
        "translation_page.html",
        {},
        model="<script>\u202e</script>\x00",
        groups=[],
        bands=BAND_NAMES,
    )
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("&lt;script&gt;\ufffd&lt;/script&gt;\ufffd: good and bad") == 2
    assert "<script" not in page


def test_a_value_that_nobody_gives_is_an_error(tmp_path):
    with pytest.raises(UndefinedError, match="'model' is undefined"):
        write_page(tmp_path / "page.html", "translation_page.html", {}, groups=[], bands=BAND_NAMES)
