"""`fusionrs build`, `caption`, `translate` and `audit`: of each verb its arguments and its call, side by side.

Imports argparse alone: what a verb needs is imported when it runs, so that help answers at once.
"""

import argparse

from fusionrs_hf.arguments import file_to_write, number, path, whole
from fusionrs_hf.errors import InputError, shown

MOST_WORKERS = 4_096
EXIT_FAULTY = 3  # of `audit`: what was asked is answered, and the answer is bad


def add_build(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs build`."""
    parser.usage = (
        "fusionrs build RECIPE OUT [options]\n"
        "       fusionrs build [RECIPE] OUT --publish {full,redacted,index}\n"
        "       fusionrs build [RECIPE] OUT --remove FILE [--date DAY]"
    )
    parser.description += (
        " An interrupted build is continued by the same command; the bytes are the same from one process, many, Ray "
        "or ranks."
    )
    add = parser.add_argument
    add("recipe", type=path, nargs="?", help="YAML recipe; dataset_builder/recipes has examples")
    add("output", type=path, help="folder of the dataset; a finished or interrupted build is continued")
    add("--workers", type=whole(1, MOST_WORKERS), help="processes, or actors of Ray (default: all processors)")
    add("--engine", choices=["local", "ray"], default="local", help="of workers (default: local)")
    add("--ray-address", metavar="A", help="of a running Ray whose nodes share the folders")
    add(
        "--gpus-per-worker",
        type=number(0, MOST_WORKERS),
        default=0,
        metavar="N",
        help="with --engine ray: GPUs, or a part of one, for each worker that reads (default: 0)",
    )
    add("--rank", type=whole(), metavar="R", help="read this share only, from 0 (Slurm: $SLURM_PROCID)")
    add("--world-size", type=whole(1), metavar="W", help="number of ranks (Slurm: $SLURM_NTASKS)")
    add("--finish", action="store_true", help="when all ranks are done: group, split and write")
    add(
        "--publish",
        metavar="LEVEL",
        help="write a copy that may be published to OUT/publish/LEVEL: full (all, or refuse), redacted (of each row "
        "what its rights allow) or index (no image, no caption)",
    )
    add("--remove", type=path, metavar="FILE", help="take rows down: a sample id a line, tab, reason")
    add("--date", metavar="DAY", help="with --remove: YYYY-MM-DD for the tombstones (default: none)")
    add("--overwrite", action="store_true", help="replace another build in OUT: the files that it wrote, no others")
    add("--dry-run", action="store_true", help="count the rows of each source, estimate time and disk; write nothing")
    add("--timings", type=file_to_write, metavar="FILE", help="JSON file for the seconds of each step and stage")
    parser.set_defaults(run=build)


def build(arguments: argparse.Namespace) -> None:
    """Builds, takes rows down, or publishes, as the arguments say.

    Raises:
        InputError: Options that do not go together, or as of what they ask for.
    """
    from dataset_builder.building.forecast import announce, forecast
    from dataset_builder.engine.tasks import Launch
    from dataset_builder.pipeline import build as build_dataset
    from dataset_builder.publish.copies import publish_dataset
    from dataset_builder.publish.takedown import remove
    from dataset_builder.recipe import load_recipe
    from dataset_builder.rights.tombstones import read_ids

    names = ("engine", "ray_address", "gpus_per_worker", "rank", "world_size", "finish")
    launch = Launch(**{name: getattr(arguments, name) for name in names})
    recipe, out, workers = None, arguments.output, arguments.workers
    if arguments.recipe is not None:
        recipe = load_recipe(arguments.recipe)
    elif not (arguments.publish or arguments.remove):
        raise InputError("give RECIPE and OUT; OUT alone goes with --publish or --remove")
    if arguments.date and not arguments.remove:
        raise InputError("--date goes with --remove")
    if arguments.overwrite and (arguments.remove or recipe is None):
        raise InputError("--overwrite goes with RECIPE and OUT, to build anew")
    if arguments.dry_run:
        if recipe is None or arguments.remove or arguments.publish or arguments.overwrite:
            raise InputError("--dry-run goes with RECIPE and OUT, and nothing that writes")
        print("\n".join(forecast(recipe, out, workers)))
        return
    if arguments.remove:
        remove(out, read_ids(arguments.remove), arguments.date, recipe, workers)
    elif recipe is not None:
        if launch.rank is not None and arguments.publish:
            raise InputError("a rank reads its share only; --publish goes with --finish, when all have read")
        if launch == Launch() and not out.exists():
            announce(recipe, out, workers)
        build_dataset(recipe, out, workers, launch, arguments.timings, arguments.overwrite)
    if arguments.publish:
        publish_dataset(out, arguments.publish, workers)


def add_caption(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs caption`."""
    parser.usage = "fusionrs caption DATASET OUT [options]\n       fusionrs caption --check DATASET [--report FILE]"
    parser.description += " An interrupted run is continued by the same command."
    add = parser.add_argument
    add("dataset", help="folder with data/{split}-*.parquet, or a Hub dataset id; stays as it is")
    add("output", type=path, nargs="?", help="folder for the dataset with its new captions")
    add("--check", action="store_true", help="score the captions that are there; writes no dataset")
    add("--report", type=file_to_write, help="with --check: JSON file for the scores")
    add("--captioner", metavar="{grounded,endpoint,local}", help="who writes (default: grounded)")
    add("--config", type=path, help="YAML: a build recipe with `caption`, or the keys of `caption`")
    add(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of the captioner, such as base_url=http://localhost:8000/v1 or model=NAME; may be repeated",
    )
    add("--repairs", type=whole(0, 100), help="how often a rejected caption is asked for again (default: 0)")
    add("--seed", type=whole(0, 2**32 - 1), help="of the captioner's random choices (default: 0)")
    add("--workers", type=whole(1, MOST_WORKERS), help="processes (default: all processors; 1 where a model is asked)")
    add("--retry", action="store_true", help="ask again for rows that got no answer")
    add("--overwrite", action="store_true", help="replace other captions in OUT: the files they wrote, no others")
    parser.set_defaults(run=caption)


def caption(arguments: argparse.Namespace) -> None:
    """Writes captions, or prints the scores of those that are there.

    Raises:
        InputError: Options that do not go together, or as of what they ask for.
    """
    from dataset_builder.caption_check import check_captions, check_table
    from dataset_builder.recaption import caption_dataset
    from dataset_builder.recipe import read_caption_recipe

    recipe, ir_range = read_caption_recipe(
        arguments.config,
        captioner=arguments.captioner,
        seed=arguments.seed,
        repairs=arguments.repairs,
        options=dict(map(parse_option, arguments.option)),
    )
    shared = {"ir_range": ir_range, "workers": arguments.workers}
    if arguments.check:
        if arguments.output is not None or arguments.retry or arguments.overwrite:
            raise InputError(
                "--check writes no dataset: leave OUT, --retry and --overwrite out; --report names a file for the "
                "scores"
            )
        print(check_table(check_captions(arguments.dataset, rules=recipe.rules, report=arguments.report, **shared)))
        return
    if arguments.output is None or arguments.report is not None:
        raise InputError("give OUT, a folder for the captioned dataset; --report goes with --check only")
    shared |= {"retry": arguments.retry, "overwrite": arguments.overwrite}
    caption_dataset(arguments.dataset, arguments.output, recipe, **shared)


def add_translate(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs translate`."""
    parser.description += " An interrupted run is continued by the same command."
    add = parser.add_argument
    add("source", type=path, help="folder of RGB images, a GeoTIFF, or folder of a dataset; stays as it is")
    add("output", type=path, help="folder for the infrared-style images and translations.jsonl")
    add("--band", default="nir", help="nir, swir or, where the scene is known, lwir (default: nir)")
    add("--model", help="folder or Hub id of a translator (default: the one that ships)")
    add("--revision", help="of a Hub id")
    add("--condition", default="unknown", help="scene of the model in whose stretch the images are shown")
    add("--trust", action="store_true", help="keep the width of the interval at each pixel, below trust/")
    add("--batch-size", type=whole(1, 100_000), default=16, help="parts of images in a step (default: 16)")
    add("--rgb", type=whole(1, 65_535), nargs=3, metavar="N", help="of a raster: its red, green and blue band, from 1")
    add("--reflectance", metavar="{toa,surface,raw}", help="of a raster: its values are reflectance, not display")
    add(
        "--scale",
        type=number(),
        help="with --reflectance: times values, plus offset: reflectance times 10,000",
    )
    add("--offset", type=number(), help="see --scale (default: as the file says)")
    parser.set_defaults(run=translate)


def translate(arguments: argparse.Namespace) -> None:
    """Translates images or a raster; raises InputError as of what it asks for."""
    from dataset_builder.translate import TranslateOptions
    from dataset_builder.translate import translate as translate_images
    from dataset_builder.translators.rasters import RasterOptions

    rgb = None if arguments.rgb is None else tuple(arguments.rgb)
    raster = RasterOptions(rgb, arguments.reflectance, arguments.scale, arguments.offset)
    names = ("band", "model", "revision", "condition", "trust", "batch_size")
    options = TranslateOptions(**{name: getattr(arguments, name) for name in names}, raster=raster)
    translate_images(arguments.source, arguments.output, options)


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs inspect`."""
    parser.epilog = "fusionrs inspect MINE > mine.yaml && fusionrs build mine.yaml OUT"
    parser.add_argument("place", type=path, help="GeoTIFF, tar or table, or a folder of bands, images, tars or tables")
    parser.set_defaults(run=inspect)


def inspect(arguments: argparse.Namespace) -> None:
    """Prints what there is as comments, and below them the recipe; raises InputError where there is nothing."""
    from dataset_builder.inspecting.verb import inspect_place

    print(inspect_place(arguments.place).text(), end="")


def add_audit(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fusionrs audit`."""
    parser.epilog = (
        f"Exit code 0: nothing crosses the splits and no check failed; {EXIT_FAULTY}: something does; 2: the input is "
        "at fault. What is shared with others changes it only with --fail-on-contamination."
    )
    add = parser.add_argument
    add("dataset", help="folder with data/{split}-*.parquet, or a Hub dataset id; stays as it is")
    add(
        "--against",
        metavar="OTHER",
        nargs="+",
        action="extend",
        default=[],
        help="compare with these: a dataset folder or Hub id, Parquet, a folder of images, a recipe (its sources)",
    )
    add("--radius", type=whole(0, 64), help="bits of 64 in which near images may differ (default: the build's)")
    add("--flips", action="store_true", help="with --against: also find flipped and turned images")
    add(
        "--full",
        action=argparse.BooleanOptionalAction,
        help="compare all pairs, not those across splits alone: checks the groups (default: up to a million rows)",
    )
    add("--report", type=file_to_write, help="JSON file for all that was found")
    add("--workers", type=whole(1, MOST_WORKERS), help="processes and threads (default: all processors)")
    add("--fail-on-contamination", action="store_true", help=f"exit code {EXIT_FAULTY} if --against shares anything")
    parser.set_defaults(run=audit)


def audit(arguments: argparse.Namespace) -> int:
    """Prints what an audit found; returns the exit code."""
    from dataset_builder.audit.report import audit_table
    from dataset_builder.audit.verb import audit_dataset

    names = ("dataset", "against", "radius", "flips", "full", "workers", "report")
    report = audit_dataset(**{name: getattr(arguments, name) for name in names})
    print(audit_table(report))
    faulty = not report.clean or (arguments.fail_on_contamination and report.contaminated)
    return EXIT_FAULTY if faulty else 0


def parse_option(text: str) -> tuple[str, object]:
    """Returns name and value of `KEY=VALUE`, the value read as YAML; raises InputError for anything else."""
    from fusionrs_hf.bounded_yaml import NotYamlError, parse_yaml

    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"--option {shown(text)} must be KEY=VALUE, such as model=NAME")
    try:
        return name, parse_yaml(value, f"--option {shown(name)}")
    except NotYamlError:
        return name, value
