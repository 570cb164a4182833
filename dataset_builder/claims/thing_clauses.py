"""Parts a sentence about things into clauses, and finds their verbs.

Standard library only: a metric's release copies the whole folder.
"""

from collections.abc import Sequence

from .kinds import Kind
from .thing_nouns import PREPOSITIONS, has_noun, noun_in
from .things import FADES, LIES, RUNS, SWAPS
from .tokens import Token, said
from .words import words_of

_VERB_KINDS = (Kind.COPULA, Kind.BECOMES, Kind.TONE_CHANGE)
_SHINES = words_of("shines shine glows glow gleams gleam glares lights brightens beams glitters stands stand stood")
_LIFTS = words_of("""
    sinks sink drops drop falls fall rises rise lifts lift fades fade outshine outshines comes come shrinks swells
    grows gets get goes go went loses lose gains gain keeps keep retains hides looms emerges emerge jumps leaps pops
    darkens brightens continues continue shift shifts differ differs stick sticks scatter
""")
_STAYS = words_of("stay stays stayed remain remains remained keep keeps kept retain retains")
_ONLY_NOUNS = {"taken"}
_RELATIVES = {"which", "who", "whose"}
_SPLIT_WITH = (Kind.TONE, Kind.COMPARATIVE, Kind.SUPERLATIVE, Kind.NEGATION)
_ADVERBS = (Kind.FUNCTION, Kind.AMOUNT, Kind.STAYS, Kind.NEGATION, Kind.BUT)


STANDING = ("stand out", "stands out", "standing out", "stood out")


def joined_verbs(tokens: Sequence[Token]) -> list[Token]:
    """`stands out` is one verb, and no stand of trees."""
    result: list[Token] = []
    for token in tokens:
        if token.text == "out" and result and f"{result[-1].text} out" in STANDING:
            result[-1] = Token(Kind.GROUND, 1, f"{result[-1].text} out")
        else:
            result.append(token)
    return result


def is_verb(token: Token, before: Sequence[Token] = ()) -> bool:
    """Whether it is a verb; a word that may be a noun is one after a determiner or an adjective."""
    text = token.text
    if token.kind in _VERB_KINDS or text in _STAYS or text in _LIFTS or text in SWAPS:
        return not (text in ("fade", "fall", "drop") and _determined(before))
    if token.kind is Kind.TONE:
        return text.split()[0] in _SHINES and not _determined(before)
    if text == "contrasts" or text in STANDING or text in ("look", "looks") and before:
        return True
    if token.kind is Kind.MOST or token.text in LIES or token.text in RUNS:
        if token.kind is Kind.MOST and token.text not in LIES:
            return False
        if text in ("curving", "winding", "crossed", "curved") and before and not noun_in(before[-1]):
            return False
        return not _determined(before)
    return (text in FADES and text.endswith(("s", "e", "d", "h", "t")) and token.kind in (Kind.GROUND, Kind.CHANGE)
            and text not in _STATES and not _determined(before))  # fmt: skip


_STATES = words_of("""
    invisible indistinguishable fainter faint inconspicuous subdued muted weak weaker gone absent missing lost hidden
    unseen unnoticeable undetectable imperceptible untraceable unrecognisable traced erased swallowed drowned absorbed
    merged blended faded
""")


def _determined(before: Sequence[Token]) -> bool:
    """Whether an article or adjective stands right before: what follows is no verb."""
    if not before:
        return False
    last = before[-1]
    if last.text in ("a", "an", "the", "their", "its", "this", "no", "some", "of"):
        return True
    return last.kind in (Kind.TONE, Kind.COLOUR, Kind.WIDTH) and not said(before, Kind.VISIBLE)


def main_verb(tokens: Sequence[Token]) -> int:
    """Where the finite verb stands, else a participle; -1 where there is none."""
    participle = -1
    for index, token in enumerate(tokens):
        if not is_verb(token, tokens[:index]):
            continue
        if token.text.endswith("ing") or token.text in _PARTICIPLES:
            participle = index if participle < 0 else participle
            continue
        if (
            index
            and tokens[index - 1].text in ("that", "which")
            and any(is_verb(other, tokens[: index + 1 + at]) for at, other in enumerate(tokens[index + 1 :]))
        ):
            continue
        return index
    return participle


_PARTICIPLES = words_of("crossed divided cut found located situated spread scattered strewn dotted crowded crossed")


def restored(tokens: Sequence[Token]) -> list[Token]:
    """Puts the verb back that a second clause leaves out: `the sand is at the top and the mud at the bottom`."""
    result = list(tokens)
    for joint in reversed([index for index, token in enumerate(tokens) if token.kind is Kind.AND]):
        left, right = tokens[:joint], tokens[joint + 1 :]
        until = next((i for i, t in enumerate(right) if t.kind in (Kind.COMMA, Kind.BUT, Kind.AND)), len(right))
        right = right[:until]
        place = next((i for i, token in enumerate(right) if token.kind is Kind.PLACE), -1)
        toned = place > 0 and (said(right[:place], Kind.TONE, Kind.SUPERLATIVE) or has_noun(right[:place]))
        if toned and said(left, Kind.PLACE) and main_verb(left) >= 0 and main_verb(right) < 0:
            start = next((i for i, token in enumerate(right) if i and token.text in ("at", "in", "on", "along")), -1)
            if 0 < start < place:
                result.insert(joint + 1 + start, Token(Kind.COPULA, 1, "is"))
    return result


