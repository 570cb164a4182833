import base64
import io
import re

import numpy as np
from PIL import Image

from model_cards.translation_page import TranslatedTile, write_translation_page


def tile(**changes):
    gray = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    images = dict.fromkeys(("sensor", "translated", "wrong", "width"), gray)
    facts = {"scene": "here", "band": "nir", "known": True, "rank": "best", "error": 3.25, "covered": 0.8}
    return TranslatedTile(**(facts | images | {"rgb": gray.convert("RGB")} | changes))


def test_every_tile_is_shown_below_its_scene_and_band_with_the_stored_grey_levels(tmp_path):
    tiles = [tile(), tile(rank="worst", error=99.0), tile(scene="<there>\u202e", known=False)]
    write_translation_page(tmp_path / "page.html", "a model", tiles)
    text = (tmp_path / "page.html").read_text()
    assert re.findall(r"<h2>(.*?)</h2>", text) == [
        "here, near infrared",
        '&lt;there&gt;\ufffd, near infrared <span class="quiet">not trained on</span>',
    ]
    assert text.count('class="tile"') == 3 and "error 99.0 of 255" in text and "80 % in the interval" in text
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", text)
    assert len(pictures) == 15
    shown = Image.open(io.BytesIO(base64.b64decode(pictures[1])))
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(tiles[0].sensor))
    assert "http" not in text.replace("data:", "")  # needs nothing beside it
