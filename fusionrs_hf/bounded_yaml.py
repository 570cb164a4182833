"""YAML as people write it for us: plain values, of bounded size once aliases are followed, or an InputError.

A date is the text that was written, since the fields that take one judge it. A key that stands twice in a mapping is
refused, where YAML would let the last one win without a word.
"""

import re
from os import PathLike
from typing import Any

import yaml

from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.bounds import DEPTH, DIGITS, YAML_ALIASES, YAML_NODES
from fusionrs_hf.errors import InputError, shown

UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202d\u202e\ud800-\udfff]")
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
DATE = "tag:yaml.org,2002:timestamp"
CANNOT_BE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
)  # tags that do not fit


class NotYamlError(InputError):
    """The text is no YAML, whatever its size."""


class _Loader(yaml.SafeLoader):
    """Composes nodes under the bounds; what they become is the stock loader's."""

    yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in resolvers if tag != DATE]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.nodes = self.aliases = 0
        self.whole: dict[int, tuple[int, int]] = {}  # of finished nodes: values and levels, aliases followed

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        is_alias, before, self.depth = self.check_event(yaml.AliasEvent), self.nodes, self.depth + 1
        self._check(self.depth, DEPTH, "levels")
        deepest, self.deepest = getattr(self, "deepest", 0), self.depth
        node = super().compose_node(parent, index)
        if is_alias:
            self.aliases += 1
            self._check(self.aliases, YAML_ALIASES, "aliases")
            if id(node) not in self.whole:
                raise InputError("a value that holds itself by an alias; write it out")
            values, levels = self.whole[id(node)]
            self.nodes, self.deepest = self.nodes + values, self.depth + levels
        else:
            self.nodes += 1
            self.whole[id(node)] = self.nodes - before, self.deepest - self.depth
        self._check(self.nodes, YAML_NODES, "values")
        self._check(self.deepest, DEPTH, "levels")
        self.depth, self.deepest = self.depth - 1, max(deepest, self.deepest)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)
            if name in seen:
                raise InputError(f"the key {shown(key.value)} twice in one mapping (line {_line(key)}); keep one")
            seen.add(name)
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        if node.tag in NUMBERS:
            self._check(len(node.value), DIGITS, "characters in a number")
        if found := UNFIT.search(node.value):
            raise InputError(f"the control character U+{ord(found[0]):04X} in a text (line {_line(node)}); remove it")
        return node

    @staticmethod
    def _check(count: int, most: int, of: str) -> None:
        if count > most:
            raise InputError(f"more than {most} {of}; expected a plain file as a person writes it")


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def parse_yaml(text: str, where: str, examples: str = "") -> Any:
    """Returns what a YAML text holds: mappings, lists, texts, numbers, true, false and null.

    Args:
        text: Of one document.
        where: What it is, for messages.
        examples: Where the user finds such files, for messages.

    Raises:
        NotYamlError: It is not YAML.
        InputError: It exceeds a bound, holds itself, a key twice, or a control character.
    """
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except InputError as error:
        raise InputError(f"{where} has {error}") from None
    except (yaml.YAMLError, RecursionError, *CANNOT_BE) as error:
        remedy = f"; see {examples}" if examples else ""
        raise NotYamlError(f"{where} is not YAML ({error}){remedy}") from None
    finally:
        if loader is not None:
            loader.dispose()


def read_yaml(path: PathLike | str, examples: str = "dataset_builder/recipes") -> Any:
    """Returns what a YAML file holds.

    Args:
        path: The file.
        examples: Where the user finds such files, for messages.

    Raises:
        InputError: As of `parse_yaml` and `read_text`.
        OSError: It cannot be read.
    """
    return parse_yaml(read_text(path), str(path), examples)


def front_matter(text: str, where: str) -> dict[str, Any]:
    """Returns the YAML mapping between `---` and `---` at the start of a card; empty where there is none.

    Raises:
        NotYamlError: It is no YAML, or no mapping.
        InputError: As of `parse_yaml`.
    """
    start, *rest = text.replace("\r\n", "\n").split("---\n", 2)
    if len(rest) < 2 or start.strip():
        return {}
    values = parse_yaml(rest[0], f"the front matter of {where}")
    if values is not None and not isinstance(values, dict):
        raise NotYamlError(f"the front matter of {where} is {shown(values)}, expected a mapping of names to values")
    return values or {}
