"""Reads contrast, texture, sharpness and the overall level from a group of classified words.

Standard library only beside its siblings.
"""

import re
from collections.abc import Sequence

from .tokens import Token, has, kinds_of, pieces_of
from .words import BLACK, BRIGHT, DARK, MID, WHITE, words_of

STRONG = words_of("deep deeply exceptionally extremely intensely pure very")
EDGE_WORDS = words_of("clear clearly crisp distinct faint hard sharp sharply soft strong weak")

SCARCE = words_of("faint faintly little low mere poor scant slight slightly weak weakly")
TEXTURE_NOUNS = {"texture", "textures"}
ALIKE = {"nearly identical", "almost identical", "near identical", "one single", "same grey", "same even grey"}

# How strong a statement of evenness is. Absolute: nothing at all may show; a hedge takes that back.
ABSOLUTE = words_of("""
    absolutely complete completely entirely exact exactly fully identical nil perfect perfectly pure sheer sheet
    simile single slab totally unvarying utterly wall whatsoever wholly zero
""")
HEDGES = words_of("""
    almost barely barring broad chiefly close cover dominate except faint faintly fairly few generally handful hardly
    large largely little lot low mainly many mere minimal most mostly much narrow near nearly only overall parts
    practically predominantly predominate pretty prevail quite rather relatively scarcely seems slight slightly some
    somewhat virtually weak weakly within
""")
_FEATURELESS = words_of("""
    blank empty featureless glassy mirrorlike patternless seamless structureless textureless unbroken untextured void
""") | {"glass smooth", "mirror smooth", "perfectly even", "silk smooth"}
# short of rough
_UNEVEN = words_of("""
    blotchy creased dappled heterogeneous inhomogeneous irregular lined marbled patchy rumpled streaked streaky
    structured undulating uneven unevenness variegated veined wavy
""")
_BREAKS = words_of("break breaks disrupts disturb disturbs interrupts mars relieves ruffles spoils")
_FEATURES = words_of("""
    band bands blemish border borders boundaries boundary break contour contours crease creases detail dot edge edges
    feature features fold folds form furrow ledge line lines mark marks object objects outline outlines patch patches
    pattern relief ridge ridges ripple ripples shape shapes speck spot streak streaks stripe stripes structure
    structures track tracks wrinkle wrinkles
""")

Found = list[tuple[str, str, list[Token]]]  # kind, value and the words that say so

_WIDTH = re.compile("K[fabt]*[tg]|[tg][fa=ob]*K")  # narrow or wide, said of tones or of their range


def _words(tokens: Sequence[Token]) -> set[str]:
    return {word for token in tokens for word in token.text.split()}


def is_absolute(tokens: Sequence[Token]) -> bool:
    """Whether a statement of evenness is meant without exception: `completely uniform`, `not a single edge`."""
    words = _words(tokens)
    one = any(token.kind == "k" and token.text.startswith("one ") for token in tokens)
    return (one or bool(words & ABSOLUTE)) and not words & HEDGES


def read_contrast(tokens: Sequence[Token]) -> str | None:
    """Returns a class of contrast, or `none` where it is denied altogether."""
    found = _read_contrast(tokens)
    lost = found in ("low", "very low") and not any(token.kind == "c" for token in tokens)
    return "none" if lost and is_absolute(tokens) and not _placed(tokens) else found


def _placed(tokens: Sequence[Token]) -> bool:
    return any(token.kind == "p" for token in tokens)


def _denied(tokens: Sequence[Token], word: Token) -> bool:
    """Whether a denial stands before this word in its own piece."""
    for piece in pieces_of(list(tokens)):
        index = next((i for i, token in enumerate(piece) if token is word), None)
        if index is not None:
            return any(token.kind == "n" for token in piece[:index]) or "N" in kinds_of(piece)
    return False


