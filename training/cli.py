"""`fusionrs train`, `eval`, `ablate`, `card`, `push`, `verify`: of each verb its arguments and its call, side by side.

Imports argparse alone: what a verb needs is imported when it runs, so that help answers at once.
"""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from importlib import import_module
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from fusionrs_hf.arguments import path, whole
from fusionrs_hf.errors import InputError

METAVARS = {bool: "true|false", int: "INT", float: "FLOAT", str: "TEXT", dict: "JSON"}


class Method(NamedTuple):
    """What trains by a recipe: the page with `main` and `RECIPE`, and what the help tells without importing it.

    Args:
        page: Module.
        own_fields: `module:class` of the project's own fields.
        stock: Class of all other fields.
        title: What it does.
    """

    page: str
    own_fields: str
    stock: str
    title: str


TRAIN = {
    "clip": Method(
        "training.train_clip",
        "training.clip_arguments:ClipArguments",
        "transformers.TrainingArguments",
        "Trains the dual-modal CLIP on RGB-infrared-text rows.",
    ),
    "vlm": Method(
        "training.train_vlm",
        "training.vlm_arguments:VlmArguments",
        "trl.SFTConfig",
        "Fine-tunes the two-image VLM on infrared captions, with LoRA.",
    ),
    "translator": Method(
        "training.train_translator",
        "training.translator_arguments:TranslatorArguments",
        "transformers.TrainingArguments",
        "Trains the learned translator on RGB and sensor infrared of the same tiles.",
    ),
}
EVAL = {
    "clip": "training.evaluate_clip",
    "zero-shot": "training.evaluate_zero_shot",
    "hit-uav": "training.evaluate_hit_uav",
    "caltech-pairs": "training.evaluate_caltech_pairs",
    "vlm": "training.evaluate_vlm",
    "vlm-need": "training.evaluate_vlm_need",
    "translator": "training.evaluate_translator",
}


def add_train(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs train`: the method, whose own options are its recipe's fields."""
    _add_method(parser, TRAIN)
    parser.set_defaults(run=train, parser=parser)


def train(arguments: argparse.Namespace) -> None:
    """Trains, or prints what the method's recipe may say."""
    if arguments.method is None:
        arguments.parser.print_help()
        return
    method = TRAIN[arguments.method]
    if "--help-all" in arguments.options:
        from training.recipe import stock_help

        print(_own_help(arguments.method))
        print(stock_help(method.stock, import_module(method.page).RECIPE[1]))
    elif {"-h", "--help"} & set(arguments.options):
        print(_own_help(arguments.method))
    else:
        _run_page(method.page, arguments.options)


def _run_page(page: str, options: list[str]) -> None:
    """Calls a page's `main`; what it asks the Hub for is answered within bounds."""
    from fusionrs_hf.hub_answers import asking_hub

    with asking_hub():
        import_module(page).main(options)


def _own_help(name: str) -> str:
    method = TRAIN[name]
    module, fields = method.own_fields.split(":")
    return recipe_help(f"fusionrs train {name}", method.title, getattr(import_module(module), fields), method.stock)


def add_eval(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs eval`: the method; its own options are parsed by its page."""
    _add_method(parser, EVAL)
    parser.set_defaults(run=evaluate, parser=parser)


def evaluate(arguments: argparse.Namespace) -> None:
    """Scores a saved model, or prints the method's help."""
    if arguments.method is None:
        arguments.parser.print_help()
    else:
        _run_page(EVAL[arguments.method], arguments.options)


def _add_method(parser: argparse.ArgumentParser, methods: Mapping[str, object]) -> None:
    parser.usage = f"{parser.prog} {{{','.join(methods)}}} [--option value ...]"
    parser.epilog = f"`{parser.prog} clip --help`, and so on, list the options of each."
    parser.add_argument("method", choices=sorted(methods), nargs="?", help="which model")
    parser.add_argument("options", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def add_ablate(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs ablate`."""
    add = parser.add_argument
    add("recipes", type=path, nargs="+", help="recipes of `fusionrs train clip`")
    add("--output", type=path, required=True, help="folder for the runs and the tables")
    add("--seeds", type=whole(1, 1_000), default=3, help="seeds 0, 1, ... of each recipe (default: 3)")
    add("--over", type=path, action="append", default=[], help="file of fields laid over every recipe; repeatable")
    add("--against", default="trimodal", help="recipe to compare with (default: trimodal)")
    add("--also", nargs="+", default=[], metavar="NAME", help="recipes to test besides")
    add("--workers", type=whole(1, 4_096), default=1, help="runs side by side (default: 1)")
    add("--leave-out", choices=("scene",), help="train also without each scene, and choose by these beside validation")
    parser.set_defaults(run=ablate)


def ablate(arguments: argparse.Namespace) -> None:
    """Trains, compares and tests the matrix."""
    from training import ablate as page

    names = ("recipes", "output", "seeds", "over", "against", "also", "workers", "leave_out")
    page.ablate(**{name: getattr(arguments, name) for name in names})


def add_push(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs push`."""
    from training.release.kinds import KINDS

    add = parser.add_argument
    add("kind", choices=list(KINDS))
    add("folder", type=path, metavar="PATH", help="finished folder; of a Space any with its application")
    add("repo_id", metavar="REPO", help="owner/name on the Hub that HF_ENDPOINT names")
    add("--private", action="store_true", help="create the repository private")
    add("--revision", help="branch to release on (default: main)")
    add("--tag", help="name of the release (default: a dataset's version, else one made of the contents)")
    add("--dry-run", action="store_true", help="check, and say what would go up; ask no Hub")
    add("--as-clip", action="store_true", help="a dual-modal CLIP as a plain CLIPModel")
    add("--base", help="for a VLM's adapter: repository of the base it belongs to, pushed before")
    parser.set_defaults(run=push)


def push(arguments: argparse.Namespace) -> None:
    """Releases a folder; prints the URL of the commit, or what would go up."""
    from training.release import door

    names = ("kind", "folder", "repo_id", "private", "revision", "tag", "dry_run", "base", "as_clip")
    print(door.push(**{name: getattr(arguments, name) for name in names}))


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs verify`."""
    add = parser.add_argument
    add("repo_id", metavar="REPO", help="owner/name, or datasets/owner/name, spaces/owner/name")
    add("--revision", help="branch, tag or commit (default: main)")
    add("--type", dest="repo_type", choices=["model", "dataset", "space"], help="where two have the name")
    add("--release", help="hash that push printed; the first digits are enough")
    parser.set_defaults(run=verify)


def verify(arguments: argparse.Namespace) -> None:
    """Prints what was found in a repository, compared with what its release says.

    Raises:
        InputError: Something differs.
    """
    from training.release.verify import verify as compare

    report = compare(arguments.repo_id, arguments.revision, arguments.repo_type, arguments.release)
    print(json.dumps(dataclasses.asdict(report), indent=1))
    if report.differences:
        raise InputError(
            f"{report.repo_id} is not what was released: {len(report.differences)} differences, the first: "
            f"{report.differences[0]}; do not load it, take an earlier tag"
        )


def add_card(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs card`."""
    parser.add_argument("folder", type=path, metavar="DIR", help="a finished model, dataset or translator")
    parser.set_defaults(run=card)


def card(arguments: argparse.Namespace) -> None:
    """Writes a folder's card anew from what lies in it: log, metrics, report."""
    from training.release.refresh import refresh_card

    print(refresh_card(arguments.folder))


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
