"""`fusionrs <verb>`: parses, then imports the verb's module; so help answers at once and imports no torch."""

import argparse
import dataclasses
import importlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fusionrs_hf import __version__
from fusionrs_hf.errors import InputError

PACKAGES = ("dataset_builder", "model_cards", "training")
EXIT_FAULTY = 3  # of `audit`: what was asked is answered, and the answer is bad
METHODS = {
    "train": {"clip": "training.train_clip", "vlm": "training.train_vlm"},
    "eval": {
        "clip": "training.evaluate_clip",
        "zero-shot": "training.evaluate_zero_shot",
        "hit-uav": "training.evaluate_hit_uav",
        "caltech-pairs": "training.evaluate_caltech_pairs",
        "vlm": "training.evaluate_vlm",
    },
}


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="fusionrs", description="RGB-infrared-text remote sensing on Hugging Face.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    _add_build(verbs)
    _add_caption(verbs)
    _add_audit(verbs)
    for verb, text in (
        ("train", "train a model by a recipe; every field of the recipe can be overridden by --field value"),
        ("eval", "score a saved model on held-out pairs"),
    ):
        runs = verbs.add_parser(
            verb,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            usage=f"fusionrs {verb} {{{','.join(METHODS[verb])}}} [--option value ...]",
            epilog=f"`fusionrs {verb} clip --help`, and so on, list the options of each.",
            add_help=False,
        )
        runs.add_argument("method", choices=sorted(METHODS[verb]), nargs="?", help="which model")
        runs.add_argument("options", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
        runs.add_argument("-h", "--help", action="store_true", help="show this help")
        runs.set_defaults(run=_method, parser=runs)

    _add_ablate(verbs)
    convert = verbs.add_parser("convert", help="write other weights as ordinary Hugging Face checkpoints")
    kinds = convert.add_subparsers(dest="what", required=True, metavar="WHAT")
    demo = kinds.add_parser("demo-weights", help="the small real towers that the demo uses")
    demo.add_argument("--packages", type=Path, required=True, help="folder of the installed requirements-demo.txt")
    demo.add_argument("--output", type=Path, required=True, help="folder for vision/, text/ and language/")
    demo.set_defaults(run=_convert)
    open_clip = kinds.add_parser(
        "open-clip", help="a checkpoint in open_clip's format: RemoteCLIP, GeoRSCLIP, LAION's"
    )
    open_clip.add_argument("checkpoint", type=Path, help=".pt, .bin or .safetensors with the state dict")
    open_clip.add_argument("--output", type=Path, required=True, help="folder for the model and its processor")
    open_clip.add_argument(
        "--tokenizer", required=True, help="Hub id or folder of CLIP's tokenizer, or bpe_simple_vocab_16e6.txt.gz"
    )
    open_clip.add_argument("--quick-gelu", action="store_true", help="trained with OpenAI's approximation of GELU")
    open_clip.set_defaults(run=_convert_open_clip)

    _add_embed(verbs)
    _add_search(verbs)
    _add_export(verbs)
    for verb, text in (
        ("push", "upload a finished dataset or model folder with its card"),
        ("verify", "load what was pushed back in a fresh process and compare it with the folder"),
    ):
        hub = verbs.add_parser(verb, help=text)
        hub.add_argument("kind", choices=["dataset", "clip", "vlm"])
        hub.add_argument("folder", type=Path)
        hub.add_argument("repo_id", help="namespace/name on the Hub that HF_ENDPOINT names")
        if verb == "push":
            hub.add_argument("--private", action="store_true", help="create the repository private")
            hub.add_argument("--as-clip", action="store_true", help="a dual-modal CLIP as a plain CLIPModel")
            hub.add_argument("--base", help="for a VLM's adapter: repository of the base it belongs to, pushed before")
        hub.set_defaults(run=_push if verb == "push" else _verify)
    return parser


def _add_build(verbs: argparse._SubParsersAction) -> None:
    text = "build a dataset from a recipe: pairs, captions, groups, splits, Parquet"
    build = verbs.add_parser(
        "build",
        help=text,
        description=f"{text[0].upper()}{text[1:]}. An interrupted build is continued by the same command; the bytes "
        "are the same from one process, many, Ray or ranks.",
        usage="fusionrs build RECIPE OUT [options]\n"
        "       fusionrs build [RECIPE] OUT --publish {full,redacted,index}\n"
        "       fusionrs build [RECIPE] OUT --remove FILE [--date DAY]",
    )
    build.add_argument("recipe", type=Path, nargs="?", help="YAML recipe; dataset_builder/recipes has examples")
    build.add_argument("output", type=Path, help="folder of the dataset; a finished or interrupted build is continued")
    build.add_argument("--workers", type=int, help="processes, or actors of Ray (default: all processors)")
    build.add_argument("--engine", choices=["local", "ray"], default="local", help="of workers (default: local)")
    build.add_argument("--ray-address", metavar="A", help="of a running Ray whose nodes share the folders")
    build.add_argument(
        "--gpus-per-worker",
        type=float,
        default=0,
        metavar="N",
        help="with --engine ray: GPUs, or a part of one, for each worker that reads (default: 0)",
    )
    build.add_argument("--rank", type=int, metavar="R", help="read this share only, from 0 (Slurm: $SLURM_PROCID)")
    build.add_argument("--world-size", type=int, metavar="W", help="number of ranks (Slurm: $SLURM_NTASKS)")
    build.add_argument("--finish", action="store_true", help="when all ranks are done: group, split and write")
    build.add_argument(
        "--publish",
        metavar="LEVEL",
        help="write a copy that may be published to OUT/publish/LEVEL: full (all, or refuse), redacted (of each row "
        "what its rights allow) or index (no image, no caption)",
    )
    build.add_argument("--remove", type=Path, metavar="FILE", help="take rows down: a sample id a line, tab, reason")
    build.add_argument("--date", metavar="DAY", help="with --remove: YYYY-MM-DD for the tombstones (default: none)")
    build.add_argument("--timings", type=Path, metavar="FILE", help="JSON file for the seconds of each step and stage")
    build.set_defaults(run=_build)


def _add_caption(verbs: argparse._SubParsersAction) -> None:
    text = "write captions of the infrared, each checked against its image; or check those that are there"
    caption = verbs.add_parser(
        "caption",
        help=text,
        description=f"{text[0].upper()}{text[1:]}. An interrupted run is continued by the same command.",
        usage="fusionrs caption DATASET OUT [options]\n       fusionrs caption --check DATASET [--report FILE]",
    )
    caption.add_argument("dataset", help="folder with data/{split}-*.parquet, or a Hub dataset id; stays as it is")
    caption.add_argument("output", type=Path, nargs="?", help="folder for the dataset with its new captions")
    caption.add_argument("--check", action="store_true", help="score the captions that are there; writes no dataset")
    caption.add_argument("--report", type=Path, help="with --check: JSON file for the scores")
    caption.add_argument("--captioner", metavar="{grounded,endpoint,local}", help="who writes (default: grounded)")
    caption.add_argument("--config", type=Path, help="YAML: a build recipe with `caption`, or the keys of `caption`")
    caption.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of the captioner, such as base_url=http://localhost:8000/v1 or model=NAME; may be repeated",
    )
    caption.add_argument("--repairs", type=int, help="how often a rejected caption is asked for again (default: 0)")
    caption.add_argument("--seed", type=int, help="of the captioner's random choices (default: 0)")
    caption.add_argument("--workers", type=int, help="processes (default: all processors; 1 where a model is asked)")
    caption.add_argument("--retry", action="store_true", help="ask again for rows that got no answer")
    caption.set_defaults(run=_caption)


