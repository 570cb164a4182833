"""The default captioner: tells what the infrared changes in a pair, from the scene caption and measured facts."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import dataset_builder.captioning.wordings as wordings
from dataset_builder.captioning.choice import FEWEST_TOLD, Told, is_supported, joined, tell
from dataset_builder.captioning.joint import joint_caption
from dataset_builder.captioning.protocol import Written
from dataset_builder.captioning.routine import (
    MAX_WORDS,
    compact_caption,
    extreme_sentence,
    routine_caption,
    texture_sentence,
)
from dataset_builder.captioning.rules.caption_rules import ObjectMissing
from dataset_builder.captioning.subjects import all_things, core_of, scene_subject
from dataset_builder.captioning.tellings import sentence
from dataset_builder.claims.grounding import InfraredFacts
from dataset_builder.schema import stable_seed

__all__ = ["MAX_WORDS", "GroundedCaptioner", "compact_caption"]

SENSOR_BANDS = {
    "nir": "near-infrared",
    "swir": "shortwave infrared",
    "mwir": "midwave infrared",
    "lwir": "thermal infrared",
}


class GroundedCaptioner:
    """Composes captions from the scene caption and the facts of the pair: no weights, nothing that was not measured.

    Returns two captions. Both tell first what becomes of the largest parts, then what is most particular to the pair:
    what turns black or white, what is reversed, a line that only the infrared shows. The first is compact, with one
    wording and order, for small language models: "Infrared: the dark ground in the upper left is the brightest part;
    mostly woodland." The second is prose of at most `MAX_WORDS` words, its words drawn by
    `stable_seed(sample_id, seed)`. The brightest cell and texture are told where there is little else, level and
    contrast where there is no RGB. A joint caption says what RGB shows and what becomes of it. No sentence is kept
    that the judge does not support on this pair. None speaks of temperature, material or, in infrared captions, of
    colour; only sensor rows are named by their band.
    """

    name = "grounded"
    revision = "4"

    def __init__(self, seed: int = 0) -> None:
        self.settings = {"seed": seed}

    def caption(
        self,
        rows: Sequence[Mapping[str, Any]],
        facts: Sequence[InfraredFacts],
        faults: Sequence[str | None] | None = None,
    ) -> list[Written]:
        """Returns `[compact, fluent]` and a joint caption for each row.

        Read are `sample_id`, `ir_origin`, `ir_band` and `captions`.
        """
        return [self._written(row, measured) for row, measured in zip(rows, facts, strict=True)]

    def told(self, row: Mapping[str, Any], facts: InfraredFacts) -> list[Told]:
        """The facts that the captions of a row tell, with what was measured and the names of the parts."""
        return list(tell(row, facts, random.Random(stable_seed(row["sample_id"], self.settings["seed"], "told"))))

    def _written(self, row: Mapping[str, Any], facts: InfraredFacts) -> Written:
        draw = random.Random(stable_seed(row["sample_id"], self.settings["seed"]))
        subjects = _subjects(row)
        compact_subject, subject = (draw.choice(subjects) if subjects else None for _ in range(2))
        if subjects and draw.random() < 0.6:
            subject = min(subjects, key=len)
        if subject and draw.random() < 0.6:
            subject = core_of(subject)
        told = self.told(row, facts)
        compact = _compact(told, row, facts, compact_subject)
        fluent = _fluent(told, subject, _band_name(row), facts, draw)
        joint = joint_caption(told, subject, row, facts, draw)
        return Written([compact, fluent], joint_captions=[joint] if joint else [], forms=["compact", "fluent"])


def _subjects(row: Mapping[str, Any]) -> list[str]:
    """What the scene captions are about: those phrases that name enough of their objects, or one with the rest."""
    missing = ObjectMissing()
    phrases = [[phrase for text in row["captions"] if (phrase := of(text))] for of in (scene_subject, all_things)]
    for several in phrases:
        if keeping := [phrase for phrase in several if missing(phrase, row) is None]:
            return keeping
    return [f"{phrase} and {missing(phrase, row).replace(', ', ' and ')}" for phrase in phrases[0][:1]]


def _band_name(row: Mapping[str, Any]) -> str:
    if row.get("ir_origin") != "sensor":
        return "infrared-style"
    return SENSOR_BANDS.get(row.get("ir_band"), "infrared")


class _First(random.Random):
    """Draws the first of all choices: the one wording of compact captions."""

    def choice(self, seq: Sequence[Any]) -> Any:
        return seq[0]

    def random(self) -> float:
        return 1.0


def _compact(told: Sequence[Told], row: Mapping[str, Any], facts: InfraredFacts, subject: str | None) -> str:
    """At most three facts in their plain wording behind a fixed lead-in, then the scene."""
    said = []
    for item in told[:3]:
        text, _ = sentence(item.telling, row, "image", _First())
        text = text if is_supported(text, facts) else item.text
        said.append(text[0].lower() + text[1:-1])
    if not said:
        return compact_caption(facts, subject)
    return f"Infrared: {'; '.join([*said, *([subject] if subject else [])])}."


def _fluent(told: Sequence[Told], subject: str | None, band: str, facts: InfraredFacts, draw: random.Random) -> str:
    """What is told as prose around what the scene is."""
    if not told and facts.images is None:
        return routine_caption(subject, band, facts, draw)
    sentences = [item.text for item in told]
    values = {item.telling.value for item in told}
    for _ in range(FEWEST_TOLD - len(told)):
        text, name = extreme_sentence(facts, values, draw)
        values.add(name)
        if text and is_supported(text, facts):
            sentences.append(text)
    if not told:
        sentences.append(texture_sentence(facts, draw))
    frame = _scene_sentence(subject, band, draw)
    if subject and draw.random() < 0.3 and (longer := _joined(sentences[0], subject, band, facts, draw)):
        sentences[0], frame = longer, ""
    kept, words = [], len(frame.split())
    for text in sentences:
        if words + len(text.split()) <= MAX_WORDS or not kept:
            kept.append(text)
            words += len(text.split())
    return " ".join([*kept, frame] if draw.random() < 0.4 else [frame, *kept]).strip()


def _joined(text: str, subject: str, band: str, facts: InfraredFacts, draw: random.Random) -> str | None:
    """A fact behind what the scene is, in one sentence; None where the judge would read another fact."""
    lead = draw.choice(wordings.INTO).format(band=band, subject=subject)
    return joined(f"{lead[0].upper()}{lead[1:]}", text, facts)


def _scene_sentence(subject: str | None, band: str, draw: random.Random) -> str:
    if subject is None:
        text = draw.choice(("{band} view.", "{band} image.", "Seen in {band}.")).format(band=band)
    else:
        text = draw.choice(wordings.OPENINGS + wordings.CLOSINGS).format(band=band, subject=subject)
    return text[0].upper() + text[1:]
