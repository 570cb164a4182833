"""Results of an evaluation as the rows of a card's or a page's tables, beside their controls."""

from collections.abc import Mapping
from typing import Any

from model_cards.clip import MeanRecall, Retrieval
from model_cards.facts import Estimate
from model_cards.translator import TranslationScore
from model_cards.vlm import FactScore
from training.scoring.clip_results import ClipResults, TrainedControls
from training.scoring.vlm_results import LongerReading, VlmResults

RIVALS = {"trees": "boosted trees", "radiometric": "the formula", "gray_as_shown": "gray of the RGB"}
UNFITTED = ("radiometric", "gray_as_shown")  # of these, those that need no training tiles
FACT_CONTROLS = {
    "constant": "constant caption",
    "ir_shuffled": "another tile's infrared",
    "ir_blanked": "infrared blanked",
    "rgb_shuffled": "another tile's RGB",
    "blind": "the model before it saw images",
}
LONGER = "longer training, {pairs} pairs"


def retrieval_rows(results: ClipResults | None, trained_controls: TrainedControls | None = None) -> list[Retrieval]:
    """Returns the results table of a CLIP, one row a subset and direction, in the order they were scored.

    Args:
        results: Of the run, with its own control (a) where that was scored; None: no rows.
        trained_controls: The two that the run did not train; where they lack a subset or direction, so does the row.
    """
    rows = []
    for subset, part in results.trained.items() if results else ():
        pretrained = (results.pretrained or {}).get(subset)
        directions = trained_controls.subsets.get(subset, {}) if trained_controls else {}
        every = part.with_fused()
        for direction, scores in every.scores.items():
            controls, margins = {}, {}
            if pretrained and direction in pretrained.scores:
                controls["pretrained"] = pretrained.scores[direction]["R@1"]
            for name, control in directions.get(direction, {}).items():
                controls[name] = control.mean.value
                margins[name] = Estimate(*control.difference)
            if "text" in direction:  # untrained projections say nothing of text
                controls["chance"] = 1 / every.scores[reverse(direction)]["queries"]
            interval = Estimate(*every.intervals[direction])
            rows.append(Retrieval(subset, direction, int(scores["queries"]), scores, interval, controls, margins))
    return rows


def reverse(direction: str) -> str:
    """Returns the direction whose queries are this one's gallery: `text_to_rgb/scene` of `rgb_to_text/scene`."""
    pair, slash, kind = direction.partition("/")
    query, gallery = pair.split("_to_")
    return f"{gallery}_to_{query}{slash}{kind}"


def mean_recall_cells(results: ClipResults | None) -> list[MeanRecall]:
    """Returns the cells of the table of mean recall; none without captions."""
    return [
        MeanRecall(subset, kind, Estimate(*interval))
        for subset, part in (results.trained.items() if results else ())
        for kind, interval in (part.mean_recall or {}).items()
    ]


def fact_scores(results: VlmResults | None, longer: LongerReading | None = None) -> list[FactScore]:
    """Returns the fact-accuracy table of a VLM: each kind of fact, then their mean with intervals.

    Args:
        results: Of the run; None: no rows.
        longer: What the bench's recipe reads, as a last column; None: not shown.
    """
    if results is None:
        return []
    model = results.accuracy["own_images"]
    names = {name: title for name, title in FACT_CONTROLS.items() if name in results.accuracy}
    controls = {title: results.accuracy[name] for name, title in names.items()}
    margins = {title: results.differences[name] for name, title in names.items()}

    def beside(kind: str) -> dict[str, Estimate]:
        return {LONGER.format(pairs=longer.pairs): Estimate(longer.facts[kind])} if longer else {}

    rows = [
        FactScore(
            kind,
            Estimate(value),
            {title: Estimate(other.kinds[kind]) for title, other in controls.items()} | beside(kind),
        )
        for kind, value in model.kinds.items()
    ]
    mean = FactScore(
        "mean",
        Estimate(model.mean, *model.interval),
        {title: Estimate(other.mean, *other.interval) for title, other in controls.items()} | beside("mean"),
        {title: Estimate(margin.value, margin.low, margin.high) for title, margin in margins.items()},
    )
    return [*rows, mean]


def translation_rows(results: Mapping[str, Any]) -> list[TranslationScore]:
    """Returns the results table of a translator, one row a scene and band that it answers for."""
    rows = []
    for scene, part in results.get("scenes", {}).items():
        for band, entry in part["bands"].items():
            ours = entry["methods"].get("learned")
            if ours is None:
                continue
            rivals = {
                title: entry["methods"][name]["r2"] for name, title in RIVALS.items() if name in entry["methods"]
            }
            r2 = Estimate(ours["r2"], *ours["r2_interval"])
            unfitted = max(entry["methods"][name]["affine_r2"] for name in UNFITTED)
            about = (scene, band, bool(part["known"]), int(entry["tiles"]), r2, ours["affine_r2"], unfitted)
            rows.append(TranslationScore(*about, ours.get("coverage"), rivals))
    return rows
