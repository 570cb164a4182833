"""Physical claims in a caption, by the seven groups of the published release, with what is no claim left out.

Wider than the published lists and with exemptions that those lack. What counts is decided here:

- Bands. `thermal image`, `thermal infrared` name a band and `hot spot` a small bright target, both on a sensor's
  midwave or longwave rows only; any other `thermal` is a claim, and elsewhere these are claims too.
- Negation. `no heat`, `does not indicate temperature`, `rather than temperature`, `temperature cannot be inferred`
  claim nothing; `not only`, `no doubt`, `not as warm as` negate nothing.
- Names. A capitalised word beside another, or after a preposition of place, is a name (`Red Square`, `in Orange`), and
  so is what a scene caption capitalises so. Capitals all over (title case) make no names; nor do physical terms.
- Objects. Set phrases (`cooling tower`, `orange grove`, `green space`) are objects, and so are two words that the
  scene caption joins likewise (`heated pool`). Colours are not excused by it: `green field` claims a colour that no
  infrared image shows. What a thing is made of is a claim unless the scene caption says it (`metal roofs`).
- Figures. Roads radiate, ponds show reflections, chimneys emit smoke: only with a physical object are these claims.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from dataset_builder.captioning.rules.lexicon import NAME, is_title_case, lemma, lowered, plain, scene_captions, words


@dataclass(frozen=True, slots=True)
class OverClaim:
    """A claim of a physical quantity or of a colour.

    Attributes:
        group: Reason code of its rule.
        text: The words.
        term_of_art: Whether the words are the name of a band or of a small bright target on thermal sensors' images.
    """

    group: str
    text: str
    term_of_art: bool = False


_PICTURE = (
    r"infra-?red|ir|images?|imagery|imaging|imager|views?|scenes?|pictures?|frames?|tiles?|bands?|cameras?|sensors?"
    r"|channels?|photos?|photographs?|captures?|snapshots?|modality|domain"
)
_ENERGY = r"heat|warmth|energy|radiation|light|sunlight|infra-?red|near-infra-?red|nir|ir|waves?|wavelengths?"
_HUES = (
    "red|green|blue|yellow|orange|purple|violet|pink|brown|gold|turquoise|cyan|magenta|beige|tan|teal|maroon|crimson"
    "|scarlet|azure|indigo|khaki|ochre|emerald"
)
_TERMS = {
    "thermal_signature": r"thermal(?:ly|s)?(?:[ -]\w+)?|thermograms?|thermograph\w*|isotherm\w*",
    "heat": r"(?:over|pre)?heat(?:s|ed|ing|ers?|maps?|waves?)?(?:[ -]signatures?)?",
    "temperature": (
        r"temperatures?|hot[ -]?spots?|hot(?:ter|test)?|cold(?:er|est|ness)?|warm(?:er|est|s|ed|ing|ly|th)?|luke-?warm"
        r"|cool(?:er|est|s|ed|ing|ly|ness)?|chill(?:y|ed)|freezing|frigid|celsius|fahrenheit|kelvins?"
    ),
    "emissivity_radiance": (
        r"emissiv\w*|emittance|emit(?:s|ted|ting|ters?)?(?![a-z]| (?:\w+ ){0,2}(?:smoke|steam|plumes?|dust))"
        r"|emissions?(?! of (?:smoke|steam|dust))|radian(?:ces?|t|tly)|irradian\w+|radiations?"
        rf"|radiat(?:es?|ed|ing)(?= (?:\w+ ){{0,2}}(?:{_ENERGY})\b)"
        r"|(?:infra-?red|radiant|emitted|absorbed|stored) energy"
    ),
    "reflectivity": (
        r"reflectiv\w*|reflectan\w*|albedos?|back-?scatter\w*|absorb(?:s|ed|ing|ent)?|absorpti\w*|absorptan\w*"
        r"|specular\w*|transmi(?:ttan|ssiv)\w*|shiny|glossy|(?:highly|strongly|weakly|poorly)[ -]reflect(?:s|ed|ing)?"
        rf"|scatters?(?= (?:\w+[ -]){{0,3}}(?:{_ENERGY})\b)"
        rf"|reflect(?:s|ed|ing)?(?= (?:\w+[ -]){{0,3}}(?:{_ENERGY}|strongly|weakly|poorly|highly)\b)"
    ),
    "material_property": (
        r"(?<!er )(?<!bright )(?<!dark )(?<!pale )materials?|metal(?:s|lic)?|concrete"
        r"|asphalt|steel|alumin(?:i)?um|copper|bricks?|wooden|timber|plastic|glass"
        r"|bitumen|granite|marble|conductiv\w*|conductance|insulat(?:ed|ion|ing)|porous|porosity|dielectric|moisture"
        r"|humid(?:ity)?|water content|chlorophyll|biomass|photosynth\w+|(?:un)?healthy"
        r"|(?:vegetation|plant|crop|canopy) (?:health|vigou?r|stress)"
        r"|(?:surface|physical|chemical|material|optical) propert(?:y|ies)"
        r"|(?:material|chemical|mineral|surface) composition"
    ),
    "rgb_color": (
        rf"(?<!infra-)(?<!infra )(?:{_HUES})(?:n?ish|en|s)?|reddish|bluish|multi-?colou?red|colou?rful"
        r"|(?:vivid|vibrant|rich) colou?rs"
    ),
}
_CLAIM = re.compile(
    r"\b(?:"
    + "|".join(f"(?P<{group}>{terms})" for group, terms in _TERMS.items())
    + r")\b|(?P<degrees>\u00b0 ?[cfk]\b)"
)
_BAND_NAME = re.compile(rf"thermal[ -](?:{_PICTURE})$")
_OBJECT = re.compile(
    r"\b(?:cooling (?:towers?|ponds?)|(?:district )?heating plants?|heat pumps?|hot (?:springs?|tubs?)|warm-ups?"
    r"|cold stor(?:age|es?)|(?:geo)?thermal (?:power|plants?|springs?|baths?|pools?)|reflecting (?:pools?|ponds?)"
    r"|(?:golf|village) green|greens|green (?:spaces?|belts?)|orange (?:groves?|orchards?|trees?)|gold mines?"
    r"|(?:steel|concrete) (?:plants?|works|mills?)|(?:building|construction) materials? yards?)\b"
)
_ON = (
    r"(?!(?:but|while|whereas|although|though|yet|however|because|whose|over|near|beside|between|along|around|behind)"
    r"\b)"
)
_MEMBERS = r"(?:, ?(?:(?:or|nor|and) )?[\w-]+(?: [\w-]+)?(?=,? (?:or|nor)\b|,))*(?:,? (?:or|nor) [\w-]+(?: [\w-]+)?)?"
_NEGATED = re.compile(  # from the negator on, at most eight words of its clause, and a list that ends in or, nor
    r"\b(?:(?:no(?! (?:doubt|less|more|longer|warmer|hotter|cooler|colder|brighter|darker)\b)|without|neither|nor"
    r"|none of|lack(?:s|ing)?(?: of)?|free of|free from|devoid of|absence of|independent of|regardless of|instead of"
    rf"|rather than)(?: {_ON}(?!(?:than|with|from|by|at|in)\b)[\w'-]+){{1,8}}"
    r"|(?:not(?! (?:only|just|merely|simply|as|so|without)\b)|never|cannot|\w+n't)"
    rf"(?: {_ON}(?!(?:and|than)\b)[\w'-]+){{1,8}}){_MEMBERS}"
)
_DENIED = re.compile(  # what may follow a quantity that is not claimed
    r"(?: (?:values?|information|data|contents?|differences?|cues?|tones?|(?:and|or) [\w-]+"
    r"|of(?: the| these| any)? [\w-]+)){0,3}(?: is| are)? (?:absent|unavailable|(?:not|cannot|\w+n't|\w+ not)"
    r" (?:be )?(?:being )?(?:\w+ly )?(?:implied|inferred|shown|indicated|measured|known|claimed|determined|derived"
    r"|recoverable|available|present|visible|represented|encoded|recorded|seen|read|deduced|estimated))\b"
)
_NEVER_NAMES = re.compile(
    r"therm|heat[- ]|temperature|emi|radia|irrad|refle|absor|albedo|materi|conduct|surface|chlor"
)
_NEXT = re.compile(r"(?:'s)?[ -]([A-Z][a-z]\w*)")
_LAST = re.compile(r"(?:^|[^\w'])([\w']+)[ -]$")
_PLACES = {"in", "at", "of", "near", "from", "around", "toward", "towards", "outside"}


@lru_cache(maxsize=4096)
def find_overclaims(text: str, scenes: tuple[str, ...] = ()) -> tuple[OverClaim, ...]:
    """Returns the claims of a caption in the order of the text; cached.

    Args:
        text: One infrared-aware caption.
        scenes: The row's scene captions, whose names, objects and materials are no claims.
    """
    said, text = lowered(text), plain(text)
    if len(said) != len(text):  # rare letters have two characters in lower case: capitals are given up
        text = said
    matches = list(_CLAIM.finditer(said))
    if not matches:
        return ()
    exempt = [match.span() for match in (*_OBJECT.finditer(said), *_NEGATED.finditer(said))]
    exempt += _scene_names(said, scenes)
    titled = is_title_case(text)
    return tuple(
        OverClaim(
            group=match.lastgroup if match.lastgroup != "degrees" else "temperature",
            text=match[0],
            term_of_art=bool(_BAND_NAME.match(match[0])) or match[0].startswith(("hot-s", "hot s", "hots")),
        )
        for match in matches
        if not any(start <= match.start() < end for start, end in exempt)
        and not _DENIED.match(said, match.end())
        and not _is_name(text, match, titled)
        and not _is_scenes_own(match, scenes)
    )


def _scene_names(said: str, scenes: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where the caption says, in any case, a name of two words or more that a scene caption capitalises."""
    for scene in scenes:
        for name in NAME.findall(plain(scene)):
            yield from (match.span() for match in re.finditer(rf"\b{re.escape(name.lower())}\b", said))


