"""Names for parts and lines of a pair: by an object of the scene caption where one fits, else by appearance.

An object fits a part whose look it has (`KINDS`) and that lies where the scene caption puts it, if it says where. An
object that could as well be another one of the same caption names nothing; nor does one whose place is not said name a
part without hue, which may be a shadow.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataset_builder.captioning.rules.lexicon import objects, scene_captions
from dataset_builder.captioning.wordings import GROUNDS, LINE_NOUNS, LOOKS, PART_NOUNS
from dataset_builder.claims.pair_facts import Line, Part

SMALL_PART = 0.025  # of the area


@dataclass(frozen=True, slots=True)
class Kind:
    """What objects of some senses look like in RGB, and how they may be called.

    Attributes:
        senses: Groups of the lexicon.
        hues: Of a part; empty for lines.
        tones: Of a part, or of a line in either image.
        nouns: What it may be called beside the scene caption's own word.
    """

    senses: frozenset[str]
    hues: frozenset[str]
    tones: frozenset[str]
    nouns: tuple[str, ...]


def _kind(senses: str, hues: str, tones: str, nouns: str) -> Kind:
    return Kind(*(frozenset(words.split()) for words in (senses, hues, tones)), tuple(nouns.split(", ")))


KINDS = (
    _kind("forest orchard", "green neutral", "dark", "woods, woodland, forest, trees, canopy, wood"),
    _kind("water sea lake river", "teal blue neutral", "dark", "water"),
    _kind("water sea lake river", "teal blue", "medium pale", "water"),
    _kind("wetland", "green teal blue neutral", "dark", "marsh, wetland"),
    _kind("vegetation grass farmland", "green", "medium pale", "vegetation, greenery"),
    _kind("grass", "green", "medium pale", "grass, grassland, meadow, turf"),
    _kind("farmland", "green warm", "medium pale", "field, farmland, cropland, plot, parcel"),
    _kind("soil sand desert", "warm neutral", "medium pale", "bare ground, open ground, open land, open terrain"),
    _kind("sand beach", "warm neutral", "pale", "sand"),
)
LINE_KINDS = (
    _kind("road intersection runway bridge", "", "bright", "road, track"),
    _kind("railway", "", "bright dark", "railway"),
    _kind("river", "", "dark", "river, stream"),
)


@dataclass(frozen=True, slots=True)
class Name:
    """What a part or a line is called.

    Attributes:
        noun: `woods`, `patch`.
        look: Word for its look in the visible image, empty where the noun is enough.
        plural: Whether verbs are plural.
        match: The scene caption's words for the object and its sense in the lexicon; None for a name by appearance.
    """

    noun: str
    look: str = ""
    plural: bool = False
    match: tuple[str, str] | None = None


_SIDES = {"north": (0, 0), "south": (0, 1), "west": (1, 0), "east": (1, 1)}
_COMPASS = re.compile(r"\b(north|south)?(?:ern)?-?(east|west)?(?:ern)?\b")
_COMPASS_POINT = re.compile(r"\b(?:north|south|east|west)")
_CLAUSE = re.compile(r",|;|\bwith\b|\band\b|\bbeside\b|\bamid\b|\bnext to\b")
_PLURALS = {"woods", "trees"}


def object_name(part: Part, row: Mapping[str, Any], draw: random.Random) -> Name | None:
    """The object of the scene captions that a part is, or None where none fits or two might."""
    fitting: dict[str, tuple[Kind, str]] = {}
    for kind in KINDS:
        if part.hue in kind.hues and part.tone in kind.tones:
            for words, sense, clause in _named(row):
                placed = _COMPASS_POINT.search(clause) is not None
                if sense in kind.senses and _may_lie(clause, part.centre) and (placed or part.hue != "neutral"):
                    fitting.setdefault(sense, (kind, words))
    families = {_FAMILIES.get(sense, sense) for sense in fitting}
    if len(families) != 1:
        return None
    sense = draw.choice(sorted(fitting))
    kind, words = fitting[sense]
    noun = draw.choice(kind.nouns)
    return Name(noun, plural=noun in _PLURALS, match=(words, sense))


_FAMILIES = {"sea": "water", "lake": "water", "river": "water", "grass": "plants", "vegetation": "plants",
             "farmland": "plants", "sand": "soil", "desert": "soil", "beach": "soil", "orchard": "forest"}  # fmt: skip


def line_object(line: Line, row: Mapping[str, Any], draw: random.Random) -> Name | None:
    """The road or the river of the scene captions that a line is."""
    for kind in LINE_KINDS:
        tones = {line.infrared_tone} if "river" in kind.senses else {line.rgb_tone}
        matches = [(words, sense) for words, sense, _ in _named(row) if sense in kind.senses and tones & kind.tones]
        if matches:
            return Name(draw.choice(kind.nouns), match=matches[0])
    return None


def look_name(part: Part, draw: random.Random) -> Name:
    """A name by appearance: `dark ground`, `pale patch`."""
    form = "small" if part.share <= SMALL_PART else part.shape
    nouns = (*PART_NOUNS[form], *GROUNDS) if part.image == "rgb" else PART_NOUNS[form]
    told = part.image == "rgb" and (part.tone != "medium" or part.hue == "neutral")  # no grey is green
    return Name(draw.choice(nouns), draw.choice(LOOKS[part.tone]) if told else "")


def line_name(draw: random.Random) -> Name:
    """A noun for something narrow and long."""
    return Name(draw.choice(LINE_NOUNS))


def _named(row: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
    """Words, sense and clause of each object that the scene captions name."""
    found = []
    for caption in scene_captions(row):
        for clause in _CLAUSE.split(caption):
            for mention in objects(clause):
                if not mention.loose:
                    found += [(mention.text, sense, clause.casefold()) for sense in sorted(mention.senses)]
    return found


def _may_lie(clause: str, centre: tuple[float, float]) -> bool:
    """Whether something at a centre may be what a clause puts in the north, the south-west and so on."""
    for down, across in _COMPASS.findall(clause):
        for side in filter(None, (down, across)):
            axis, end = _SIDES[side]
            if abs(centre[axis] - end) > 0.67:
                return False
    return True
