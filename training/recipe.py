"""Recipes: flat YAML of real field names, overridden by `--field value`; an unknown key is an error.

A recipe may name another as its `base`, by a path from its own folder, and then says only what differs.
"""

import dataclasses
import difflib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from trl import TrlParser

from fusionrs_hf.errors import InputError


def parse_recipe(types: Sequence[type], argv: Sequence[str]) -> tuple[Any, ...]:
    """Builds one instance of each dataclass from `--config RECIPE.yaml` and `--field value`; the command line wins.

    Args:
        types: Dataclasses; their fields together are the recipe's keys.
        argv: Arguments after the verb.

    Raises:
        InputError: The recipe is missing or no mapping, a key or option is unknown, or a value is refused.
    """
    fields = {field.name for kind in types for field in dataclasses.fields(kind)}
    arguments = list(argv)
    recipe: dict[str, Any] = {}
    if "--config" in arguments:
        position = arguments.index("--config")
        if position + 1 == len(arguments):
            raise InputError("--config needs the path of a recipe")
        recipe = read_recipe(Path(arguments[position + 1]))
        _check_keys(recipe, fields, arguments[position + 1])
        del arguments[position : position + 2]
    options = [argument[2:].split("=")[0].replace("-", "_") for argument in arguments if argument.startswith("--")]
    _check_keys(
        [name.removeprefix("no_") if name not in fields else name for name in options],
        fields,
        "the command line",
    )
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(recipe, file)
            file.flush()
            return TrlParser(tuple(types)).parse_args_and_config(["--config", file.name, *arguments])
    except ValueError as error:
        raise InputError(f"the recipe is refused: {' '.join(str(error).split())}") from error


def read_recipe(path: Path) -> dict[str, Any]:
    """Returns a recipe's fields over those of its `base`, and of that one's.

    Raises:
        InputError: As `read_mapping`; or recipes are each other's base.
    """
    fields: dict[str, Any] = {}
    seen: list[Path] = []
    while True:
        path = path.resolve()
        if path in seen:
            raise InputError(f"recipe {path.name} is its own base, by {' and '.join(step.name for step in seen)}")
        seen.append(path)
        fields = read_mapping(path) | fields
        if (base := fields.pop("base", None)) is None:
            return fields
        path = path.parent / str(base)


def read_mapping(path: Path) -> dict[str, Any]:
    """Returns the YAML mapping in a file.

    Raises:
        InputError: The file is missing, or is no YAML mapping.
    """
    if not path.is_file():
        raise InputError(
            f"recipe {path} does not exist; recipes that ship are in training/recipes and dataset_builder/recipes"
        )
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InputError(f"recipe {path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"recipe {path} must be a YAML mapping of field names to values, got {type(content).__name__}"
        )
    return content


def _check_keys(keys: Sequence[str], known: set[str], where: str) -> None:
    for key in keys:
        if key not in known and key != "env":
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "; remove it"
            raise InputError(f"unknown key {key!r} in {where}{hint}")
