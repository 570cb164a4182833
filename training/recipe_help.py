"""The help of `fusionrs train METHOD`: `--config`, then the project's own fields, read without torch."""

import argparse
import dataclasses
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

METAVARS = {bool: "true|false", int: "INT", float: "FLOAT", str: "TEXT", dict: "JSON"}


def recipe_help(prog: str, title: str, fields: type, stock: str) -> str:
    """Returns the help.

    Args:
        prog: The command, such as `fusionrs train clip`.
        title: What it does, in a sentence.
        fields: Dataclass of the project's own fields, each with `help`.
        stock: Name of the class of all other fields.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} --config RECIPE.yaml [--field value ...]",
        description=title,
        epilog=f"Every other field, such as output_dir, learning_rate or max_steps, is one of {stock}'s: --help-all "
        "lists them, too.",
        add_help=False,
    )
    options = parser.add_argument_group("options")
    options.add_argument(
        "--config", metavar="RECIPE.yaml", help="flat YAML of fields, over those of the recipe that its `base` names"
    )
    options.add_argument("-h", "--help", action="store_true", help="show this help")
    options.add_argument("--help-all", action="store_true", help=f"show the fields of {stock} besides")
    group = parser.add_argument_group(
        "fields", "Of the recipe, or --field value, which wins; --field null unsets one."
    )
    hints = get_type_hints(fields)
    for field in dataclasses.fields(fields):
        text = f"{field.metadata['help']} ({_default(field)})".replace("%", "%%")
        group.add_argument(f"--{field.name}", metavar=_metavar(hints[field.name]), help=text)
    return parser.format_help()


def _default(field: dataclasses.Field) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    shown = {None: "none", True: "true", False: "false"} if isinstance(field.default, bool | NoneType) else {}
    return f"default: {shown.get(field.default, field.default)}"


def _metavar(kind: Any) -> str:
    kinds = [part for part in get_args(kind) if part is not NoneType] if NoneType in get_args(kind) else [kind]
    if get_origin(kinds[0]) is list:
        return f"{METAVARS[get_args(kinds[0])[0]]} ..."
    return METAVARS[kinds[0]]
