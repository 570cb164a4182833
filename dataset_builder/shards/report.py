"""What a build measured of itself, and left in the folder that it wrote."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dataset_builder.schema import SPLITS
from dataset_builder.shards.report_parts import Counted, FileFacts, GroupsFound, Identity
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import Manifest
from fusionrs_hf.records import read_record

WRITTEN = (  # beside the files that a report counts
    "NOTICE.md",
    "README.md",
    "build_report.json",
    "caption_report.json",
    "croissant.json",
    "inputs.txt.gz",
    "tombstones.jsonl",
)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build measured of itself; `build_report.json` holds exactly this, without times or absolute paths.

    Args:
        name, description, attribution: From the recipe; attribution by `source_dataset`.
        fingerprint: SHA-256 of `identity`.
        identity: What the output is a function of: recipe, listing of the inputs, code, versions.
        fusionrs_version: Of this package.
        rows_read, rows_kept: Counts; the difference is the sum of `quarantine`.
        rows: Counts `rows` by `split`, `ir_band`, `ir_origin`, `source_dataset` and `rights`.
        representatives: Evaluation representatives by split.
        quarantine: Rows that left, by reason.
        groups: Number of `image_groups` and `joint_groups`, and the `largest` ten components.
        facts: Counted values of kept rows by column (sensor, translator, captioner, caption origins, years and so on).
        configs: `rows` and Arrow `bytes` by config and split.
        files: `rows`, `bytes` and `sha256` of each data file by name.
        captions: What became of the infrared-aware captions; see `captioning.funnel`. Empty where none were written.
        version: Of the dataset; each removal of rows raises its last number.
        removed: Rows taken down since the build; `tombstones.jsonl` names them.
        rights: Of a published copy: its level, terms by code and what was left out; see `notices.rights_facts`.
        display: By scene, the `limits` by band that became 0 and 255 where values are displayed, and the tone curve of
            RGB, `rgb_gamma`.
        split_report: How the splits came about; see `splits.Assigned`. Empty where the build did not say.
    """

    name: str
    description: str
    attribution: dict[str, str]
    fingerprint: str
    identity: Identity
    fusionrs_version: str
    rows_read: int
    rows_kept: int
    rows: list[Counted]
    representatives: dict[str, int]
    quarantine: dict[str, int]
    groups: GroupsFound
    facts: dict[str, dict[str, int]]
    configs: dict[str, dict[str, dict[str, int]]]
    files: dict[str, FileFacts]
    captions: dict[str, Any] = field(default_factory=dict)
    version: str = "1.0.0"
    removed: int = 0
    rights: dict[str, Any] = field(default_factory=dict)
    split_report: dict[str, Any] = field(default_factory=dict)
    display: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError where the rows of the default configuration are not told."""
        if not all("rows" in split for split in self.configs.get("default", {"": {}}).values()):
            raise ValueError("configs must tell the rows of each split of `default`")

    def as_dict(self) -> dict[str, Any]:
        """Returns the JSON-able form; `build_report` reads it."""
        return asdict(self)

    @property
    def splits(self) -> list[str]:
        """Splits that have rows, in the schema's order."""
        return [split for split in SPLITS if split in self.configs["default"]]

    def total(self, **where: str) -> int:
        """Returns the number of kept rows whose columns have the given values."""
        return sum(row["rows"] for row in self.rows if all(row[name] == value for name, value in where.items()))


def check_whole(folder: Path, files: Mapping[str, Mapping[str, Any]], remedy: str) -> None:
    """Tells whether a finished folder still has all its files, by their sizes.

    Args:
        folder: Where a report lies.
        files: `bytes` by name, as the report has them.
        remedy: What to do where one is not there, for the message.

    Raises:
        InputError: A file is missing, or of another size.
    """
    for name, file in files.items():
        path = folder / name
        if not path.exists() or path.stat().st_size != file["bytes"]:
            raise InputError(f"{folder} was finished, but {name} is missing or changed; {remedy}")


def build_report(folder: Path) -> BuildReport | None:
    """Returns the report that a build left in the folder, None where there is none; raises InputError for another."""
    path = folder / "build_report.json"
    return read_record(path, BuildReport, "build again, or delete it") if path.exists() else None


def former_manifest(folder: Path) -> Manifest | None:
    """Returns what the manifest of a finished dataset would say that a version without manifests wrote.

    Its reports stand for it, if every file that they count is there. None: there is no report.

    Raises:
        InputError: As of `build_report` and `check_whole`.
    """
    if (report := build_report(folder)) is None:
        return None
    check_whole(folder, report.files, "bring it back first")
    names = [*WRITTEN, *(f".shards/{Path(name).name}.json" for name in report.files)]
    files = sorted({*report.files, *(name for name in names if (folder / name).is_file())})
    verb = "caption" if (folder / "caption_report.json").exists() else "build"
    return Manifest("build --publish" if report.rights else verb, finished=True, files=files)
