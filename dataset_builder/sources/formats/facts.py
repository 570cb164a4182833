"""What recipes and metadata say of an image -> columns of the record, checked; what cannot be is told, not mended."""

import datetime
import math
import re
from collections.abc import Mapping
from typing import Any

from dataset_builder.sources.formats.paths import SPLIT_WORDS, printable, split_words
from fusionrs_hf.errors import shown

DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?)?)?")


def split_in(name: str) -> str | None:
    """Returns the split that an image's name tells; None if none does.

    The first folder with a word for one counts, such as `val2017`, else the file, as `datasets` reads images.
    """
    *folders, file = name.split("/")
    return next((SPLIT_WORDS[words[0]] for part in (*folders, file) if (words := split_words(part))), None)


def iso_date(value: Any) -> str:
    """Returns a date as ISO 8601 text, as it was given: `2020`, `2020-06`, `2020-06-01` or with a time after it.

    Args:
        value: Text, or a date as YAML and Parquet read one.

    Raises:
        ValueError: It is no such date.
    """
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value  # YAML: 2020
    if isinstance(text, str) and DATE.fullmatch(text):
        whole = text + "0000-01-01"[len(text) :]
        datetime.datetime.fromisoformat(whole)  # raises ValueError where there is no such day
        return text
    raise ValueError(f"acquired_at is {shown(value)}, no ISO date; give one such as 2020-06-01, or leave it out")


def metres(value: Any) -> float:
    """Returns a ground sampling distance in metres, from a number or its text.

    Raises:
        ValueError: It is no positive, finite number.
    """
    try:
        distance = float(value)
    except (TypeError, ValueError):
        distance = math.nan
    if isinstance(value, bool) or not 0 < distance < math.inf:
        raise ValueError(f"a gsd_m that is no number above 0 ({shown(value)}); give metres, such as 0.5")
    return distance


def words(value: Any) -> str:
    """Returns text as it is.

    Raises:
        ValueError: It is no text, or holds what UTF-8 cannot.
    """
    if not isinstance(value, str) or printable(value) != value:
        raise ValueError(f"{shown(value)} is no text")
    return value


FACTS = {"sensor": words, "acquired_at": iso_date, "gsd_m": metres}


def known_facts(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `sensor`, `acquired_at` and `gsd_m` of a metadata entry, as far as it knows them; `""` is unknown.

    Raises:
        ValueError: A value cannot be; the message starts with the column or its fault.
    """
    return {name: read(entry[name]) for name, read in FACTS.items() if entry.get(name) not in (None, "")}


def caption_texts(value: Any) -> tuple[list[str], bool]:
    """Returns the captions in a text or a list, nested at will, of texts, and whether all of it was readable.

    Null is no caption. A number, a mapping or text that UTF-8 cannot hold is not readable and not among the captions.
    """
    if isinstance(value, (list, tuple)):
        parts = [caption_texts(item) for item in value]
        return [text for texts, _ in parts for text in texts], all(readable for _, readable in parts)
    if value is None:
        return [], True
    if isinstance(value, str) and printable(value) == value:
        return [value], True
    return [], False
