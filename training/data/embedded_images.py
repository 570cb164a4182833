"""Images that a dataset holds, as against files that it names: `datasets` would open any file or address for a row."""

from dataclasses import dataclass
from typing import Any, TypeVar

import datasets
from PIL import Image

from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.images import refuse_programs

Rows = TypeVar("Rows", datasets.Dataset, datasets.IterableDataset)
COLUMNS = ("rgb", "ir")


@dataclass
class EmbeddedImage(datasets.Image):
    """The feature `datasets.Image` for images that are in the dataset; a row that only names a file is refused."""

    def decode_example(self, value: dict[str, Any], token_per_repo_id: dict | None = None) -> Image.Image:
        """Returns the image of `{"bytes", "path"}`.

        Raises:
            InputError: There are no bytes: the path would be opened, whatever it leads to.
        """
        if value.get("bytes") is None:
            raise InputError(
                f"a row names an image file, {shown(value.get('path'))}, and does not hold it; give a dataset "
                "whose columns rgb and ir hold images, as `fusionrs build` writes them"
            )
        return super().decode_example({"bytes": value["bytes"], "path": None}, token_per_repo_id)


def embedded(rows: Rows) -> Rows:
    """Returns the same rows, whose images come from their bytes alone, and start no program in this process."""
    refuse_programs()
    for name in COLUMNS:
        if rows.features is None or name in rows.features:
            rows = rows.cast_column(name, EmbeddedImage())
    return rows
