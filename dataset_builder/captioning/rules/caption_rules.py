"""Rules for one infrared-aware caption: each answers None or the words that break it; the reason is its name.

All thresholds are fields; all words are in this file, in `overclaims.py` and in `lexicon.yaml`. A rule answers None
where what it compares with is missing (no scene caption, no measured facts).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar, Protocol

from dataset_builder.captioning.rules.lexicon import implied, lemma, lexicon, lowered, objects, scene_captions, words
from dataset_builder.captioning.rules.overclaims import OVERCLAIM_RULES
from dataset_builder.claims import judge
from dataset_builder.thresholds import Thresholds, build_rules, threshold


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a caption is rejected: a rule's reason code, and the words or the claim that broke it."""

    reason: str
    detail: str


class CaptionRule(Protocol):
    """A frozen dataclass of thresholds; `reason` is its name in recipes and reports."""

    reason: ClassVar[str]

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Returns None, or the words of the caption that break the rule.

        Args:
            text: One infrared-aware caption.
            row: Columns of the record (`captions`, `ir_origin`, `ir_band`, `ir_unit`), with `_facts` if measured.
        """
        ...


def first_fault(text: str, row: Mapping[str, Any], rules: Sequence[CaptionRule]) -> Fault | None:
    """Asks the rules in order; returns the first fault, or None for a caption that passes all."""
    for rule in rules:
        if (detail := rule(text, row)) is not None:
            return Fault(rule.reason, detail)
    return None


_MARKUP = re.compile(r"</?[a-z][^<>]*>|<\||[{}\[\]`*|]|&(?:[a-z]+|#\d+);|__|\\[nrtu\"]|\"\w+\"\s*:|https?:|www\.|%\(")
_LIST_MARK = re.compile(r"\s*(?:#+|[-\u2022]|\d{1,2}[.)])\s")
_CUT = re.compile(
    r"(?:[,;:(\-\u2013\u2014]|\.\.\.|\u2026"
    r"|\b(?:and|or|but|the|an?|of|with|than|while|whereas|which|whose|its|into|from|for|to|at|as|is|are|by))\s*$"
    r"|\b(?:and|or|the|an|of|whereas)\s*[.!?]$",
)
_SENTENCE = re.compile(r"[.!?]+(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class CaptionFormat:
    """The text is blank, not one line of plain Latin text, marked up, cut short, or says a sentence twice."""

    reason: ClassVar[str] = "caption_format"

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads the text alone."""
        if not text.strip():
            return "blank"
        if not (text.isascii() and text.isprintable()):
            odd = next((character for character in text if _is_odd(character)), None)
            if odd is not None:
                return f"character U+{ord(odd):04X}"
        said = text.lower()
        if match := _MARKUP.search(said) or _LIST_MARK.match(said):
            return match[0].strip()
        if not any(character.isalpha() for character in text):
            return "no letters"
        if text.count("(") > text.count(")"):
            return "bracket never closed"
        if match := _CUT.search(said[-20:]):
            return f"cut after {match[0].strip()}"
        sentences = [sentence for sentence in _SENTENCE.split(said) if sentence]
        return next((said for said, times in Counter(sentences).items() if times > 1), None)


@lru_cache(maxsize=4096)
def _is_odd(character: str) -> bool:
    """Controls, line separators, invisible and undecodable characters, emoji, and letters of other scripts."""
    kind = unicodedata.category(character)
    if kind.startswith("L"):
        return not unicodedata.name(character, "").startswith(
            ("LATIN", "MICRO SIGN", "FEMININE", "MASCULINE", "MODIFIER")
        )
    return kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or character == "\ufffd" or ord(character) >= 0x2600


