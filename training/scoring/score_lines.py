"""Scores of a CLIP as lines to read: on each stand its chance, its gallery, and a word where that is small."""

from collections.abc import Iterator, Mapping, Sequence

from model_cards.clip import MEAN_RECALLS, direction_title
from training.scoring.chance import SMALL_GALLERY
from training.scoring.clip_results import ClipResults, DirectionScores, SubsetScores
from training.scoring.significance import Interval

HEADER = ("scored", "what", "R@1", "chance", "mean recall", "chance", "queries", "gallery", "")
WARNING = f"small gallery (under {SMALL_GALLERY})"
AS_LOADED = "as loaded"


def score_lines(results: ClipResults) -> list[str]:
    """Returns the table of an evaluation, one line a subset and direction, control (a) beneath what it controls."""
    rows = []
    for subset, part in results.trained.items():
        rows += _directions(subset, part, part.chance or {})
        rows += _means(subset, part.mean_recall or {}, part.chance or {})
        if results.pretrained and subset in results.pretrained:
            rows += _directions(f"{subset}, {AS_LOADED}", results.pretrained[subset], part.chance or {})
    tables = results.by_source or {}
    several = len({key.rpartition("/")[0] for key in tables}) > 1
    for source, table in tables.items() if several else ():
        rows += _means(source, table.mean_recall, table.chance or {})
    return _aligned([HEADER, *rows])


def _directions(
    name: str, part: DirectionScores | SubsetScores, chance: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[str, ...]]:
    every = part.with_fused() if isinstance(part, SubsetScores) else part
    for direction, scores in every.scores.items():
        known = chance.get(direction, {})
        yield (
            name,
            direction_title(direction),
            _percent(every.intervals[direction]),
            _chance(known, "R@1"),
            f"{100 * scores['mean_recall']:.1f}",
            _chance(known, "mean_recall"),
            str(int(scores["queries"])),
            *_gallery(known),
        )


def _means(
    name: str, recalls: Mapping[str, Interval], chance: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[str, ...]]:
    for kind, interval in recalls.items():
        known = chance.get(kind, {})
        title = f"mean recall, {MEAN_RECALLS.get(kind, kind)}"
        yield name, title, "", "", _percent(interval), _chance(known, "mean_recall"), "", *_gallery(known)


def _gallery(known: Mapping[str, float]) -> tuple[str, str]:
    items = int(known.get("gallery", 0))
    return str(items or ""), WARNING if items and items < SMALL_GALLERY else ""


def _chance(known: Mapping[str, float], name: str) -> str:
    return f"{100 * known[name]:.1f}" if name in known else ""


def _percent(interval: Interval) -> str:
    value, low, high = (f"{100 * number:.1f}" for number in interval)
    return f"{value} [{low}, {high}]"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
