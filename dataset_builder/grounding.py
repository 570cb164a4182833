"""What an infrared image measurably shows, what a caption claims about it, and whether the two agree.

Standard library, numpy, scipy and PIL only and no sibling modules: a metric's release copies this file beside itself.

North means the top of the array. All figures but the small bright targets are taken on a 48 x 48 area-averaged copy:
they keep their values under JPEG compression and resizing.
"""

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

CELLS = ("north-west", "north", "north-east", "west", "centre", "east", "south-west", "south", "south-east")
LEVELS = ("very dark", "dark", "medium", "bright", "very bright")
CONTRASTS = ("very low", "low", "moderate", "high", "very high")
TEXTURES = ("smooth", "moderately textured", "strongly textured")
RELATIONS = ("brighter", "darker", "different", "follows")
FACT_KINDS = ("level", "contrast", "brightest", "darkest", "relation")

# Borders between classes, chosen for balance on training tiles of three sensors and rounded.
LEVEL_BORDERS = (80.0, 115.0, 145.0, 185.0)  # of the mean, grey levels
CONTRAST_BORDERS = (50.0, 90.0, 130.0, 170.0)  # of the 95th minus the 5th percentile, grey levels
TEXTURE_BORDERS = (4.0, 7.0)  # of the median 3 x 3 standard deviation, grey levels
RELATION_DIFFERENCE = 75.0  # mean infrared minus mean luminance, grey levels
RELATION_CORRELATION = 0.6  # Pearson, over the working grid
BRIGHT_PIXEL, DARK_PIXEL = 170, 85  # grey levels: the upper and the lower third of the scale
DISAGREEMENT = 15.0  # grey levels, after each image's own mean is taken off

# How near to a border a wrong class is left unjudged; `fact_matches` knows no such margin.
LEVEL_MARGIN, CONTRAST_MARGIN, TEXTURE_MARGIN, CELL_MARGIN = 8.0, 10.0, 1.0, 4.0
DIFFERENCE_MARGIN, CORRELATION_MARGIN = 12.0, 0.1

_GRID = 48  # divisible by three: nine cells of 16 x 16
_FLAT = 1.0  # grey levels of standard deviation below which a correlation means nothing


@dataclass(frozen=True, slots=True)
class InfraredFacts:
    """Measured facts of one infrared image and of its pair. Intensities are grey levels, 0 to 255.

    Attributes:
        mean, level: Mean, and its class of `LEVELS`.
        spread, contrast: 95th minus 5th percentile, and its class of `CONTRASTS`.
        cell_means: Mean of each cell of the 3 x 3 grid, in the order of `CELLS`.
        cell_highs, cell_lows: 95th and 5th percentile of each cell.
        brightest, darkest: Cell with the highest and lowest mean; None when all cells agree within one grey level.
        brightest_margin, darkest_margin: Distance of that cell's mean to the runner-up's.
        bright_share, dark_share: Share of the area above `BRIGHT_PIXEL` and below `DARK_PIXEL`, 0 to 1.
        roughness, texture: Median of the standard deviation in 3 x 3 windows of the working grid, so that the borders
            of a few large regions don't count, and its class of `TEXTURES`.
        edge_share: Share of the area whose gradient exceeds 20 grey levels a working pixel, 0 to 1.
        small_bright_targets: Bright spots at most a twelfth of the side wide that stand out from a quiet background.
        difference: Mean infrared minus mean RGB luminance; None without RGB, as are the three below.
        correlation: Pearson correlation with luminance; 1 if both are flat, 0 if only one is.
        relation: `brighter` or `darker` than the visible image by `RELATION_DIFFERENCE`; if the levels are nearer,
            the pattern `follows` the visible one or is `different`, by `RELATION_CORRELATION`.
        cell_differences: Infrared minus luminance by cell, each image's own mean taken off first: what the overall
            level does not explain.
        disagreement, disagreement_sign: Cell where that is largest and `brighter` or `darker` for the infrared; None
            below `DISAGREEMENT`.
    """

    mean: float
    level: str
    spread: float
    contrast: str
    cell_means: tuple[float, ...]
    cell_highs: tuple[float, ...]
    cell_lows: tuple[float, ...]
    brightest: str | None
    brightest_margin: float
    darkest: str | None
    darkest_margin: float
    bright_share: float
    dark_share: float
    roughness: float
    texture: str
    edge_share: float
    small_bright_targets: int
    difference: float | None = None
    correlation: float | None = None
    relation: str | None = None
    cell_differences: tuple[float, ...] | None = None
    disagreement: str | None = None
    disagreement_sign: str | None = None


