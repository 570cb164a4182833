import pytest

from dataset_builder.filters import TEXT_RULES, make_rules


def hits(row):
    """Reasons of all text rules that hit the row, each rule asked alone."""
    return {reason for rule in make_rules({}, TEXT_RULES) if (reason := rule(row))}


def test_caption_length_rules():
    def texts(*captions, ir=()):
        return hits({"captions": list(captions), "ir_captions": list(ir)})

    assert texts() == {"caption_empty"}
    assert texts("a farm", "  ") == {"caption_empty"}
    assert texts(ir=["very dark"]) == set()
    assert texts("farm") == {"caption_too_short"}
    assert texts("two words") == set()
    assert texts("word " * 150) == set()
    assert texts("word " * 151) == {"caption_too_long"}
    assert texts("a " + "x" * 9_998) == set()
    assert texts("a " + "x" * 9_999) == {"caption_too_long"}
    assert texts("a " + "é" * 5_000) == {"caption_too_long"}  # bytes, not letters
    assert texts("河流") == set()  # no blanks between words: each ideograph is one
    assert texts("河" * 151) == {"caption_too_long"}
    assert texts("แม่น้ำ") == set()


@pytest.mark.parametrize(
    "text",
    [
        "حقل أخضر بجانب نهر",
        "שדה ירוק ליד הנהר",
        "\u202bحقل\u202c and a \u200fنهر\u200f",  # marks of direction
        "हिन्दी में एक नदी",
        "cafe\u0301 roofs",  # a combining accent
        "two\tlines\nof text\r\nand\u0085a third",
        "roofs < 5 m and > 2 m, a<b",
        "a family\u200d of \U0001f3e0 houses",
        "R&D park; AT&T; 50 % [partly] (built) *new* #3",
        "from 10\u00a0m to 1\u2009km",
    ],
)
def test_texts_of_any_script_pass(text):
    assert hits({"captions": [text]}) == set()


@pytest.mark.parametrize("code", [0, 7, 8, 11, 12, 14, 27, 31, 127, 128, 159, 0xD800, 0xFDD0, 0xFFFD, 0xFFFF])
def test_control_characters_are_found(code):
    assert hits({"captions": ["good text", f"a farm{chr(code)} near a river"]}) == {"caption_has_control_characters"}


@pytest.mark.parametrize(
    "text",
    [
        "<p>a farm</p>",
        "a farm<br/>near a river",
        'a <img src="x.png"> farm',
        "<!-- a farm -->",
        "<!DOCTYPE html> a farm",
        "fish &amp; chips",
        "fish &#38; chips",
        "fish &#x26; chips",
        "a <image> of a farm",
        "<|im_start|>user a farm",
        "a **green** farm",
        "a [farm](http://example.org)",
        "a ![farm]()",
        "```a farm```",
        "# A farm\nnear a river",
    ],
)
def test_markup_and_special_tokens_are_found(text):
    assert hits({"captions": [text]}) == {"caption_has_markup"}


def test_what_is_no_text_is_found():
    assert hits({"captions": ["12 7.5"]}) == {"caption_not_text"}
    assert hits({"captions": ["... !! ??"]}) == {"caption_not_text"}
    assert hits({"captions": ["3 m"]}) == {"caption_not_text"}
    assert hits({"captions": ["3 km"]}) == set()
    for thing in (7, 7.5, True, ["a farm"], {"text": "a farm"}):
        assert hits({"captions": ["a farm", thing]}) == {"caption_not_text"}
    assert hits({"captions": ["a farm", None]}) == {"caption_empty"}


@pytest.mark.parametrize(
    "text",
    [
        "a farm \u202egpj.tac near a river",
        "a farm \u202d near a river",
        "a farm \u202b near a river",
        "a farm \u2067 near a river",
        "a farm \u202c near a river",
        "a farm \u202b\u2069 near a river",
        "a farm\U000e0041\U000e0042 near a river",
        "a farm\u2062 near a river",
        "a farm\ufff9 near\ufffb a river",
    ],
)
def test_marks_that_turn_or_hide_what_follows_are_found(text):
    assert hits({"captions": [text]}) == {"caption_has_control_characters"}
    assert hits({"captions": ["a farm near a river"], "ir_captions": [text]}) == {"caption_has_control_characters"}


def test_direction_that_is_closed_again_passes():
    assert (
        hits({"captions": ["a \u2067\u05e9\u05d3\u05d4\u2069 and a \u202b\u062d\u0642\u0644\u202c near a river"]})
        == set()
    )
