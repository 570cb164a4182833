"""A build from plan to report: read all shards, group and split their rows, write them.

    sources/ -> building/reading.py     `make_stages` lists the stages that each row passes, with their folders
             -> building/merging.py     all rows meet for the first time: groups and splits, of groups/
             -> building/writing.py     Parquet by split and their counts, of shards/
             -> card/                   the report as people and search engines read it

Each row ends either in `data/` or, with its reason, in `quarantine/`; the output is a function of the recipe, the
inputs and this code alone, whatever the number of workers and however often a build was killed.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from dataset_builder.building.auto_range import settled_range
from dataset_builder.building.identity import fingerprint, finished_report, identity_of
from dataset_builder.building.input_states import STATES, unchanged, write_states
from dataset_builder.building.inputs import LISTING, Entry, entries
from dataset_builder.building.merging import Merged, forced_ids, merge
from dataset_builder.building.policy import is_kept, keep_policy
from dataset_builder.building.reading import ReadWorker, Stage, caption_stage, decoding_by, make_stages
from dataset_builder.building.reporting import by_reason, folder_bytes, total_results
from dataset_builder.building.timing import Clock, timings, timings_line
from dataset_builder.building.work_folder import (
    LIGHT,
    TASKS,
    WORK,
    at_work,
    is_begun,
    last_world_size,
    read_files,
    start,
)
from dataset_builder.building.writing import WriteWorker
from dataset_builder.captioning.funnel import left_without, merged_report
from dataset_builder.card.croissant import write_croissant
from dataset_builder.card.readme import write_dataset_card
from dataset_builder.engine.run import run_tasks
from dataset_builder.engine.tasks import Launch, TaskFile, finished, result_file, results
from dataset_builder.recipe import BuildRecipe
from dataset_builder.rights.table import read_policy
from dataset_builder.rights.tombstones import excluded_ids
from dataset_builder.shards.counts import sizes_by_split, total_counts
from dataset_builder.shards.lines import REJECTED, join_lines, rejected_file
from dataset_builder.shards.opening import reading_all
from dataset_builder.shards.report import BuildReport, former_manifest
from dataset_builder.sources import Source, open_source
from dataset_builder.sources.repository import RepositorySource
from dataset_builder.sources.scene import SceneSource
from fusionrs_hf import __version__
from fusionrs_hf.atomic import atomic_path, write_json
from fusionrs_hf.errors import InputError
from fusionrs_hf.output_folder import OutputFolder, manifest_of, reading, writing
from fusionrs_hf.stops import stops_in_a_line

__all__ = ["BuildRecipe", "BuildReport", "build"]

logger = logging.getLogger(__name__)

REMEDIES = {  # where no row is kept
    "ir_unit_contradicted": "declare the right `ir_unit` (dn: none), or filters: {ir_unit_contradicted: false}",
    "ir_missing": "give the recipe `translate`, such as {translator: radiometric, band: nir}, or pairs with infrared",
    "ir_range_missing": "give the recipe `ir_range`, such as {lwir: [low, high]} in the infrared's unit",
}
LATE = ("pandas", "scipy.fft")  # what Arrow and the stages import when they first need it
HERE = Launch()


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of `build`: what to do, and how."""

    recipe: BuildRecipe
    stages: list[Stage]
    sources: list[Source]
    out: Path
    workers: int | None
    launch: Launch
    clock: Clock = field(default_factory=Clock)

    @property
    def work(self) -> Path:
        return self.out / WORK

    def inputs(self) -> Iterator[tuple[Entry, Path, str]]:
        recipe = self.recipe
        return entries(recipe.sources, self.sources, recipe.base, recipe.named(), self.out)

    def modules(self) -> list[str]:
        """Returns what the workers, of both kinds, import."""
        parts = (ReadWorker, WriteWorker, *self.stages, *self.sources)
        return sorted({*LATE, *(part.__module__ for part in parts)})


