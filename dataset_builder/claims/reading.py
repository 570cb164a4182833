"""Reads the claims that a free-worded caption makes about an infrared image, sentence by sentence.

Standard library only beside its siblings. A sentence is a list of classified words (see `claim_words`), and the rules
look at classes: what is said of tones is read in `claim_tones`, what is said of places in `claim_places`, and what is
said beside the visible image here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .places import ENDS, merged, read_compared_places, read_course, read_gradient, read_regions, read_superlatives
from .tokens import Token, has, kinds_of, pieces_of, sentences
from .tones import (
    Found,
    is_level,
    own_edges,
    read_contrast,
    read_level,
    read_level_beside_contrast,
    read_sharpness,
    read_texture,
)
from .words import BRIGHT, MID, WHITE

COURSES = {"band", "belt", "channel", "line", "ribbon", "river", "road", "streak", "strip", "stripe", "track", "vein"}
CLOSELY = {"closely", "exactly", "exact", "perfectly", "faithfully", "detail", "feature", "precisely", "identical"}
EQUALLY = {"just as", "every bit as", "equally", "no less"}


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement about the infrared image found in a caption.

    Attributes:
        kind: `level`, `share` (how much of it is bright or dark), `contrast`, `texture`, `brightest`, `darkest`,
            `bright` or `dark` (a region), `compare` (two places), `relation` (to the visible image), the same of a
            place or an object (`local relation`, `object relation`), `disagreement` (by more or less than the overall
            relation explains), `visible` (how a part of the visible image appears here) or `targets`.
        value: A class name of `grounding`, or words in a fixed order. Places are cells of `CELLS`, `north side` (three
            cells), `north half`, `margins`; of two places the brighter comes first (`north side > south side`). Before
            the place of a region may stand `no: `, `all: `, `line: ` (it runs from there, or to it), `black: ` and
            `white: `; before a part's appearance, its tone, colour and place (`dark, any, north side -> bright`).
            Denials begin with `not` or `no`. Absolute statements have values of their own: contrast `none`, texture
            `featureless`, shares `all bright`, `nearly dark`, `mostly white`; `uneven` is short of rough,
            `grainy` speaks of grain and speckle; contrast `full` runs from black to white.
        text: The words that say so.
    """

    kind: str
    value: str
    text: str


def read_claims(caption: str) -> list[Claim]:
    """Extracts the claims about the infrared image in order; what it can't parse it leaves out.

    Brightness of an object (`bright roofs`) is a claim only with a place, with most of the image, or with how the
    object looks in the visible image. Statements about the visible image alone are skipped.
    """
    return list(_claims(caption))


@lru_cache(maxsize=4096)  # rules, counts and repairs ask about the same caption
def _claims(caption: str) -> tuple[Claim, ...]:
    found = [item for sentence in sentences(caption) for item in _read_sentence(sentence)]
    claims = (Claim(kind, value, " ".join(token.text for token in tokens)) for kind, value, tokens in found)
    return tuple(dict.fromkeys(claims))


def _read_sentence(tokens: list[Token]) -> Found:
    pieces = pieces_of(_compared_amounts(tokens))
    kinds = kinds_of(tokens)
    if "v" in kinds or ("r" in kinds or "L" in kinds or "t" in kinds) and has(tokens, "e", -2):
        return _read_beside_visible(pieces)
    if "b" in kinds and (
        "l" in kinds and any(kind in kinds for kind in "ryz") or "z" in kinds and "r" in kinds and "p" not in kinds
    ):
        found = _visible_part([token for piece in pieces for token in piece])
        if found:
            return found
    groups: list[list[Token]] = []
    for piece in pieces:
        if groups and not (_complete(groups[-1]) and _complete(piece)):
            groups[-1] = groups[-1] + [Token(",", 0, ",")] + piece
        else:
            groups.append(piece)
    return [found for group in groups for part in _conjuncts(group) for found in _read_group(part)]