def parted(tokens: Sequence[Token]) -> list[list[Token]]:
    """Parts a sentence at commas, conjunctions that set against, relatives and coordinated verbs."""
    pieces: list[list[Token]] = [[]]
    for index, token in enumerate(tokens):
        piece = pieces[-1]
        if token.kind is Kind.COMMA:
            if _goes_on(piece, tokens[index + 1 :]):
                continue
            pieces.append([])
        elif token.kind is Kind.BUT and not (piece and piece[-1].text == "nothing"):
            pieces.append([])
        elif (
            token.text in _RELATIVES
            and piece
            or token.text in ("that", "where")
            and _is_clause(tokens[index + 1 :])
            or piece
            and piece[0].text in _LEADS
            and main_verb(piece[1:]) >= 0
            and _resumes(token, piece)
        ):
            pieces.append([token])
        elif token.kind is Kind.AND and _coordinates(piece, tokens[index + 1 :]) or token.text == "so":
            pieces.append([])
        elif token.text == "with" and main_verb(piece) >= 0 and _tells(tokens[index + 1 :]):
            pieces.append([token])
        else:
            piece.append(token)
    return [piece for piece in pieces if piece]


def _resumes(token: Token, piece: Sequence[Token]) -> bool:
    """Whether a main clause goes on behind a relative one: `forest that looks black in RGB | turns white`."""
    if token.text in ("can", "cannot", "could"):
        return True
    if piece[-1].text in ("can", "cannot", "could"):
        return False
    return token.kind is not Kind.MOST and not token.text.endswith("ing") and is_verb(token, piece[-1:])


_LEADS = {"which", "that", "who", "where"}


def _goes_on(piece: Sequence[Token], after: Sequence[Token]) -> bool:
    """Whether a comma only parts adjectives: `a dark, straight line`."""
    if not piece:
        return True
    if main_verb(piece) < 0 and not has_noun(piece) and piece[-1].kind is not Kind.INFRARED:
        return (
            not said(piece, Kind.INFRARED, Kind.VISIBLE, Kind.PLACE)
            and piece[0].text in ("a", "an", "the", "one", "some", "several", "two", "this", "its", "their")
            or only_adjectives(piece)
        )
    if _only_places(after):
        return True
    tail = [token for token in piece[-4:] if token.text in ("a", "an", "the", "as", "one")]
    if not tail or has_noun(piece[-3:]) or piece[-1].kind not in _ADJECTIVES:
        return False
    return has_noun(after[:4]) or bool(after) and after[0].kind in _ADJECTIVES


def _only_places(after: Sequence[Token]) -> bool:
    """Whether more of the place follows, up to the next comma: `near the top, to the left of the middle`."""
    until = next((i for i, token in enumerate(after) if token.kind in (Kind.COMMA, Kind.BUT)), len(after))
    return said(after[:until], Kind.PLACE) and all(
        token.kind in (Kind.PLACE, Kind.FUNCTION, Kind.AMOUNT, Kind.TOWARDS, Kind.IMAGE, Kind.INFRARED)
        for token in after[:until]
    )


_ADJECTIVES = (Kind.TONE, Kind.SURFACE, Kind.AMOUNT, Kind.WIDTH, Kind.UNIFORM, Kind.FOCUS, Kind.GROUND, Kind.COLOUR,
               Kind.SUPERLATIVE, Kind.DETAIL)  # fmt: skip


def only_adjectives(piece: Sequence[Token]) -> bool:
    """Whether nothing but adjectives is there: `dark, soft-edged blotches`."""
    return bool(piece) and all(token.kind in _ADJECTIVES for token in piece) and not has_noun(piece)


def _is_clause(after: Sequence[Token]) -> bool:
    return any(is_verb(token, after[:index]) or token.kind is Kind.COPULA for index, token in enumerate(after[:3]))


def _coordinates(piece: Sequence[Token], after: Sequence[Token]) -> bool:
    """Whether a verb follows, or a subject with a verb of its own, after a whole clause."""
    if main_verb(piece) < 0:
        return False
    for index, token in enumerate(after[:3]):
        if is_verb(token, after[:index] or piece[-1:]):
            return not noun_in(token) or index == 0
        if token.kind not in _ADVERBS or token.text in PREPOSITIONS or token.text in ("the", "a", "an"):
            break
    for index, token in enumerate(after):
        if token.kind in (Kind.COMMA, Kind.AND, Kind.BUT, Kind.THAN):
            return False
        if index and is_verb(token, after[:index]) and not token.text.endswith("ing"):
            return has_noun(after[:index]) or said(after[:index], Kind.PLACE, Kind.SUPERLATIVE)
    return False


def _tells(after: Sequence[Token]) -> bool:
    """Whether a noun and what is said of it follow: `with the woods next to it clearly darker`."""
    until = next((i for i, token in enumerate(after) if token.kind in (Kind.COMMA, Kind.BUT)), len(after))
    return has_noun(after[:until]) and said(after[:until], *_SPLIT_WITH)
