"""Where an interrupted training goes on from."""

import re
from pathlib import Path

from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError


def checkpoint_step(name: str) -> int | None:
    """Returns the step of a folder that is named as the Trainer names checkpoints; None for any other."""
    match = re.fullmatch(r"checkpoint-(\d+)", name)
    return int(match[1]) if match else None


def last_whole_checkpoint(folder: Path) -> str | None:
    """Returns the newest checkpoint folder that was written to its end, or None.

    A process killed while it saves leaves a folder that the stock `get_last_checkpoint` would take, and fail on.
    `trainer_state.json` is what is there last.
    """
    folders = [path for path in folder.glob("checkpoint-*") if checkpoint_step(path.name) is not None]
    for path in sorted(folders, key=lambda path: checkpoint_step(path.name), reverse=True):
        try:
            read_object(path / "trainer_state.json", "")
        except (FileNotFoundError, InputError):
            continue
        return str(path)
    return None