def _read_contrast(tokens: Sequence[Token]) -> str | None:
    """Returns a class of contrast, by its noun and an amount, a range of tones, or black beside white."""
    if _placed(tokens):  # a band at a place is a thing, and no range
        tokens = [Token("x", 0, token.text) if token.text in ("band", "bands") else token for token in tokens]
    kinds = kinds_of(tokens)
    noun = next((index for index, kind in enumerate(kinds) if kind == "c"), -1)
    tones = [
        token.value * (1.5 if abs(token.value) == 2 and index and tokens[index - 1].text in STRONG else 1)
        for index, token in enumerate(tokens)
        if token.kind == "b"
    ]
    opposite = min(tones, default=0) <= DARK and max(tones, default=0) >= BRIGHT
    extreme = opposite and max(tones) - min(tones) >= 5
    negated = "n" in kinds or "N" in kinds
    if noun >= 0:
        if "A" in kinds and "p" in kinds:
            return None  # one place against another
        amount = _amount(tokens, noun)
        if amount is None:
            wide = [token.value for token in tokens if token.kind in "kK"]
            amount = -1 if "u" in kinds or -1 in wide else 1 if 1 in wide or opposite else None
        if negated and (kinds.find("n") < noun or "N" in kinds):
            amount = -2 if amount is None or amount == -2 else -amount if amount else None
        elif amount is None:
            amount = 1 if "C" in kinds else None
        return None if amount is None else _contrast_class(amount)
    if "C" in kinds:
        weak = negated or any(token.kind == "a" and token.value < 0 for token in tokens)
        return "low" if weak else "high" if "p" not in kinds or opposite else None
    tonal = "t" in kinds or kinds.count("S") >= 2 or "L" in kinds or bool(tones) or "brightness" in _words(tokens)
    gap = next((index for index, kind in enumerate(kinds) if kind == "g"), -1)
    wide = [
        -token.value if token.value > 0 and _denied(tokens, token) else token.value
        for token in tokens
        if token.kind == "k" or token.kind == "K" and _WIDTH.search(kinds)
    ]
    if {t.value for t in tokens if t.kind == "B"} == {1, -1} and negated and "p" not in kinds:
        return "very low"  # nothing lighter or darker than the rest
    both = len({token.value for token in tokens if token.kind == "S"}) == 2
    if both and "p" not in kinds and not wide and (negated or has(tokens, "e", 1)):
        return "very low"  # hardly a shade between the lightest and the darkest
    tones_named = any(kind in kinds for kind in "tgbiL") or kinds.count("S") >= 2
    of_objects = "w" in kinds and kinds.count("S") < 2 and "t" not in kinds and "g" not in kinds
    if wide and tones_named and not of_objects and ("g" in kinds or "p" not in kinds):
        sign = min(wide) if min(wide) < 0 else max(wide)
        if sign > 0 and any(token.kind == "a" and token.value < 0 for token in tokens):
            sign = -1  # they vary, but little
        whole = sign < 0 and wide.count(-1) and kinds.find("n") >= 0 and _before(kinds, "n", "kK")
        sign = -sign if whole and max(wide) < 0 and not _turned(tokens) else sign
        return _contrast_class(2 * sign if sign < 0 and any(token.text in ALIKE for token in tokens) else sign)
    if gap >= 0 and (tonal or "p" not in kinds and "x" not in kinds):
        amount = _amount(tokens, gap)
        if amount is None and negated:
            amount = -2
        elif amount and negated and kinds.find("n") < gap:
            amount = -amount
        if amount:
            return _contrast_class(amount)
    if "O" in kinds and "o" in kinds and len(tones) >= 2 and "p" not in kinds:
        return "full" if extreme or max(tones) - min(tones) >= 4 else "low" if max(tones) - min(tones) <= 2 else None
    if extreme and "p" not in kinds and "d" not in kinds and "s" not in kinds:
        pieces = pieces_of(list(tokens))
        if len(pieces) > 1 and any(is_level(piece) for piece in pieces if kinds_of(piece).count("b") == 1):
            return None  # `sombre greys rule, with white in a few specks`
        denial = next((i for i, t in enumerate(tokens) if t.kind == "n" or t.kind == "a" and t.value == -2), None)
        if denial is None:
            return "high"
        return "low" if denial < kinds.find("b") else None
    if opposite and "p" not in kinds and "v" not in kinds and not negated and "against" in _words(tokens):
        return "high"
    if opposite and "p" not in kinds and negated and kinds.find("n") < kinds.find("b"):
        return "low"
    if "u" in kinds and "s" not in kinds and "d" not in kinds and "p" not in kinds:
        if any(
            "n" in kinds_of(piece) and kinds_of(piece).find("n") < kinds_of(piece).find("u")
            for piece in pieces_of(list(tokens))
        ):
            return "high"
        strong = any(token.text in ("nearly", "almost", "very", "completely") for token in tokens)
        return None if tones and any(t.text.startswith("uniform") for t in tokens) else "very low" if strong else "low"
    return None