def _compared_amounts(tokens: list[Token]) -> list[Token]:
    """Makes tones of amounts of brightness: `low grey values` is dark, `the strongest response` brightest."""
    kinds = kinds_of(tokens)
    if "t" not in kinds or not ("a" in kinds or "A" in kinds):
        return tokens
    result = list(tokens)
    others = any(token.kind in "bB" or token.kind in "aA" and token.value for token in tokens)
    for index, token in enumerate(tokens):
        if token.kind not in "aA" or token.text == "much" or any(kind in kinds[:index] for kind in "gc"):
            continue
        if not token.value and (token.kind == "A" or others):
            continue
        after = kinds[index + 1 : index + 4].lstrip("fai=")
        before = kinds[max(0, index - 4) : index].rstrip("f=&zym")
        tonal = any(other.text == "tonal" for other in tokens[index + 1 : index + 3])  # gentle tonal changes
        ahead = after.startswith("t") and not tonal and "g" not in after and "c" not in after
        if ahead or before.endswith("t") and not after.startswith(("g", "c", "k", "K", "s", "d", "x")):
            sign = 1 if token.value > 0 else -1 if token.value < 0 else 0
            kind = "b" if token.kind == "a" else "B" if abs(token.value) == 1 else "S"
            result[index] = Token(kind, sign * BRIGHT if kind == "b" else sign, token.text)
    return result


def _complete(piece: Sequence[Token]) -> bool:
    """Whether a piece between commas says something by itself."""
    kinds = kinds_of(piece)
    if kinds.startswith("O"):
        return False
    if any(kind in kinds for kind in "cCud"):
        return True
    if "j" in kinds or "s" in kinds and ("x" not in kinds or "p" not in kinds):
        return True
    tone = any(kind in kinds for kind in "bBSV")
    if "p" in kinds and (tone or "q" in kinds):
        return True
    if ("k" in kinds or "K" in kinds) and any(kind in kinds for kind in "tgL"):
        return True
    if "g" in kinds and ("t" in kinds or "a" in kinds):
        return True
    return "b" in kinds and is_level(piece)


def _conjuncts(group: list[Token]) -> list[list[Token]]:
    """Splits at `and` where both sides have a tone and a place, or both make a claim about the whole image."""
    for index, token in enumerate(group):
        if token.kind == "&":
            left, right = group[:index], group[index + 1 :]
            sides = [kinds_of(left), kinds_of(right)]
            placed = all("p" in side and any(kind in side for kind in "bBSV") for side in sides)
            borrowed = "p" in sides[0] and "p" in sides[1] and any(kind in sides[1] for kind in "bBS")
            if (placed or borrowed and "h" not in sides[0]) and "O" not in sides[0]:
                return [left, *_conjuncts(right)]
    return [group]


def _read_group(tokens: list[Token]) -> Found:
    kinds = kinds_of(tokens)
    if re.fullmatch(r"[^pOc]*n[^pbc]*B[^pbB]*h[^pb]*p[^pbB]*", kinds):  # nowhere is it lighter than in the north
        tokens = [Token("S", t.value, t.text) if t.kind == "B" else t for t in tokens if t.kind not in "nh"]
        kinds = kinds_of(tokens)
    tokens = _unique(tokens)
    kinds = kinds_of(tokens)
    if any(kind in kinds for kind in "qVB"):
        tokens = [part for token in tokens for part in ENDS.get(token.text, (token,))]
        kinds = kinds_of(tokens)
    if _is_targets(tokens):
        return [("targets", "absent" if "n" in kinds else "present", tokens)]
    found: Found = []
    contrast = read_contrast(tokens)
    if contrast:
        found.append(("contrast", contrast, tokens))
    superlatives = [] if contrast and "p" not in kinds else read_superlatives(tokens)
    if contrast and "O" in kinds:
        return found
    places = [token for token in tokens if token.kind == "p"]
    toned = any(kind in kinds for kind in "bBSV")
    tokens = own_edges(tokens)
    kinds = kinds_of(tokens)
    placed = "p" in kinds
    sharpness = read_sharpness(tokens) if not (toned and placed) and "c" not in kinds else None
    if sharpness:
        found.append(("texture", sharpness, tokens))
    places = [token for token in tokens if token.kind == "p"]
    texture = read_texture(tokens)
    if texture and not (places and toned):
        local = len(places) == 1 and "i" not in kinds
        found.append(("texture", f"{texture} {places[0].value}" if local else texture, tokens))
    if superlatives:
        return found + superlatives
    if contrast and any(kind in kinds for kind in "cCgkK"):
        return found + [item for piece in pieces_of(tokens) for item in read_level_beside_contrast(piece)]
    if places:
        if len(places) > 1 and "O" in kinds and any(token.text in COURSES for token in tokens):
            return found + read_course(tokens)  # how a thing runs is no gradient
        if len(places) == 2 and sum(kind in "bBV" for kind in kinds) == 1:
            tokens = merged(tokens)
        return found + (
            read_course(tokens) or read_gradient(tokens) or read_compared_places(tokens) or read_regions(tokens)
        )
    if contrast and "u" not in kinds or texture and "m" in kinds:
        return found
    return found + read_level(tokens)


