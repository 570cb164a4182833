"""Runs as they are when they were stopped: their checkpoints up to a step, and no model."""

import json
import shutil
from pathlib import Path

from fusionrs_hf.output_folder import MANIFEST, files_below
from training.trainers.checkpoints import checkpoint_step
from training.trainers.run_folder import STAGE
from training.trainers.run_record import RECORD


def interrupted(run: Path | str, folder: Path | str, step: int) -> Path:
    """Copies a finished run as it was after a checkpoint: what came later is not there, and it is not finished."""
    run, folder = Path(run), Path(folder)
    steps = {name: checkpoint_step(name.split("/")[0]) for name in files_below(run)}
    steps |= {name: 0 for name in steps if (run / name.split("/")[0] / STAGE).is_file()}  # stages that came before
    kept = [name for name, at in steps.items() if name == RECORD or (at is not None and at <= step)]
    for name in kept:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run / name, folder / name)
    manifest = json.loads((run / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "files": kept, "finished": False}))
    return folder


def unfinished(run: Path, step: int) -> None:
    """Makes of a finished run, in place, what it was after a checkpoint."""
    shutil.move(run, run.with_name(f"{run.name}-whole"))
    interrupted(run.with_name(f"{run.name}-whole"), run, step)
    shutil.rmtree(run.with_name(f"{run.name}-whole"))
