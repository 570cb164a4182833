"""The card of a learned translator: its facts, and how they are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from huggingface_hub import EvalResult, ModelCard

from model_cards.bands import BAND_NAMES
from model_cards.facts import Estimate, ModelFacts, percent
from model_cards.markdown import markdown_table, markdown_text
from model_cards.render import Task, card_data, eval_result, render

TASK = Task("image-to-image", "RGB to infrared-style", "r_squared")


@dataclass(frozen=True, slots=True)
class TranslationScore:
    """How near a translator's answers come to sensor infrared, on one scene and band.

    Args:
        scene, band: Of the tiles.
        known: Whether the translator was trained on that scene.
        tiles: How many were scored.
        r2: Share of variance explained, with its interval over blocks of neighbouring tiles.
        affine_r2: The same after the best scale and offset.
        unfitted_affine_r2: That of the better of plain gray and the formula, which need no training.
        coverage: Share of pixels within the stated 80 % interval, None where none is stated.
        rivals: R2 of others by name, as a reader should see it.
    """

    scene: str
    band: str
    known: bool
    tiles: int
    r2: Estimate
    affine_r2: float
    unfitted_affine_r2: float
    coverage: float | None
    rivals: Mapping[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class TranslatorFacts(ModelFacts):
    """What the card of a translator says.

    Args:
        conditions: Bands by condition that it offers.
        reflectance: Whether it takes reflectance besides 8-bit display.
        rights: Of the training rows, by their own statement.
        split: Whose tiles were scored.
        scores: Rows of the results table.
    """

    conditions: Mapping[str, Sequence[str]]
    reflectance: bool
    rights: Sequence[str] = ()
    split: str = "test"
    scores: Sequence[TranslationScore] = ()


def render_translator_card(facts: TranslatorFacts) -> ModelCard:
    """Returns the card of a translator."""
    data = card_data(facts, TASK, ["image-to-image", "rgb-to-infrared"], _results(facts))
    data.library_name = "diffusers"
    return render(
        "translator_card.md",
        facts,
        data,
        table=_table(facts),
        unseen=unseen_statement(facts.scores),
        band=next(iter(facts.conditions.get("unknown") or facts.bands)),
        offered=[
            (name, ", ".join(BAND_NAMES.get(band, band) for band in bands)) for name, bands in facts.conditions.items()
        ],
    )


def unseen_statement(scores: Sequence[TranslationScore]) -> str:
    """Returns what is not reached on scenes that a translator was not trained on, or that nothing is known of it."""
    unseen = [score for score in scores if not score.known]
    if not unseen:
        return "How good it is on scenes that it was not trained on has not been measured."
    better = sum(score.affine_r2 > score.unfitted_affine_r2 for score in unseen)
    pairs = ", ".join(
        f"{markdown_text(score.scene)} {BAND_NAMES.get(score.band, score.band)} {percent(score.affine_r2)} against "
        f"{percent(score.unfitted_affine_r2)}"
        for score in unseen
    )
    return (
        f"Do not trust it on scenes that it was not trained on: shown their 8-bit display, it came nearer to the "
        f"sensor than the better of plain gray and a formula without weights in {better} of {len(unseen)} pairs of "
        f"scene and band (R2 in percent after the best scale and offset: {pairs})."
    )


def _table(facts: TranslatorFacts) -> str:
    rivals = list(dict.fromkeys(name for score in facts.scores for name in score.rivals))
    header = ["scene", "band", "tiles", "R2", "after scale and offset", "in the 80 % interval", *rivals]
    body = [
        [
            markdown_text(score.scene) + ("" if score.known else " (not trained on)"),
            BAND_NAMES.get(score.band, score.band),
            str(score.tiles),
            percent(score.r2),
            percent(score.affine_r2),
            "none stated" if score.coverage is None else percent(score.coverage),
            *(percent(score.rivals[name]) if name in score.rivals else "not run" for name in rivals),
        ]
        for score in facts.scores
    ]
    return markdown_table(header, body, numbers_from=2) if body else ""


def _results(facts: TranslatorFacts) -> list[EvalResult]:
    return [
        eval_result(
            facts,
            TASK,
            "R2 against sensor infrared",
            score.r2.value,
            f"{score.scene}, {BAND_NAMES.get(score.band, score.band)}",
            facts.split,
            dataset_config=f"{score.scene} {score.band}",  # without one the results would be taken for those of one
        )
        for score in facts.scores
    ]