def build(
    recipe: BuildRecipe,
    out: Path | str,
    workers: int | None = None,
    launch: Launch = HERE,
    timings_file: Path | None = None,
    overwrite: bool = False,
) -> BuildReport | None:
    """Builds the dataset that a recipe describes, or continues a build that was interrupted.

    Args:
        recipe: What to read and how.
        out: Folder for `README.md`, `data/`, `quarantine/`, `croissant.json`, `build_report.json` and the list of the
            inputs. Where it already holds this very build, nothing is done. While a build runs, `.work` in it holds
            all images once more.
        workers: Processes, or actors of Ray; None: one per CPU, but one process where a model is asked for captions.
        launch: Where the work is done, and which part of it; the output does not depend on it.
        timings_file: JSON file for the seconds of each step, and for each row by stage.
        overwrite: Replace what another build left in `out`, the files that it wrote and no others; this build, if it
            was interrupted, is continued.

    Returns:
        The report; None where this process is one rank of several: it has read its share.

    Raises:
        InputError: A source cannot be opened, no row was kept, `out` holds something else or cannot be written, or is
            to be finished before all is read.
        ChildProcessError: A worker process died; the same call continues.
    """
    out, recipe = Path(out).absolute(), replace(recipe, base=Path(recipe.base).absolute())
    stages = make_stages(replace(recipe, ir_range={}))  # an unknown part is known before anything is read
    policy, _ = recipe.file("rights_policy"), excluded_ids(recipe.file("exclude"))
    if policy is not None:
        read_policy(policy)  # as the stages: what a file says is known to be sound before the work
    forced_ids(recipe)  # so is a list that cannot be read
    sources = [open_source(spec, recipe.base) for spec in recipe.sources]
    _check_overlaps(recipe, sources)
    recipe = settled_range(recipe, sources)
    stages = decoding_by(recipe, stages)
    run = _Run(recipe, stages, sources, out, workers, launch)
    held = [source.folder for source in sources if isinstance(source, RepositorySource) and source.folder]
    with stops_in_a_line(out, "build"), reading_all(held), TemporaryDirectory(prefix="fusionrs-") as scratch:
        identity, listing = _identity(run, Path(scratch) / LISTING)
        if not overwrite and (report := _finished(run, identity, listing, policy)) is not None:
            return report
        begin = partial(_begin, run, identity, listing, overwrite)
        with at_work(out, begin, launch.rank, launch.world_size) as output:
            done = output is not None and output.has("build_report.json")
            if not done or (report := finished_report(out, identity, listing)) is None:
                with run.clock("read"), _inputs_held(run, output):
                    tasks = _read(run)
                if launch.rank is not None:
                    return None
                report = _finish(run, output, identity, len(tasks), timings_file)
            keep_policy(policy, output)
            output.delete(output.listed(WORK))
            output.finish()
    return report


def _check_overlaps(recipe: BuildRecipe, sources: Sequence[Source]) -> None:
    """Refuses scenes whose neighbouring tiles would share pixels across splits: half an overlap joins no groups."""
    drawn = recipe.splits.by == "hash"
    for source in sources if recipe.splits.validation or recipe.splits.test else ():
        if isinstance(source, SceneSource) and source.shares_pixels(drawn):
            raise InputError(
                f"tiles of scene {source.name} overlap and their splits are drawn, so that neighbours would share "
                "pixels across splits; give regions with a split each and splits by source, or leave stride_px out"
            )


def _identity(run: _Run, listing: Path) -> tuple[dict, Path]:
    """Returns what the output is a function of, and where the list of the inputs is now."""
    manifest_of(run.out, "build", former_manifest)
    recipe = run.recipe
    with run.clock("plan"):
        identity = identity_of(
            recipe.echo(),
            run.out,
            named=recipe.named(),
            sources=recipe.sources,
            base=recipe.base,
            readers=run.sources,
            listing=listing,
        )
    return identity, listing


def _finished(run: _Run, identity: dict, listing: Path, policy: Path | None) -> BuildReport | None:
    """Returns the report of a build that is done; nothing is written but a policy that has changed."""
    manifest = manifest_of(run.out, "build", former_manifest)
    if manifest is None or not manifest.finished:
        return None
    with reading(run.out):
        report, kept = finished_report(run.out, identity, listing), is_kept(policy, run.out, manifest)
    if report is None:
        raise InputError(f"{run.out} was finished, but build_report.json is gone; give --overwrite to build anew")
    if not kept:
        with writing(run.out, "build", former=former_manifest) as output:
            keep_policy(policy, output)
    since = f" at version {report.version}, {report.removed} rows removed since," if report.removed else ""
    logger.info("%s already holds this build%s (%s rows); nothing to do", run.out, since, report.rows_kept)
    return report


def _begin(run: _Run, identity: dict, listing: Path, overwrite: bool, output: OutputFolder | None) -> None:
    """Leaves the work folder with the tasks in it, or finds it, or a build that is done."""

    def prepare(work: Path) -> Iterable[str]:
        if run.launch.finish:
            raise InputError(f"nothing was read for {run.out} yet; build with --rank and --world-size first")
        write_states(work / STATES, listing, run.inputs)  # before what a source reads to find its shards
        tasks = ((number, shard) for number, source in enumerate(run.sources) for shard in source.shards())
        TaskFile.write(work / TASKS, ((index, *task) for index, task in enumerate(tasks)))
        shutil.copyfile(listing, work / LISTING)
        return [*read_files(len(TaskFile(work / TASKS))), LIGHT]

    with run.clock("plan"):
        if output is not None and overwrite and not is_begun(output, identity):
            output.make_way()
        if output is None or not output.has("build_report.json"):
            start(output or run.out, identity, prepare, listing, (TASKS, LISTING, STATES))


