"""RGB to infrared-style images: the translators that a recipe may name, and the stage that fills `ir` with one."""

from dataset_builder.recipe import TranslateRecipe
from dataset_builder.translators.radiometric import RadiometricTranslator
from dataset_builder.translators.stage import InfraredTranslator, TranslateStage
from fusionrs_hf.errors import InputError, nearest

TRANSLATORS: dict[str, type[InfraredTranslator]] = {"radiometric": RadiometricTranslator}


def make_translator(recipe: TranslateRecipe) -> InfraredTranslator:
    """Builds the translator that a recipe names; raises InputError where there is none of that name."""
    if recipe.translator not in TRANSLATORS:
        raise InputError(
            f"there is no translator {recipe.translator!r}; {nearest(recipe.translator, list(TRANSLATORS))}"
        )
    return TRANSLATORS[recipe.translator]()


def make_translate_stage(recipe: TranslateRecipe) -> TranslateStage:
    """Builds the stage that translates as a recipe says; raises InputError as its parts do."""
    return TranslateStage(make_translator(recipe), recipe.band, recipe.seed)