def _is_name(text: str, match: re.Match[str], titled: bool) -> bool:
    word = text[match.start() : match.end()]
    if titled or not word[0].isupper() or word.isupper() or _NEVER_NAMES.match(match[0]):
        return False
    after = _NEXT.match(text, match.end())
    if after and not _CLAIM.fullmatch(after[1].lower()) and not re.fullmatch(_PICTURE, after[1].lower()):
        return True
    before = _LAST.search(text, 0, match.start())
    if before is None:
        return False
    starts_sentence = not text[: before.start(1)].rstrip() or text[: before.start(1)].rstrip()[-1] in '.!?:;"('
    return before[1].lower() in _PLACES or (before[1][0].isupper() and not starts_sentence)


def _is_scenes_own(match: re.Match[str], scenes: tuple[str, ...]) -> bool:
    """Whether the scene captions name the material, or join the word to the next one just as the caption does."""
    if match.lastgroup in ("rgb_color", "degrees") or not scenes:
        return False
    lemmas = [lemma(word) for word in words(match[0])]
    if match.lastgroup == "material_property":
        return any(set(lemmas) <= {lemma(word) for word in words(scene)} for scene in scenes)
    following = (
        lemmas if len(lemmas) > 1 else lemmas + [lemma(word) for word in words(match.string[match.end() :])[:1]]
    )
    if len(following) < 2:
        return False
    phrase = f" {' '.join(following)} "
    return any(phrase in f" {' '.join(map(lemma, words(scene)))} " for scene in scenes)


