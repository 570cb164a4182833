"""The record: one row is one RGB-infrared pair. Columns, their `datasets` features and allowed values, defined once.

Imports only the standard library and `datasets`, and writes lists as `[Value(...)]`, so that both datasets 5 and the
loading script under older versions read it.
"""

import hashlib
from typing import Any

from datasets import Features, Image, Value

SPLITS = ("train", "validation", "test")
IR_ORIGINS = ("translated", "sensor")
IR_BANDS = ("nir", "swir", "mwir", "lwir", "unspecified")
IR_UNITS = ("display", "dn", "reflectance_1e4", "kelvin_1e2")
CAPTION_ORIGINS = ("source", "hand", "rule", "model")

CHOICES = {"ir_origin": IR_ORIGINS, "ir_band": IR_BANDS, "ir_unit": IR_UNITS}
REQUIRED = ("sample_id", "source_dataset", "source_locator", "rights", "rgb")
IMAGE_COLUMNS = ("rgb", "ir")
LIST_COLUMNS = ("captions", "caption_origin", "ir_captions")

FEATURES = Features(
    {
        "sample_id": Value("string"),
        "source_dataset": Value("string"),
        "source_locator": Value("string"),
        "rights": Value("string"),
        "rgb": Image(),
        "ir": Image(),
        "ir_origin": Value("string"),
        "ir_band": Value("string"),
        "ir_unit": Value("string"),
        "captions": [Value("string")],
        "caption_origin": [Value("string")],
        "ir_captions": [Value("string")],
        "sensor": Value("string"),
        "acquired_at": Value("string"),
        "gsd_m": Value("float64"),
        "bbox": [Value("float64")],
        "rgb_phash": Value("string"),
        "ir_phash": Value("string"),
        "image_group_id": Value("string"),
        "joint_group_id": Value("string"),
        "is_eval_representative": Value("bool"),
        "translator": Value("string"),
        "translator_revision": Value("string"),
        "translator_seed": Value("int64"),
        "translator_settings": Value("string"),
        "captioner": Value("string"),
        "captioner_revision": Value("string"),
        "captioner_settings": Value("string"),
    }
)
COLUMNS = tuple(FEATURES)


def new_row(**known: Any) -> dict[str, Any]:
    """Returns a row with every column: the given values, empty lists of captions, null where unknown.

    Args:
        **known: Column values; image columns hold `{"bytes": encoded file, "path": name or None}`.

    Raises:
        KeyError: A name is not a column.
        ValueError: A required column is missing, or a value is not one of the column's choices.
    """
    unknown = sorted(set(known) - set(COLUMNS))
    if unknown:
        raise KeyError(f"{unknown} are not columns of the record; columns are {list(COLUMNS)}")
    missing = [name for name in REQUIRED if known.get(name) in (None, "")]
    if missing:
        raise ValueError(f"a row needs {missing}, got {sorted(known)}")
    for name, allowed in CHOICES.items():
        if known.get(name) is not None and known[name] not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {known[name]!r}")
    row = {name: [] if name in LIST_COLUMNS else None for name in COLUMNS}
    row.update(known)
    if len(row["captions"]) != len(row["caption_origin"]):
        raise ValueError(f"{len(row['captions'])} captions but {len(row['caption_origin'])} caption_origin entries")
    return row


def stable_seed(*parts: object) -> int:
    """Returns a 63-bit seed that depends only on the given values, in order; the same on every machine."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
