"""The things that a scene caption names, as noun phrases in its order: `a bridge, a river and a boat`.

Captions of the kind that people write for RSICD, UCM or NWPU: a thing, a verb or a preposition, another thing. What
the shipped sample's rules write names kinds of cover and compass points, and is left to `subjects.scene_subject`.
"""

import re

from dataset_builder.captioning.rules.lexicon import Mention, lexicon, objects

MAX_PHRASES = 4
_BY_RULE = re.compile(
    r"^(?:mostly|chiefly)\b|\b(?:north\w*|south\w*|east\w*|west\w*|of the area|tenth of|trace of"
    r"|driest|dampest|wettest|warmest|hottest|coolest"
    r"|greenest|barest|least|throughout|in many places|across the area|from side to side|in all parts|here and there"
    r"|right across|reaching far|near the middle)\b",
    re.IGNORECASE,
)
_BETWEEN = re.compile(  # what stands between two noun phrases: verbs, prepositions, conjunctions
    r"[,;:.()]|\b(?:with(?:out)?|in|at|on|near(?:by)?|next to|beside|besides|by|around|along|alongside"
    r"|under(?:neath)?|between|among|amid|across|over|through|above|below|behind|against"
    r"|inside|outside|into|onto|from|to|toward|towards|for|and"
    r"|or|but|while|which|that|where|who|whose|as|than|is|are|was|were|be|been|being|has|have|had"
    r"|can|there|here|it"
    r"|goes|go|passes|pass|crosses|cross|runs|run|lies|lie|stands|stand(?=s? (?:in|on|at|by|near|next))|sits|sit|lines"
    r"|flows|flow|winds|wash|washes|shows|show|contains|contain|includes|include|consists of|composed of|made up of"
    r"|surrounds?|surrounded(?: by)?|covered(?: by)?|lined|filled|parked|docked|located|situated"
    r"|arranged|built|planted|scattered|piled(?: up)?|distributed|divided|separated|connected"
    r"|seen|displayed|vertical|parallel|each other|one another"
    r"|other half|half of|both sides of|one side of|the other side of|the middle of|the cent(?:er|re) of"
    r"|a part of|part of|neatly|closely|densely|together|aerial view of|close-up of)\b",
    re.IGNORECASE,
)
VERB = re.compile(
    r"\b(?:go(?:es)?|pass(?:es)?|cross(?:es)?|runs?|flows?|winds|leads?|(?:lines?|wash(?:es)?) (?:the|an?)) ?\b",
    re.IGNORECASE,
)
_PICTURE = re.compile(r"\b(?:image|picture|photo(?:graph)?|view|scene)s?\b", re.IGNORECASE)
_EMPTY = re.compile(r"^(?:also|just|quite|very|only|some of|all of|each|other)\b\s*", re.IGNORECASE)


def named_things(caption: str) -> list[str]:
    """Noun phrases of a caption that name objects of the lexicon, each object once; none of a caption by rule."""
    if _BY_RULE.search(caption):
        return []
    phrases: list[str] = []
    named: set[frozenset[str]] = set()
    for part in _BETWEEN.split(caption):
        phrase = _EMPTY.sub("", " ".join(part.split()))
        mentions = _things(phrase)
        senses = {mention.senses for mention in mentions}
        if phrase and mentions and not _PICTURE.search(phrase) and not senses <= named:
            phrases.append(phrase)
            named |= senses
    return phrases[:MAX_PHRASES]


def _things(text: str) -> list[Mention]:
    return [m for m in objects(text) if not m.loose and not m.senses <= lexicon().anywhere]


def keeps_all(subject: str | None, caption: str) -> bool:
    """Whether a phrase names every object that the caption names, and is no sentence."""
    return (
        subject is not None
        and not VERB.search(subject)
        and {m.senses for m in _things(caption)} <= {m.senses for m in _things(subject)}
    )
