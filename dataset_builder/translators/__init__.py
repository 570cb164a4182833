"""RGB to infrared-style images: the translators that a recipe may name, and the stage that fills `ir` with one."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_builder.translators.radiometric import RadiometricTranslator
from dataset_builder.translators.stage import InfraredTranslator, TranslateStage
from fusionrs_hf.errors import InputError, nearest, shown

if TYPE_CHECKING:
    from dataset_builder.recipe import TranslateRecipe


def _learned(**options: object) -> InfraredTranslator:
    return import_module("dataset_builder.translators.learned").LearnedTranslator(**options)  # brings torch


TRANSLATORS: dict[str, Callable[..., InfraredTranslator]] = {"radiometric": RadiometricTranslator, "learned": _learned}


def make_translator(recipe: "TranslateRecipe") -> InfraredTranslator:
    """Builds the translator that a recipe names.

    Raises:
        InputError: There is none of that name, or it does not take the recipe's options.
    """
    if recipe.translator not in TRANSLATORS:
        raise InputError(
            f"there is no translator {shown(recipe.translator)}; {nearest(recipe.translator, list(TRANSLATORS))}"
        )
    options = {name: getattr(recipe, name) for name in ("model", "revision", "condition") if getattr(recipe, name)}
    if options and recipe.translator == "radiometric":
        raise InputError(f"translator radiometric takes no {', '.join(options)}; drop it, or name translator: learned")
    return TRANSLATORS[recipe.translator](**options)


def make_translate_stage(recipe: "TranslateRecipe", base: Path = Path()) -> TranslateStage:
    """Builds the stage that translates as a recipe says; raises InputError as its parts do.

    Args:
        recipe: Who translates.
        base: Folder that the path of a model starts from.
    """
    if recipe.model is not None and (base / recipe.model).is_dir():
        recipe = replace(recipe, model=str(base / recipe.model))
    return TranslateStage(make_translator(recipe), recipe.band, recipe.seed)
