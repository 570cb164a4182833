"""Where an interrupted training goes on from."""

import json
import re
from pathlib import Path


def last_whole_checkpoint(folder: Path) -> str | None:
    """Returns the newest checkpoint folder that was written to its end, or None.

    A process killed while it saves leaves a folder that the stock `get_last_checkpoint` would take, and fail on.
    `trainer_state.json` is what the Trainer writes last.
    """
    folders = [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    for path in sorted(folders, key=lambda path: int(path.name.split("-")[1]), reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (FileNotFoundError, ValueError):
            continue
        return str(path)
    return None