def _unique(tokens: list[Token]) -> list[Token]:
    """`the only bright area` is the brightest."""
    result = list(tokens)
    for index, token in enumerate(tokens):
        before = [other.text for other in tokens[max(0, index - 4) : index] if other.kind == "f"]
        if token.kind == "b" and token.value and "the" in before and {"only", "one", "sole"} & set(before):
            result[index] = Token("S", 1 if token.value > 0 else -1, token.text)
    return result


def _is_targets(tokens: Sequence[Token]) -> bool:
    """Whether it speaks of small bright spots anywhere: `a few tiny bright dots stand out`."""
    kinds = kinds_of(tokens)
    small = any(token.text in ("small", "tiny", "isolated", "compact", "minute", "little") for token in tokens)
    bright = any(token.kind == "b" and token.value > 0 for token in tokens)
    spot = any(token.text in ("spot", "spots", "point", "points", "dot", "dots", "blobs", "speck", "specks", "targets")
               for token in tokens)  # fmt: skip
    return small and bright and spot and "p" not in kinds


def _read_beside_visible(pieces: list[list[Token]]) -> Found:
    """Pieces that are whole comparisons are read alone, and the others as usual; otherwise all pieces together."""
    found: Found = []
    compared = False
    for piece in pieces:
        kinds = kinds_of(piece)
        own = _compared_images(piece) if "v" in kinds or "e" in kinds and "L" in kinds else []
        compared = compared or bool(own)
        if not own and "v" not in kinds and not any(kind in kinds for kind in "zyl") and _complete(piece):
            own = [item for part in _conjuncts(piece) for item in _read_group(part)]
        found += own
    if compared:
        return found
    joined: list[Token] = []
    for piece in pieces:
        joined += [Token(",", 0, ","), *piece] if joined else piece
    return _compared_images(joined) or _visible_part(joined)


def _compared_images(tokens: list[Token]) -> Found:
    kinds = kinds_of(tokens)
    compared = next((i for i, t in enumerate(tokens) if t.kind == "B"), None)
    if compared is None and "H" in kinds:
        beside = range(kinds.find("H"), kinds.find("v"))  # compared with the gloomy visible view, it is bright
        compared = next((i for i, t in enumerate(tokens) if t.kind == "b" and t.value and i not in beside), None)
    if kinds.count("h") > 1:
        return []  # two things beside each other in both images
    negated = "n" in kinds
    than = kinds.find("h")
    objects = compared is not None and compared < than and any(kind in kinds[:compared] for kind in "xb")
    if objects and "v" not in kinds[than:] and "z" in kinds[:compared]:
        return []  # woods, black in the photo, stay darker than the field
    if objects and any(t.kind == "v" and "both" in t.text for t in tokens) and any(k in kinds[than:] for k in "xwl"):
        return [("relation", "follows", tokens)]
    if compared is not None and ("h" in kinds or "H" in kinds or "r" in kinds or "v" in kinds[:compared]):
        if "y" in kinds and "h" not in kinds:
            return []
        sign = tokens[compared].value
        visible, than = kinds.find("v"), kinds.find("h")
        if than > compared and (compared < visible < than or visible < compared and "v" not in kinds[than:]):
            sign = -sign  # the visible one is brighter than the infrared
        elif than < 0 and "H" not in kinds and visible > compared and "r" not in kinds[:visible]:
            sign = -sign  # it is brighter in the visible
        name = "brighter" if sign > 0 else "darker"
        places = [token for token in tokens if token.kind == "p"]
        name = f"not {name}" if negated else name
        if not places and not negated and _has_object_subject(tokens, compared):
            return [("object relation", name, tokens)]
        if not places:
            return [("relation", name, tokens)]
        expected = any(token.text in ("suggests", "suggest", "expected", "expect", "expects") for token in tokens)
        kind = "disagreement" if expected else "local relation"
        return [(kind, f"{place.value} {name}", tokens) for place in places[:1]]
    same = [token.value for token in tokens if token.kind == "e"]
    same += [
        1
        for token in tokens
        if token.kind == "k" and "same" in token.text or token.text in ("much alike", "all alike")
    ]
    if not same and "L" in kinds and "z" in kinds:
        same = [1]
    last = max(kinds.rfind(kind) for kind in "yz=")
    if not same or min(same) > -2 and "L" not in kinds and "b" in kinds[max(last, 0) :] and last >= 0:
        return []
    value = min(same)
    if negated:
        value = 1 if value < 0 else -1
    tones = [token.value for token in tokens if token.kind == "b"]
    if tones and value == -2 and min(tones) < 0 < max(tones) or value == -2:
        return [("relation", "inverted", tokens)]
    closely = CLOSELY & {word for token in tokens for word in token.text.split()}
    follows = "follows closely" if closely and not negated else "follows"
    return [("relation", follows if value > 0 else "different", tokens)]


