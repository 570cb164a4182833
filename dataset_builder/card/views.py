"""The configs of a dataset's card: views of the same files, with features and sizes."""

from collections.abc import Mapping
from typing import Any

from datasets import DatasetInfo, Features, SplitDict, SplitInfo

from dataset_builder.fusionrs import FusionRS
from dataset_builder.schema import COLUMNS
from dataset_builder.shards.report import BuildReport


def configs(report: BuildReport) -> dict[str, dict[str, Any]]:
    """Returns the views of the same files: `columns` and `filters` are options of the Parquet reader of `datasets`."""
    views = {
        "default": {"default": True},
        "captions": {"columns": list(_builder_config("captions").features)},
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


def _builder_config(name: str) -> Any:
    return next(config for config in FusionRS.BUILDER_CONFIGS if config.name == name)


def infos(report: BuildReport, others: Mapping[str, Any] | None = None) -> dict[str, DatasetInfo]:
    """Returns features and sizes by config; `others` are features of columns that are no part of the record."""
    found = {}
    download = sum(file["bytes"] for name, file in report.files.items() if name.startswith("data/"))
    for config, sizes in report.configs.items():
        splits = SplitDict()
        if not _splits(report, config):
            continue
        for split in _splits(report, config):
            splits.add(SplitInfo(split, num_bytes=sizes[split]["bytes"], num_examples=sizes[split]["rows"]))
        known = _builder_config(config)
        found[config] = DatasetInfo(
            features=Features({**known.features, **((others or {}) if known.columns == COLUMNS else {})}),
            splits=splits,
            download_size=download,
            dataset_size=sum(sizes[split]["bytes"] for split in report.splits),
        )
    return found
