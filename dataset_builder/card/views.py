"""The configs of a dataset's card: views of the same files, with features and sizes.

Plain values, as the card's front matter has them: `datasets` would write the same, but takes longer to import than a
small build takes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dataset_builder.schema import COLUMNS, TEXT_COLUMNS, TYPES, VIEWS
from dataset_builder.shards.report import BuildReport


def stored_columns(out: Path, report: BuildReport) -> list[str]:
    """Returns the record's columns that a dataset's files have; those that a former version wrote lack some.

    The Parquet reader of `datasets` fails on a column that a config names and a file lacks.
    """
    first = out / next(name for name in report.files if name.startswith("data/"))
    names = pq.read_schema(first).names if first.exists() else COLUMNS  # a card without its data tells of all
    return [name for name in COLUMNS if name in names]


def configs(report: BuildReport, columns: Sequence[str] = COLUMNS) -> dict[str, dict[str, Any]]:
    """Returns the views of the same files: `columns` and `filters` are options of the Parquet reader of `datasets`.

    Args:
        report: Of the dataset.
        columns: Of the record, that its files have.
    """
    views = {
        "default": {"default": True},
        "captions": {"columns": [name for name in TEXT_COLUMNS if name in columns]},
        "ir_aware": {"filters": [["captioner", "!=", ""]]},  # null, too, does not pass
        "sensor": {"filters": [["ir_origin", "==", "sensor"]]},
    }
    return {
        name: {**view, "data_files": [{"split": split, "path": f"data/{split}-*"} for split in splits]}
        for name, view in views.items()
        if (splits := _splits(report, name))
    }


def _splits(report: BuildReport, config: str) -> list[str]:
    """Splits in which a config has rows: `datasets` loads no empty one."""
    return [split for split in report.splits if report.configs[config][split]["rows"]]


def infos(
    report: BuildReport, columns: Sequence[str] = COLUMNS, others: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Returns features and sizes of each config, by name.

    Args:
        report, columns: As of `configs`.
        others: Features of columns that are no part of the record.
    """
    shown = {view.name: view.columns for view in VIEWS}
    download = sum(file["bytes"] for name, file in report.files.items() if name.startswith("data/"))
    return [
        {
            "config_name": config,
            "features": [
                *(_feature(name) for name in shown[config] if name in columns),
                *(others if shown[config] == COLUMNS else ()),
            ],
            "splits": [
                {"name": split, "num_bytes": sizes[split]["bytes"], "num_examples": sizes[split]["rows"]}
                for split in splits
            ],
            "download_size": download,
            "dataset_size": sum(sizes[split]["bytes"] for split in report.splits),
        }
        for config, sizes in sorted(report.configs.items())
        if (splits := _splits(report, config))
    ]


def _feature(name: str) -> dict[str, str]:
    kind = TYPES[name]
    return {"name": name, "list": kind[0]} if isinstance(kind, list) else {"name": name, "dtype": kind}