def _inputs_held(run: _Run, output: OutputFolder | None) -> AbstractContextManager:
    """Refuses inputs that change while the block reads; of several ranks, the last looks at what all have read."""
    if run.launch.rank is not None:
        return nullcontext()
    return unchanged(run.work / STATES, run.inputs, output.discard)


def _read(run: _Run) -> TaskFile:
    """Does the tasks of this process; returns the plan."""
    tasks, manifest, launch = TaskFile(run.work / TASKS), run.work / "read", run.launch
    done = finished(manifest)
    if launch.finish and len(done) < len(tasks):
        world = last_world_size(run.work)
        ranks = sorted({index % world for index in range(len(tasks)) if index not in done})
        raise InputError(
            f"{len(tasks) - len(done)} of {len(tasks)} shards of {run.out} are not read yet, of "
            f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))} in a world of {world}; run those again"
        )
    workers, asked = run.workers, run.recipe.caption and run.recipe.caption.captioner != "grounded"
    if workers is None and launch.engine == "local" and asked:
        workers = 1
    here = run.stages if workers == 1 and launch.engine == "local" else None  # a model is not loaded twice
    make_worker = partial(ReadWorker, run.recipe, run.sources, run.work, here)
    run_tasks(tasks, make_worker, workers, manifest, "reading", launch, modules=run.modules())
    if launch.rank is not None:
        logger.info("rank %d of %d has read its share; --finish when all have", launch.rank, launch.world_size)
    return tasks


def _finish(run: _Run, output: OutputFolder, identity: dict, shards: int, timings_file: Path | None) -> BuildReport:
    """Joins what was read to groups and splits, and writes it; the report comes last."""
    out, work, clock = run.out, run.work, run.clock
    with clock("merge"):
        rows_read, left_out, reasons, seconds = total_results(results(work / "read", shards))
        merged = merge(work, shards, run.recipe, lambda names: output.claim(f"{WORK}/plan/{name}" for name in names))
        reasons += merged.reasons
    if not merged.kept:
        output.discard()
        remedy = next((words for reason, words in REMEDIES.items() if reasons[reason]), "check sources and filters")
        raise InputError(f"none of {rows_read} rows was kept ({by_reason(reasons)}); {remedy}")
    with clock("write"):
        output.refuse_strays("data")
        output.claim([*merged.outputs, *(f"{WORK}/write/{result_file(n)}" for n in range(len(merged.outputs)))])
        make_worker = partial(WriteWorker, work, out, run.recipe.ir_range)
        launch = replace(run.launch, gpus_per_worker=0)
        run_tasks(merged.outputs, make_worker, run.workers, work / "write", "writing", launch, modules=run.modules())
        files = list(results(work / "write", len(merged.outputs)))
    with clock("report"):
        output.claim(["README.md", "croissant.json", LISTING, REJECTED, "build_report.json"])
        report = _report(run, identity, rows_read, merged, reasons, files)
        if (stage := caption_stage(run.stages)) is not None:
            funnels = (result["captions"] for result in results(work / "read", shards))
            report.captions.update(merged_report(stage, funnels))
            lines = join_lines([rejected_file(work, f"{index:06d}") for index in range(shards)], out / REJECTED)
            report.files.update({REJECTED: lines} if lines else {})
        output.delete({REJECTED} - {*report.files})
        write_dataset_card(out, report)
        write_croissant(out, report)
        with atomic_path(out / LISTING) as temporary:
            shutil.copyfile(work / LISTING, temporary)
        write_json(out / "build_report.json", report.as_dict())  # last: it says that the build is whole
    sizes = {"work": folder_bytes(work), "written": sum(file["bytes"] for file in files)}
    spent = timings(clock.seconds, seconds, rows_read, sizes)
    logger.info(
        "%d rows read, %d kept, %d quarantined (%s)", rows_read, merged.kept, reasons.total(), by_reason(reasons)
    )
    if left_out:
        logger.info("captions left out of rows that stay: %d caption_too_short", left_out)
    if report.captions:
        logger.info("%s", left_without(report.captions))
    logger.info("%s", timings_line(spent))
    if timings_file is not None:
        write_json(timings_file, spent)
    return report


def _report(
    run: _Run, identity: dict, rows_read: int, merged: Merged, reasons: Counter, files: list[dict]
) -> BuildReport:
    recipe = run.recipe
    return BuildReport(
        name=recipe.name,
        description=recipe.description,
        attribution=dict(recipe.attribution),
        fingerprint=fingerprint(identity),
        identity=identity,
        fusionrs_version=__version__,
        rows_read=rows_read,
        rows_kept=merged.kept,
        quarantine=dict(sorted(reasons.items())),
        groups=merged.groups,
        split_report=merged.splits,
        display={part.name: part.display_facts() for part in run.sources if isinstance(part, SceneSource)},
        configs=sizes_by_split(files),
        files={file["name"]: {key: file[key] for key in ("rows", "bytes", "sha256")} for file in files},
        **total_counts(files).report(),
    )
