"""Chooses what is told of a pair: what strikes and is particular to it, each fact in words that the judge supports."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dataset_builder.captioning.fates import fates_of
from dataset_builder.captioning.part_names import Name
from dataset_builder.captioning.tellings import Telling, overlaps, sentence, tellings_of
from dataset_builder.captioning.turned import turned, turned_places
from dataset_builder.claims import judge
from dataset_builder.claims.grounding import InfraredFacts
from dataset_builder.claims.pair_facts import PairFacts
from dataset_builder.claims.pair_images import pair_of

MOST_TOLD, FEWEST_TOLD = 4, 2
MOST_FATES, TOLD_FATES = 4, 2  # of large parts: put into words, and told
FATE_PARTICULAR = (1.0, 0.9, 0.6, 0.4)  # of what becomes of a large part, by how many turned pairs bear it out
MOST_ASKED = 12  # facts of a pair that are put into words; those behind are hardly salient
ATTEMPTS = 2  # wordings of a fact: the judge does not read each one
LEAST_FATE = (0.0, 0.0, 0.45, 0.6)  # least salience of what becomes of a large part, likewise
# Told where there is nothing else.
FILLERS = {"part tone", "region", "region extreme tone", "part against ring", "line in infrared"}
LINES = {"line changes", "line in infrared only", "line in rgb only", "line extreme", "line in infrared"}
STRIKING = LINES - {"line in infrared"} | {"part reversed", "part lost"}
ALL_TURNED = 3
PARTICULAR = (1.0, 0.5, 0.2, 0.1)  # of a fact, by how many turned pairs bear it out


@dataclass(frozen=True, slots=True)
class Told:
    """A fact in words.

    Attributes:
        telling: The fact.
        text: A sentence that the judge supports on this pair.
        names: What its subjects are called, with the scene caption's words where these name them.
    """

    telling: Telling
    text: str
    names: tuple[Name, ...]


def image_name(row: Mapping[str, Any]) -> str:
    """What the infrared image is called: only a sensor's is infrared."""
    return "infrared image" if row.get("ir_origin") == "sensor" else "infrared-style image"


def tell(row: Mapping[str, Any], facts: InfraredFacts, draw: random.Random) -> Iterator[Told]:
    """Yields at most `MOST_TOLD` facts of a pair in words; none without RGB.

    What becomes of the largest parts comes first, then the most telling of all others.

    Args:
        row: `captions`, `ir_origin` and `ir_band` are read.
        facts: Of its images.
        draw: Of words.
    """
    pair = pair_of(facts)
    if pair is None:
        return
    words = _Words(row, facts, draw)
    told: list[Telling] = []
    for found in words.of_fates(pair):
        told.append(found.telling)
        yield found
    spare: list[tuple[float, int, Told]] = []
    for number, telling in enumerate(tellings_of(pair)[:MOST_ASKED]):
        if len(told) == MOST_TOLD:
            return
        if _names_any(told) and telling.kind in FILLERS or overlaps(telling, told):
            continue
        if (found := words.of(telling)) is None:
            continue
        most = _most_borne(telling, first=not told)
        if most < ALL_TURNED and (borne := words.bear_out(found)) > most:
            spare.append((-telling.weight * PARTICULAR[borne], number, found))
            continue
        told.append(telling)
        yield found
    for _, _, found in sorted(spare, key=lambda entry: entry[:2]):
        if not _names_any(told) and not overlaps(found.telling, told):
            told.append(found.telling)
            yield found


def _most_borne(telling: Telling, first: bool) -> int:
    """How many turned pairs may bear a fact out that is told nevertheless."""
    if telling.kind == "line extreme":
        return ALL_TURNED
    if telling.kind in STRIKING and first:
        return 2
    return 1 if telling.kind in LINES else 0


def _names_any(told: Sequence[Telling]) -> bool:
    """Whether a part or a line was told, and not only where it is brightest or darkest."""
    return any(telling.kind != "region extreme" for telling in told)


class _Words:
    """Puts facts of one pair into words that the judge reads and supports, and asks the turned pairs about them."""

    def __init__(self, row: Mapping[str, Any], facts: InfraredFacts, draw: random.Random) -> None:
        self.row, self.facts, self.draw, self.image = row, facts, draw, image_name(row)

    def of(self, telling: Telling) -> Told | None:
        """A wording, or None."""
        for _ in range(ATTEMPTS):
            text, names = sentence(telling, self.row, self.image, self.draw)
            if is_supported(text, self.facts):
                return Told(telling, text, names)
        return None

    def of_fates(self, pair: PairFacts) -> list[Told]:
        """What becomes of the parts that strike most, one fact each; behind the first only what is particular."""
        found: list[tuple[float, int, Told]] = []
        for fates in fates_of(pair)[:MOST_FATES]:
            if worded := [told for fate in fates if (told := self.of(fate))]:
                times, told = self._most_particular(worded)
                if told.telling.salience >= LEAST_FATE[times]:
                    found.append((-told.telling.salience * FATE_PARTICULAR[times], times, told))
        found.sort(key=lambda entry: entry[0])
        kept: list[Told] = []
        for _, times, told in found:
            if not kept or times <= 1 and len(kept) < TOLD_FATES and not overlaps(told.telling, [kept[0].telling]):
                kept.append(told)
        return kept

    def _most_particular(self, worded: Sequence[Told]) -> tuple[int, Told]:
        """The first that hardly a turned pair bears out, else the first of all; with how many do."""
        borne: list[tuple[int, Told]] = []
        for told in worded:
            borne.append((self.bear_out(told), told))
            if borne[-1][0] <= 1:
                return borne[-1]
        return borne[0]

    def bear_out(self, told: Told) -> int:
        """How many turned pairs bear a sentence out."""
        if told.telling.kind.startswith("line"):
            return sum(is_supported(text, self.facts) for text in turned_places(told.text))
        return sum(is_supported(told.text, pair) for pair in self.turned)

    @cached_property
    def turned(self) -> list[InfraredFacts]:
        """Measured when first asked for."""
        return turned(self.facts)


def is_supported(text: str, facts: InfraredFacts) -> bool:
    """Whether the judge reads claims and supports all of them."""
    verdicts = {judged.verdict for judged in judge(text, facts)}
    return verdicts == {"supported"}


def joined(lead: str, text: str, facts: InfraredFacts) -> str | None:
    """A sentence behind a lead-in, as one; None where the judge reads more or less in it, or does not support it."""
    longer = f"{lead}{text[0].lower()}{text[1:]}"
    claims = [[(each.claim.kind, each.claim.value) for each in judge(said, facts)] for said in (text, longer)]
    return longer if claims[0] == claims[1] and is_supported(longer, facts) else None
