"""What a dataset holds, asked without reading its images: which splits there are, and where their infrared is from."""

import logging
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import get_dataset_split_names, load_dataset

from dataset_builder.schema import SPLITS
from dataset_builder.shards.folder import find_shards
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.weights import check_source, loading
from training.clip_arguments import IR_ORIGINS

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 10_000


def split_names(dataset: str) -> list[str]:
    """Returns the splits that a dataset has, in the schema's order.

    Raises:
        InputError: It has none, or is not there.
    """
    check_source(dataset)
    folder = Path(dataset)
    if folder.is_dir():
        there = {path.name.split("-")[0] for path in (folder / "data").glob("*.parquet")}
    else:
        with loading(dataset, "a dataset"):
            there = set(get_dataset_split_names(dataset))
    if names := [split for split in SPLITS if split in there]:
        return names
    raise InputError(f"{dataset} has no data of {', '.join(SPLITS)}; give a dataset as `fusionrs build` writes it")


def scored_split(dataset: str, asked: str | None) -> str:
    """Returns the split to score: what is asked for, else test, else validation, else what there is.

    Raises:
        InputError: The dataset does not have what is asked for.
    """
    names = split_names(dataset)
    if asked is not None and asked not in names:
        raise InputError(f"{dataset} has no split {shown(asked)}; it has {', '.join(names)}")
    if asked is None and names[-1] != "test":
        logger.info("%s has no test split: %s is scored; --split names another", dataset, names[-1])
    return asked or names[-1]


def origin_counts(dataset: str, split: str) -> Counter[str | None]:
    """Returns the number of a split's rows by `ir_origin`; no rows for a split that is not there."""
    check_source(dataset)
    folder, counts = Path(dataset), Counter()
    if folder.is_dir():
        names = find_shards(folder, ["ir_origin"]) if split in split_names(dataset) else []
        columns = (
            pq.read_table(folder / "data" / name, columns=["ir_origin"])["ir_origin"]
            for name in names
            if name.startswith(f"{split}-")
        )
    else:
        with loading(dataset, "rows of a dataset"):
            rows = load_dataset(dataset, split=split, streaming=True, columns=["ir_origin"]).with_format("arrow")
        columns = (table["ir_origin"] for table in rows.iter(batch_size=ROWS_AT_ONCE))
    with loading(dataset, "rows of a dataset"):
        for column in columns:
            for one in pc.value_counts(column.cast(pa.string())).to_pylist():
                counts[one["values"]] += one["counts"]
    return counts


def chosen_origin(dataset: str, asked: str, split: str) -> str | None:
    """Returns which infrared of a split is used, as the column `ir_origin` has it; None: any.

    Args:
        dataset: Folder or Hub id.
        asked: Of `clip_arguments.IR_ORIGINS`; `auto`: the sensor's where there is some, else translated. The log says
            which it became, and which option asks for another.
        split: Whose rows are counted.
    """
    if asked != "auto":
        return IR_ORIGINS[asked]
    counts = origin_counts(dataset, split)
    chosen = "sensor" if counts["sensor"] else "translated" if counts["translated"] else None
    if chosen is not None:
        others = counts.total() - counts[chosen]
        kind = "infrared of a sensor" if chosen == "sensor" else "infrared-style images made from RGB"
        logger.info(
            "%s: %s (%d rows of %s%s); --ir_origin sensor, translated or any takes another",
            *(dataset, kind, counts[chosen], split, f", {others} others are left out" if others else ""),
        )
    return chosen