def _add_audit(verbs: argparse._SubParsersAction) -> None:
    text = "check a built dataset anew, by other means than the build's; find what it shares with other datasets"
    audit = verbs.add_parser(
        "audit",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"Exit code 0: nothing crosses the splits and no check failed; {EXIT_FAULTY}: something does; 2: the "
        "input is at fault. What is shared with others changes it only with --fail-on-contamination.",
    )
    audit.add_argument("dataset", help="folder with data/{split}-*.parquet, or a Hub dataset id; stays as it is")
    audit.add_argument(
        "--against",
        metavar="OTHER",
        nargs="+",
        action="extend",
        default=[],
        help="compare with these: a dataset folder or Hub id, Parquet, a folder of images, a recipe (its sources)",
    )
    audit.add_argument("--radius", type=int, help="bits of 64 in which near images may differ (default: the build's)")
    audit.add_argument("--flips", action="store_true", help="with --against: also find flipped and turned images")
    audit.add_argument(
        "--full",
        action=argparse.BooleanOptionalAction,
        help="compare all pairs, not those across splits alone: checks the groups (default: up to a million rows)",
    )
    audit.add_argument("--report", type=Path, help="JSON file for all that was found")
    audit.add_argument("--workers", type=int, help="processes and threads (default: all processors)")
    audit.add_argument(
        "--fail-on-contamination", action="store_true", help=f"exit code {EXIT_FAULTY} if --against shares anything"
    )
    audit.set_defaults(run=_audit)


