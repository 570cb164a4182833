"""Words of captions: how they are read, and which objects they name (`lexicon.yaml`), with what those imply."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import simplemma

from fusionrs_hf.bounded_yaml import read_yaml
from fusionrs_hf.errors import shown

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u02bc\u00b4\u0060", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
    }
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_ABSENT = re.compile(  # "no trees or buildings"
    r"\b(?:no|without|lack(?:s|ing)?(?: of)?|free of|devoid of|absence of|neither|nor)(?: (?!(?:in|on|over|at|by"
    r"|beside|near|between|from|along|around|than|and|but|while|is|are)\b)[\w'-]+){1,5}"
)
NAME = re.compile(r"[A-Z][a-z]+(?:[ -][A-Z][a-z]+)+")


@dataclass(frozen=True, slots=True)
class Mention:
    """An object that a caption names.

    Attributes:
        text: The words, lower case.
        senses: Groups of the lexicon that the words may mean.
        loose: Whether the words may mean no object at all: a shape, a verb, part of a name, or said to be absent.
    """

    text: str
    senses: frozenset[str]
    loose: bool


@dataclass(frozen=True, slots=True)
class Lexicon:
    """`lexicon.yaml`, read.

    Attributes:
        senses: Groups by word or phrase.
        closure: By group, the group itself and all it implies, directly or not.
        anywhere, loose, not_objects, small: See the file's head.
        longest: Words of the longest phrase that starts with a word, by that word.
    """

    senses: Mapping[str, frozenset[str]]
    closure: Mapping[str, frozenset[str]]
    anywhere: frozenset[str]
    loose: frozenset[str]
    not_objects: frozenset[str]
    small: frozenset[str]
    longest: Mapping[str, int]


def scene_captions(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the row's scene captions without empty ones."""
    return tuple(text for text in row.get("captions") or () if text)


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Returns the text in NFKC with plain dashes, quotes and blanks; cached."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_PLAIN).split())


@lru_cache(maxsize=4096)
def lowered(text: str) -> str:
    """Returns the plain text in lower case, on which patterns search several times faster than case-blind; cached."""
    return plain(text).lower()


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Returns the words of a text, lower case, hyphenated ones apart, without possessive endings; cached."""
    return tuple(word.removesuffix("'s") for word in _WORD.findall(lowered(text)))


def is_title_case(text: str) -> bool:
    """Tells whether most words are capitalised, so that a capital makes no name."""
    long = [word for word in text.split() if len(word) > 3 and word[0].isalpha()]
    return len(long) > 2 and sum(word[0].isupper() for word in long) > 0.6 * len(long)


@lru_cache(maxsize=65_536)
def lemma(word: str) -> str:
    """Returns the dictionary form of a lower-case English word; forms in -ed and -ing stay: they name no objects."""
    return word if word.endswith(("ed", "ing")) else simplemma.lemmatize(word, lang="en")


@cache
def lexicon() -> Lexicon:
    """Reads `lexicon.yaml`, once.

    Raises:
        ValueError: A group implies one that there is not.
    """
    content = read_yaml(Path(__file__).with_name("lexicon.yaml"))
    groups = content["groups"]
    senses: dict[str, set[str]] = {}
    for name, group in groups.items():
        for phrase in group["words"]:
            senses.setdefault(" ".join(words(phrase)), set()).add(name)
    not_objects = frozenset(" ".join(words(phrase)) for phrase in content["not_objects"])
    longest: dict[str, int] = {}
    for phrase in (*senses, *not_objects):
        first, length = phrase.partition(" ")[0], len(phrase.split())
        longest[first] = max(length, longest.get(first, 1))
    return Lexicon(
        senses={phrase: frozenset(names) for phrase, names in senses.items()},
        closure={name: _reached(name, groups) for name in groups},
        anywhere=frozenset(content["anywhere"]),
        loose=frozenset(content["loose"]),
        not_objects=not_objects,
        small=frozenset(content["small"]),
        longest=longest,
    )


def _reached(start: str, groups: Mapping[str, Any]) -> frozenset[str]:
    names, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in groups:
            raise ValueError(
                f"lexicon.yaml: {shown(start)} implies {shown(name)}, which is no group; known are {sorted(groups)}"
            )
        if name not in names:
            names.add(name)
            waiting += groups[name].get("implies", [])
    return frozenset(names)


@lru_cache(maxsize=4096)
def objects(text: str) -> tuple[Mention, ...]:
    """Returns the objects a caption names, in order, the longest phrase first at each word; cached."""
    table, said = lexicon(), words(text)
    doubtful = [match[0] for match in _ABSENT.finditer(lowered(text))]
    doubtful += [] if is_title_case(text) else NAME.findall(plain(text))
    doubtful = {*words(" ".join(doubtful))}
    mentions, at = [], 0
    while at < len(said):
        length, senses = 1, _word_senses(said[at])
        for end in range(min(at + table.longest.get(said[at], 1), len(said)), at + 1, -1):
            phrase, singular = " ".join(said[at:end]), " ".join((*said[at : end - 1], lemma(said[end - 1])))
            if phrase in table.not_objects or phrase in table.senses or singular in table.senses:
                length, senses = end - at, table.senses.get(phrase) or table.senses.get(singular)
                break
        if senses:
            phrase_words = said[at : at + length]
            shape = length == 1 and (phrase_words[0] in table.loose or lemma(phrase_words[0]) in table.loose)
            mentions.append(Mention(" ".join(phrase_words), senses, loose=shape or doubtful.issuperset(phrase_words)))
        at += length
    return tuple(mentions)


@lru_cache(maxsize=65_536)
def _word_senses(word: str) -> frozenset[str] | None:
    return lexicon().senses.get(word) or lexicon().senses.get(lemma(word))


def implied(mentions: Iterable[Mention]) -> frozenset[str]:
    """Returns all groups that the mentions name or imply, in any of their senses."""
    closure = lexicon().closure
    return frozenset().union(*(closure[sense] for mention in mentions for sense in mention.senses))