def _before(kinds: str, first: str, others: str) -> bool:
    return kinds.find(first) < min(kinds.find(kind) for kind in others if kind in kinds)


def _turned(tokens: Sequence[Token]) -> bool:
    """Whether its words of difference were denied, and not its words of likeness."""
    kinds = kinds_of(tokens)
    if "O" in kinds[kinds.find("n") :]:
        return True  # they never stray from it
    return any(token.kind in "kK" and token.value > 0 for token in tokens) or not any(
        token.kind in "kK" and token.value < 0 and _denied(tokens, token) for token in tokens
    )


def _amount(tokens: Sequence[Token], noun: int) -> float | None:
    """The amount said of the noun at this position: the nearest before it in its phrase, else the first after it."""
    for index in range(noun - 1, -1, -1):
        token = tokens[index]
        if token.kind in "aA":
            return token.value
        if token.kind in "kK" and token.value:
            return token.value
        if token.kind not in "ftub&i" and not (token.kind == "x" and index == noun - 1):
            break
    for token in tokens[noun + 1 :]:
        if token.kind in "aAkK":
            return token.value
        if token.kind in ",p":
            break
    return next((token.value for token in reversed(tokens[:noun]) if token.kind in "aA"), None)


def _contrast_class(amount: float) -> str:
    if amount == 0:
        return "moderate"
    return ("very low" if amount <= -2 else "low") if amount < 0 else ("very high" if amount >= 2 else "high")


# Texture


def own_edges(tokens: list[Token]) -> list[Token]:
    """Edges that are sharp, soft or lacking are those of things, not the margins of the image."""
    kinds = kinds_of(tokens)
    if any(kind in kinds for kind in "bBSV") or not any(token.text in ("edges", "borders") for token in tokens):
        return tokens
    return [Token("d", 0.5, t.text) if t.kind == "p" and t.text in ("edges", "borders") else t for t in tokens]


def read_sharpness(tokens: Sequence[Token]) -> str | None:
    """Whether edges are `sharp` or `soft`: words of focus, or amounts and denials of edges, lines and outlines."""
    votes = 0.0
    edged = any(token.kind == "d" and token.value < 1 for token in tokens)
    for piece in pieces_of(list(tokens)):
        sign = -1 if "N" in kinds_of(piece) else 1
        for token in piece:
            if token.kind == "n" or token.kind == "a" and token.value == -2:
                sign = -1
            elif token.kind == "j":
                votes += sign * token.value
            elif token.kind == "a" and edged and token.text in EDGE_WORDS:
                votes += sign * (1 if token.value > 0 else -1)
            elif token.kind == "d" and token.value < 1 and token.text.split(" ")[0] in EDGE_WORDS:
                votes += sign
    return None if not votes else "sharp" if votes > 0 else "soft"