def _add_ablate(verbs: argparse._SubParsersAction) -> None:
    text = "train a matrix of CLIP recipes and seeds, compare them on validation rows, and test the best once"
    ablate = verbs.add_parser("ablate", help=text, description=f"{text[0].upper()}{text[1:]}.")
    ablate.add_argument("recipes", type=Path, nargs="+", help="recipes of `fusionrs train clip`")
    ablate.add_argument("--output", type=Path, required=True, help="folder for the runs and the tables")
    ablate.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... of each recipe (default: 3)")
    ablate.add_argument(
        "--over", type=Path, action="append", default=[], help="file of fields laid over every recipe; repeatable"
    )
    ablate.add_argument("--against", default="trimodal", help="recipe to compare with (default: trimodal)")
    ablate.add_argument("--also", nargs="+", default=[], metavar="NAME", help="recipes to test besides")
    ablate.add_argument("--workers", type=int, default=1, help="runs side by side (default: 1)")
    ablate.set_defaults(run=_ablate)


def _add_embed(verbs: argparse._SubParsersAction) -> None:
    text = "embed a dataset, the rows of a recipe or a scene into an index to search"
    embed = verbs.add_parser(
        "embed",
        help=text,
        description=f"{text[0].upper()}{text[1:]}. An interrupted run is continued by the same command.",
        usage="fusionrs embed DATASET --model MODEL --output INDEX [options]\n"
        "       fusionrs embed SCENE.tif --tile 256 --stride 128 --model MODEL --output INDEX [options]",
    )
    embed.add_argument("given", metavar="DATASET", help="dataset folder, Hub id, GeoTIFF, or recipe (its sources)")
    embed.add_argument("--model", required=True, help="folder or Hub id of a dual-modal or plain CLIP")
    embed.add_argument("--output", type=Path, required=True, metavar="INDEX", help="folder of the index")
    embed.add_argument("--split", default="train,validation,test", help="splits of a dataset, by comma (default: all)")
    embed.add_argument("--modalities", default="rgb,ir,fused,text", help="by comma (default: %(default)s)")
    embed.add_argument("--batch-size", type=int, default=64, help="rows at a time (default: %(default)s)")
    embed.add_argument("--dtype", default="float32", metavar="{float32,float16}", help="of the stored embeddings")
    embed.add_argument("--bf16", action="store_true", help="compute in bfloat16")
    embed.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU where there is one)")
    embed.add_argument("--factory", default="Flat", help="FAISS index, such as IVF1024,Flat (default: Flat, exact)")
    embed.add_argument(
        "--ir-range",
        action="append",
        default=[],
        metavar="BAND=LOW,HIGH",
        help="limits of a band's infrared above 8 bit (default: the model's processor's); may be repeated",
    )
    embed.add_argument("--tile", type=int, help="side of a scene's tiles, in pixels (default: 256)")
    embed.add_argument("--stride", type=int, help="pixels from tile to tile (default: the side)")
    embed.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help='field of a scene, as in a recipe: "bands={red: 3, green: 2, blue: 1, nir: 4}"; may be repeated',
    )
    embed.set_defaults(run=_embed)


