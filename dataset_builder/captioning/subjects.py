"""What a scene caption is about, as a phrase that may stand in an infrared caption."""

import re
from collections.abc import Sequence

from dataset_builder.captioning.scene_phrases import keeps_all, named_things

_PREAMBLE = re.compile(
    r"^(?:(?:this|it|here) (?:is|shows)|there (?:is|are)|(?:in )?(?:this|the|an?|some)?\s*(?:\w+\s)?"
    r"(?:satellite|aerial|overhead|remote sensing|bird's[- ]eye)?\s*(?:image|photo(?:graph)?|view|picture|scene) "
    r"(?:of|shows|showing))\s+",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"[;:.(]|,\s*(?!forest\b|growing\b)\w+(?:est|ing)\b|,\s*(?:seen|mostly|mainly|most|least|much|all)\b|"
    r",?\s(?:with|in|at|on|near|next|beside|by|"
    r"around|along|under|between|across|over|through|throughout|toward|towards|spread|reaching|surrounded|which|that|"
    r"where|is|are|was|were|has|have|lies?|covers?|runs?|sits?|stands?|can|while|seen|shows?|from)\b.*",
    re.IGNORECASE,
)
_A_LITTLE = re.compile(r" with a (?:little|trace of|tenth of) ")  # another thing of a list: amounts read as claims
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
    head = _TAIL.split(_A_LITTLE.sub(" and ", caption), maxsplit=1)[0]
    bare = core_of(f"{head[:1].casefold()}{head[1:]}")
    subject = _plain_phrase(bare if _A_LITTLE.search(caption) else head) or _plain_phrase(bare)
    if keeps_all(subject, caption):
        return subject
    return all_things(caption) or subject


def all_things(caption: str) -> str | None:
    """Returns what a scene caption names, wherever it says it, as a list; None where nothing plain is left."""
    return _listed(named_things(caption))


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


_AMOUNT = re.compile(
    r"^(?:(?:an? )?(?:patchwork|mosaic|wide expanse|fine mixture|finely broken-up mix|almost unbroken stretch) of"
    r"|(?:one continuous stretch|interlocking patches|large blocks|a few broad areas|broad clear-cut areas) of"
    r"|mostly|chiefly|finely mingled) (?=\w)"
)


def core_of(subject: str) -> str:
    """The subject without how it is laid out: `a patchwork of woods and water` gives `woods and water`."""
    return _AMOUNT.sub("", subject)