def read_texture(tokens: Sequence[Token]) -> str | None:
    """Sums the votes of its words; an amount of texture decides by itself (`the texture is moderate`)."""
    kinds = kinds_of(tokens)
    votes = 0.0
    for piece in pieces_of(tokens):
        votes += _texture_votes(piece, lines_count=bool(votes) or "j" not in kinds and ("m" in kinds or "i" in kinds))
    if votes < 0:
        return "featureless" if _is_featureless(tokens) else "smooth"
    noun = next((index for index, token in enumerate(tokens) if token.text in TEXTURE_NOUNS), None)
    if noun is not None:
        amounts = [token for token in [*tokens[:noun], *tokens[noun + 1 :]] if token.kind == "a"]
        if "u" in kinds or amounts and amounts[0].value < 0:
            return "smooth"
        if amounts and not amounts[0].value or not amounts and any(token.text == "some" for token in tokens):
            return "moderately textured"
    if not votes:
        return None
    if any(token.kind == "s" and token.value > 0 and token.text in _UNEVEN for token in tokens):
        return "uneven"
    textured = next((index for index, token in enumerate(tokens) if token.text == "textured"), None)
    if textured is not None and kinds.count("s") == 1:
        strong = any(token.kind == "a" and token.value > 0 or token.text == "very" for token in tokens[:textured])
        return "strongly textured" if strong else "moderately textured"
    return "strongly textured" if noun is not None or textured is not None else "grainy"


def _is_featureless(tokens: Sequence[Token]) -> bool:
    if _words(tokens) & HEDGES:
        return False
    if any(token.kind == "s" and token.text in _FEATURELESS for token in tokens):
        return True
    if _words(tokens) & ABSOLUTE:
        return True
    return "n" in kinds_of(tokens) and any(token.text in _FEATURES for token in tokens)


def _texture_votes(piece: Sequence[Token], lines_count: bool) -> float:
    """Votes of one piece for roughness, each turned round by a denial before it; lines count beside other words."""
    votes, sign = 0.0, 1
    kinds = kinds_of(piece)
    lost = "N" in kinds or kinds.rstrip("f").endswith("n")  # detail is lost, detail is lacking
    for token in piece:
        if token.text in _BREAKS and sign < 0:
            votes, sign = votes - 1, 1  # nothing breaks it
            continue
        if token.kind == "n" or token.kind == "a" and (token.value == -2 or token.text in SCARCE):
            sign = -1
        elif token.kind == "s":
            votes += token.value * sign
        elif token.kind == "d":
            lacking = sign < 0 or lost
            if lacking or token.value == 1 or token.value > 0.5 and lines_count or votes:
                votes += -1 if lacking else 1
    return votes


def is_level(tokens: Sequence[Token]) -> bool:
    """Whether the tones are of the whole image: only function words beside, or an image word that they describe."""
    kinds = kinds_of(tokens)
    if "p" in kinds or "b" not in kinds:
        return False
    if "m" in kinds:
        return True
    core = kinds.replace("&", "f")
    if not any(kind in kinds for kind in "xwlyedsjD"):
        return "i" in kinds or "t" in kinds or tokens[0].text not in ("a", "an", "the") or kinds.endswith("f")
    for tone in (index for index, kind in enumerate(kinds) if kind == "b"):
        rest = core[tone + 1 :].lstrip("fbrsuajKm")
        rest = rest[1:] if rest[:1] == "x" else rest
        before = core[:tone].rstrip("fma")
        if (
            rest.startswith(("i", "t"))
            or before.endswith("i")
            or (before.endswith(("=", "z", "y")) and _subject_is_image(before))
        ):
            return True
    return False


def _subject_is_image(before: str) -> bool:
    subject = before.rstrip("=fzy")
    return subject.endswith(("i", "t")) or "i" in before and "=" in before and "x" not in before[: before.find("i")]


