"""Classified words, and what the grammar asks of a row of them.

Standard library only: a metric's release copies the whole folder.
"""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from .kinds import Kind


class Token(NamedTuple):
    """A word or phrase: its class, its value within the class (see `Kind`), and its text."""

    kind: Kind
    value: float | str
    text: str


Statements = list[tuple[str, str, list[Token]]]  # kind and value of claims, and the words that make them


def said(tokens: Sequence[Token], *kinds: Kind) -> bool:
    """Whether a word of one of these kinds is among the tokens."""
    for token in tokens:  # noqa: SIM110 - asked a hundred times a sentence, and twice as fast as any()
        if token.kind in kinds:
            return True
    return False


def has(tokens: Sequence[Token], kind: Kind, value: float) -> bool:
    """Whether one of these tokens is of this kind and value."""
    return any(token.value == value and token.kind is kind for token in tokens)


def mentions(tokens: Sequence[Token], texts: Collection[str]) -> bool:
    """Whether one of these tokens is one of these words or phrases."""
    return any(token.text in texts for token in tokens)


def words_in(tokens: Sequence[Token]) -> set[str]:
    """The single words of these tokens, of phrases too."""
    return {word for token in tokens for word in token.text.split()}


def values(tokens: Sequence[Token], *kinds: Kind) -> list[float]:
    """The values of the tokens of these kinds, in order; for kinds whose values are numbers."""
    return [token.value for token in tokens if token.kind in kinds]


def count(tokens: Sequence[Token], *kinds: Kind) -> int:
    """How many of the tokens are of one of these kinds."""
    return sum([token.kind in kinds for token in tokens])


def position(tokens: Sequence[Token], *kinds: Kind) -> int:
    """Where the first token of one of these kinds stands; -1 if there is none."""
    for index, token in enumerate(tokens):
        if token.kind in kinds:
            return index
    return -1


def last_position(tokens: Sequence[Token], *kinds: Kind) -> int:
    """Where the last token of one of these kinds stands; -1 if there is none."""
    return next((index for index in range(len(tokens) - 1, -1, -1) if tokens[index].kind in kinds), -1)


def positions(tokens: Sequence[Token], *kinds: Kind) -> list[int]:
    """Where the tokens of these kinds stand, in order."""
    return [index for index, token in enumerate(tokens) if token.kind in kinds]


def only(tokens: Sequence[Token], *kinds: Kind) -> bool:
    """Whether all tokens are of these kinds; of no tokens it is true."""
    return all(token.kind in kinds for token in tokens)


def begins(tokens: Sequence[Token], *kinds: Kind) -> bool:
    """Whether the first token is of one of these kinds."""
    return bool(tokens) and tokens[0].kind in kinds


def ends(tokens: Sequence[Token], *kinds: Kind) -> bool:
    """Whether the last token is of one of these kinds."""
    return bool(tokens) and tokens[-1].kind in kinds


def without_leading(tokens: Sequence[Token], *kinds: Kind) -> Sequence[Token]:
    """The tokens from the first one that is of none of these kinds."""
    start = 0
    while start < len(tokens) and tokens[start].kind in kinds:
        start += 1
    return tokens[start:]


def without_trailing(tokens: Sequence[Token], *kinds: Kind) -> Sequence[Token]:
    """The tokens up to the last one that is of none of these kinds."""
    end = len(tokens)
    while end and tokens[end - 1].kind in kinds:
        end -= 1
    return tokens[:end]


def denied_before(tokens: Sequence[Token], *kinds: Kind) -> bool:
    """Whether a denial stands before the first token of these kinds."""
    return said(tokens[: max(position(tokens, *kinds), 0)], Kind.NEGATION)


def is_denial(token: Token) -> bool:
    """Whether it denies what follows: a negation, or an amount next to nothing."""
    return token.kind is Kind.NEGATION or token.kind is Kind.AMOUNT and token.value == -2


def pieces_of(tokens: Sequence[Token]) -> list[list[Token]]:
    """Splits at commas and at conjunctions that set against, but not within `a dark, heavy image`."""
    but, comma = Kind.BUT, Kind.COMMA
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind is but or token.kind is comma and not _unfinished(pieces[-1]):
            pieces.append([])
        elif token.kind is not comma:
            pieces[-1].append(token)
    return [piece for piece in pieces if piece]


_BEFORE_NOUNS = (Kind.TONE, Kind.COMPARATIVE, Kind.AMOUNT, Kind.SURFACE, Kind.UNIFORM, Kind.MOST, Kind.AND,
                 Kind.FUNCTION)  # fmt: skip


def _unfinished(piece: Sequence[Token]) -> bool:
    """Whether a noun is still to come."""
    article = mentions(piece, ("a", "an", "the", "this"))
    return article and only(piece, *_BEFORE_NOUNS) and not only(piece, Kind.FUNCTION)


class Pattern:
    """A regular expression over kinds, each by its name: `THAN [^TONE PLACE]* PLACE`.

    Names in capitals are members of `Kind`; all else is as in `re`, and blanks only part.
    """

    def __init__(self, names: str) -> None:
        signs = re.sub("[A-Z_]+", lambda name: _SIGNS[Kind[name[0]]], names)
        self._expression = re.compile(signs.replace(" ", ""))

    def matches(self, tokens: Sequence[Token]) -> bool:
        """Whether the tokens from first to last follow the pattern."""
        return self._expression.fullmatch("".join([_SIGNS[token.kind] for token in tokens])) is not None

    def occurs(self, tokens: Sequence[Token]) -> bool:
        """Whether some of the tokens, one after another, follow the pattern."""
        return self._expression.search("".join([_SIGNS[token.kind] for token in tokens])) is not None


_SIGNS = {kind: chr(0x100 + number) for number, kind in enumerate(Kind)}  # one letter a kind, none special to `re`
