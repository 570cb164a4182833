"""Infrared-aware captions: a captioner writes them, rules check each one, a stage fills the columns."""

from dataclasses import fields
from importlib import import_module

from dataset_builder.captioning.grounded import GroundedCaptioner
from dataset_builder.captioning.protocol import Captioner, Written
from dataset_builder.captioning.rules.caption_rules import make_caption_rules
from dataset_builder.captioning.stage import CaptionStage
from dataset_builder.recipe import CaptionRecipe
from dataset_builder.sources import parse
from fusionrs_hf.errors import InputError, nearest

__all__ = ["Captioner", "CaptionStage", "GroundedCaptioner", "Written", "make_caption_stage", "make_captioner"]

# Module, class and settings of the captioners that ask a model: imported where one is asked for.
MODEL_CAPTIONERS = {
    "endpoint": ("dataset_builder.captioning.models.endpoint", "EndpointCaptioner", "EndpointSettings"),
    "local": ("dataset_builder.captioning.models.local", "LocalCaptioner", "LocalSettings"),
}


def make_caption_stage(recipe: CaptionRecipe) -> CaptionStage:
    """Builds the stage that writes captions and checks them, as a recipe says; raises InputError as its parts do."""
    return CaptionStage(make_captioner(recipe), make_caption_rules(recipe.rules), recipe.repairs)


def make_captioner(recipe: CaptionRecipe) -> Captioner:
    """Builds the captioner that a recipe names, with its options.

    Raises:
        InputError: There is no such captioner or option, one is missing, or a value cannot be.
    """
    known = ["grounded", *MODEL_CAPTIONERS]
    if recipe.captioner not in known:
        raise InputError(f"there is no captioner {recipe.captioner!r}; {nearest(recipe.captioner, known)}")
    if recipe.captioner == "grounded":
        if recipe.options:
            given = ", ".join(map(str, recipe.options))
            raise InputError(f"the captioner 'grounded' takes no options, got {given}; leave them out")
        return GroundedCaptioner(recipe.seed)
    module, captioner, settings = MODEL_CAPTIONERS[recipe.captioner]
    found = import_module(module)
    part, options = getattr(found, settings), dict(recipe.options)
    if "seed" in {item.name for item in fields(part)}:
        options.setdefault("seed", recipe.seed)
    return getattr(found, captioner)(parse(part, options, f"options of the captioner {recipe.captioner!r}"))
