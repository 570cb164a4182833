"""Datasets and models that are read, held with other readers so that no verb writes them meanwhile."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fusionrs_hf.folder_manifest import read_manifest
from fusionrs_hf.output_folder import reading, writing


@contextmanager
def holding(*places: str | Path | None) -> Iterator[None]:
    """Holds those of these places that are folders here; Hub ids and None pass.

    A part of a model's folder, such as its `adapter`, is held with the whole. A checkpoint is whole by itself and is
    read while the run that keeps it goes on.

    Raises:
        InputError: A folder is not finished, or a verb is writing it.
    """
    with ExitStack() as held:
        for folder in dict.fromkeys(_whole(Path(place)) for place in places if place and Path(place).is_dir()):
            held.enter_context(reading(folder))
        yield


@contextmanager
def adding(path: Path, *others: str) -> Iterator[None]:
    """Lets a file be written beside a finished model, and takes it down as part of that; elsewhere does nothing.

    Args:
        path: Such as `metrics.json` of a model's folder.
        others: Names in the same folder that may be written with it.
    """
    manifest = read_manifest(path.parent) if path.parent.is_dir() else None
    if manifest is None or not manifest.finished:
        yield
        return
    with writing(path.parent, manifest.verb) as output:
        yield
        output.list_files([path.name, *(name for name in others if (path.parent / name).is_file())])


def _whole(folder: Path) -> Path:
    """Returns the folder whose manifest tells of a folder's files: itself, or its parent."""
    if read_manifest(folder) is None and (manifest := read_manifest(folder.absolute().parent)) is not None:
        inside = any(name.startswith(f"{folder.name}/") for name in manifest.files)
        if inside and not folder.name.startswith("checkpoint-"):
            return folder.absolute().parent
    return folder
