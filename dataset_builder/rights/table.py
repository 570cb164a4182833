"""What may be published of a row, by its rights code: the shipped table `rights.yaml` and what a user's file changes.

Not legal advice: a program that obeys a table. Apart from `clearance` and `publish`, which apply it, as readers of
corpora name the codes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from dataset_builder.fields import check_keys, missing_keys, placed
from fusionrs_hf.bounded_yaml import read_yaml
from fusionrs_hf.errors import InputError, nearest, shown

SHIPPED = Path(__file__).with_name("rights.yaml")
EXAMPLES = "dataset_builder/rights/rights.yaml"  # as messages name it
POLICY = "rights.yaml"  # in a dataset's folder: what its recipe changed of the shipped table
CONTENT = ("images", "infrared", "captions", "ir_captions")
PARTS = (*CONTENT, "index")
CONDITIONS = {
    "attribution": "name the source",
    "share_alike": "pass on under the same licence",
    "non_commercial": "no commercial use",
    "changes_marked": "say what was changed",
    "no_endorsement": "suggest no endorsement",
}


@dataclass(frozen=True, slots=True)
class Rights:
    """What one rights code allows.

    Args:
        licence: SPDX identifier where there is one, else words.
        images: RGB, and infrared that a sensor took: True, False or "unknown", which counts as no; so for all parts.
        infrared: Infrared-style images made from the RGB image.
        captions, ir_captions: Scene captions, and captions of what the infrared shows, whoever wrote them.
        index: Identifiers and metadata: place, groups, split, hashes.
        conditions: Of `CONDITIONS`.
        notice: One line that stays with the rows; empty where none is asked for.
        evidence: Where this entry comes from.
    """

    licence: str
    images: bool | str
    infrared: bool | str
    captions: bool | str
    ir_captions: bool | str
    index: bool | str
    conditions: tuple[str, ...] = ()
    notice: str = ""
    evidence: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a value that cannot be; folds white space in texts."""
        for name in PARTS:
            if not isinstance(getattr(self, name), bool) and getattr(self, name) != "unknown":
                raise ValueError(f"{name} must be yes, no or unknown, got {shown(getattr(self, name))}")
        for name in ("licence", "notice", "evidence"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a text, got {shown(getattr(self, name))}")
            object.__setattr__(self, name, " ".join(getattr(self, name).split()))
        if not isinstance(self.conditions, (list, tuple)):
            raise ValueError(f"conditions must be a list of {', '.join(CONDITIONS)}, got {shown(self.conditions)}")
        for name in self.conditions:
            if name not in CONDITIONS:
                raise ValueError(f"there is no condition {shown(name)}; {nearest(name, list(CONDITIONS))}")
        object.__setattr__(self, "conditions", tuple(self.conditions))
        if not self.licence:
            raise ValueError("licence must not be empty; say `none found` where there is none")
        if "attribution" in self.conditions and not self.notice:
            raise ValueError("a code with the condition attribution needs a notice")

    def allows(self, part: str) -> bool:
        """Whether a part of `PARTS` may be published; what nobody knows may not."""
        return getattr(self, part) is True


class RightsTable:
    """Rights by code, found without regard to case.

    Args:
        entries: By code, as written.
    """

    def __init__(self, entries: Mapping[str, Rights]) -> None:
        self.entries = {code.casefold(): entry for code, entry in entries.items()}
        self.codes = list(entries)

    def get(self, code: str | None) -> Rights | None:
        """Returns the entry of a code; None where it is not listed."""
        return self.entries.get(code.casefold()) if isinstance(code, str) else None

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Returns the entries by code in lower case, as plain values."""
        return {code: {**asdict(entry), "conditions": list(entry.conditions)} for code, entry in self.entries.items()}


def read_policy(*files: Path) -> RightsTable:
    """Reads the shipped table, then files that add codes or override keys of theirs.

    Args:
        *files: YAML, each a mapping of codes to keys of `Rights`; a later one wins.

    Raises:
        InputError: Not such YAML; an unknown or missing key, or a value that cannot be.
        OSError: A file cannot be read.
    """
    merged: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for codes in (_shipped(), *map(_read, files)):
        for code, keys in codes.items():
            merged.setdefault(code.casefold(), {}).update(keys)
            names.setdefault(code.casefold(), code)
    entries = {}
    for code, keys in merged.items():
        where = f"{files[-1] if files else SHIPPED}: {names[code]}"
        if missing := missing_keys(Rights, keys):
            raise InputError(f"{where}: a new code needs {', '.join(missing)} too; see {EXAMPLES}")
        with placed(where):
            entries[names[code]] = Rights(**keys)
    return RightsTable(entries)


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    return _read(SHIPPED)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    codes = read_yaml(path, EXAMPLES) or {}
    if not isinstance(codes, Mapping):
        raise InputError(f"{path} must map rights codes to what they allow, got {shown(codes)}")
    for code, keys in codes.items():
        if not isinstance(code, str) or not isinstance(keys, Mapping):
            names = ", ".join(item.name for item in fields(Rights))
            raise InputError(f"{path}: {code} must be a code with a mapping of {names}, got {shown(keys)}")
    return {code: check_keys(Rights, keys, f"{path}: {code}") for code, keys in codes.items()}


def policy_text(policy: Path) -> str:
    """Returns what a dataset's folder keeps of a recipe's `rights_policy`; raises InputError as of `read_policy`."""
    read_policy(policy)
    return yaml.safe_dump(_read(policy), allow_unicode=True, width=116)


def folder_policy(folder: Path) -> RightsTable:
    """Returns the table that holds for a dataset's folder: the shipped one, changed by the file kept there."""
    kept = folder / POLICY
    return read_policy(kept) if kept.exists() else read_policy()


def held_parts(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Returns, for each of `PARTS`, a mask of the rows that have it.

    Sensor infrared is an image of the source, translated infrared is made from one; infrared of unknown origin is
    taken for both.

    Args:
        table: `rgb` and `ir` (of their fields, any), `ir_origin`, `captions`, `ir_captions` and `joint_captions`: they
            speak of both images, and so count as captions of either kind.
    """
    infrared = table["ir"].is_valid()
    sensor = pc.fill_null(pc.equal(table["ir_origin"], "sensor"), False)
    translated = pc.fill_null(pc.equal(table["ir_origin"], "translated"), False)
    names = ("captions", "ir_captions", "joint_captions")
    texts = {name: pc.greater(pc.fill_null(pc.list_value_length(table[name]), 0), 0) for name in names}
    return {
        "images": pc.or_(table["rgb"].is_valid(), pc.and_(infrared, pc.invert(translated))),
        "infrared": pc.and_(infrared, pc.invert(sensor)),
        **{name: pc.or_(texts[name], texts["joint_captions"]) for name in names[:2]},
        "index": pc.or_kleene(table["ir"].is_null(), infrared),
    }
