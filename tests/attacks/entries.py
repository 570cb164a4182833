"""Every entry of every verb, from the parsers and dataclasses themselves, and what is wrong there by its kind."""

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

LONG = "9" * 5_000
TEXTS = ("", "\x1b[2J\u202e", "x" * 100_000, "../../etc/passwd", "a\nb")
WHOLE = ("-7", "1.5", LONG, "nan", "x")
NUMBERS = ("nan", "-inf", LONG, "x", "-1e300")
TRUTHS = ("x", "2", "[]")
PATHS = ("", "x" * 5_000, "DEVICE", "PIPE", "FOLDER", "a\x1b[2Jb")
DOCUMENTS = ("[" * 5_000, "5", "x", '{"a": NaN}', '{"x": [1]}', LONG)
METHODS = ("train clip", "train vlm", "train translator")  # their flags are fields of recipes


class Entry(NamedTuple):
    """A flag or an argument of a verb.

    Args:
        verb: With its method, such as `eval clip`.
        name: Of a flag as it is written; of an argument as it is shown.
        place: Of an argument among those of its verb, from 0; None of a flag.
        wrong: Values.
    """

    verb: str
    name: str
    place: int | None
    wrong: tuple[str, ...]


def entries(verb: str) -> list[Entry]:
    """Returns what a verb takes, in the order of its help."""
    if verb in METHODS:
        return list(_fields(verb))
    found, place = [], 0
    for action in _parser(verb)._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction) or action.nargs == 0:
            continue
        name = action.option_strings[-1] if action.option_strings else action.metavar or action.dest
        found.append(Entry(verb, name, None if action.option_strings else place, _wrong_for(action)))
        place += not action.option_strings
    return found


def _parser(verb: str) -> argparse.ArgumentParser:
    from fusionrs_hf.cli import make_parser
    from training.cli import EVAL

    name, _, method = verb.partition(" ")
    if name == "eval":
        return import_module(EVAL[method]).make_parser()
    parser = make_parser(name)._subparsers._group_actions[0].choices[name]
    return parser._subparsers._group_actions[0].choices[method] if name == "convert" else parser


def _wrong_for(action: argparse.Action) -> tuple[str, ...]:
    name = getattr(action.type, "__name__", "")
    if name == "read":  # of `arguments.whole` and `arguments.number`
        return WHOLE
    return PATHS if name in ("path", "file_to_write") else TEXTS


def _fields(verb: str) -> Iterator[Entry]:
    """Yields the fields of a method's recipe; those of `TrainingArguments` with the CLIP alone."""
    from transformers import TrainingArguments

    from training.cli import TRAIN

    common = {field.name for field in dataclasses.fields(TrainingArguments)} if verb != "train clip" else set()
    for kind in import_module(TRAIN[verb.removeprefix("train ")].page).RECIPE:
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            if field.init and field.name not in common:
                yield Entry(verb, f"--{field.name}", None, _wrong_of(hints[field.name]))


def _wrong_of(hint: Any) -> tuple[str, ...]:
    kinds = [get_origin(kind) or kind for kind in get_args(hint) or [hint] if kind is not NoneType]
    if dict in kinds or get_origin(hint) in (list, dict):
        return DOCUMENTS
    return {bool: TRUTHS, int: WHOLE, float: NUMBERS}.get(kinds[0], TEXTS)


def _set_key(name: str, recipe: dict, value: Any) -> None:
    recipe[name] = value


def _set_part(part: str, name: str, recipe: dict, value: Any) -> None:
    recipe[part] = {**(recipe.get(part) or {}), name: value}


def _set_source(name: str, recipe: dict, value: Any) -> None:
    recipe["sources"][0][name] = value


def _set_option(captioner: str, fixed: dict, name: str, recipe: dict, value: Any) -> None:
    recipe["caption"] = {"captioner": captioner, "options": {**fixed, name: value}}


def _set_rule(name: str, threshold: str, recipe: dict, value: Any) -> None:
    recipe["filters"] = {**recipe["filters"], name: {threshold: value}}


def recipe_keys() -> Iterator[tuple[str, str, Callable]]:
    """Yields each key of a recipe, the kind of its source, and what sets the key."""
    from dataset_builder.captioning.models.endpoint import EndpointSettings
    from dataset_builder.captioning.models.local import LocalSettings
    from dataset_builder.filters import RULES
    from dataset_builder.groups.splits import SplitPolicy
    from dataset_builder.recipe import BuildRecipe, CaptionRecipe, GroupRecipe, TranslateRecipe
    from dataset_builder.sources import KINDS

    for name in _names(BuildRecipe):
        yield name, "folder", partial(_set_key, name)
    parts = {"translate": TranslateRecipe, "caption": CaptionRecipe, "groups": GroupRecipe, "splits": SplitPolicy}
    for part, kind in parts.items():
        for name in _names(kind):
            yield f"{part}.{name}", "folder", partial(_set_part, part, name)
    fixed = {"endpoint": {"base_url": "http://127.0.0.1:9/v1", "model": "m", "attempts": 1}, "local": {"model": "m"}}
    for captioner, settings in {"endpoint": EndpointSettings, "local": LocalSettings}.items():
        for name in _names(settings):
            set_option = partial(_set_option, captioner, fixed[captioner], name)
            yield f"caption.options.{name} of {captioner}", "folder", set_option
    for rule in RULES:
        for name in _names(rule):
            yield f"filters.{rule.reason}.{name}", "folder", partial(_set_rule, rule.reason, name)
        yield f"filters.{rule.reason}", "folder", partial(_set_part, "filters", rule.reason)
    for kind, (module, name) in KINDS.items():
        for key in (*_names(getattr(import_module(module), name)), "kind"):
            yield f"sources.{key} of {kind}", kind, partial(_set_source, key)


def _names(kind: type) -> list[str]:
    return [item.name for item in dataclasses.fields(kind) if item.name != "base"]
