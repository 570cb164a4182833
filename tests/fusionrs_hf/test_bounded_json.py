import pytest

from fusionrs_hf.bounded_json import NotJsonError, parse_json, parse_json_field, read_json, read_object
from fusionrs_hf.errors import InputError


def test_json_is_read_as_ever():
    assert parse_json('{"a": [1, -2.5, true, null, "\\u00fc"], "b": {}}') == {"a": [1, -2.5, True, None, "ü"], "b": {}}
    assert parse_json("[" * 32 + "]" * 32)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property"),
        ("[" * 100_000, "levels"),
        ("[" * 33 + "]" * 33, "more than 32 levels"),
        ('{"a": ' * 40 + "1" + "}" * 40, "more than 32 levels"),
        ("1" * 400, "a number of 400 digits"),
        ("-" + "1" * 5000, "a number of 5001 digits"),
        ("[" + "[]," * 3_000_000 + "1]", "more than 3000000 values"),
    ],
)
def test_what_exceeds_a_bound_is_refused(text, said):
    with pytest.raises(NotJsonError, match=said):
        parse_json(text)


def test_a_field_that_is_no_json_is_named():
    assert parse_json_field("ir_range", "[1, 2]") == [1, 2]
    with pytest.raises(InputError, match=r"^ir_range must be JSON, got '1,2' \(Extra data"):
        parse_json_field("ir_range", "1,2")


def test_brackets_in_texts_count_for_no_levels():
    assert parse_json('["' + "[" * 100 + '"]') == ["[" * 100]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not the JSON that is expected"),
        (b"[1]", r"holds \[1\], expected an object"),
        (b"5", "holds 5, expected an object"),
        (b"null", "holds None, expected an object"),
        (b'{"a": "\\ud800"}', "lone surrogates"),
        (b"\xff\xfe{\0", "UTF-16 by its byte order mark"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"{" + b" " * 200, "not the JSON"),
    ],
)
def test_a_file_of_another_is_one_line_with_the_remedy(tmp_path, data, said):
    path = tmp_path / "report.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_object(path, "build again", most=1000)


def test_size_is_bounded_and_a_folder_is_no_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_bytes(b'{"a": 1}')
    assert read_json(path, "x") == {"a": 1}
    with pytest.raises(InputError, match="more than 4 bytes"):
        read_json(path, "x", most=4)
    with pytest.raises(InputError, match="is no file but a folder"):
        read_json(tmp_path, "x")