def _has_object_subject(tokens: Sequence[Token], verb: int) -> bool:
    """Whether a noun that is no image stands before the comparison: `the river is brighter than ...`."""
    before = kinds_of(tokens[:verb])
    return "=" in before and "x" in before[: before.rfind("=")] and not any(kind in before for kind in "irtvm")


def _visible_part(tokens: list[Token]) -> Found:
    """Reads how a part of the visible image, named by tone, colour or place, appears in the infrared.

    The words are split at the verb of change or rest; where there is none, each tone goes to the image named next.
    """
    kinds = kinds_of(tokens)
    yet = next((i for i, kind in enumerate(kinds) if kind in "W,"), -1)
    if yet > 0 and "v" in kinds[:yet] and _toned(kinds[:yet]) and "r" in kinds[yet:] and _toned(kinds[yet:]):
        turn = yet  # dark in the visible, yet white in the infrared
    else:
        turn = next((i for i in range(len(kinds) - 1, -1, -1) if kinds[i] in "yz" and _toned(kinds[i:])), None)
    if turn is None:
        turn = next((i for i in range(len(kinds) - 1, -1, -1) if kinds[i] == "=" and _toned(kinds[i:])
                     and (_toned(kinds[:i]) or "l" in kinds[:i] or "v" in kinds[:i])), None)  # fmt: skip
    if turn is None and "r" in kinds and _toned(kinds[kinds.find("v") + 1 : kinds.rfind("r")]) and "v" in kinds:
        turn = kinds.find("v") + 1  # `the meadows of the visible image glow in the infrared`
    if turn is None:
        return []
    left, right = tokens[:turn], tokens[turn:]
    if "r" in kinds_of(left) and "v" in kinds_of(right) and "v" not in kinds_of(left) and "r" not in kinds_of(right):
        left, right = right, left  # what is bright in the infrared is dark in the visible
    outcome = next((token for token in right if token.kind in "bBS"), None)
    if outcome is None or kinds[turn] == "=" and not (_toned(kinds_of(left)) or "l" in kinds_of(left) or "r" in kinds):
        return []
    if "v" in kinds_of(right) and "r" not in kinds and "v" not in kinds_of(left):
        return []  # it speaks of the visible image alone
    denied = any(token.kind == "n" for token in right[: right.index(outcome)])
    tones = [token.value for token in left if token.kind == "b" and token.value]
    colour = next((str(token.value) for token in left if token.kind == "l"), "any")
    place = next((str(token.value) for token in left + right if token.kind == "p"), "anywhere")
    tone = ("bright" if tones[0] > 0 else "dark") if tones else "any"
    named = kinds_of(right)
    if outcome.kind == "B" and not ("h" in named and "v" not in named[named.find("h") :]):
        seen = "brighter" if outcome.value > 0 else "darker"
    elif outcome.kind == "S":
        seen = "brightest" if outcome.value > 0 else "darkest"
    elif abs(outcome.value) == WHITE and not denied:
        seen = "white" if outcome.value > 0 else "black"
    else:
        seen = "medium" if outcome.value == MID else "bright" if outcome.value > 0 else "dark"
    if tone == "any" and colour == "any" and kinds[turn] == "z":
        tone = seen if seen in ("bright", "dark") else "any"
    equal = any(token.text in EQUALLY for token in right) and seen in ("bright", "dark", "black", "white")
    seen = f"not {seen}" if denied else seen
    return [
        ("visible", f"{tone}, {colour}, {place} -> {name}", tokens) for name in ([seen, "same"] if equal else [seen])
    ]


def _toned(kinds: str) -> bool:
    return any(kind in kinds for kind in "bBS")
