"""Infrared-aware captions: a captioner writes them, rules check each one, a stage fills the columns.

Importing this package imports none of that: who builds without captions does not wait for it.
"""

from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dataset_builder.fields import parse
from fusionrs_hf.errors import InputError, nearest, shown

if TYPE_CHECKING:
    from dataset_builder.captioning.grounded import GroundedCaptioner
    from dataset_builder.captioning.protocol import Captioner, Written
    from dataset_builder.captioning.stage import CaptionStage
    from dataset_builder.recipe import CaptionRecipe

__all__ = ["Captioner", "CaptionStage", "GroundedCaptioner", "Written", "make_caption_stage", "make_captioner"]

_OWNERS = {"Captioner": "protocol", "CaptionStage": "stage", "GroundedCaptioner": "grounded", "Written": "protocol"}
# Module, class and settings of the captioners that ask a model. All are imported where one is asked for.
MODEL_CAPTIONERS = {
    "endpoint": ("dataset_builder.captioning.models.endpoint", "EndpointCaptioner", "EndpointSettings"),
    "local": ("dataset_builder.captioning.models.local", "LocalCaptioner", "LocalSettings"),
}


def __getattr__(name: str) -> Any:
    if name not in _OWNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_OWNERS[name]}"), name)


def make_caption_stage(recipe: "CaptionRecipe") -> "CaptionStage":
    """Builds the stage that writes captions and checks them, as a recipe says; raises InputError as its parts do."""
    from dataset_builder.captioning.rules.caption_rules import make_caption_rules
    from dataset_builder.captioning.stage import CaptionStage

    return CaptionStage(make_captioner(recipe), make_caption_rules(recipe.rules), recipe.repairs)


def make_captioner(recipe: "CaptionRecipe") -> "Captioner":
    """Builds the captioner that a recipe names, with its options.

    Raises:
        InputError: There is no such captioner or option, one is missing, or a value cannot be.
    """
    names = ["grounded", *MODEL_CAPTIONERS]
    if recipe.captioner not in names:
        raise InputError(f"there is no captioner {shown(recipe.captioner)}; {nearest(recipe.captioner, names)}")
    if recipe.captioner == "grounded":
        if recipe.options:
            options = ", ".join(map(str, recipe.options))
            raise InputError(f"the captioner 'grounded' takes no options, got {options}; leave them out")
        return __getattr__("GroundedCaptioner")(recipe.seed)
    module, captioner, settings = MODEL_CAPTIONERS[recipe.captioner]
    owner, options = import_module(module), dict(recipe.options)
    part = getattr(owner, settings)
    if "seed" in {item.name for item in fields(part)}:
        options.setdefault("seed", recipe.seed)
    return getattr(owner, captioner)(parse(part, options, f"options of the captioner {shown(recipe.captioner)}"))
