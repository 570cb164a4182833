"""Trains a matrix of CLIP recipes and seeds, compares them on validation rows, and tests the chosen one once.

    fusionrs ablate training/recipes/published/*.yaml training/recipes/ours/*.yaml --seeds 3 --output runs/ablation

Every recipe is run with the same seeds; `--over FILE` lays the same fields over all of them (a size, a dataset). The
score is the published mean recall (R@1, R@5 and R@10 over four directions), within each band, the mean of that with
scene captions and that with IR-aware ones. The recipe with the highest on the validation split is chosen; it, the
reference and the `--also` recipes are then scored on the test split, once. Differences to the reference are paired,
over tiles, pooled over seeds. With `--leave-out scene` every recipe and seed is trained once more without each scene
of the training split and scored on that scene; the choice then counts these like the validation region, and the tables
show both. An interrupted matrix is continued by the same command. Writes ablation.json and ablation.md.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
import yaml

from fusionrs_hf.encoders import Encoder, load_clip
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.output_folder import writing
from fusionrs_hf.stops import stops_in_a_line
from training import train_clip
from training.data.dataset_contents import chosen_origin
from training.journey import CHILD_ENVIRONMENT
from training.recipe import read_mapping, read_recipe
from training.scoring.ablation_table import AblationTable, Tallies, markdown, merged, tally_rows
from training.scoring.held_out import held_out
from training.scoring.left_out import left_out_rows, training_scenes
from training.trainers.run_log import describe_hardware, read_run_log

logger = logging.getLogger(__name__)
Run = tuple[str, int]  # recipe's name and seed
Fold = tuple[str, int, str]  # and the scene that is left out


def plan(paths: Sequence[Path], over: Sequence[Path], seeds: int, output: Path) -> dict[Run, dict[str, Any]]:
    """Returns the fields of every run: the recipe's, those laid over it, the seed, and a folder of its own.

    Raises:
        InputError: Two recipes have one name, or a file is no recipe.
    """
    runs: dict[Run, dict[str, Any]] = {}
    for path in paths:
        fields = read_recipe(path)
        for file in over:
            fields |= read_mapping(file)
        for seed in range(seeds):
            if (path.stem, seed) in runs:
                raise InputError(f"two recipes are called {path.stem}; rename one, since the table goes by names")
            folder = output / path.stem / f"seed-{seed}"
            runs[path.stem, seed] = fields | {"seed": seed, "output_dir": str(folder), "push_to_hub": False}
    return runs


def plan_folds(runs: Mapping[Run, Mapping[str, Any]]) -> dict[Fold, dict[str, Any]]:
    """Returns the fields of every run once more without each scene of its dataset's training split.

    Raises:
        InputError: A dataset has no scenes to leave out one by one.
    """
    folds: dict[Fold, dict[str, Any]] = {}
    scenes: dict[tuple[str, str | None], list[str]] = {}
    for (name, seed), fields in runs.items():
        dataset = fields["dataset"], chosen_origin(fields["dataset"], fields.get("ir_origin", "auto"), "train")
        if dataset not in scenes:
            scenes[dataset] = training_scenes(*dataset)
        for scene in scenes[dataset]:
            left_out = sorted({scene, *(fields.get("leave_out_scenes") or ())})
            folder = f"{fields['output_dir']}-without-{scene}"
            folds[name, seed, scene] = dict(fields) | {"leave_out_scenes": left_out, "output_dir": folder}
    return folds


def is_done(fields: Mapping[str, Any]) -> bool:
    """Whether a run has been trained and scored.

    Raises:
        InputError: Its folder holds a run of other fields.
    """
    folder = Path(fields["output_dir"])
    path = recipe_path(folder)
    if path.is_file() and read_mapping(path) != dict(fields):
        raise InputError(f"{folder} holds a run of another recipe; remove it, or choose another --output")
    return scores_path(folder, "validation").is_file()


def recipe_path(folder: Path) -> Path:
    """Where the recipe of a run is: beside its folder, in which training alone writes."""
    return folder.with_name(f"{folder.name}.yaml")


def log_path(folder: Path) -> Path:
    """Where the log of a run is."""
    return folder.with_name(f"{folder.name}.log")


def scores_path(folder: Path, split: str) -> Path:
    """Where the tallies of a run on a split are."""
    return folder.with_name(f"{folder.name}-{split}.npz")


def train_one(folder: Path, scene: str | None = None) -> None:
    """Trains the run whose recipe lies beside a folder, in this process, and scores it on the validation split."""
    train_clip.main(["--config", str(recipe_path(folder))])
    score(folder, "validation", scene).save(scores_path(folder, "validation"))


def score(folder: Path, split: str, scene: str | None = None) -> Tallies:
    """Scores a trained run on a split's held-out rows; a fold on those of the scene that it was trained without."""
    fields = read_mapping(recipe_path(folder))
    encoder = Encoder.for_scores(*load_clip(str(folder)))
    dataset, origin = fields["dataset"], chosen_origin(fields["dataset"], fields.get("ir_origin", "auto"), split)
    rows = held_out(dataset, split, origin) if scene is None else left_out_rows(dataset, split, origin, scene)
    return tally_rows(encoder, rows)


