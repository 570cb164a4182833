"""`fusionrs <verb>`: the table of verbs; each has its arguments and its call in the package that does the work.

Modules are named here and imported when their verb is asked for, so help answers at once and imports no torch.
"""

import argparse
import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fusionrs_hf import __version__
from fusionrs_hf.arguments import Arguments, path
from fusionrs_hf.cpu_speed import start_anew
from fusionrs_hf.errors import InputError, one_line, shown
from fusionrs_hf.last_resort import unforeseen
from fusionrs_hf.redaction import redacted_text
from fusionrs_hf.terminal import give_up_output, log_to_stderr, open_closed_streams, print_outcome

PACKAGES = ("dataset_builder", "model_cards", "training")


class Verb(NamedTuple):
    """A verb.

    Args:
        module: With its `add_VERB`, which adds the arguments and says what runs.
        help: What it does.
        continues: Whether the same command goes on where it was interrupted; a verb that does so now and then says so
            in the KeyboardInterrupt that it raises.
        computes: Whether it runs a model for long: then its process gets what makes that fast on a CPU.
    """

    module: str
    help: str
    continues: bool = False
    computes: bool = False


VERBS = {
    "build": Verb(
        "dataset_builder.cli",
        "build a dataset from a recipe: pairs, captions, groups, splits, Parquet",
        continues=True,
    ),
    "inspect": Verb(
        "dataset_builder.cli", "say what a file or folder of yours holds, and print a recipe that builds it"
    ),
    "caption": Verb(
        "dataset_builder.cli",
        "write captions of the infrared, each checked against its image; or check those that are there",
        continues=True,
    ),
    "translate": Verb(
        "dataset_builder.cli", "write infrared-style images of RGB images or of a raster, each with its interval"
    ),
    "audit": Verb(
        "dataset_builder.cli",
        "check a built dataset anew, by other means than the build's; find what it shares with other datasets",
    ),
    "train": Verb(
        "training.cli", "train a model by a recipe; each field of it can be overridden by --field value", computes=True
    ),
    "eval": Verb("training.cli", "score a saved model on held-out pairs", computes=True),
    "ablate": Verb(
        "training.cli",
        "train a matrix of CLIP recipes and seeds, compare them on validation rows, and test the best once",
        continues=True,
    ),
    "convert": Verb("fusionrs_hf.cli", "write other weights as ordinary Hugging Face checkpoints"),
    "embed": Verb(
        "dataset_builder.search.verbs",
        "embed a dataset, the rows of a recipe or a scene into an index to search",
        continues=True,
    ),
    "search": Verb(
        "dataset_builder.search.verbs",
        "find the rows of an index nearest to a text, an RGB image, an infrared image, or a pair",
    ),
    "export": Verb("fusionrs_hf.cli", "write a model's encoders for other runtimes, checked against torch"),
    "card": Verb("training.cli", "write the card of a finished folder anew from its log and results"),
    "push": Verb(
        "training.cli",
        "release a finished folder on the Hub: checked, verified from there, then in one commit",
        continues=True,
    ),
    "verify": Verb("training.cli", "recompute what a release on the Hub says of itself, without its folder"),
}


