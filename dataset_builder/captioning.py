"""IR-aware captions: a captioner writes them from measured facts and the scene caption, a stage fills the columns."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from dataset_builder.grounding import InfraredFacts, measure
from dataset_builder.schema import stable_seed

MAX_WORDS = 45  # of a fluent caption: text towers truncate, and captions should say what matters
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


class Captioner(Protocol):
    """Writes infrared-aware captions for one row; another implementation may ask a model.

    Attributes:
        name, revision: What is recorded with each caption.
        settings: JSON-able settings that, with name and revision, determine the captions.
    """

    name: str
    revision: str
    settings: Mapping[str, Any]

    def caption(self, row: Mapping[str, Any], facts: InfraredFacts) -> list[str]:
        """Returns the row's infrared-aware captions."""
        ...


class GroundedCaptioner:
    """Composes captions from measured facts alone: no weights, nothing that was not measured.

    Returns two captions. The first is compact, with one lead-in and one order of facts, for small language models:
    "Infrared: bright, low contrast, brightest north-west, darkest south, darker than visible." The second is prose of
    at most `MAX_WORDS` words whose frames are drawn by `stable_seed(sample_id, seed)` and whose subject is the scene
    caption's. Neither speaks of temperature, material or RGB colour; only sensor rows are named by their band.
    """

    name = "grounded"
    revision = "1"

    def __init__(self, seed: int = 0) -> None:
        self.settings = {"seed": seed}

    def caption(self, row: Mapping[str, Any], facts: InfraredFacts) -> list[str]:
        """Returns `[compact, fluent]`.

        Args:
            row: Reads `sample_id`, `ir_origin`, `ir_band` and `captions`.
            facts: Of the row's infrared image and its pair.
        """
        draw = random.Random(stable_seed(row["sample_id"], self.settings["seed"]))
        subject = next((found for text in row["captions"] if (found := scene_subject(text))), None)
        return [compact_caption(facts), _fluent(subject, _band_name(row), facts, draw)]


def compact_caption(facts: InfraredFacts) -> str:
    """Returns the facts in a fixed order behind a fixed lead-in; what was not measured is left out."""
    said = [facts.level, f"{facts.contrast} contrast"]
    if facts.brightest and facts.darkest:
        said += [f"brightest {facts.brightest}", f"darkest {facts.darkest}"]
    if facts.relation:
        said.append(COMPACT_RELATIONS[facts.relation])
    return f"Infrared: {', '.join(said)}."


_PREAMBLE = re.compile(
    r"^(?:(?:this|it|here) (?:is|shows)|there (?:is|are)|(?:in )?(?:this|the|an?|some)?\s*(?:\w+\s)?"
    r"(?:satellite|aerial|overhead|remote sensing|bird's[- ]eye)?\s*(?:image|photo(?:graph)?|view|picture|scene) "
    r"(?:of|shows|showing))\s+",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"[,;:.(]|\s(?:with|in|at|on|near|next|beside|by|around|along|under|between|surrounded|and|which|that|where|"
    r"is|are|was|were|has|have|lies?|covers?|runs?|sits?|stands?|can|while|seen|shows?)\b.*",
    re.IGNORECASE,
)
_UNWANTED = re.compile(
    r"\b(?:bright\w*|dark\w*|light\w*|dim|black|white|gr[ea]y|red\w*|green\w*|blue\w*|yellow\w*|brown\w*|orange|purple|"
    r"pink|colou?r\w*|visible|rgb|infrared|north\w*|south\w*|east\w*|west\w*|cent(?:er|re|ral)\w*|left|right|top|upper|"
    r"lower|bottom|middle|hot|warm\w*|cold|cool\w*|heat\w*|temperature\w*|thermal|emissi\w+|reflect\w+|no|not|texture\w*|"
    r"smooth|contrast\w*|uniform\w*|flat|rough|rugged|busy)\b",
    re.IGNORECASE,
)


def scene_subject(caption: str) -> str | None:
    """Returns the noun phrase a scene caption is about, or None if none of one to six plain words is found.

    "An aerial image of a farm with two barns." gives "a farm". A phrase that itself speaks of brightness, colour,
    place or temperature is not used: it would read as a claim about the infrared.
    """
    phrase = _TAIL.split(_PREAMBLE.sub("", " ".join(caption.split())), maxsplit=1)[0].strip(" '\"")
    words = phrase.split()
    if not 1 <= len(words) <= 6 or _UNWANTED.search(phrase) or not re.fullmatch(r"[\w' -]+", phrase):
        return None
    if words[0][1:].islower() and not (len(words) > 1 and words[1][0].isupper()):  # keeps "New York"
        words[0] = words[0].casefold()
    elif words[0] == "A":
        words[0] = "a"
    return " ".join(words)