def measure(ir: np.ndarray, rgb: np.ndarray | None = None) -> InfraredFacts:
    """Measures one infrared image, and its relation to the RGB image of the same place if given.

    Args:
        ir: uint8 `(height, width)`, any size from 3 x 3; deeper data is scaled by declared limits before.
        rgb: uint8 `(height, width, 3)`; its size may differ. Luminance is ITU-R BT.601.

    Raises:
        ValueError: An array has another shape or type.
    """
    if ir.dtype != np.uint8 or ir.ndim != 2 or min(ir.shape) < 3:
        raise ValueError(f"ir must be uint8 (height, width) of at least 3 x 3, got {ir.dtype} {ir.shape}")
    grey = _reduced(Image.fromarray(ir))
    levels = np.sort(grey, axis=None)
    low, high = levels[round(0.05 * (levels.size - 1))], levels[round(0.95 * (levels.size - 1))]
    blocks = np.sort(_cells(grey), axis=1)
    cells = blocks.mean(1)
    order = np.argsort(cells, kind="stable")
    distinct = cells[order[-1]] - cells[order[0]] >= 1
    roughness = _roughness(grey)
    mean, spread = float(grey.mean()), float(high - low)
    return InfraredFacts(
        mean=mean,
        level=_class(mean, LEVEL_BORDERS, LEVELS),
        spread=spread,
        contrast=_class(spread, CONTRAST_BORDERS, CONTRASTS),
        cell_means=tuple(cells.tolist()),
        cell_highs=tuple(blocks[:, round(0.95 * (blocks.shape[1] - 1))].tolist()),
        cell_lows=tuple(blocks[:, round(0.05 * (blocks.shape[1] - 1))].tolist()),
        brightest=CELLS[order[-1]] if distinct else None,
        brightest_margin=float(cells[order[-1]] - cells[order[-2]]),
        darkest=CELLS[order[0]] if distinct else None,
        darkest_margin=float(cells[order[1]] - cells[order[0]]),
        bright_share=float((grey > BRIGHT_PIXEL).mean()),
        dark_share=float((grey < DARK_PIXEL).mean()),
        roughness=roughness,
        texture=_class(roughness, TEXTURE_BORDERS, TEXTURES),
        edge_share=float((np.hypot(*np.gradient(grey)) > 20).mean()),
        small_bright_targets=_small_bright_targets(ir),
        **({} if rgb is None else _compared(grey, rgb)),
    )


def _compared(grey: np.ndarray, rgb: np.ndarray) -> dict[str, object]:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"rgb must be uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
    luminance = _reduced(Image.fromarray(rgb).convert("L"))
    a, b = grey - grey.mean(), luminance - luminance.mean()
    flat = (float(a.std()) < _FLAT, float(b.std()) < _FLAT)
    correlation = float(all(flat)) if any(flat) else float((a * b).mean() / (a.std() * b.std()))
    difference = float(grey.mean() - luminance.mean())
    if abs(difference) >= RELATION_DIFFERENCE:
        relation = "brighter" if difference > 0 else "darker"
    else:
        relation = "follows" if correlation >= RELATION_CORRELATION else "different"
    cells = (_cells(a) - _cells(b)).mean(1)
    most = int(np.argmax(np.abs(cells)))
    apart = abs(cells[most]) >= DISAGREEMENT
    return {
        "difference": difference,
        "correlation": correlation,
        "relation": relation,
        "cell_differences": tuple(cells.tolist()),
        "disagreement": CELLS[most] if apart else None,
        "disagreement_sign": ("brighter" if cells[most] > 0 else "darker") if apart else None,
    }


def _reduced(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((_GRID, _GRID), Image.Resampling.BOX), dtype=np.float32)


def _cells(grey: np.ndarray) -> np.ndarray:
    side = _GRID // 3
    return grey.reshape(3, side, 3, side).swapaxes(1, 2).reshape(9, side * side)