def _add_search(verbs: argparse._SubParsersAction) -> None:
    text = "find the rows of an index nearest to a text, an RGB image, an infrared image, or a pair"
    search = verbs.add_parser("search", help=text, description=f"{text[0].upper()}{text[1:]}.")
    search.add_argument("index", type=Path, metavar="INDEX", help="folder that `fusionrs embed` wrote")
    search.add_argument("--text", help="what to look for, in words")
    search.add_argument("--rgb", type=Path, metavar="FILE", help="RGB image to look for")
    search.add_argument("--ir", type=Path, metavar="FILE", help="infrared image; with --rgb the pair is fused")
    search.add_argument("--ir-band", help="band of --ir, and of the rows to find (default: any)")
    search.add_argument("--in", dest="gallery", metavar="{rgb,ir,fused,text}", help="searched embeddings")
    search.add_argument("--k", type=int, default=10, help="how many (default: %(default)s)")
    search.add_argument("--geojson", type=Path, metavar="OUT", help="footprints of what is found, WGS 84")
    search.add_argument("--sheet", type=Path, metavar="OUT", help="PNG with the images found")
    search.add_argument("--json", action="store_true", help="print JSON, not a table")
    search.add_argument("--model", help="the index's model, where it has moved")
    search.add_argument("--dataset", help="the index's dataset or scene, where it has moved; for --sheet")
    search.set_defaults(run=_search)


def _add_export(verbs: argparse._SubParsersAction) -> None:
    export = verbs.add_parser("export", help="write a model's encoders for other runtimes, checked against torch")
    export.add_argument("kind", choices=["clip"])
    export.add_argument("model", metavar="MODEL", help="folder or Hub id of a dual-modal or plain CLIP")
    export.add_argument("output", type=Path, metavar="OUT", help="new folder")
    export.add_argument("--format", choices=["onnx"], default="onnx", help="(default: %(default)s)")
    export.set_defaults(run=_export)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb; input at fault gives one line on stderr and exit code 2."""
    arguments = make_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line a request
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        check_packages()
        code = arguments.run(arguments)
    except (InputError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command continues", file=sys.stderr)
        return 130
    return code or 0


def check_packages() -> None:
    """Raises InputError where a top-level package of ours is hidden by another distribution's."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        if found is None or Path(found.origin).resolve().parent.parent != home:
            where = found.origin if found else "nowhere"
            raise InputError(
                f"package {name!r} is not ours: found {where}, expected {home / name}; "
                "install fusionrs-hf in an environment of its own"
            )


def _build(arguments: argparse.Namespace) -> None:
    names = ("engine", "ray_address", "gpus_per_worker", "rank", "world_size", "finish")
    launch = importlib.import_module("dataset_builder.engine.tasks").Launch(
        **{n: getattr(arguments, n) for n in names}
    )
    recipe, out, workers = None, arguments.output, arguments.workers
    if arguments.recipe is not None:
        recipe = importlib.import_module("dataset_builder.recipe").BuildRecipe.from_yaml(arguments.recipe)
    elif not (arguments.publish or arguments.remove):
        raise InputError("give RECIPE and OUT; OUT alone goes with --publish or --remove")
    if arguments.date and not arguments.remove:
        raise InputError("--date goes with --remove")
    if arguments.remove:
        ids = importlib.import_module("dataset_builder.rights.tombstones").read_ids(arguments.remove)
        importlib.import_module("dataset_builder.publish.takedown").remove(out, ids, arguments.date, recipe, workers)
    elif recipe is not None:
        if launch.rank is not None and arguments.publish:
            raise InputError("a rank reads its share only; --publish goes with --finish, when all have read")
        importlib.import_module("dataset_builder.pipeline").build(recipe, out, workers, launch, arguments.timings)
    if arguments.publish:
        importlib.import_module("dataset_builder.publish.copies").publish(out, arguments.publish, workers)


