import json
import logging

import numpy as np
import pytest
import torch

from dataset_builder.recipe import BuildRecipe, TranslateRecipe
from dataset_builder.schema import new_row
from dataset_builder.translators import make_translate_stage
from dataset_builder.translators.learned import LearnedTranslator
from dataset_builder.translators.radiometric import RadiometricTranslator
from fusionrs_hf.errors import InputError
from tests.made import tiny_translator


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator") / "model"
    pipe = tiny_translator.pipeline()
    pipe.translator.blend[0] = torch.tensor([0.5, 0.2])
    pipe.save_pretrained(folder)
    return folder


def colourful(seed, *size):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_a_known_scene_gets_the_models_median(model):
    translator, image = LearnedTranslator(str(model), condition="scene"), colourful(0, 30, 40)
    assert translator.bands == ("nir", "lwir") and not translator.settings["blend"]
    expected = tiny_translator.pipeline()(image, band="lwir", condition="scene", output_type="np").images[0]
    np.testing.assert_array_equal(translator.translate([image], "lwir", [0])[0], expected)


def test_an_unknown_image_gets_the_mean_with_the_formula(model):
    translator, image = LearnedTranslator(str(model)), colourful(0, 30, 40)
    assert translator.bands == ("nir",) and translator.settings["blend"]
    (result,) = translator.translate_with_trust([image], "nir")
    (median,) = tiny_translator.pipeline().predict([image.astype(np.float32) / 255], "nir", "unknown")
    formula = RadiometricTranslator().translate([image], "nir", [0])[0] / 255
    expected = (median[1] + 0.5 * formula + 0.2) / 2
    assert np.abs(result.image - 255 * np.clip(expected, 0, 1)).max() <= 0.51
    assert (result.low <= result.image).all() and (result.image <= result.high).all()


def test_what_an_image_becomes_depends_on_no_other(model):
    translator, images = LearnedTranslator(str(model), batch_size=2), [colourful(seed, 24, 24) for seed in range(5)]
    together = translator.translate(images, "nir", [0] * 5)
    for image, expected in zip(images[::-1], together[::-1]):
        (alone,) = translator.translate([image], "nir", [7])
        assert np.abs(alone.astype(int) - expected).max() <= 1


def test_rows_say_who_translated_them_and_how_far_to_trust_it(model):
    stage = make_translate_stage(TranslateRecipe("learned", "nir", model=model.name), base=model.parent)
    row = new_row(sample_id="s", source_dataset="d", source_locator="l", rights="r", rgb={"bytes": b"", "path": None})
    image = colourful(1, 24, 24)
    done = stage({name: [value] for name, value in row.items()} | {"_rgb": [image]})
    (expected,) = stage.translator.translate_with_trust([image], "nir")
    assert done["translator"] == ["learned"] and done["translator_revision"] == [stage.translator.revision]
    assert done["translator_interval"] == [pytest.approx(expected.width.mean())]
    assert done["translator_in_domain"] == [False] and done["ir_origin"] == ["translated"]
    settings = json.loads(done["translator_settings"][0])
    assert settings == {"blend": True, "condition": "unknown", "interval": 0.8, "model": "model"}


def test_other_weights_have_another_revision(model, tmp_path):
    pipe = tiny_translator.pipeline()
    with torch.no_grad():
        pipe.translator.head.bias[0] += 1e-3
    pipe.save_pretrained(tmp_path)
    assert LearnedTranslator(str(tmp_path)).revision != LearnedTranslator(str(model)).revision


def test_foreign_imagery_is_said_early_and_once(model, caplog):
    translator = LearnedTranslator(str(model))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            translator.translate([colourful(seed, 16, 16) for seed in range(20)], "nir", [0] * 20)
    assert [record.getMessage()[:28] for record in caplog.records] == ["40 of the first 40 images ar"]


def test_wrong_recipes_are_refused(model):
    with pytest.raises(InputError, match="cannot imitate band 'lwir'; choose one of nir"):
        make_translate_stage(TranslateRecipe("learned", "lwir", model=str(model)))
    with pytest.raises(InputError, match="knows no condition 'scenes'; did you mean 'scene'"):
        make_translate_stage(TranslateRecipe("learned", "nir", model=str(model), condition="scenes"))
    with pytest.raises(InputError, match="radiometric takes no model"):
        make_translate_stage(TranslateRecipe("radiometric", "nir", model=str(model)))


def test_a_recipe_gives_no_absolute_path_away(model):
    values = {
        "name": "n",
        "sources": [{"kind": "folder"}],
        "translate": {"translator": "learned", "model": str(model)},
    }
    assert BuildRecipe.from_mapping(values).echo()["translate"]["model"] == "model"