def run_missing(runs: Mapping[Run | Fold, Mapping[str, Any]], workers: int) -> None:
    """Trains what is not done yet, each run in a process of its own; the log of each is beside its folder.

    Args:
        runs: See `plan` and `plan_folds`.
        workers: Runs side by side; processors, or GPUs where there are several, are shared out.

    Raises:
        InputError: Runs failed; the others are finished first.
    """
    slots: SimpleQueue[int] = SimpleQueue()
    for slot in range(workers):
        slots.put(slot)

    def start(item: tuple[Run | Fold, Mapping[str, Any]]) -> str | None:
        (name, seed, *scene), fields = item
        folder, slot = Path(fields["output_dir"]), slots.get()
        folder.parent.mkdir(parents=True, exist_ok=True)
        recipe_path(folder).write_text(yaml.safe_dump(dict(fields), sort_keys=False))
        threads = str(max(1, (os.cpu_count() or 1) // workers))
        environment = {**os.environ, **CHILD_ENVIRONMENT, "OMP_NUM_THREADS": threads}
        if workers > 1 and torch.cuda.device_count() > 1:
            environment["CUDA_VISIBLE_DEVICES"] = str(slot % torch.cuda.device_count())
        logger.info("training %s, seed %d%s", name, seed, "".join(f", without {left_out}" for left_out in scene))
        with log_path(folder).open("w") as log:
            command = [sys.executable, "-m", "training.ablate", str(folder), *scene]
            failed = subprocess.run(command, stdout=log, stderr=log, env=environment).returncode
        slots.put(slot)
        return str(log_path(folder)) if failed else None

    missing = sorted((item for item in runs.items() if not is_done(item[1])), key=lambda item: item[0][1])
    with ThreadPoolExecutor(workers) as pool:
        logs = [log for log in pool.map(start, missing) if log]
    if logs:
        raise InputError(f"{len(logs)} of {len(missing)} runs failed; see {', '.join(logs)}")


def scored(
    names: Sequence[str],
    runs: Mapping[Run, Mapping[str, Any]],
    folds: Mapping[Fold, Mapping[str, Any]],
    split: str,
) -> dict[Run, Tallies]:
    """Scores the runs of these recipes on a split, or reads what is known; a run's folds are counted with it."""
    tallies: dict[Run, list[Tallies]] = {}
    for (name, seed, *scene), fields in {**runs, **folds}.items():
        if name in names:
            folder = Path(fields["output_dir"])
            path = scores_path(folder, split)
            if not path.is_file():
                logger.info("scoring %s, seed %d, on the %s split", name, seed, split)
                score(folder, split, *scene).save(path)
            tallies.setdefault((name, seed), []).append(Tallies.load(path))
    return {run: merged(parts) for run, parts in tallies.items()}


def ablate(
    recipes: Sequence[Path],
    output: Path,
    seeds: int = 3,
    over: Sequence[Path] = (),
    against: str = "trimodal",
    also: Sequence[str] = (),
    workers: int = 1,
    leave_out: str | None = None,
) -> None:
    """Trains what is missing, writes the tables and says which recipe was chosen.

    Args:
        recipes: Of `fusionrs train clip`; each goes by its file's name.
        output: Folder for runs and tables.
        seeds: Each recipe is run with the seeds 0, 1, ... below it.
        over: Files with fields laid over every recipe.
        against: Name of the reference.
        also: Names of recipes that are tested besides the chosen one and the reference.
        workers: Runs side by side.
        leave_out: `scene`: also train without each scene, and count in the choice what is scored on it; None: do not.

    Raises:
        InputError: A recipe is unknown, there are no scenes to leave out, a folder holds another run, or runs failed.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    runs = plan(recipes, over, seeds, output)
    names = list(dict.fromkeys(name for name, _ in runs))
    for name in (against, *also):
        if name not in names:
            raise InputError(
                f"{shown(name)} is none of the recipes {', '.join(names)}; give --against and --also by name"
            )
    folds = plan_folds(runs) if leave_out else {}
    with stops_in_a_line(output, "ablate"), writing(output, "ablate") as folder:
        folder.reopen()
        folder.list_files(_own_files({**runs, **folds}, output))
        run_missing({**runs, **folds}, workers)
        report = compare(runs, folds, against, also)
        report |= {"seeds": list(range(seeds)), "hardware": describe_hardware()}
        (output / "ablation.json").write_text(json.dumps(report, indent=1) + "\n")
        pages = [f"## {split}\n\n{markdown(report[split], against)}" for split in ("validation", "test")]
        (output / "ablation.md").write_text("\n".join(pages))
        folder.finish(name for name in folder.manifest.files if (output / name).is_file())
    logger.info("chosen on validation: %s; tables in %s", report["chosen"], output / "ablation.md")


def compare(
    runs: Mapping[Run, Mapping[str, Any]],
    folds: Mapping[Fold, Mapping[str, Any]],
    against: str,
    also: Sequence[str],
) -> dict[str, Any]:
    """Chooses the recipe with the best validation score and tests it, once; returns the tables.

    Args:
        runs, folds: See `plan` and `plan_folds`; all are trained.
        against, also: As of `ablate`.
    """
    names = list(dict.fromkeys(name for name, _ in runs))
    validation = AblationTable(scored(names, runs, folds, "validation"), against)
    chosen = validation.best()
    test = AblationTable(scored([chosen, against, *also], runs, folds, "test"), against)
    return {
        "what": "mean recall by recipe, 95 % bootstrap over tiles, seeds pooled; differences are paired",
        "reference": against,
        "chosen": chosen,
        "recipes": {name: _shared(runs, name) for name in names},
        "train_seconds": {name: [_seconds(runs[run]) for run in runs if run[0] == name] for name in names},
        "validation": validation.report(),
        "test": test.report(),
    }


def _own_files(runs: Mapping[Run | Fold, Mapping[str, Any]], output: Path) -> list[str]:
    """Returns what the matrix writes besides the runs' folders, relative to `output`."""
    folders = [Path(fields["output_dir"]) for fields in runs.values()]
    places = [place(folder) for folder in folders for place in (recipe_path, log_path)]
    places += [scores_path(folder, split) for folder in folders for split in ("validation", "test")]
    return ["ablation.json", "ablation.md", *(place.relative_to(output).as_posix() for place in places)]


def _shared(runs: Mapping[Run, Mapping[str, Any]], name: str) -> dict[str, Any]:
    return {key: value for key, value in runs[name, 0].items() if key not in ("seed", "output_dir", "push_to_hub")}


def _seconds(fields: Mapping[str, Any]) -> float:
    return read_run_log(Path(fields["output_dir"]))["train_seconds"]


if __name__ == "__main__":
    train_one(Path(sys.argv[1]), *sys.argv[2:])  # as `run_missing` calls it