def _caption(arguments: argparse.Namespace) -> None:
    recipe, ir_range = importlib.import_module("dataset_builder.recipe").read_caption_recipe(
        arguments.config,
        captioner=arguments.captioner,
        seed=arguments.seed,
        repairs=arguments.repairs,
        options=dict(map(_option, arguments.option)),
    )
    shared = {"ir_range": ir_range, "workers": arguments.workers}
    if arguments.check:
        if arguments.output is not None or arguments.retry:
            raise InputError(
                "--check writes no dataset: leave OUT and --retry out; --report names a file for the scores"
            )
        check = importlib.import_module("dataset_builder.caption_check")
        print(
            check.check_table(
                check.check_captions(arguments.dataset, rules=recipe.rules, report=arguments.report, **shared)
            )
        )
        return
    if arguments.output is None or arguments.report is not None:
        raise InputError("give OUT, a folder for the captioned dataset; --report goes with --check only")
    rewrite = importlib.import_module("dataset_builder.recaption")
    rewrite.caption_dataset(arguments.dataset, arguments.output, recipe, retry=arguments.retry, **shared)


def _audit(arguments: argparse.Namespace) -> int:
    audit = importlib.import_module("dataset_builder.audit")
    names = ("dataset", "against", "radius", "flips", "full", "workers", "report")
    report = audit.audit(**{name: getattr(arguments, name) for name in names})
    print(audit.audit_table(report))
    faulty = not report.clean or (arguments.fail_on_contamination and report.contaminated)
    return EXIT_FAULTY if faulty else 0


def _option(text: str) -> tuple[str, object]:
    import yaml

    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"--option {text!r} must be KEY=VALUE, such as model=NAME")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        return name, value


def _method(arguments: argparse.Namespace) -> None:
    if arguments.help or arguments.method is None:
        arguments.parser.print_help()
        return
    run: Callable = importlib.import_module(METHODS[arguments.verb][arguments.method]).main
    run(arguments.options)


def _ablate(arguments: argparse.Namespace) -> None:
    given = {name: value for name, value in vars(arguments).items() if name not in ("verb", "run")}
    importlib.import_module("training.ablate").ablate(**given)


def _convert(arguments: argparse.Namespace) -> None:
    importlib.import_module("fusionrs_hf.convert_demo").convert_demo_weights(arguments.packages, arguments.output)


def _convert_open_clip(arguments: argparse.Namespace) -> None:
    importlib.import_module("fusionrs_hf.convert_open_clip").convert_open_clip(
        arguments.checkpoint, arguments.output, arguments.tokenizer, arguments.quick_gelu
    )


def _embed(arguments: argparse.Namespace) -> None:
    scene = {"tile_px": arguments.tile, "stride_px": arguments.stride, **dict(map(_option, arguments.option))}
    scene = {name: value for name, value in scene.items() if value is not None}
    read_recipe = importlib.import_module("dataset_builder.recipe").BuildRecipe.from_yaml
    open_source = importlib.import_module("dataset_builder.sources").open_source
    print(importlib.import_module("dataset_builder.search.verbs").embed(arguments, scene, read_recipe, open_source))


def _search(arguments: argparse.Namespace) -> None:
    open_source = importlib.import_module("dataset_builder.sources").open_source
    print(importlib.import_module("dataset_builder.search.verbs").search(arguments, open_source))


def _export(arguments: argparse.Namespace) -> None:
    errors = importlib.import_module("fusionrs_hf.export").export_onnx(arguments.model, arguments.output)
    for name, error in errors.items():
        print(f"{arguments.output / name}: largest difference from torch {error:.1e}")


def _push(arguments: argparse.Namespace) -> None:
    release = importlib.import_module("training.release.door")
    print(
        release.push(
            arguments.kind,
            arguments.folder,
            arguments.repo_id,
            arguments.private,
            arguments.base,
            arguments.as_clip,
        )
    )


def _verify(arguments: argparse.Namespace) -> None:
    report = importlib.import_module("training.release.verify").verify(
        arguments.kind, arguments.folder, arguments.repo_id
    )
    print(json.dumps(dataclasses.asdict(report), indent=1))
    if report.differences:
        raise InputError(
            f"{report.repo_id} differs from {arguments.folder} in {len(report.differences)} facts; push again"
        )


if __name__ == "__main__":
    sys.exit(main())
