"""Training rows read from a dataset's files as they are needed: shuffled, pass after pass, divided over processes."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets import IterableDataset, load_dataset
from datasets.distributed import split_dataset_by_node
from torch.utils.data import IterableDataset as TorchIterableDataset

from dataset_builder.shards.folder import find_shards
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import require_finished
from fusionrs_hf.weights import check_source, loading
from training.data.embedded_images import embedded
from training.data.pairs import COLUMNS

FACTS = ("ir_band", "ir_origin", "image_group_id", "source_dataset", "source_locator")


def _read(dataset: str, ir_origin: str | None, columns: tuple[str, ...] | None = None) -> IterableDataset:
    check_source(dataset)
    if Path(dataset).is_dir():
        require_finished(Path(dataset))
        find_shards(Path(dataset), COLUMNS)
    with loading(dataset, "rows of a dataset"):
        rows = load_dataset(
            dataset,
            data_files={"train": "data/train-*.parquet"} if Path(dataset).is_dir() else None,
            split="train",
            streaming=True,
            filters=[("ir_origin", "==", ir_origin)] if ir_origin else None,
            columns=list(columns) if columns else None,
        )
        return rows if columns else embedded(rows)


def read_facts(dataset: str, ir_origin: str | None) -> datasets.Dataset:
    """Returns the columns `FACTS` of the rows that `stream_pairs` would give, without reading their images.

    Args:
        dataset: Hub id or folder of a dataset in Parquet files.
        ir_origin: As for `stream_pairs`.

    Raises:
        InputError: There are no such rows.
    """
    rows = _read(dataset, ir_origin, FACTS).with_format("arrow")
    with loading(dataset, "rows of a dataset"):
        tables = list(rows.iter(batch_size=10_000))
    if not tables:
        raise InputError(f"{dataset} has no train rows with ir_origin={ir_origin}")
    return datasets.Dataset(pa.concat_tables(tables))


def stream_pairs(
    dataset: str, ir_origin: str | None, seed: int, buffer_size: int, process: int = 0, processes: int = 1
) -> IterableDataset:
    """Returns the training rows as a stream: row groups of the files in random order, rows through a shuffle buffer.

    Args:
        dataset: Hub id or folder of a dataset in Parquet files.
        ir_origin: Keep rows of this origin, `sensor` or `translated`; None keeps both.
        seed: With the epoch (`set_epoch`) it decides the order.
        buffer_size: Rows that are kept, encoded, to draw the next from.
        process, processes: Which of so many parts, without a row in common, to read; with fewer row groups than
            processes each reads all files and keeps every `processes`-th row.
    """
    rows = _read(dataset, ir_origin).reshard()
    if rows.num_shards >= processes:
        rows = rows.shard(processes, process, contiguous=False)
    else:
        rows = split_dataset_by_node(rows, process, processes)
    # one row group at a time: several would be read by threads, whose end takes five seconds a pass (datasets 5.2)
    return rows.shuffle(seed, buffer_size=buffer_size, max_buffer_input_shards=1)


class EndlessRows(TorchIterableDataset):
    """A stream's rows, pass after pass, each in another order; each row says its pass in the column `epoch`.

    Processes need not end a pass together, so none waits for another. A run is resumed by reading again, and passing
    over, what it has seen.

    Args:
        stream: Of `stream_pairs`.
    """

    def __init__(self, stream: IterableDataset) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for epoch in itertools.count():
            self.stream.set_epoch(epoch)
            row = None
            for row in self.stream:
                yield {**row, "epoch": epoch}
            if row is None:  # a loader's worker for which there are no row groups
                return
