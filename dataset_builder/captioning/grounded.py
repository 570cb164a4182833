"""The default captioner: composes captions from the scene caption and measured facts, without weights."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dataset_builder.captioning.protocol import Written
from dataset_builder.captioning.scene_phrases import keeps_all, named_things
from dataset_builder.claims.grounding import CELLS, REGION_DEPARTURE, InfraredFacts
from dataset_builder.schema import stable_seed

MAX_WORDS = 50  # of a fluent caption: text towers truncate, and captions should say what matters
COMPACT_RELATIONS = {
    "brighter": "brighter than visible",
    "darker": "darker than visible",
    "different": "unlike visible",
    "follows": "follows visible",
}
SENSOR_BANDS = {
    "nir": "near-infrared",
    "swir": "shortwave infrared",
    "mwir": "midwave infrared",
    "lwir": "thermal infrared",
}


class GroundedCaptioner:
    """Composes captions from the scene caption and measured facts: no weights, nothing that was not measured.

    Returns two captions. The first is compact, with one lead-in and one order of facts, for small language models:
    "Infrared: bright, low contrast, brightest north-west, darkest south, darker than visible; mostly woodland." The
    second is prose of at most `MAX_WORDS` words whose frames are drawn by `stable_seed(sample_id, seed)`. Both keep
    what the scene caption is about. Neither speaks of temperature, material or RGB colour; only sensor rows are named
    by their band. Rows without a scene caption get the facts alone.
    """

    name = "grounded"
    revision = "2"

    def __init__(self, seed: int = 0) -> None:
        self.settings = {"seed": seed}

    def caption(
        self,
        rows: Sequence[Mapping[str, Any]],
        facts: Sequence[InfraredFacts],
        faults: Sequence[str | None] | None = None,
    ) -> list[Written]:
        """Returns `[compact, fluent]` for each row; reads `sample_id`, `ir_origin`, `ir_band` and `captions`."""
        return [Written(self._captions(row, measured)) for row, measured in zip(rows, facts, strict=True)]

    def _captions(self, row: Mapping[str, Any], facts: InfraredFacts) -> list[str]:
        draw = random.Random(stable_seed(row["sample_id"], self.settings["seed"]))
        subjects = [subject for text in row["captions"] if (subject := scene_subject(text))]
        chosen = [draw.choice(subjects) if subjects else None for _ in range(2)]
        return [compact_caption(facts, chosen[0]), _fluent(chosen[1], _band_name(row), facts, draw)]


def compact_caption(facts: InfraredFacts, subject: str | None = None) -> str:
    """Returns the facts in a fixed order behind a fixed lead-in, then the scene; what is unknown is left out."""
    said = [facts.level, f"{facts.contrast} contrast"]
    if facts.brightest and facts.darkest:
        said += [f"brightest {facts.brightest}", f"darkest {facts.darkest}"]
    if facts.relation:
        said.append(COMPACT_RELATIONS[facts.relation])
    return f"Infrared: {', '.join(said)}{f'; {subject}' if subject else ''}."


_PREAMBLE = re.compile(
    r"^(?:(?:this|it|here) (?:is|shows)|there (?:is|are)|(?:in )?(?:this|the|an?|some)?\s*(?:\w+\s)?"
    r"(?:satellite|aerial|overhead|remote sensing|bird's[- ]eye)?\s*(?:image|photo(?:graph)?|view|picture|scene) "
    r"(?:of|shows|showing))\s+",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"[;:.(]|,\s*\w+(?:est|ing)\b|,\s*(?:seen|mostly|mainly|most|least|much|all)\b|,?\s(?:with|in|at|on|near|next|beside|by|"
    r"around|along|under|between|across|over|through|throughout|toward|towards|spread|reaching|surrounded|which|that|"
    r"where|is|are|was|were|has|have|lies?|covers?|runs?|sits?|stands?|can|while|seen|shows?|from)\b.*",
    re.IGNORECASE,
)
_LIST = re.compile(r"^(?:[^,]+, )*[^,]+? and [^,]+$|^[^,]+$")
# What would read as a claim about the infrared, or as one that no infrared image supports. As an adjective it is taken
# off the noun; elsewhere the phrase is not used.
_ADJECTIVES = (
    r"(?:(?:mildly|slightly|very|rather|fairly|quite|but) )?(?:bright(?:er)?|dark(?:er)?|light|dim|pale|black|white|"
    r"gr[ea]y|red(?:dish)?|green(?:ish)?|blue|yellow|brown|orange|purple|pink|golden|colou?rful|hot(?:ter)?|warm(?:er)?|"
    r"cold(?:er)?|cool(?:er)?|mild|(?:sun-)?warmed|heated|smooth|uniform|flat|rough|rugged|busy|textured)"
)
_ADJECTIVE = re.compile(rf"\b{_ADJECTIVES}(?:(?:,| and) {_ADJECTIVES})* (?=(?-i:[a-z]))", re.IGNORECASE)
_UNWANTED = re.compile(
    rf"\b(?:{_ADJECTIVES}|visible|rgb|infrared|north\w*|south\w*|east\w*|west\w*|cent(?:er|re|ral)\w*|left|right|top|upper|"
    r"lower|bottom|middle|heat\w*|temperature\w*|thermal|emissi\w+|reflect\w+|colou?rs?|no|not|texture\w*|contrast\w*|"
    r"\w+ness)\b",
    re.IGNORECASE,
)
MAX_SUBJECT_WORDS = 12


def scene_subject(caption: str) -> str | None:
    """Returns what a scene caption is about, as a noun phrase or a list of them; None if no plain one is found.

    "An aerial image of a farm with two barns." gives "a farm and two barns". Words for brightness,
    colour and temperature are taken off ("mostly warm open ground" gives "mostly open ground"): they would
    read as claims about the infrared.
    """
    caption = _PREAMBLE.sub("", " ".join(caption.split()))
    subject = _plain_phrase(_TAIL.split(caption, maxsplit=1)[0])
    if keeps_all(subject, caption):
        return subject
    return _listed(named_things(caption)) or subject


def _listed(phrases: Sequence[str]) -> str | None:
    """Several things as one list, without those that would read as claims; None where nothing is left."""
    plain = [phrase for phrase in map(_plain_phrase, phrases) if phrase]
    while len(" ".join(plain).split()) + 1 > MAX_SUBJECT_WORDS and len(plain) > 1:
        plain.pop()
    return " and ".join([", ".join(plain[:-1]), plain[-1]] if plain[1:] else plain) or None


def _plain_phrase(phrase: str) -> str | None:
    """A noun phrase, or a list of them, without words that would read as claims; None if it is not plain."""
    phrase = phrase.strip(" ,'\"")
    if not _LIST.match(phrase):
        phrase = phrase.split(",")[0]
    plain = _ADJECTIVE.sub("", phrase)
    if plain != phrase:
        plain = _without_repeats(plain)
        plain = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", re.sub(r"\b([Aa])n (?=[^aeiou])", r"\1 ", plain))
    words = plain.split()
    if not 1 <= len(words) <= MAX_SUBJECT_WORDS or _UNWANTED.search(plain) or not re.fullmatch(r"[\w', -]+", plain):
        return None
    if words[0][1:].islower() and not (len(words) > 1 and words[1][0].isupper()):  # keeps "New York"
        words[0] = words[0].casefold()
    elif words[0] == "A":
        words[0] = "a"
    return " ".join(words)


def _without_repeats(phrase: str) -> str:
    """Without adjectives kinds of ground may become one: "patches of A, A and B" gives "patches of A and B"."""
    head, of, rest = phrase.rpartition(" of ")
    items = list(dict.fromkeys(re.split(r", | and ", rest)))
    return head + of + " and ".join([", ".join(items[:-1]), items[-1]] if items[1:] else items)


def _band_name(row: Mapping[str, Any]) -> str:
    if row.get("ir_origin") != "sensor":
        return "infrared-style"
    return SENSOR_BANDS.get(row.get("ir_band"), "infrared")


# Frames of the fluent caption; the first of each is the shortest, taken when a drawn caption is too long.
_OPENINGS = (
    "{band} view of {subject}: {level} overall and {contrast} in contrast.",
    "This {band} image shows {subject}; it is {level} overall, with {contrast} contrast.",
    "{subject} in {band} view; the image appears {level}, with {contrast} contrast.",
    "{subject}, seen in this {band} view: the image is {level} and {contrast} in contrast.",
    "{subject} in a {contrast}-contrast {band} picture; the scene is {level} overall.",
    "The {band} scene shows {subject}. Overall it is {level} and its contrast is {contrast}.",
    "{band} image, {contrast} in contrast and {level} overall, of {subject}.",
    "With {contrast} contrast, this {band} image shows {subject}; the frame is {level} overall.",
)
_OPENINGS_WITHOUT_SUBJECT = (
    "{band} view: {level} overall and {contrast} in contrast.",
    "This {band} image is {level} overall, with {contrast} contrast.",
    "The {band} scene appears {level}, with {contrast} contrast.",
    "Overall this {band} image looks {level}; its contrast is {contrast}.",
)
_PLACES = (
    "The {brightest} is brightest and the {darkest} darkest.",
    "It is brightest in the {brightest} and darkest in the {darkest}.",
    "The brightest part lies in the {brightest}, the darkest in the {darkest}.",
    "The brightest tones lie in the {brightest}; the {darkest} is darkest.",
    "Towards the {darkest} it is darkest, while the {brightest} is brightest.",
    "Its darkest part is the {darkest}, its brightest the {brightest}.",
    "The {darkest} holds the darkest tones and the {brightest} the brightest.",
)
_RELATIONS = {
    "brighter": (
        "It is brighter than the visible image.",
        "On average it looks brighter than the visible image.",
        "Clearly it is brighter than the visible image.",
    ),
    "darker": (
        "It is darker than the visible image.",
        "On average it looks darker than the visible image.",
        "Clearly it is darker than the visible image.",
    ),
    "different": (
        "Its pattern differs from the visible image.",
        "Compared with the visible image it has a different pattern.",
        "The pattern is different from that of the visible image.",
    ),
    "follows": (
        "Its pattern follows the visible image.",
        "In its pattern it mirrors the visible image.",
        "The pattern resembles that of the visible image.",
    ),
}
_TEXTURES = {
    "smooth": ("It looks smooth.", "The texture is smooth.", "The surface appears smooth."),
    "moderately textured": (
        "It looks moderately textured.",
        "The texture is moderate.",
        "It shows a moderate texture.",
    ),
    "strongly textured": ("It looks strongly textured.", "The texture is strong.", "It shows a strong texture."),
}
_DISAGREEMENTS = (
    "The {disagreement} is {disagreement_sign} than the visible image suggests.",
    "In the {disagreement} it is {disagreement_sign} than the visible image would suggest.",
)
_TARGETS = ("A few small bright spots stand out.", "Some small bright spots are present.")
_REGIONS = (
    "{size} {shape} {tone} area lies in the {place}.",
    "In the {place} lies {size} {shape} {tone} area.",
    "{size} {shape} {tone} patch takes up part of the {place}.",
)
_SHAPES = {"compact": "compact", "elongated": "long", "irregular": "ragged"}


def _fluent(subject: str | None, band: str, facts: InfraredFacts, draw: random.Random) -> str:
    words = asdict(facts) | {"subject": subject, "band": band}
    words["level"] = "of medium brightness" if facts.level == "medium" else facts.level
    opening = [_OPENINGS if subject else _OPENINGS_WITHOUT_SUBJECT]
    rest = [_TEXTURES[facts.texture]]
    rest += [_PLACES] if facts.brightest and facts.darkest else []
    rest += [_RELATIONS[facts.relation]] if facts.relation else []
    extra = [_DISAGREEMENTS] if facts.disagreement else []
    extra += [_TARGETS] if 2 <= facts.small_bright_targets <= 5 else []
    extra += [_REGIONS] if (region := _told_region(facts, draw)) else []
    words |= region
    draw.shuffle(rest)
    draw.shuffle(extra)
    frames = [draw.choice(choices) for choices in opening + rest]
    if len(_compose(frames, words).split()) > MAX_WORDS:
        frames = [choices[0] for choices in opening + rest]
    for choices in extra:
        longer = [*frames, draw.choice(choices)]
        if len(_compose(longer, words).split()) <= MAX_WORDS:
            frames = longer
    return _compose(frames, words)


def _told_region(facts: InfraredFacts, draw: random.Random) -> dict[str, str]:
    """Words for the largest bright or dark region, whichever is drawn; nothing where neither marks its place."""
    middle = sum(facts.cell_means) / len(CELLS)
    candidates = []
    for tone, sign, regions in (("bright", 1, facts.bright_regions), ("dark", -1, facts.dark_regions)):
        for region in regions[:1]:
            side = region.place.removesuffix(" side")
            departures = [
                sign * (mean - middle)
                for cell, mean in zip(CELLS, facts.cell_means, strict=True)
                if cell == side or (side != region.place and side in cell.split("-"))
            ]
            if max(departures, default=0.0) >= REGION_DEPARTURE:
                candidates.append((tone, region))
    if not candidates:
        return {}
    tone, region = draw.choice(candidates)
    size = "a large" if region.share >= 0.2 else "a small" if region.share < 0.07 else "a"
    return {"tone": tone, "place": region.place, "size": size, "shape": _SHAPES[region.shape]}


def _compose(frames: Sequence[str], words: Mapping[str, Any]) -> str:
    sentences = [frame.format(**words) for frame in frames]
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