def make_parser(asked: str | None = None) -> argparse.ArgumentParser:
    """Builds the parser of all verbs.

    Args:
        asked: The one verb that gets its arguments; None or an unknown one: no verb does.
    """
    parser = Arguments(
        prog="fusionrs", description="RGB-infrared-text remote sensing on Hugging Face.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        text = f"{verb.help[0].upper()}{verb.help[1:]}."
        arguments = verbs.add_parser(name, help=verb.help, description=text)
        if name == asked:
            getattr(importlib.import_module(verb.module), f"add_{name}")(arguments)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb; input at fault gives one line on stderr and exit code 2, a fault of ours one and 70."""
    is_command, argv = argv is None, sys.argv[1:] if argv is None else argv
    asked = next((argument for argument in argv if not argument.startswith("-")), None)
    if is_command and asked in VERBS and VERBS[asked].computes:
        start_anew()
    open_closed_streams()
    try:
        check_packages()
        arguments = make_parser(asked).parse_args(argv)
        log_to_stderr()
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line a request
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        code = arguments.run(arguments)
        sys.stdout.flush()
    except (InputError, OSError) as error:
        print_outcome(f"error: {one_line(redacted_text(str(error)))}")
        code = 2
    except KeyboardInterrupt as stop:
        how = str(stop) or _how_it_continues(asked, argv)
        print_outcome(f"interrupted: {how}" if how else "interrupted")
        code = 130
    except Exception as error:  # noqa: BLE001 - the last resort
        line, code = unforeseen(error, argv)
        print_outcome(line)
    give_up_output()
    return code or 0


def _how_it_continues(asked: str | None, argv: Sequence[str]) -> str:
    if asked not in VERBS or not VERBS[asked].continues:
        return ""
    return f"the same command{' without --overwrite' if '--overwrite' in argv else ''} continues"


def check_packages() -> None:
    """Raises InputError where a top-level package of ours is hidden by another distribution's."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or Path(spec.origin).resolve().parent.parent != home:
            where = spec.origin if spec else "nowhere"
            raise InputError(
                f"package {shown(name)} is not ours: found {where}, expected {home / name}; "
                "install fusionrs-hf in an environment of its own"
            )


def add_convert(parser: argparse.ArgumentParser) -> None:
    """Adds what `fusionrs convert` converts, with the arguments of each."""
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    demo = kinds.add_parser("demo-weights", help="the small real towers that the demo uses")
    demo.add_argument("--packages", type=path, required=True, help="folder of the installed requirements-demo.txt")
    demo.add_argument("--output", type=path, required=True, help="folder for vision/, text/ and language/")
    demo.add_argument(
        "--parts",
        nargs="+",
        metavar="PART",
        help="some of vision, text, language and mobilenet (default: the first three)",
    )
    demo.set_defaults(run=convert_demo)
    open_clip = kinds.add_parser(
        "open-clip", help="a checkpoint in open_clip's format: RemoteCLIP, GeoRSCLIP, LAION's"
    )
    open_clip.add_argument("checkpoint", type=path, help=".pt, .bin or .safetensors with the state dict")
    open_clip.add_argument("--output", type=path, required=True, help="folder for the model and its processor")
    open_clip.add_argument(
        "--tokenizer", required=True, help="Hub id or folder of CLIP's tokenizer, or bpe_simple_vocab_16e6.txt.gz"
    )
    open_clip.add_argument("--quick-gelu", action="store_true", help="trained with OpenAI's approximation of GELU")
    open_clip.add_argument("--overwrite", action="store_true", help="replace the files of an earlier conversion")
    open_clip.set_defaults(run=convert_open_clip)


def convert_demo(arguments: argparse.Namespace) -> None:
    """Converts the demo's towers."""
    from fusionrs_hf.convert_demo import DEMO_PARTS, convert_demo_weights

    convert_demo_weights(arguments.packages, arguments.output, arguments.parts or DEMO_PARTS)


def convert_open_clip(arguments: argparse.Namespace) -> None:
    """Converts a checkpoint of open_clip."""
    from fusionrs_hf import convert_open_clip as converter

    names = ("checkpoint", "output", "tokenizer", "quick_gelu", "overwrite")
    converter.convert_open_clip(**{name: getattr(arguments, name) for name in names})


def add_export(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs export`."""
    parser.add_argument("kind", choices=["clip"])
    parser.add_argument("model", metavar="MODEL", help="folder or Hub id of a dual-modal or plain CLIP")
    parser.add_argument("output", type=path, metavar="OUT", help="new or empty folder")
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="(default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an earlier export")
    parser.set_defaults(run=export)


def export(arguments: argparse.Namespace) -> None:
    """Exports a CLIP's encoders; prints how far each is from torch."""
    from fusionrs_hf.export import export_onnx

    for name, error in export_onnx(arguments.model, arguments.output, arguments.overwrite).items():
        print(f"{arguments.output / name}: largest difference from torch {error:.1e}")


if __name__ == "__main__":
    sys.exit(main())
