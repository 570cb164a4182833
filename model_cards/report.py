"""The demo's results as one HTML page that needs nothing beside it: images and charts are inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from PIL import Image

from model_cards.charts import Curve, line_chart
from model_cards.clip import CONTROLS, Retrieval, direction_title, subset_title
from model_cards.facts import BaseModel, percent
from model_cards.pages import write_page
from model_cards.vlm import FactScore


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSummary:
    """What was built.

    Args:
        rows: Rows by split, then by infrared band; or any two-way count, outer keys become table rows.
        scenes: One line each: place, date, sensor, licence.
        quarantined: How many rows were set aside, by reason code.
    """

    rows: Mapping[str, Mapping[str, int]]
    scenes: Sequence[str] = ()
    quarantined: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One row of the dataset.

    Args:
        sample_id: Its name.
        band: `ir_band`, spelt out for readers.
        sensor: Instrument, or None.
        rgb: Mode RGB.
        ir: Sensor infrared, mode L, or None.
        ir_style: The same place translated from RGB, mode L, or None.
        captions, ir_captions: Scene captions and IR-aware captions.
    """

    sample_id: str
    band: str
    sensor: str | None
    rgb: Image.Image
    ir: Image.Image | None
    ir_style: Image.Image | None
    captions: Sequence[str]
    ir_captions: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One item of the gallery that a query returned.

    Args:
        item: Image or text.
        similarity: Cosine with the query.
        right: Whether it belongs to the query.
    """

    item: Image.Image | str
    similarity: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One query and what came back.

    Args:
        direction: As in `Retrieval.direction`.
        subset: As in `Retrieval.subset`.
        query: Image or text.
        candidates: The best candidates, best first.
        rank: Place of the first right item in the whole gallery, 1 is best.
        gallery: How many items were searched.
    """

    direction: str
    subset: str
    query: Image.Image | str
    candidates: Sequence[Candidate]
    rank: int
    gallery: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionedPair:
    """A held-out pair, the caption written from measurement and the one that the VLM generated.

    Args:
        sample_id, band, rgb, ir: As in `Pair`.
        reference, generated: The two captions.
        facts: By kind of fact: whether the generated caption states it rightly; None where it does not state it.
    """

    sample_id: str
    band: str
    rgb: Image.Image
    ir: Image.Image
    reference: str
    generated: str
    facts: Mapping[str, bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResults:
    """Everything the page shows; each figure comes from a file of the run.

    Args:
        dataset: What was built.
        pairs: A few rows, not picked by quality.
        clip_curves, vlm_curves: Losses and recalls over steps.
        retrieval: Rows of the results, every subset and direction.
        control_source: Where the controls' figures come from, by key of `CONTROLS`: "this run", "committed bench
            result of <date>".
        hits, misses: Queries whose first answer is right, and others.
        captions: Held-out pairs with generated captions, not picked by quality.
        fact_scores: Rows of the fact-accuracy table.
        scored_pairs: How many pairs these rows were scored on.
        base_models: What training started from.
        stages: Name and seconds of each stage of the run; 0 where an earlier run's result was kept.
        links: Files beside the page, relative, by label.
    """

    dataset: DatasetSummary
    pairs: Sequence[Pair]
    clip_curves: Sequence[Curve]
    vlm_curves: Sequence[Curve]
    retrieval: Sequence[Retrieval]
    control_source: Mapping[str, str]
    hits: Sequence[Search]
    misses: Sequence[Search]
    captions: Sequence[CaptionedPair]
    fact_scores: Sequence[FactScore]
    scored_pairs: int
    base_models: Sequence[BaseModel]
    stages: Sequence[tuple[str, float]]
    links: Mapping[str, str]


def write_report(out_html: Path, demo: DemoResults) -> None:
    """Writes the page.

    Args:
        out_html: File to write; its folder exists.
        demo: What to show.

    Raises:
        OSError: The file cannot be written.
    """
    filters = {
        "percent": percent,
        "chart": line_chart,
        "direction": direction_title,
        "subset": subset_title,
        "duration": duration,
    }
    write_page(
        out_html,
        "report.html",
        filters,
        demo=demo,
        controls=CONTROLS,
        headline=[row for row in demo.retrieval if row.direction in ("rgb_to_ir", "ir_to_rgb")],
        subsets=[(name, list(rows)) for name, rows in groupby(demo.retrieval, key=lambda row: row.subset)],
        columns=list(dict.fromkeys(name for counts in demo.dataset.rows.values() for name in counts)),
        fact_controls=list(dict.fromkeys(name for score in demo.fact_scores for name in score.controls)),
    )


def duration(seconds: float) -> str:
    """Returns seconds as minutes and seconds: `2 min 05 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
