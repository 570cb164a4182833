"""What a batch carries beside the record's columns: one line a column, with who fills it and who reads it.

Stages may touch the record's columns and these, as the table allows; a test watches them. Names of who: `source` (the
reader of rows), the stages as `reading` labels them, `count` (`CaptionTally`), `write` (the work files), `merge`
(groups and splits), `recaption`.
"""

from typing import NamedTuple

import pyarrow as pa


class WorkColumn(NamedTuple):
    """A column of a batch.

    Args:
        what: Type of a value; of an array dtype and shape. All but `_reason`, which is checked, may be None.
        filled: Who writes it.
        read: Who reads it.
        stored: Its type in the work files; None: it is gone by then.
    """

    what: str
    filled: tuple[str, ...]
    read: tuple[str, ...]
    stored: pa.DataType | None = None


WORK_COLUMNS = {
    "_split": WorkColumn("str: as the source prescribes", ("source",), ("merge",), pa.string()),
    "_force_train": WorkColumn("bool", ("source",), ("merge",), pa.bool_()),
    "_rgb_sha256": WorkColumn(
        "32 bytes, of the file", ("decode", "store_rgb"), ("decode", "add_hashes", "store_rgb", "merge"), pa.binary(32)
    ),
    "_ir_sha256": WorkColumn("32 bytes, of the file", ("add_hashes",), ("merge",), pa.binary(32)),
    "_caption_keys": WorkColumn("list of 16 bytes", ("add_caption_keys",), ("merge",), pa.list_(pa.binary(16))),
    "_bytes": WorkColumn("int, of both images as encoded", ("write",), ("merge",), pa.int64()),
    "_reason": WorkColumn(
        "str: why the row leaves",
        ("source", "decode", "require_infrared", "filter"),
        ("translate", "require_infrared", "filter", "caption", "count", "write"),
    ),
    "_rgb": WorkColumn(
        "uint8 (height, width, 3)", ("decode",), ("decode", "translate", "filter", "caption", "store_rgb")
    ),
    "_unit_trusted": WorkColumn("bool: `ir_unit` is not held against the values", ("source",), ("decode",)),
    "_rgb_conversion": WorkColumn("str: what the stored file is to say of it", ("decode",), ("store_rgb",)),
    "_grey": WorkColumn("uint8 (height, width): luminance of `_rgb`", ("decode",), ("decode", "filter", "add_hashes")),
    "_ir": WorkColumn(
        "uint8 (height, width)",
        ("decode", "translate"),
        ("decode", "translate", "filter", "add_hashes", "caption"),
    ),
    "_left_out": WorkColumn("int: captions that were too short", ("leaveout",), ("write",)),
    "_facts": WorkColumn("claims.grounding.InfraredFacts", ("caption",), ("caption", "count", "recaption")),
    "_rejected": WorkColumn("list of {text, reason, detail}", ("caption",), ("count",)),
    "_caption_failure": WorkColumn("str: why no caption came", ("caption",), ("count", "recaption")),
    "_usage": WorkColumn("dict of float: see `Written`", ("caption",), ("count",)),
    "_scene_captions": WorkColumn("int: scene captions written", ("count",), ("count", "recaption")),
}