_NEARLY_ALL = {
    "all",
    "every",
    "nearly all",
    "almost all",
    "almost everything",
    "nearly everything",
    "entire",
    "entirely",
}
_SHARES = {BLACK: "black", WHITE: "white"}
_EVERYWHERE = words_of("border corner edge end entire every everywhere over throughout wall whole")


def read_level(tokens: Sequence[Token]) -> Found:
    """Reads the first tone of each piece, and the first one denied, as the level of the image or a share of it."""
    kinds = kinds_of(tokens)
    found: Found = []
    for piece in pieces_of(list(tokens)):
        tones = [(index, token) for index, token in enumerate(piece) if token.kind == "b"]
        if not tones:
            continue
        here = kinds_of(piece)
        denial = min(
            [i for i, t in enumerate(piece) if t.kind == "n" or t.kind == "a" and t.value == -2] or [len(piece)]
        )
        opposite = min(token.value for _, token in tones) < 0 < max(token.value for _, token in tones)
        if "O" in here and len(tones) > 1 or opposite and "&" in here and denial == len(piece) and "m" not in here:
            continue
        if "N" in here and tones[0][1].value:
            found.append(("share", f"no {'bright' if tones[0][1].value > 0 else 'dark'}", list(piece)))
            continue
        for index, token in tones[:1] + [tone for tone in tones[1:] if tones[0][0] < denial < tone[0]][:1]:
            denied = denial < index
            same = [tone.value for _, tone in tones if tone.value * token.value > 0]
            value = max(same, key=abs) if same and "&" not in here and denial == len(piece) else token.value
            name = _level_name(value, piece)
            if denial < index and (
                "w" in here[index:] or piece[denial].text.split()[-1] in ("nothing", "any", "no", "none", "anything")
            ):
                if token.value:
                    found.append(("share", f"no {'bright' if token.value > 0 else 'dark'}", list(piece)))
            elif denied:
                if denial < index and token.value:
                    found.append(("level", f"not {'bright' if token.value > 0 else 'dark'}", list(piece)))
            elif is_level(piece) or is_level(tokens) and kinds.count(",") == 0:
                most = next((t.text for t in piece if t.kind == "m"), None)
                pixels = any(t.text in ("pixel", "pixels") for t in piece)
                if most and (pixels or any(kind in here for kind in "xw")) and token.value:
                    how = "nearly" if most in _NEARLY_ALL and abs(value) < WHITE else "mostly"
                    share = _SHARES.get(value, "bright" if value > 0 else "dark")
                    found.append(("share", f"{how} {share}", list(piece)))
                else:
                    found.append(("level", name, list(piece)))
                    words = _words(piece)
                    if (
                        value == MID
                        and "only" in words
                        or words & _EVERYWHERE
                        and not words & HEDGES
                        and "c" not in kinds
                    ):
                        whole = "medium" if value == MID else "bright" if value > 0 else "dark"
                        found.append(("share", f"all {whole}", list(piece)))
    return found


def _level_name(tone: float, piece: Sequence[Token]) -> str:
    if tone == MID:
        return "medium"
    name = "bright" if tone > 0 else "dark"
    strong = abs(tone) >= 3 or any(token.text in STRONG - {"deep", "pure"} for token in piece)
    return f"very {name}" if strong else name


def read_level_beside_contrast(piece: list[Token]) -> Found:
    """`dark overall and low in contrast`: the tone is the image's unless it is what makes the contrast."""
    kinds = kinds_of(piece)
    rest = [token for token in piece if token.kind not in "caAukK&"]
    tones = {token.value > 0 for token in rest if token.kind == "b"}
    end = any(token.kind == "b" and "end" in token.text.split() for token in piece)
    if (
        not (end or "c" in kinds)
        or len(tones) != 1
        or any(kind in kinds for kind in "pmn")
        or not (end or is_level(rest))
    ):
        return []
    if end:
        return [("level", _level_name(token.value, piece), piece) for token in rest if token.kind == "b"][:1]
    return read_level(rest)
