"""What the parser of mappings takes and what it refuses, value by value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.fields import parse
from dataset_builder.recipe import BuildRecipe, CaptionRecipe, read_caption_recipe
from dataset_builder.sources.scene_parts import Region
from fusionrs_hf.bounded_yaml import read_yaml
from fusionrs_hf.errors import InputError

SOURCES = {"name": "x", "sources": [{}]}


@dataclass(frozen=True, slots=True)
class Kinds:
    """A field of each kind that a recipe has."""

    text: str
    count: int = 1
    share: float = 0.5
    flag: bool = False
    names: Sequence[str] = ()
    table: Mapping[str, Any] = field(default_factory=dict)
    file: str | Path | None = None
    base: Path = Path()

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count must be at least 0, got {self.count}")
        if self.text == "lost":
            raise InputError("text is lost; find it")


def strictly(values: Any) -> Kinds:
    return parse(Kinds, values, "made", strict=True, base=Path("b"))


def loosely(values: Any) -> Kinds:
    return parse(Kinds, values, "made", base=Path("b"))


@pytest.mark.parametrize("parsed", [strictly, loosely])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", ""),
        ("count", 0),
        ("share", 0.25),
        ("share", 1),  # a whole number is a number
        ("flag", True),
        ("names", ["a", "b"]),
        ("names", ("a", "b")),
        ("table", {"a": {"b": [1, None]}}),
        ("file", "a/b"),
        ("file", Path("a/b")),
    ],
)
def test_a_value_of_its_fields_kind_is_taken_as_it_is(parsed, name, value):
    made = parsed({"text": "a", name: value})
    assert getattr(made, name) is value
    assert made.base == Path("b")


@pytest.mark.parametrize("parsed", [strictly, loosely])
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("text", 5, "made: text must be a text, got 5"),
        ("count", 1.0, "made: count must be a whole number, got 1.0"),
        ("count", True, "made: count must be a whole number, got True"),
        ("count", "1", "made: count must be a whole number, got '1'"),
        ("count", 2**63, "made: count must be a whole number, got 9223372036854775808"),
        ("share", float("nan"), "made: share must be a number, got nan"),
        ("share", float("inf"), "made: share must be a number, got inf"),
        ("names", ["a", 5], "made: names must be a list of texts, got ['a', 5]"),
        ("share", "half", "made: share must be a number, got 'half'"),
        ("share", False, "made: share must be a number, got False"),
        ("flag", 1, "made: flag must be true or false, got 1"),
        ("names", "a", "made: names must be a list, got 'a'"),
        ("names", {"a": 1}, "made: names must be a list, got {'a': 1}"),
        ("table", ["a"], "made: table must be a mapping of names to values, got ['a']"),
        ("file", ["a"], "made: file must be a text or a path, got ['a']"),
    ],
)
def test_a_value_of_another_kind_is_refused(parsed, name, value, sentence):
    with pytest.raises(InputError) as refused:
        parsed({"text": "a", name: value})
    assert str(refused.value) == sentence


def test_null_is_the_default_but_in_a_strict_mapping_it_is_a_value():
    with pytest.raises(InputError, match="text must be a text, got None"):
        strictly({"text": None})
    with pytest.raises(InputError, match="count must be a whole number, got None"):
        strictly({"text": "a", "count": None})
    assert loosely({"text": "a", "count": None, "table": None}) == Kinds("a", base=Path("b"))
    assert strictly({"text": "a", "file": None}).file is None


@pytest.mark.parametrize("parsed", [strictly, loosely])
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"text": "a", "cuont": 1}, "made has the unknown key 'cuont'; did you mean 'count'?"),
        ({"text": "a", "zzz": 1}, "made has the unknown key 'zzz'; known are text, count, share"),
        ({"text": "a", 1: 1}, "made has the unknown key 1; known are text, count, share"),
        ({"text": "a", "base": "/"}, "made has the unknown key 'base'"),
        ({"count": 1}, "made needs text"),
        ({}, "made needs text"),
        (["a"], "made must be a mapping of keys to values, got ['a']"),
        (None, "made must be a mapping of keys to values, got None"),
        ("a", "made must be a mapping of keys to values, got 'a'"),
        ({"text": "a", "count": -1}, "made: count must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_is_one_line_with_its_place(parsed, values, sentence):
    with pytest.raises(InputError, match=r"^[^\n]+$") as refused:
        parsed(values)
    assert str(refused.value).startswith(sentence)


def test_a_missing_key_is_told_with_those_that_are_there():
    with pytest.raises(InputError, match="^made needs text, got count, flag$"):
        loosely({"count": 1, "flag": True, "text": None})
    with pytest.raises(InputError, match="^made needs text, got nothing$"):
        loosely({})


def test_an_error_that_names_its_place_itself_gets_no_second_one():
    with pytest.raises(InputError, match="^text is lost; find it$"):
        loosely({"text": "lost"})


@pytest.mark.parametrize(
    "changes",
    [
        {"translate": {"band": "lwir"}},
        {"translate": None, "caption": None, "groups": None, "splits": None, "exclude": None, "ir_range": None},
        {"caption": {}},
        {"caption": {"rules": {"heat": False}, "options": {"model": "a"}}},
        {"groups": {"relations": []}},
        {"splits": {"validation": 0, "test": 100, "force_train": None}},
        {"splits": {"force_train": "a.txt"}},
        {"sources": ({},)},
        {"ir_range": {"lwir": (1, 2.5)}},
        {"filters": {"ir_too_flat": None, "rgb_is_gray": False}},
        {"attribution": {"a": "b"}, "exclude": "a", "rights_policy": Path("b")},
    ],
)
def test_a_build_recipe_takes(changes):
    assert BuildRecipe.from_mapping({**SOURCES, **changes}, base=Path("b")).base == Path("b")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": None}, "recipe needs name"),
        ({"sources": "a"}, "recipe: sources must be a list, got 'a'"),
        ({"translate": True}, "recipe: translate must be a mapping of keys to values, got True"),
        ({"translate": {"bnad": "nir"}}, "recipe: translate has the unknown key 'bnad'; did you mean 'band'?"),
        ({"translate": {"band": None}}, "recipe: translate: band must be a text, got None"),
        ({"translate": {"seed": 1.5}}, "recipe: translate: seed must be a whole number, got 1.5"),
        ({"caption": CaptionRecipe()}, "recipe: caption must be a mapping of keys to values, got CaptionRecipe("),
        ({"caption": {"repairs": -1}}, "recipe: caption: repairs must be a whole number of at least 0, got -1"),
        ({"caption": {"rules": None}}, "recipe: caption: rules must be a mapping of names to values, got None"),
        ({"groups": {"radius": None}}, "recipe: groups: radius must be a whole number, got None"),
        ({"groups": {"radius": 17}}, "recipe: groups: radius must be 0 to 16 bits, got 17"),
        ({"groups": {"relations": "captions"}}, "recipe: groups: relations must be a list, got 'captions'"),
        ({"splits": {"validation": True}}, "recipe: splits: validation must be a number, got True"),
        ({"max_shard_bytes": 1e6}, "recipe: max_shard_bytes must be a whole number, got 1000000.0"),
        ({"ir_range": [1, 2]}, "recipe: ir_range must be a mapping of names to values or a text, got [1, 2]"),
        ({"ir_range": {"nir": [2, 1]}}, "recipe: ir_range must map a band of"),
        ({"ir_range": {"nir": [1]}}, "recipe: ir_range must map a band of"),
        ({"ir_range": {"nir": 5}}, "recipe: "),
        ({"ir_range": {"nir": [1, None]}}, "recipe: "),
        ({"exclude": 5}, "recipe: exclude must be a text or a path, got 5"),
        ({"attribution": {"a": 5}}, "recipe: attribution must be a mapping of names to texts, got {'a': 5}"),
        (
            {"ir_range": {"nir": [1, float("inf")]}},
            "recipe: ir_range must be a mapping of names to lists or texts, got",
        ),
        ({"splits": {"validation": float("nan")}}, "recipe: splits: validation must be a number, got nan"),
        ({"name": 10**5000}, "recipe: name must be a text, got a number of about 50"),
    ],
)
def test_a_build_recipe_refuses(changes, sentence):
    with pytest.raises(InputError, match=r"^[^\n]+$") as refused:
        BuildRecipe.from_mapping({**SOURCES, **changes})
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ir_range: [1]\ncaption: {}", "ir_range must be a mapping of names to values, got [1]"),
        ("ir_range: {nir: [1, 1]}\ncaption: {}", "ir_range must map a band of"),
        ("seed: 1.5", "seed must be a whole number, got 1.5"),
        ("rules: [heat]", "rules must be a mapping of names to values, got ['heat']"),
    ],
)
def test_a_caption_recipe_refuses(tmp_path, text, sentence):
    path = tmp_path / "caption.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_caption_recipe(path)
    assert f": {sentence}" in str(refused.value)


def test_a_caption_recipe_alone_takes_null_for_the_default(tmp_path):
    path = tmp_path / "caption.yaml"
    path.write_text("seed:\nrules:\noptions:\n", encoding="utf-8")
    assert read_caption_recipe(path) == (CaptionRecipe(), {})


def test_nested_parts_of_a_source_name_their_place():
    with pytest.raises(InputError, match=r"^region 1: split must be one of train, validation, test, got 'dev'$"):
        parse(Region, {"rows": [0, 1], "columns": [0, 1], "split": "dev"}, "region 1")


def test_what_is_no_yaml_is_told_in_a_line_with_where_to_look(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"a: [")
    with pytest.raises(InputError, match=r"^[^\n]+a\.yaml is not YAML [^\n]+; see dataset_builder/recipes$"):
        read_yaml(tmp_path / "a.yaml")
