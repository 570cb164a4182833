"""Pairs of a dataset as a picture for the card of its release: RGB above, infrared below, and what is said of them.

Drawn when a release is laid out, from the very rows that go up, so that no picture outlives a row that was taken down.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from dataset_builder.shards.limits import limits_of
from fusionrs_hf.images import open_image, readable_infrared
from model_cards.bands import BAND_NAMES
from model_cards.markdown import markdown_table, markdown_text

PICTURE = "pictures/pairs.png"
SHOWN, SIDE, GAP, LINE = 5, 192, 8, 20  # pairs; pixels of a tile, between tiles, and of a number
CAPTION_LIMIT = 240  # characters
IMAGES = ("rgb", "ir")
TOLD = ["sample_id", "source_dataset", "ir_band", "ir_origin", "captions", "ir_captions"]


def write_pictures(names: Sequence[str], out: Path) -> str:
    """Draws some pairs of a laid out release.

    Args:
        names: Files of the release.
        out: Its folder; `PICTURE` is written into it.

    Returns:
        Markdown that shows and describes the picture; empty where no row has both images.
    """
    shards = sorted(name for name in names if name.startswith("data/") and name.endswith(".parquet"))
    shards.sort(key=lambda name: not name.startswith("data/test-"))
    rows, limits = _rows(out / shards[0]) if shards else ([], {})
    if not rows:
        return ""
    sheet = _sheet([_pair(row, limits) for row in rows])
    (out / PICTURE).parent.mkdir(exist_ok=True)
    (out / PICTURE).unlink(missing_ok=True)  # a link to what an earlier release drew
    sheet.save(out / PICTURE, "PNG")
    lines = [
        [str(number), BAND_NAMES.get(row["ir_band"], BAND_NAMES["unspecified"]), str(row["ir_origin"]), _quoted(row)]
        for number, row in enumerate(rows, 1)
    ]
    table = markdown_table(["pair", "band", "infrared from", "caption"], lines)
    return f"![RGB above, infrared below, {len(rows)} pairs]({PICTURE})\n\n{table}\n"


def with_pictures(card: str, pictures: str) -> str:
    """Returns a card with pictures before its first section, or at its end; those of an earlier release leave."""
    start, end = "<!-- pairs:begin -->", "<!-- pairs:end -->"
    before, _, rest = card.partition(start)
    card = before + rest.partition(f"{end}\n\n")[2] if rest else card
    if not pictures:
        return card
    section = f"{start}\n{pictures}{end}\n\n"
    place = card.find("\n## ") + 1
    return card[:place] + section + card[place:] if place else f"{card.rstrip()}\n\n{section}".rstrip() + "\n"


def _rows(shard: Path) -> tuple[list[dict[str, Any]], Mapping[str, Sequence[float]]]:
    """Returns rows with both images, and the limits of wide infrared.

    They are the first by hash of each source and band in turn, from the row groups at start, middle and end.
    """
    with pq.ParquetFile(shard) as file:
        columns = [name for name in (*TOLD, *IMAGES) if name in file.schema_arrow.names]
        groups = sorted({0, file.num_row_groups // 2, file.num_row_groups - 1} & {*range(file.num_row_groups)})
        rows = [dict.fromkeys(TOLD) | row for row in file.read_row_groups(groups, columns).to_pylist()]
        limits = limits_of(file.schema_arrow)
    rows = [row for row in rows if all((row.get(name) or {}).get("bytes") for name in IMAGES)]
    rows.sort(key=lambda row: hashlib.sha256(str(row["sample_id"]).encode()).digest())
    seen: Counter[tuple] = Counter()
    turns = []
    for row in rows:
        kind = (row["source_dataset"], row["ir_band"])
        turns.append(seen[kind])
        seen[kind] += 1
    order = sorted(range(len(rows)), key=turns.__getitem__)
    return [rows[index] for index in order[:SHOWN]], limits


def _pair(row: Mapping[str, Any], limits: Mapping[str, Sequence[float]]) -> list[Image.Image]:
    rgb, ir = (open_image(io.BytesIO(row[name]["bytes"])) for name in IMAGES)
    return [rgb, readable_infrared(ir, limits, row["ir_band"])[0]]


def _sheet(pairs: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Draws a column a pair: its number, RGB, infrared."""
    sheet = Image.new("RGB", (GAP + len(pairs) * (SIDE + GAP), LINE + 2 * (SIDE + GAP)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for column, pair in enumerate(pairs):
        left = GAP + column * (SIDE + GAP)
        draw.text((left, 1), str(column + 1), "black", font)
        for line, image in enumerate(pair):
            tile = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            sheet.paste(tile, (left, LINE + line * (SIDE + GAP)))
    return sheet


def _quoted(row: Mapping[str, Any]) -> str:
    """The first caption of the infrared, else the first of the scene."""
    texts = [*(row["ir_captions"] or ()), *(row["captions"] or ())]
    return markdown_text(texts[0], CAPTION_LIMIT) if texts else ""
