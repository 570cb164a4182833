"""What a search shows: a table, a contact sheet, and footprints that a geographic information system opens."""

import io
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from dataset_builder.search.retrieval import Hit, Query
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError, escaped
from fusionrs_hf.images import Limits, open_image, readable_infrared

TILE_PX, GAP_PX, LINE_PX = 160, 8, 16
COLUMNS = 3  # hits side by side
SHOWN = ("sample_id", "ir_band", "split", "source_locator")
PLACED = ("sample_id", "source_dataset", "source_locator", "ir_band", "split")


def results_table(hits: Sequence[Hit]) -> str:
    """Returns the hits as lines of text: rank, score, id, band, split, place in the source."""
    lines = [("rank", "score", *SHOWN)]
    lines += [(str(hit.rank), f"{hit.score:.4f}", *(str(hit.row[name] or "-") for name in SHOWN)) for hit in hits]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def results_json(hits: Sequence[Hit]) -> str:
    """Returns the hits as a JSON array of objects: `rank`, `score`, `row`."""
    return json.dumps([asdict(hit) for hit in hits], indent=1)


def footprint(bbox: Sequence[float]) -> dict[str, Any]:
    """Returns the GeoJSON geometry of a box (RFC 7946: WGS 84, longitude first, counter-clockwise).

    Args:
        bbox: West, south, east, north in degrees; west beyond east crosses the antimeridian, where the geometry is
            cut in two (section 3.1.9).
    """
    west, south, east, north = bbox

    def ring(left: float, right: float) -> list[list[list[float]]]:
        return [[[left, south], [right, south], [right, north], [left, north], [left, south]]]

    if west <= east:
        return {"type": "Polygon", "coordinates": ring(west, east)}
    return {"type": "MultiPolygon", "coordinates": [ring(west, 180.0), ring(-180.0, east)]}


def write_geojson(path: Path, hits: Sequence[Hit]) -> int:
    """Writes the hits that have a place as an RFC 7946 FeatureCollection, for QGIS and others.

    Args:
        path: File to write.
        hits: What was found.

    Returns:
        How many hits have no place and are not in the file.

    Raises:
        InputError: None has a place.
    """
    placed = [hit for hit in hits if hit.row["bbox"]]
    if not placed:
        raise InputError(f"none of {len(hits)} rows found has a bbox, so there is no {path}; leave out --geojson")
    geometries = [footprint(hit.row["bbox"]) for hit in placed]
    if any(geometry["type"] == "MultiPolygon" for geometry in geometries):  # one type a file, so one layer in QGIS
        for geometry in geometries:
            if geometry["type"] == "Polygon":
                geometry |= {"type": "MultiPolygon", "coordinates": [geometry["coordinates"]]}
    features = [
        {
            "type": "Feature",
            "id": hit.row["sample_id"],
            "bbox": hit.row["bbox"],
            "geometry": geometry,
            "properties": {"rank": hit.rank, "score": hit.score, **{name: hit.row[name] for name in PLACED}},
        }
        for hit, geometry in zip(placed, geometries)
    ]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return len(hits) - len(placed)


def write_sheet(
    path: Path, query: Query, hits: Sequence[Hit], rows: Sequence[Mapping[str, Any]], ir_range: Limits
) -> None:
    """Writes a contact sheet as PNG: the query, then each hit's RGB beside its infrared with rank, score and id.

    Args:
        path: File to write.
        query: What was looked for.
        hits: What was found.
        rows: The hits' rows with their images, in the same order.
        ir_range: Limits of infrared above 8 bit.
    """
    asked = query.images(ir_range)
    height = TILE_PX + 2 * LINE_PX + GAP_PX
    width = 2 * TILE_PX + 2 * GAP_PX
    top = LINE_PX + 2 * GAP_PX + (TILE_PX + GAP_PX if asked else 0)
    across = min(COLUMNS, max(len(hits), 1))
    sheet = Image.new("RGB", (GAP_PX + across * width, top + -(-len(hits) // across) * height), "white")
    draw = ImageDraw.Draw(sheet)
    words = query.text or " and ".join(f"{name}: {getattr(query, name).name}" for name in asked)
    draw.text((GAP_PX, GAP_PX), _fitted(f"query  {words}", sheet.width - 2 * GAP_PX), "black", _font())
    for place, image in enumerate(asked.values()):
        sheet.paste(_thumbnail(image), (GAP_PX + place * TILE_PX, LINE_PX + 2 * GAP_PX))
    for index, (hit, row) in enumerate(zip(hits, rows)):
        left, upper = GAP_PX + index % across * width, top + index // across * height
        for place, image in enumerate(_images(row, hit.row["skipped"], ir_range)):
            sheet.paste(_thumbnail(image), (left + place * TILE_PX, upper))
        band = hit.row["ir_band"] or "no infrared"
        line = _fitted(f"{hit.rank}   {hit.score:.3f}   {band}", 2 * TILE_PX)
        draw.text((left, upper + TILE_PX), line, "black", _font())
        draw.text((left, upper + TILE_PX + LINE_PX), _fitted(hit.row["sample_id"], 2 * TILE_PX), "dimgray", _font())
    with atomic_path(path) as temporary:
        sheet.save(temporary, "PNG")


def _images(row: Mapping[str, Any], skipped: Sequence[str], ir_range: Limits) -> list[Image.Image]:
    """Returns a row's RGB and infrared, a grey field where one is missing or was not embedded."""
    images = []
    for name in ("rgb", "ir"):
        image = Image.new("L", (TILE_PX, TILE_PX), 200)
        if row[name] and not any(reason.startswith((f"{name}:", "row:")) for reason in skipped):
            image = open_image(io.BytesIO(row[name]["bytes"]))
            if name == "ir":
                image, _ = readable_infrared(image, ir_range, row["ir_band"])
        images.append(image)
    return images


def _thumbnail(image: Image.Image) -> Image.Image:
    return image.convert("RGB").resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(12)


def _fitted(text: str, width_px: int) -> str:
    """Returns a text without its middle where it is too long; the ends of an id tell it from its neighbours."""
    text = escaped(text if len(text) <= width_px else f"{text[:width_px]}{text[-width_px:]}")  # most are wider than 1
    font = _font()
    if font.getlength(text) <= width_px:
        return text

    def cut(half: int) -> str:
        return f"{text[:half]}…{text[-half:]}"

    halves = range(4, max(5, len(text) // 2))
    return cut(halves[max(0, bisect_right(halves, width_px, key=lambda half: font.getlength(cut(half))) - 1)])
