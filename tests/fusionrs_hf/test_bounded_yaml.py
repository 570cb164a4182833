import time

import pytest

from fusionrs_hf.bounded_yaml import NotYamlError, front_matter, parse_yaml, read_yaml
from fusionrs_hf.errors import InputError


def test_plain_values_are_read_as_they_stand_and_dates_as_text():
    text = "a: 1\nb: [x, 0.5, true, null]\nc: {d: 2020-01-01}\ne: 2020-99-99\nf: &g {h: 1}\ni: *g\nj: {<<: *g, h: 2}\n"
    assert parse_yaml(text, "made") == {
        "a": 1,
        "b": ["x", 0.5, True, None],
        "c": {"d": "2020-01-01"},
        "e": "2020-99-99",
        "f": {"h": 1},
        "i": {"h": 1},
        "j": {"h": 2},
    }
    assert parse_yaml("", "made") is None


def laughs(width: int, levels: int) -> str:
    lines = [f"a: &a [{', '.join(['x'] * width)}]"]
    for one, next_one in zip("abcdefghi"[:levels], "bcdefghij", strict=False):
        lines.append(f"{next_one}: &{next_one} [{', '.join([f'*{one}'] * width)}]")
    return "\n".join(lines)


BOMBS = {
    "aliases of aliases": (laughs(9, 8), "more than 30000 values"),
    "merges of merges": (laughs(9, 8).replace("[", "[{k: ").replace("]", "}]").replace("{k: *", "{<<: *"), ""),
    "many aliases": ("a: &a x\nb: [" + "*a," * 2000 + "]", "more than 1000 aliases"),
    "depth": ("[" * 5000, "more than 32 levels"),
    "block depth": ("- " * 5000 + "x", "more than 32 levels"),
    "depth by aliases": ("a: &a " + "[" * 30 + "]" * 30 + "\nb: [[[*a]]]", "more than 32 levels"),
    "itself": ("&x {a: *x}", "holds itself"),
    "itself in a list": ("&x [a, [*x]]", "holds itself"),
    "values": ("[" + "1," * 40_000 + "]", "more than 30000 values"),
    "digits": ("a: " + "9" * 5000, "characters in a number"),
    "digits of a float": ("a: 1." + "9" * 5000, "characters in a number"),
    "a surrogate": (r'a: "\ud800"', "U+D800"),
    "an escape": (r'a: "\e[2J"', "U+001B"),
    "a turn": ('a: "\u202ecod"', "U+202E"),
    "a null in a name": (r'path: "a\0b"', "U+0000"),
    "a key twice": ("a: 1\nb: 2\na: 3", "the key 'a' twice"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_exceeds_a_bound_is_one_line_soon(name):
    text, said = BOMBS[name]
    begin = time.process_time()
    with pytest.raises(InputError) as refused:
        parse_yaml(text, "made")
    assert said in str(refused.value) and len(str(refused.value)) < 600
    assert str(refused.value).startswith("made ")
    assert time.process_time() - begin < 10


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "*x",
        "!!python/object:os.system x",
        "!!timestamp x",
        "!!bool maybe",
        "!!int ''",
        "!!float x",
        "!!binary é",
        "? [a]\n: b",
        "a: 1\n---\nb: 2",
        "\x00",
        "%YAML 9.9\n---\na",
        "a:\t- b\n\t c",
        "!!omap [1]",
        "!!set [1]",
    ],
)
def test_what_is_no_yaml_is_told_apart(text):
    with pytest.raises(NotYamlError, match="^made is not YAML .*; see examples$"):
        parse_yaml(text, "made", "examples")


def test_a_large_file_is_not_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a" * 2_000_000)
    with pytest.raises(InputError, match="has more than 1000000 bytes"):
        read_yaml(path)


def test_a_front_matter_is_a_mapping_or_told():
    assert front_matter("# Title\n", "card") == {}
    assert front_matter("---\na: 1\n---\n# Title\n---\n", "card") == {"a": 1}
    assert front_matter("---\r\na: 1\r\n---\r\n", "card") == {"a": 1}
    assert front_matter("---\n---\n", "card") == {}
    with pytest.raises(NotYamlError, match="front matter of card is \\['a'\\]"):
        front_matter("---\n- a\n---\n", "card")
