"""The reasons for which rows leave, as the builder's README lists them, are those in the code."""

import ast
import re
from pathlib import Path

from dataset_builder.images.decoding import CONVERSIONS
from dataset_builder.schema import COLUMNS
from dataset_builder.sources import KINDS

ROOM = Path(__file__).parents[2] / "dataset_builder"
GIVING = ("sources", "images", "filters", "building", "groups")  # rooms that set rows aside
CODE = re.compile(r"[a-z]+(_[a-z0-9]+)+|unreadable|truncated|nodata|cloudy")
# Texts of that look which are none: keys of others' files, members of tars, parts of reports, this package's name.
OTHERS = {"add_alpha", "file_name", "fusionrs_hf", "group_rows", "img_content", "img_name", "n_frames"}
OTHERS |= {"worker_ms_per_row", "cost_usd", "title_multi_objects", *(f"raw_{number}" for number in range(1, 5))}
FOREIGN = "index_records.py"  # columns of the authors' index


def texts_and_names(files):
    """Texts that look like a reason, and every name that the code uses."""
    texts, names = set(), set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                texts.add(node.value)
            names |= {getattr(node, field) for field in ("id", "attr", "arg", "name") if hasattr(node, field)}
    return texts, names


def listed():
    quarantine = (ROOM / "README.md").read_text().split("\n## Quarantine\n")[1].split("\n## ")[0]
    rows = [line for line in quarantine.splitlines() if line.startswith("| ")]
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def test_the_readme_lists_every_reason_once_and_no_other():
    of_rooms, _ = texts_and_names(
        path for room in GIVING for path in (ROOM / room).rglob("*.py") if path.name != FOREIGN
    )
    _, names = texts_and_names(ROOM.rglob("*.py"))
    reasons = of_rooms - names - OTHERS - {*COLUMNS, *KINDS, *CONVERSIONS.values()}
    assert reasons > {"truncated", "key_has_dots", "ir_unit_contradicted", "split_margin", "duplicate_sample_id"}
    told = listed()
    assert len(told) == len({*told})
    assert reasons - {*told} == set(), "the README's table of reasons lacks them"
    assert {*told} - of_rooms == set(), "nothing gives these reasons"