def _roughness(grey: np.ndarray) -> float:
    mean = ndimage.uniform_filter(grey, 3)
    variance = ndimage.uniform_filter(grey * grey, 3) - mean * mean
    return float(np.sqrt(max(0.0, np.partition(variance, variance.size // 2, axis=None)[variance.size // 2])))


def _small_bright_targets(ir: np.ndarray) -> int:
    """Counts the blobs that a grey opening removes: 40 levels, and ten times the clutter, above their surround."""
    scale = 128 / max(ir.shape)
    if scale < 1:
        size = (max(1, round(ir.shape[1] * scale)), max(1, round(ir.shape[0] * scale)))
        ir = np.asarray(Image.fromarray(ir).resize(size, Image.Resampling.BOX))
    window = max(3, max(ir.shape) // 12 | 1)
    above = ir - ndimage.grey_opening(ir, window)  # an opening never exceeds the image: no wrap-around
    clutter = float(above.mean())
    if above.max() < max(40.0, 10 * clutter):
        return 0
    labels, _ = ndimage.label(above >= max(40.0, 10 * clutter), np.ones((3, 3)))
    return sum(max(s.stop - s.start for s in blob) <= window for blob in ndimage.find_objects(labels))


def _class(value: float, borders: Sequence[float], names: Sequence[str]) -> str:
    return names[bisect.bisect_right(borders, value)]


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement about the infrared image found in a caption.

    Attributes:
        kind: `level`, `contrast`, `texture`, `brightest`, `darkest`, `bright` or `dark` (a region, no superlative),
            `relation`, `disagreement` or `targets`.
        value: A class name of this module; places are cells of `CELLS` or sides (`north side`: all three cells);
            disagreement is place and sign (`north brighter`); targets are `present` or `absent`.
        text: The clause that says so.
    """

    kind: str
    value: str
    text: str


_VERTICAL = {"north": "north(?:ern(?:most)?)?|upper(?:most)?|top", "south": "south(?:ern(?:most)?)?|lower|bottom"}
_HORIZONTAL = {
    "west": "west(?:ern(?:most)?)?|left(?:-?hand|most)?",
    "east": "east(?:ern(?:most)?)?|right(?:-?hand|most)?",
}
_CENTRE = "cent(?:er|re|ral)|middle"
_PART = r"\s+(?:half|third|part|side|edge|portion|section|end|margin|border|strip|rim|area|region)\b"


def _place_patterns() -> list[tuple[str, str]]:
    """Place words and what they mean, the most specific first: cells by name, sides with a final `~`."""
    corners = [
        (rf"(?:{v})[\s-]*(?:{h})\b", f"{ns}-{we}") for ns, v in _VERTICAL.items() for we, h in _HORIZONTAL.items()
    ]
    cells, sides = [], []
    for name, words in (_VERTICAL | _HORIZONTAL).items():
        cells.append((rf"(?:(?:{words})[\s-]+(?:{_CENTRE})|(?:{_CENTRE})[\s-]+(?:{words}))\b", name))
        sides += [(rf"(?:{words})\b{_PART}", name + "~"), (rf"{name}\b", name), (rf"(?:{words})\b", name + "~")]
    return corners + cells + [(rf"(?:{_CENTRE})\b", "centre")] + sides


_PLACE_NAMES = [name for _, name in _place_patterns()]
_PLACE_WORDS = re.compile(r"\b(?:" + "|".join(f"({pattern})" for pattern, _ in _place_patterns()) + ")")
_PLACE = re.compile(r"@([a-z-]+~?)")  # what a place becomes, so that later patterns see one token
_NORMAL = [
    (re.compile("[\u2010-\u2015]"), "-"),
    (
        re.compile(r"\bmid(?:dle|dling)?[\s-]?(?:gr[ea]y|tone[ds]?)\b|\bintermediate (?:brightness|gr[ea]y)\b"),
        "midgrey",
    ),
    (re.compile(r"\b(?:medium|moderate|average)[\s-](?:brightness|level|intensity|tone)\b"), "midgrey"),
    (re.compile(r"\b(?:nearly|almost) (?:black)\b|\bblack\b"), "very dark"),
    (re.compile(r"\b(?:nearly|almost) (?:white)\b|\bwhite\b"), "very bright"),
    (re.compile(r"\blower(?= (?:in|than|contrast|brightness|intensity|level|response))"), "reduced"),
]
_SPLIT = re.compile(r"[.;:!?,]|\s(?:but|while|whereas|whilst|although|though|and|yet)\s")
_VISIBLE = re.compile(r"\b(?:visible|rgb|optical|colou?r|true-colou?r|daylight)\b")
_NEGATION = re.compile(r"\b(?:no|not|never|neither|nor|without|hardly|lacks?|lacking|isn't|aren't|doesn't|don't)\b")
_SUPERLATIVE = re.compile(
    r"\b(?:(brightest|lightest|whitest|highest|most intense|strongest|peaks?)"
    r"|(darkest|dimmest|blackest|lowest|weakest))\b"
)
_INTENSITY = re.compile(r"\b(?:(bright(?:er)?|light(?:er)?|luminous)|(dark(?:er)?|dim(?:mer)?))\b")
_BETWEEN_PLACES = re.compile(r"\bthan\b(?! (?:the )?(?:rest|surroundings|average|elsewhere))")
_CONTRAST_WORDS = {  # the very strong words first: "very low contrast" also contains "low contrast"
    "very low": "(?:very|extremely) (?:low|weak|little|faint|slight)|hardly any|almost no|no|minimal|negligible",
    "very high": "(?:very|extremely) (?:high|strong|sharp|marked|pronounced)|extreme|stark|harsh|intense",
    "low": "low|weak|little|faint|limited|subdued|muted|slight",
    "moderate": "moderate|medium|fair|average|intermediate|middling",
    "high": "high|strong|sharp|marked|pronounced|good|considerable",
}
_CONTRAST = [
    (
        re.compile(
            rf"\b(?:{words})[\s-](?:(?:tonal|overall|local|brightness|intensity|infrared) )?contrast\b"
            rf"(?! (?:between|with|to|against|from))"
            rf"|\bcontrast (?:is|looks|appears|remains|stays|seems) (?:{words})\b|\b(?:{words}) in contrast\b"
        ),
        value,
    )
    for value, words in _CONTRAST_WORDS.items()
]
_OTHER_PATTERN = re.compile(r"\bdifferent (?:spatial )?pattern\b|\bpattern (?:differs|is different)\b")
_UNIFORM = re.compile(r"\b(?:(nearly|almost|very) )?(?:uniform|flat|homogeneous|even)(?:ly)?\b(?! texture)")
_SMOOTH = r"\b(?:smooth|featureless)\b|\b(?:little|no|hardly any|weak|uniform|faint) texture\b"
_ROUGH = (
    r"\b(?:strongly|heavily|highly|richly|very|coarsely) textured\b|\b(?:rough|busy|grainy|rugged)\b"
    r"|\b(?:strong|rich|coarse|heavy|pronounced) texture\b|\btexture is (?:strong|rich|coarse|heavy|pronounced)\b"
)
_MODERATE = r"\btextured\b|\b(?:moderate|medium|some) texture\b|\btexture is moderate\b"
_TEXTURE = [
    (re.compile(words), value)
    for words, value in ((_SMOOTH, TEXTURES[0]), (_ROUGH, TEXTURES[2]), (_MODERATE, TEXTURES[1]))
]
_TARGETS = re.compile(r"\b(?:small|tiny|isolated|compact) (?:very )?bright (?:spots?|targets?|points?|dots?|blobs?)\b")
_IMAGE = (
    "image|scene|tile|frame|view|picture|near-infrared|infrared-style|infrared|nir|swir|lwir|ir|shortwave|midwave|thermal"
    "|it|everything|whole|overall|tone|response|level|brightness"
)
_FILLER = (
    "the|this|that|a|an|is|are|looks?|appears?|seems?|remains?|stays|mostly|mainly|largely|generally|entire|average|on|in"
    "|as|of|that|which|rather|fairly|quite|relatively|moderately|with|shows|to|be|its|has|grey|gray"
)
_SCENE_OF = r"(?:image|view|scene|picture|tile) of [^@]{1,80}? (?:is|looks|appears)"
_LEVEL = re.compile(  # a clause of nothing but the image and its level: other words would make it an object's
    rf"^(?:(?:{_FILLER}|{_IMAGE}|{_SCENE_OF})\b\s*)*(?P<very>very |extremely |exceptionally )?"
    rf"(?:(?P<bright>bright|light)|(?P<dark>dark|dim)|medium|midgrey)(?:\s+(?:{_FILLER}|{_IMAGE})\b)*\s*$"
)


def read_claims(caption: str) -> list[Claim]:
    """Extracts the claims about the infrared image, clause by clause and in order; what it can't parse it leaves out.

    Clauses that speak of the visible image alone are skipped, and negated ones too, but for `no contrast`, `no
    texture` and `no small bright spots`. Brightness of an object (`bright roofs`) is a claim only with a place.
    """
    text = caption.casefold()
    for pattern, replacement in _NORMAL:
        text = pattern.sub(replacement, text)
    text = _PLACE_WORDS.sub(lambda match: f" @{_PLACE_NAMES[match.lastindex - 1]} ", text)
    claims = []
    for clause in _SPLIT.split(text):
        clause = " ".join(clause.split())
        if clause:
            said = clause.replace("@", "").replace("~", "")
            claims += [Claim(kind, value, said) for kind, value in _read_clause(clause)]
    return claims


def _read_clause(clause: str) -> list[tuple[str, str]]:
    places = list(_PLACE.finditer(clause))
    if _VISIBLE.search(clause):
        return _read_comparison(clause, places)
    found = [("texture", value) for pattern, value in _TEXTURE if pattern.search(clause)][:1]
    contrasts = [(match, value) for pattern, value in _CONTRAST if (match := pattern.search(clause))][:1]
    if not places:
        found += [("contrast", value) for _, value in contrasts]
    if _OTHER_PATTERN.search(clause):
        found.append(("relation", "different"))
    negated = _NEGATION.search(clause)
    if _TARGETS.search(clause):
        return found + [("targets", "absent" if negated else "present")]
    if negated:
        return found
    superlatives = list(_SUPERLATIVE.finditer(clause))
    for index, match in enumerate(superlatives):
        end = superlatives[index + 1].start() if index + 1 < len(superlatives) else len(clause)
        after = [p for p in places if match.end() <= p.start() < end]
        nearest = after[:1] or [p for p in places if p.end() <= match.start()][-1:]
        found += [("brightest" if match[1] else "darkest", _place(p)) for p in nearest]
    if superlatives or _BETWEEN_PLACES.search(clause):
        return found
    intensity = _INTENSITY.search(clause)
    if places and intensity:
        return found + [("bright" if intensity[1] else "dark", _place(p)) for p in places]
    if places:
        return found
    for match, _ in contrasts:
        clause = clause.replace(match[0], "").strip()
    level = _LEVEL.match(clause)
    if level:
        word = "bright" if level["bright"] else "dark" if level["dark"] else "medium"
        found.append(("level", f"very {word}" if level["very"] and word != "medium" else word))
    elif not contrasts and (uniform := _UNIFORM.search(clause)):
        found.append(("contrast", "very low" if uniform[1] else "low"))
    return found


def _read_comparison(clause: str, places: list[re.Match[str]]) -> list[tuple[str, str]]:
    """Reads a clause that mentions the visible image: a relation, a disagreement when it names a place, or nothing."""
    match = re.search(r"\b(?:(brighter|lighter)|(darker|dimmer))\b[^@]*\bthan\b", clause)
    if match and not _NEGATION.search(clause):
        sign = "brighter" if match[1] else "darker"
        return [("disagreement", f"{_place(p)} {sign}") for p in places] or [("relation", sign)]
    if places:
        return []
    if re.search(
        r"\b(?:differ(?:s|ent|ently)?|unlike|departs?|deviates?)\b|\b(?:not|n't) (?:follow|match|resemble)", clause
    ):
        return [("relation", "different")]
    if re.search(r"\b(?:follow(?:s|ing)?|resembl\w+|mirrors?|matche?s?|like|echoe?s)\b", clause):
        return [("relation", "follows")]
    return []


def _place(match: re.Match[str]) -> str:
    return match[1].replace("~", " side")


def fact_matches(caption: str, facts: InfraredFacts) -> dict[str, bool]:
    """Tells for each of `FACT_KINDS` whether the caption claims exactly the measured class; no margins.

    A kind that is not claimed, not readable, claimed twice with different values, or not measured counts as False, so
    that denominators are the same for every caption.
    """
    claimed: dict[str, set[str]] = {kind: set() for kind in FACT_KINDS}
    for claim in read_claims(caption):
        if claim.kind in claimed:
            claimed[claim.kind].add(claim.value)
    return {kind: claimed[kind] == {getattr(facts, kind)} for kind in FACT_KINDS}


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim and its verdict: `supported`, `contradicted` or `unverifiable`."""

    claim: Claim
    verdict: str


def judge(caption: str, facts: InfraredFacts) -> list[Judged]:
    """Judges every readable claim of a caption against measured facts.

    A claim of the measured class is supported. Another class is contradicted, unless the measurement lies within a
    margin of the claimed class (`LEVEL_MARGIN` and so on; for cells, `CELL_MARGIN` below the extreme cell) or the
    claim is a weaker word in the same direction (`dark` for very dark): then it is unverifiable, and so is all that
    was not measured, such as a relation without RGB. A relation is judged by what the words say, not by its class:
    `brighter` holds from `DIFFERENCE_MARGIN` on and is wrong below zero, a pattern follows or differs by correlation.
    """
    return [Judged(claim, _verdict(claim, facts)) for claim in read_claims(caption)]


def _verdict(claim: Claim, facts: InfraredFacts) -> str:
    match claim.kind:
        case "level":
            return _ordered(claim.value, LEVELS, facts.mean, LEVEL_BORDERS, LEVEL_MARGIN)
        case "contrast":
            return _ordered(claim.value, CONTRASTS, facts.spread, CONTRAST_BORDERS, CONTRAST_MARGIN)
        case "texture":
            return _ordered(claim.value, TEXTURES, facts.roughness, TEXTURE_BORDERS, TEXTURE_MARGIN)
        case "brightest":
            return _extreme(claim.value, facts.cell_means, facts.brightest)
        case "darkest":
            return _extreme(claim.value, [-mean for mean in facts.cell_means], facts.darkest)
        case "bright":
            return _region(claim.value, facts.cell_means, facts.cell_highs)
        case "dark":
            return _region(claim.value, [-mean for mean in facts.cell_means], [-low for low in facts.cell_lows])
        case "relation":
            return _related(claim.value, facts)
        case "disagreement":
            return _disagreeing(claim.value, facts)
        case _:
            return "supported" if (claim.value == "present") == (facts.small_bright_targets > 0) else "contradicted"


def _ordered(claimed: str, names: Sequence[str], value: float, borders: Sequence[float], margin: float) -> str:
    index, measured = names.index(claimed), bisect.bisect_right(borders, value)
    if index == measured:
        return "supported"
    edges = (-np.inf, *borders, np.inf)
    near = edges[index] - margin <= value <= edges[index + 1] + margin
    weaker = names[measured] == f"very {claimed}"
    return "unverifiable" if near or weaker else "contradicted"


def _members(place: str) -> list[int]:
    """Indices of the cells a place covers: one, or the three of a side."""
    side = place.removesuffix(" side")
    return [CELLS.index(place)] if side == place else [i for i, cell in enumerate(CELLS) if side in cell.split("-")]


def _extreme(place: str, means: Sequence[float], measured: str | None) -> str:
    if measured is None:
        return "unverifiable"
    members = _members(place)
    if CELLS.index(measured) in members:
        return "supported"
    near = max(means) - max(means[i] for i in members) < CELL_MARGIN
    loose = place in measured.split("-")  # "north" said of the north-west
    return "unverifiable" if near or loose else "contradicted"


def _region(place: str, means: Sequence[float], highs: Sequence[float]) -> str:
    members, overall = _members(place), float(np.mean(means))
    if max(means[i] for i in members) >= overall + CELL_MARGIN:
        return "supported"
    return "contradicted" if max(highs[i] for i in members) < overall + CELL_MARGIN else "unverifiable"


def _related(claimed: str, facts: InfraredFacts) -> str:
    if facts.difference is None or facts.correlation is None:
        return "unverifiable"
    if claimed in ("brighter", "darker"):
        excess = facts.difference if claimed == "brighter" else -facts.difference
        return "supported" if excess >= DIFFERENCE_MARGIN else "contradicted" if excess < 0 else "unverifiable"
    excess = facts.correlation - RELATION_CORRELATION
    if claimed == "different":
        return "supported" if excess < 0 else "contradicted" if excess > CORRELATION_MARGIN else "unverifiable"
    return "supported" if excess >= 0 else "contradicted" if excess < -CORRELATION_MARGIN else "unverifiable"


def _disagreeing(claimed: str, facts: InfraredFacts) -> str:
    if facts.cell_differences is None:
        return "unverifiable"
    place, sign = claimed.rsplit(" ", 1)
    signed = max((d if sign == "brighter" else -d) for d in (facts.cell_differences[i] for i in _members(place)))
    if signed >= DISAGREEMENT:
        return "supported"
    return "contradicted" if signed < -CELL_MARGIN else "unverifiable"