@dataclass(frozen=True, slots=True)
class _OverClaimRule:
    """A claim of what only a calibrated thermal sensor measures; its group is the rule's reason."""

    reason: ClassVar[str] = ""

    def __call__(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Reads `captions`, `ir_origin`, `ir_band` and `ir_unit`."""
        thermal = row.get("ir_origin") == "sensor" and row.get("ir_band") in ("mwir", "lwir")
        if thermal and row.get("ir_unit") == "kelvin_1e2" and self.reason != "rgb_color":
            return None
        claims = find_overclaims(text, scene_captions(row))
        texts = [c.text for c in claims if c.group == self.reason and not (thermal and c.term_of_art)]
        return ", ".join(dict.fromkeys(texts)) or None


class ThermalSignature(_OverClaimRule):
    """Claims a thermal signature, response or the like, or calls thermal what no thermal sensor saw."""

    __slots__ = ()
    reason: ClassVar[str] = "thermal_signature"


class Heat(_OverClaimRule):
    """Claims heat."""

    __slots__ = ()
    reason: ClassVar[str] = "heat"


class Temperature(_OverClaimRule):
    """Claims a temperature, or that something is hot, warm, cool or cold."""

    __slots__ = ()
    reason: ClassVar[str] = "temperature"


class EmissivityRadiance(_OverClaimRule):
    """Claims emission, emissivity or radiance."""

    __slots__ = ()
    reason: ClassVar[str] = "emissivity_radiance"


class Reflectivity(_OverClaimRule):
    """Claims reflection, absorption, reflectance or albedo."""

    __slots__ = ()
    reason: ClassVar[str] = "reflectivity"


class MaterialProperty(_OverClaimRule):
    """Claims what something is made of, or its moisture, health or other property."""

    __slots__ = ()
    reason: ClassVar[str] = "material_property"


class RgbColor(_OverClaimRule):
    """Claims a colour other than black, white and grey; no calibration excuses it."""

    __slots__ = ()
    reason: ClassVar[str] = "rgb_color"


OVERCLAIM_RULES = (
    ThermalSignature,
    Heat,
    Temperature,
    EmissivityRadiance,
    Reflectivity,
    MaterialProperty,
    RgbColor,
)
