"""The record: one row is one RGB-infrared pair. Columns, their types and allowed values, and the views of them.

Imports only the standard library; `FEATURES` is built with `datasets` when it is first asked for, so that what reads
and writes rows starts without it. Lists are written `[Value(...)]`, which datasets 5 and the loading script under
older versions both read.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Features

SPLITS = ("train", "validation", "test")
HELD_OUT = ("validation", "test")
IR_ORIGINS = ("translated", "sensor")
IR_BANDS = ("nir", "swir", "mwir", "lwir", "unspecified")
IR_UNITS = ("display", "dn", "reflectance_1e4", "kelvin_1e2")
CAPTION_ORIGINS = ("source", "hand", "rule", "model")
IR_CAPTION_FORMS = ("compact", "fluent", "free")

# `source_locator` of a tile that was cut from a scene: upper left corner and side in the scene's pixels.
LOCATOR = re.compile(r"(?P<scene>.+)@r(?P<row>\d+)c(?P<column>\d+)s(?P<size>\d+)")

CHOICES = {"ir_origin": IR_ORIGINS, "ir_band": IR_BANDS, "ir_unit": IR_UNITS}
REQUIRED = ("sample_id", "source_dataset", "source_locator", "rights", "rgb")
IMAGE_COLUMNS = ("rgb", "ir")
LIST_COLUMNS = ("captions", "caption_origin", "ir_captions")  # empty where there are none; other lists are null then

# Type of each column's values, as `datasets` and Arrow name it; in brackets that of a list's entries.
TYPES: dict[str, str | list[str]] = {
    "sample_id": "string",
    "source_dataset": "string",
    "source_locator": "string",
    "rights": "string",
    "rgb": "image",
    "rgb_conversion": "string",  # null, or what became RGB: `palette`, `alpha_dropped`, ...
    "ir": "image",
    "ir_origin": "string",
    "ir_band": "string",
    "ir_unit": "string",
    "captions": ["string"],
    "caption_origin": ["string"],
    "ir_captions": ["string"],
    "ir_caption_form": ["string"],  # of `IR_CAPTION_FORMS`, beside `ir_captions`
    "joint_captions": ["string"],  # speak of the RGB and the infrared image
    "sensor": "string",
    "acquired_at": "string",
    "gsd_m": "float64",
    "bbox": ["float64"],
    "rgb_phash": "string",
    "ir_phash": "string",
    "image_group_id": "string",
    "joint_group_id": "string",
    "is_eval_representative": "bool",
    "translator": "string",
    "translator_revision": "string",
    "translator_seed": "int64",
    "translator_settings": "string",
    "translator_interval": "float64",  # mean width of the interval that the translator states, grey levels
    "translator_in_domain": "bool",  # whether the RGB image is of the kind that the translator was made from
    "captioner": "string",
    "captioner_revision": "string",
    "captioner_settings": "string",
}
COLUMNS = tuple(TYPES)
TEXT_COLUMNS = tuple(name for name in COLUMNS if name not in IMAGE_COLUMNS)


@dataclass(frozen=True)
class View:
    """A config of the dataset: some columns, some rows of the same files.

    Args:
        name, description: Of the config.
        columns: Columns to give, in the schema's order.
        ir_origin: Only rows of this origin; None: all.
        needs_ir_captions: Only rows that have an IR-aware caption.
    """

    name: str
    description: str
    columns: tuple[str, ...] = COLUMNS
    ir_origin: str | None = None
    needs_ir_captions: bool = False


VIEWS = (
    View("default", "Every pair"),
    View("captions", "Text only", columns=TEXT_COLUMNS),
    View("ir_aware", "Pairs with IR-aware captions", needs_ir_captions=True),
    View("sensor", "Real infrared only", ir_origin="sensor"),
)


def _features() -> "Features":
    from datasets import Features, Image, Value  # heavy: only where features are asked for

    def feature(kind: str | list[str]) -> Any:
        return [Value(kind[0])] if isinstance(kind, list) else Image() if kind == "image" else Value(kind)

    return Features({name: feature(kind) for name, kind in TYPES.items()})


def __getattr__(name: str) -> Any:
    """Gives `FEATURES`, the record's `datasets.Features`, built at the first use (PEP 562)."""
    if name != "FEATURES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["FEATURES"] = features = _features()
    return features


def new_row(**values: Any) -> dict[str, Any]:
    """Returns a row with every column: the given values, empty lists of captions, null where unknown.

    Args:
        **values: Column values; image columns hold `{"bytes": encoded file, "path": name or None}`.

    Raises:
        KeyError: A name is not a column.
        ValueError: A required column is missing, a value is not one of the column's choices, or there are not as many
            origins as captions, or forms as infrared captions.
    """
    unknown = sorted(set(values) - set(COLUMNS))
    if unknown:
        raise KeyError(f"{unknown} are not columns of the record; columns are {list(COLUMNS)}")
    missing = [name for name in REQUIRED if values.get(name) in (None, "")]
    if missing:
        raise ValueError(f"a row needs {missing}, got {sorted(values)}")
    for name, allowed in CHOICES.items():
        if values.get(name) is not None and values[name] not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {values[name]!r}")
    row = {name: [] if name in LIST_COLUMNS else None for name in COLUMNS}
    row.update(values)
    if len(row["captions"]) != len(row["caption_origin"]):
        raise ValueError(f"{len(row['captions'])} captions but {len(row['caption_origin'])} caption_origin entries")
    forms = row["ir_caption_form"]
    if forms is not None and len(forms) != len(row["ir_captions"]):
        raise ValueError(f"{len(row['ir_captions'])} ir_captions but {len(forms)} ir_caption_form entries")
    if wrong := sorted(set(forms or ()) - set(IR_CAPTION_FORMS)):
        raise ValueError(f"ir_caption_form entries must be of {IR_CAPTION_FORMS}, got {wrong}")
    return row


def stable_seed(*parts: object) -> int:
    """Returns a 63-bit seed that depends only on the given values, in order; the same on every machine."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
