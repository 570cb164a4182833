"""Recipes: flat YAML of real field names, overridden by `--field value`; an unknown key is an error.

A recipe may name another as its `base`, by a path from its own folder, and then says only what differs.
"""

import argparse
import dataclasses
import difflib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args, get_type_hints

from trl import TrlParser

from fusionrs_hf.bounded_yaml import read_yaml
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.records import fits
from training.recipe_bounds import check_number

SHIPPED = ("training", "recipes")
REFUSING = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, ImportError)


class RecipeParser(TrlParser):
    """A parser of fields that raises for what it does not take, where argparse would print its whole usage."""

    def error(self, message: str) -> NoReturn:
        """Raises ValueError with argparse's sentence."""
        raise ValueError(message)


def parse_recipe(types: Sequence[type], argv: Sequence[str]) -> tuple[Any, ...]:
    """Builds one instance of each dataclass from `--config RECIPE.yaml` and `--field value`; the command line wins.

    A field that is null, in the recipe or as `--field null`, is None where it may be, else its default.

    Args:
        types: Dataclasses; their fields together are the recipe's keys.
        argv: Arguments after the verb.

    Raises:
        InputError: The recipe is missing or no mapping, a key or option is unknown, or a value is refused.
    """
    fields = {field.name for kind in types for field in dataclasses.fields(kind)}
    arguments, recipe = list(argv), {}
    if "--config" in arguments:
        position = arguments.index("--config")
        if position + 1 == len(arguments):
            raise InputError("--config needs the path of a recipe")
        recipe = read_recipe(Path(arguments[position + 1]))
        _set_environment(recipe.pop("env", {}))
        _check_keys(recipe, fields, arguments[position + 1])
        del arguments[position : position + 2]
    options = [_field_of(argument) for argument in arguments if argument.startswith("--")]
    _check_keys(
        [name.removeprefix("no_") if name not in fields else name for name in options],
        fields,
        "the command line",
    )
    arguments, unset = _split_nulls(arguments)
    recipe |= dict.fromkeys(unset)
    hints = {name: hint for kind in types for name, hint in get_type_hints(kind).items()}
    for name, value in recipe.items():
        _check_kind(name, value, hints[name])
    parser = RecipeParser(tuple(types))
    parser.set_defaults_with_config(
        **{name: value for name, value in recipe.items() if value is not None or NoneType in get_args(hints[name])}
    )
    with refusing():
        parsed = parser.parse_args_into_dataclasses(arguments)
    for part in parsed:
        for field in dataclasses.fields(part):
            check_number(field.name, getattr(part, field.name, None))
    return parsed


@contextmanager
def refusing() -> Iterator[None]:
    """Turns what a library raises for values that it does not take into an InputError."""
    try:
        yield
    except InputError:
        raise
    except REFUSING as error:
        raise InputError(f"the recipe is refused: {str(error) or type(error).__name__}") from error


def stock_help(title: str, kind: type) -> str:
    """Returns the help of a dataclass's fields, each with its default, below a title."""
    return RecipeParser(kind, usage=argparse.SUPPRESS, description=f"{title}:", add_help=False).format_help()


def _check_kind(name: str, value: Any, hint: Any) -> None:
    """Refuses what no field of a kind takes; a text may become any, as on the command line."""
    taken = [str if isinstance(kind, type) and issubclass(kind, Enum) else kind for kind in get_args(hint) or [hint]]
    if value is None or isinstance(value, str) or any(fits(value, kind, finite=True) for kind in [hint, *taken]):
        return
    raise InputError(f"the recipe is refused: {name} cannot be {shown(value)}")


def _field_of(option: str) -> str:
    return option[2:].split("=")[0].replace("-", "_")


def _split_nulls(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the arguments without each `--field null` and `--field=null`, and the names of these fields."""
    kept: list[str] = []
    unset = []
    for argument in arguments:
        if argument == "null" and kept and kept[-1].startswith("--") and "=" not in kept[-1]:
            unset.append(_field_of(kept.pop()))
        elif argument.startswith("--") and argument.endswith("=null"):
            unset.append(_field_of(argument))
        else:
            kept.append(argument)
    return kept, unset


def _set_environment(variables: Any) -> None:
    if not isinstance(variables, dict):
        raise InputError(f"env must be a mapping of variables to values, got {shown(variables)}")
    for name, value in variables.items():
        if not fits(name, str) or not name or "=" in name or not fits(value, str | int | float | bool):
            raise InputError(f"env must map names of variables to texts, got {shown(name)}: {shown(value)}")
        os.environ[name] = str(value)


def read_recipe(path: Path) -> dict[str, Any]:
    """Returns a recipe's fields over those of its `base`, and of that one's.

    Raises:
        InputError: As `read_mapping`; or recipes are each other's base.
    """
    fields: dict[str, Any] = {}
    seen: list[Path] = []
    if path.parts[:2] == SHIPPED and not path.exists():  # as the READMEs name them, from any folder
        path = Path(__file__).parents[1] / path
    while True:
        path = path.resolve()
        if path in seen:
            raise InputError(f"recipe {path.name} is its own base, by {' and '.join(step.name for step in seen)}")
        seen.append(path)
        fields = read_mapping(path) | fields
        if (base := fields.pop("base", None)) is None:
            return fields
        if not isinstance(base, str):
            raise InputError(f"base of recipe {path} must be the path of a recipe, got {shown(base)}")
        path = path.parent / base


def read_mapping(path: Path) -> dict[str, Any]:
    """Returns the YAML mapping in a file.

    Raises:
        InputError: The file is missing, or is no YAML mapping.
    """
    if not path.is_file():
        raise InputError(
            f"recipe {path} does not exist; those that ship are in {Path(*SHIPPED)}, which any folder may name so"
        )
    content = read_yaml(path, "training/recipes")
    if not isinstance(content, dict):
        raise InputError(
            f"recipe {path} must be a YAML mapping of field names to values, got {type(content).__name__}"
        )
    return content


def _check_keys(keys: Sequence[str], fields: set[str], where: str) -> None:
    for key in keys:
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"; did you mean {shown(close[0])}?" if close else "; remove it"
            raise InputError(f"unknown key {shown(key)} in {where}{hint}")