_REFUSAL = re.compile(
    r"\b(?:i'?m (?:sorry|afraid|unable)|sorry,|my apologies|as an? (?:ai|large language|language|vision)"
    r"|i (?:can ?not|can't|could not|couldn't|am (?:unable|sorry|not able)|do not|don't|apologi[sz]e)"
    r"|unable to (?:view|see|access|process|provide|describe|generate)|language model|please provide"
    r"|no (?:infrared )?image (?:was |is |has been )?(?:provided|attached|given|available)"
    r"|(?:here is|here's|below is|this is) (?:the|an?|my|your) [\w -]{0,30}(?:caption|description)"
    r"|(?:original|provided|given|source|scene|input|reference|existing) (?:caption|description)"
    r"|the captions?|as (?:requested|instructed)|json"
    r"|(?:ignore|disregard) (?:all |any |the )*(?:previous|prior|above|earlier))(?!\w)"
    r"|^(?:[\w -]{0,20}\b(?:caption|description|output|answer|response|result|note)|assistant|user|system)\s*:"
    r"|^(?:sure|certainly|of course|okay|absolutely)\b[,!.]"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model refuses, speaks of itself or of its prompt. Asked early: a refusal breaks most other rules as well."""

    reason: ClassVar[str] = "refusal"

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads the text alone."""
        return _hit(_REFUSAL, text)


@dataclass(frozen=True, slots=True)
class InfraredCaptionTooShort:
    """The caption has too few words to name an object and what is seen of it."""

    reason: ClassVar[str] = "ir_caption_too_short"
    min_words: int = threshold(4, "words")

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads the text alone."""
        count = len(text.split())
        return f"{count} words" if count < self.min_words else None


@dataclass(frozen=True, slots=True)
class InfraredCaptionTooLong:
    """The caption is longer than text towers read (77 tokens in CLIP) with room to spare."""

    reason: ClassVar[str] = "ir_caption_too_long"
    max_words: int = threshold(80, "words")

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads the text alone."""
        count = len(text.split())
        return f"{count} words" if count > self.max_words else None


_CUE = re.compile(
    r"\b(?:bright\w*|brilliant|luminous|luminance|intensit(?:y|ies)|dark\w*|dim(?:mer|mest|ly)?|pal(?:e|er|est)"
    r"|faint\w*|contrast\w*|gr[ea]y\w*|white\w*|black\w*|ton(?:e|es|al|ed)|midtones?|shad(?:es?|ing|ows?|owed|owy)"
    r"|saturated|lights? up|shin(?:es?|ing)|glow\w*|gleam\w*|textur\w*|smooth\w*|rough\w*|grain(?:y|ier)|coarse\w*"
    r"|speckled|mottled|striped|blurr\w+"
    r"|uniform\w*|homogen\w+|heterogen\w+|featureless|outlin\w+|silhouett\w+|edges(?! of)"
    r"|(?:crisp|sharp|soft|clear|strong) edge|lighter|lightest|light(?=[ -](?:ton|shad|gr[ea]y|patch|area|region))"
    r"|(?:appears?|looks?|seems?|is|are) (?:\w+ly )?light|blotch\w*|speckles?|boundar(?:y|ies)|stands? out"
    r"|blends? in\w*|vanish(?:es|ed)?|(?:in)?conspicuous"
    r"|(?:no longer|hardly|barely|scarcely|cannot|can not) (?:be )?(?:visible|seen"
    r"|traced|made out))\b"
)


@dataclass(frozen=True, slots=True)
class NoInfraredCue:
    """The caption observes nothing in the infrared image: no brightness, tone, contrast, texture, outline.

    The bare name of the band (`infrared`, `thermal`) is no observation and does not count, as it would in the
    published lexicon: it holds for every caption.
    """

    reason: ClassVar[str] = "no_infrared_cue"
    min_cues: int = threshold(1, "words of observation")

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads the text alone."""
        count = sum(1 for _ in islice(_CUE.finditer(lowered(text)), self.min_cues))
        return f"{count} words of observation" if count < self.min_cues else None


@dataclass(frozen=True, slots=True)
class ObjectInvented:
    """The caption names an object that the scene captions neither name nor imply.

    Broader words (water for a river), fixed parts (roofs of houses) and synonyms are no inventions; narrower words
    (cars for vehicles) and movable things are. Not judged where the scene captions name no known object.
    """

    reason: ClassVar[str] = "object_invented"
    max_invented: int = threshold(0, "objects a caption")

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads `captions`."""
        scene = [mention for caption in scene_captions(row) for mention in objects(caption)]
        scene = [mention for mention in scene if not mention.senses <= lexicon().anywhere]
        if not scene:
            return None
        licensed = implied(scene) | lexicon().anywhere
        invented = dict.fromkeys(m.text for m in objects(text) if not m.loose and not m.senses & licensed)
        return ", ".join(invented) if len(invented) > self.max_invented else None


@dataclass(frozen=True, slots=True)
class ObjectMissing:
    """The caption keeps too few of the objects that the scene captions name, all counted together.

    An object is kept by a word for it, for something broader, or for one of its parts. Where the scene captions name
    one or two, all are asked for. Not judged where they name no known object.
    """

    reason: ClassVar[str] = "object_missing"
    min_kept: float = threshold(0.5, "share of the scene captions' objects")
    all_of: int = threshold(2, "objects: where there are no more, all are kept")

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads `captions`."""
        scene = {mention.senses: mention for caption in scene_captions(row) for mention in objects(caption)}
        scene = {senses: mention for senses, mention in scene.items() if not senses <= lexicon().anywhere}
        if not scene:
            return None
        said = objects(text)
        named, reached = frozenset().union(*(mention.senses for mention in said)), implied(said)
        lost = [m.text for m in scene.values() if not (m.senses & reached or implied([m]) & named)]
        least = self.min_kept * len(scene) if len(scene) > self.all_of else len(scene)
        return ", ".join(lost) if len(scene) - len(lost) < least else None


_SEEN = (
    r"(?:(?:very|more|less|much|rather|slightly|relatively|quite|a|uniformly) ){0,2}(?:bright|dark|light|dim|grey|gray"
    r"|white|black|pale|smooth|rough|textured|uniform|high|low|sharp|crisp|featureless|blurred)"
)
_COMPARED = re.compile(r"\b(?:than|as) (?:[\w-]+ ){1,6}?suggests?\b")
_HEDGE = re.compile(
    r"\b(?:(?:might|may|could) (?:be|have|indicate|represent|suggest|correspond|contain|show|also|well|possibly|not"
    r"|mean|include|imply|depict)|possibly|possible|perhaps|maybe|probabl[ey]|(?:un)?likely|presumabl[ey]|seemingly"
    r"|apparently|potential(?:ly)?|supposedly|conceivably|arguably|uncertain\w*|ambiguous\w*|believed to|assumed to"
    r"|i (?:think|believe|guess|assume)|suggest(?:s|ed|ing|ive)?|if any|what (?:appears|seems|looks)"
    r"|(?:a|some) (?:kind|sort) of|not (?:entirely |fully |quite )?(?:clear|certain|sure)"
    rf"|(?:appear|seem|look)(?:s|ed|ing)? (?:to be|like)(?! {_SEEN})|(?:appear|seem)s? to (?:suggest|indicate"
    r"|represent|correspond|possibly|perhaps|depict|contain|include|serve|function)"
    r"|(?:difficult|hard|impossible|not possible) to (?:say|tell|determine|identify|judge|know)"
    r"|(?:cannot|can not|can't|could not) be (?:determined|identified|confirmed|verified|known)"
    r"|unclear(?! (?:outline|edge|boundar|contour|texture|detail|border)))\b"
)


@dataclass(frozen=True, slots=True)
class Hedging:
    """The caption guesses (`might be`, `likely`); `appears bright` is an observation and no guess.

    So is `hard to distinguish`: it tells what the image shows.
    """

    reason: ClassVar[str] = "hedging"

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads the text alone; `than the visible image suggests` is a comparison."""
        return _hit(_HEDGE, _COMPARED.sub("", lowered(text)))


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Nearly all that the caption says, one scene caption says as well.

    Compared are the dictionary forms of words with a meaning of their own, in any order: a lead-in such as `infrared
    image of` adds nothing, and a shortened scene caption is a copy.
    """

    reason: ClassVar[str] = "near_copy"
    max_copied: float = threshold(0.85, "share of the caption's words of meaning")

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads `captions`."""
        said = _meaning(text)
        for scene in scene_captions(row):
            if said and (said & _meaning(scene)).total() >= self.max_copied * said.total():
                return scene
        return None


@lru_cache(maxsize=4096)
def _meaning(text: str) -> Counter[str]:
    return Counter(lemma(word) for word in words(text) if word not in lexicon().small)


@dataclass(frozen=True, slots=True)
class Contradicted:
    """The caption claims what the infrared image contradicts (`claims.judging`). Not judged without `_facts`."""

    reason: ClassVar[str] = "contradicted"
    max_contradicted: int = threshold(0, "claims a caption")

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads `_facts`."""
        if row.get("_facts") is None:
            return None
        broken = [judged.claim.text for judged in judge(text, row["_facts"]) if judged.verdict == "contradicted"]
        return "; ".join(dict.fromkeys(broken)) if len(broken) > self.max_contradicted else None


CAPTION_RULES: tuple[type[CaptionRule], ...] = (
    CaptionFormat,
    Refusal,
    InfraredCaptionTooShort,
    InfraredCaptionTooLong,
    NoInfraredCue,
    ObjectInvented,
    *OVERCLAIM_RULES,
    Hedging,
    NearCopy,
    Contradicted,
    ObjectMissing,  # last: what is wrong is told before what is left out
)


def make_caption_rules(thresholds: Thresholds | None = None) -> list[CaptionRule]:
    """Builds the rules from a recipe's `{rule: {threshold: value} | false}`; what it does not name keeps its defaults.

    Raises:
        InputError: A rule or threshold is unknown, or a value is not a number of at least zero.
    """
    return build_rules(thresholds, CAPTION_RULES, CAPTION_RULES, "caption rule")


def _hit(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(lowered(text))
    return match[0].strip() if match else None
