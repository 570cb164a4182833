"""Datasets on the Hub, streamed by `datasets`: their splits, rows with images as bytes, and files that rows name."""

from pathlib import Path
from typing import Any

from dataset_builder.sources.formats.paths import printable
from fusionrs_hf.bounds import IMAGE_BYTES
from fusionrs_hf.errors import InputError
from fusionrs_hf.hub_answers import asking_hub


def hub_splits(name: str, config: str | None, revision: str | None, base: Path) -> list[str]:
    """Returns the splits of a Hub dataset.

    Args:
        name: Hub id.
        config, revision: Of the dataset; None: the default and the newest.
        base: Folder in which `name` was looked for before, for the message.

    Raises:
        InputError: There is none, it cannot be reached, or needs a config.
    """
    import datasets

    try:
        with asking_hub():
            return datasets.get_dataset_split_names(name, config, revision=revision)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{name} is neither a file or folder in {base.resolve()} nor a Hub dataset that can be read ({reason}); "
            "check the name, the config, the network and the token"
        ) from error


def hub_rows(name: str, split: str, config: str | None, revision: str | None) -> Any:
    """Returns the rows of a split as a stream (`datasets.IterableDataset`); images are `{bytes, path}`."""
    import datasets

    with asking_hub():
        return datasets.load_dataset(name, config, split=split, streaming=True, revision=revision).decode(False)


def read_from_hub(name: str, path: str) -> tuple[dict[str, Any], str | None]:
    """Reads an image file that a streamed row of a Hub dataset names.

    Args:
        name: Hub id of the dataset.
        path: As `datasets` gives it: `hf://datasets/owner/name@revision/...`, or a member of an archive there.

    Returns:
        `{"bytes", "path"}`, and None or the reason: `unsafe_path` where it is in another repository, `image_missing`,
        `unreadable`.
    """
    from datasets.utils.file_utils import xopen

    file = path.split("::")[-1]
    image = {"bytes": None, "path": printable(path)}
    if not file.startswith((f"hf://datasets/{name}@", f"hf://datasets/{name}/")) or ".." in file.split("/"):
        return image, "unsafe_path"
    try:
        with asking_hub(), xopen(path, "rb") as opened:
            data = opened.read(IMAGE_BYTES + 1)
        return (image, "image_too_large") if len(data) > IMAGE_BYTES else (image | {"bytes": data}, None)
    except FileNotFoundError:
        return image, "image_missing"
    except (OSError, ValueError):
        return image, "unreadable"