def _band_name(row: Mapping[str, Any]) -> str:
    if row.get("ir_origin") != "sensor":
        return "infrared-style"
    return SENSOR_BANDS.get(row.get("ir_band"), "infrared")


# Frames of the fluent caption; the first of each is the shortest, taken when a drawn caption is too long.
_OPENINGS = (
    "{band} view of {subject}: {level} overall and {contrast} in contrast.",
    "This {band} image of {subject} is {level} overall, with {contrast} contrast.",
    "This {band} view of {subject} appears {level}, with {contrast} contrast.",
    "{subject}, seen in this {band} view: the image is {level} and {contrast} in contrast.",
    "{subject} in a {contrast}-contrast {band} picture; the scene is {level} overall.",
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
    "Brightness peaks in the {brightest}; the {darkest} is darkest.",
    "Towards the {darkest} it is darkest, while the {brightest} is brightest.",
)
_RELATIONS = {
    "brighter": ("It is brighter than the visible image.", "On average it looks brighter than the visible image."),
    "darker": ("It is darker than the visible image.", "On average it looks darker than the visible image."),
    "different": (
        "Its pattern differs from the visible image.",
        "Compared with the visible image it has a different pattern.",
    ),
    "follows": ("Its pattern follows the visible image.", "In its pattern it mirrors the visible image."),
}
_TEXTURES = {
    "smooth": ("It looks smooth.", "The texture is smooth."),
    "moderately textured": ("It looks moderately textured.", "The texture is moderate."),
    "strongly textured": ("It looks strongly textured.", "The texture is strong."),
}
_DISAGREEMENTS = (
    "The {disagreement} is {disagreement_sign} than the visible image suggests.",
    "In the {disagreement} it is {disagreement_sign} than the visible image would suggest.",
)
_TARGETS = ("A few small bright spots stand out.", "Some small bright spots are present.")


def _fluent(subject: str | None, band: str, facts: InfraredFacts, draw: random.Random) -> str:
    words = asdict(facts) | {"subject": subject, "band": band}
    words["level"] = "of medium brightness" if facts.level == "medium" else facts.level
    opening = [_OPENINGS if subject else _OPENINGS_WITHOUT_SUBJECT]
    rest = [_TEXTURES[facts.texture]]
    rest += [_PLACES] if facts.brightest and facts.darkest else []
    rest += [_RELATIONS[facts.relation]] if facts.relation else []
    extra = [_DISAGREEMENTS] if facts.disagreement else []
    extra += [_TARGETS] if 2 <= facts.small_bright_targets <= 5 else []
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


def _compose(frames: Sequence[str], words: Mapping[str, Any]) -> str:
    sentences = [frame.format(**words) for frame in frames]
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


class CaptionStage:
    """Batch stage: measures the facts of each pair into `_facts` and fills `ir_captions` and the captioner columns.

    Rows that already have a `_reason`, or no decoded infrared, are left as they are.
    """

    def __init__(self, captioner: Captioner) -> None:
        self.captioner = captioner
        self._settings = json.dumps(dict(captioner.settings), sort_keys=True)

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        """Fills the columns of a batch; reads `_ir` uint8 `(h, w)`, `_rgb` uint8 `(h, w, 3)` and `captions`."""
        size = len(batch["sample_id"])
        facts: list[InfraredFacts | None] = [None] * size
        for index in range(size):
            row = {name: values[index] for name, values in batch.items()}
            if row.get("_reason") or row.get("_ir") is None:
                continue
            facts[index] = measured = measure(row["_ir"], row.get("_rgb"))
            batch["ir_captions"][index] = self.captioner.caption(row, measured)
            batch["captioner"][index] = self.captioner.name
            batch["captioner_revision"][index] = self.captioner.revision
            batch["captioner_settings"][index] = self._settings
        batch["_facts"] = facts
        return batch


def distinct_n(captions: Sequence[str], n: int) -> float:
    """Returns the share of distinct word n-grams among all n-grams of the captions, 0 to 1 (Li et al. 2016)."""
    grams = [gram for text in captions for gram in _ngrams(text, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def _ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    words = re.findall(r"[\w-]+", text.casefold())
    return list(zip(*(words[i:] for i in range(n))))
