"""Recipes: flat YAML of real field names, overridden by `--field value`; an unknown key is an error."""

import dataclasses
import difflib
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
    if "--config" in arguments:
        position = arguments.index("--config") + 1
        if position == len(arguments):
            raise InputError("--config needs the path of a recipe")
        _check_keys(read_mapping(Path(arguments[position])), fields, arguments[position])
    options = [argument[2:].split("=")[0].replace("-", "_") for argument in arguments if argument.startswith("--")]
    _check_keys(
        [name.removeprefix("no_") if name not in fields else name for name in options if name != "config"],
        fields,
        "the command line",
    )
    try:
        return TrlParser(tuple(types)).parse_args_and_config(arguments)
    except ValueError as error:
        raise InputError(f"the recipe is refused: {' '.join(str(error).split())}") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """Returns the YAML mapping in a file.

    Raises:
        InputError: The file is missing or holds no mapping.
    """
    if not path.is_file():
        raise InputError(
            f"recipe {path} does not exist; recipes that ship are in training/recipes and dataset_builder/recipes"
        )
    content = yaml.safe_load(path.read_text())
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
