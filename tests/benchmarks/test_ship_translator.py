import json
import shutil

import numpy as np
import pytest

from dataset_builder.translators.learned import LearnedTranslator
from fusionrs_hf.errors import InputError
from fusionrs_hf.translator import SHIPPED
from tests.benchmarks import ship_translator
from tests.benchmarks.ship_translator import FILES, ship
from tests.benchmarks.translator_quality import RESULT, SAMPLE
from training.data.pairs import load_pairs
from training.release.card_checks import check_card
from training.scoring.translation_scores import Predictions, pooled_r2, score_tiles


def test_what_ships_is_whole_small_and_what_the_results_tell_of():
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 5_000_000
    check_card(SHIPPED, "translator")
    translator = LearnedTranslator()
    assert translator.settings["model"] == "shipped"
    for path in (RESULT, SHIPPED / "metrics.json"):
        assert json.loads(path.read_text())["revision"] == translator.revision


def test_its_card_begins_with_what_is_not_reached():
    _, card = (SHIPPED / "README.md").read_text().split("\n# ")
    assert card.split("\n\n")[1].startswith("Do not trust it on scenes that it was not trained on")
    assert "CC0-1.0, public-domain" in card and "## Intended use" in card


def test_it_explains_most_of_the_held_out_regions_and_knows_their_tiles():
    rows = load_pairs(SAMPLE, "test")
    for scene in ("s2_virginia", "l7_saltlake"):
        places = [i for i, locator in enumerate(rows["source_locator"]) if locator.startswith(scene)]
        own = [i for i in places if rows[i]["ir_band"] == "nir"][::12]
        rgb, truth = ([np.asarray(rows[i][name]) for i in own] for name in ("rgb", "ir"))
        results = LearnedTranslator(condition=scene).translate_with_trust(rgb, "nir")
        assert np.mean([part.in_domain for part in results]) > 0.7
        predicted = Predictions([part.image / 255 for part in results])
        truth = [image / 255 for image in truth]
        valid = [np.ones(image.shape, bool) for image in truth]
        assert pooled_r2(score_tiles(truth, valid, predicted).sums.sum(0)) > 0.8


def test_it_is_copied_without_its_code_and_not_when_it_is_too_large(tmp_path, monkeypatch):
    shutil.copytree(SHIPPED, tmp_path / "run")
    (tmp_path / "run/translator/modeling_fusionrs_translator.py").write_text("")
    ship(tmp_path / "run", tmp_path / "shipped")
    left = {path.relative_to(tmp_path / "shipped").as_posix() for path in (tmp_path / "shipped").rglob("*.*")}
    assert left == {*FILES, "README.md"}
    assert (tmp_path / "shipped/README.md").read_bytes() == (SHIPPED / "README.md").read_bytes()
    monkeypatch.setattr(ship_translator, "MOST_BYTES", 1_000)
    with pytest.raises(InputError, match="at most 1,000; train a smaller one"):
        ship(tmp_path / "run", tmp_path / "shipped")
