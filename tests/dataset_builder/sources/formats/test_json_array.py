import json

import numpy as np
import pytest

from dataset_builder.sources.formats.entries import EntryFile
from dataset_builder.sources.formats.json_array import array_elements, is_json_array
from dataset_builder.sources.formats.lines import OverlongError
from fusionrs_hf.bounds import LINE_BYTES
from fusionrs_hf.errors import InputError

ENTRIES = [
    {"file_name": "a.png", "text": 'a field, "wide"] [and] {bare}'},
    {"file_name": "b\\", "nested": {"list": [[1, 2], {"x": "}"}]}, "none": None},
    {"file_name": "Köln.png", "text": ""},
]


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \r\n"])
def test_elements_are_those_that_json_reads_however_they_are_written(tmp_path, indent, mark):
    path = tmp_path / "a.json"
    path.write_bytes(mark + json.dumps(ENTRIES, indent=indent, ensure_ascii=False).encode() + b"\n")
    file = EntryFile(path)
    assert [entry for _, entry in file.entries()] == ENTRIES
    starts = list(file.starts())
    assert [file.at(start) for start in starts] == ENTRIES
    assert [entry for _, entry in file.entries(starts[1], starts[2])] == ENTRIES[1:2]
    assert [entry for _, entry in file.entries(starts[1], None)] == ENTRIES[1:]


def test_random_documents_come_back(tmp_path):
    rng = np.random.default_rng(0)

    def value(depth):
        kind = rng.integers(0, 6 if depth else 4)
        texts = ["", '"', "\\", "]", "},{", "a,b", '\\"', "é\n"]
        plain = [None, True, float(rng.normal()), texts[rng.integers(len(texts))]]
        if kind < 4:
            return plain[kind]
        parts = [value(depth - 1) for _ in range(rng.integers(0, 4))]
        return parts if kind == 4 else {f"{number}{texts[number]}": part for number, part in enumerate(parts)}

    for number in range(200):
        document = [value(3) for _ in range(rng.integers(0, 5))]
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(document, indent=[None, 1][number % 2]))
        assert [json.loads(element) for _, element in array_elements(path, None, None)] == document


def test_what_is_too_long_or_does_not_end_is_told(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(["x" * LINE_BYTES, {"a": 1}]))
    (_, first), (_, second) = array_elements(path, None, None)
    assert isinstance(first, OverlongError) and second == b'{"a": 1}'
    path.write_text('[{"a": 1}, {"a": [2, ')
    with pytest.raises(InputError, match="element at byte 11 does not end"):
        list(array_elements(path, None, None))


def test_lines_of_mappings_are_no_array():
    assert not is_json_array(b'{"a": [1]}\n{"a": 2}') and not is_json_array(b"") and not is_json_array(b" x[")
    assert is_json_array(b"\xef\xbb\xbf\n [")


def test_tabs_divide_the_fields_of_tsv(tmp_path):
    (tmp_path / "a.tsv").write_text('file_name\ttext\na.png\ta field, wide\nb.png\t"two\tparts"\n')
    assert [entry for _, entry in EntryFile(tmp_path / "a.tsv").entries()] == [
        {"file_name": "a.png", "text": "a field, wide"},
        {"file_name": "b.png", "text": "two\tparts"},
    ]
