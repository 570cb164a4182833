import hashlib
import json

import pytest

from dataset_builder.caption_check import check_captions, check_table
from dataset_builder.recaption import caption_dataset
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.captioned_tiles import HOSTILE, noise, png, row, write

TRUE, FALSE = "The infrared image is very bright.", "The infrared image is very dark."


def bright(index, *captions):
    image = (noise(index, 1) // 16 + 239).astype("uint8")
    return row(index, ir=png(image), ir_captions=list(captions), captions=[], caption_origin=[])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    rows = [bright(0, TRUE), bright(1, TRUE, FALSE), bright(2), bright(3, FALSE), row(4, ir=None), bright(5, TRUE)]
    rows[4]["ir_captions"] = [TRUE]
    return write(tmp_path_factory.mktemp("dataset"), rows)


def test_captions_of_others_are_judged_by_their_images_and_the_dataset_stays(dataset, tmp_path):
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in dataset.rglob("*") if path.is_file()}
    found = check_captions(dataset, workers=1, report=tmp_path / "scores.json")
    total = found["total"]
    assert (total["rows"], total["captioned"], total["written"], total["accepted"]) == (6, 3, 5, 3)
    assert total["rejected"] == {"contradicted": 2}
    assert total["failed"] == {"ir_missing": 1}
    assert (total["claims"], total["rejected_claims"]) == ({"supported": 3}, {"contradicted": 2})
    assert {example["sample_id"] for example in found["examples"]["contradicted"]} == {"made/001", "made/003"}
    assert json.loads((tmp_path / "scores.json").read_text()) == found
    assert {
        path: hashlib.sha256(path.read_bytes()).digest() for path in dataset.rglob("*") if path.is_file()
    } == before


def test_a_rule_can_be_left_out(dataset):
    assert check_captions(dataset, workers=1, rules={"contradicted": False})["total"]["rejected"] == {}


def test_the_table_says_it_in_short(dataset):
    lines = check_table(check_captions(dataset, workers=1)).splitlines()
    assert lines[:2] == ["6 rows, 3 with an accepted caption", "3 of 5 captions accepted (60.00%)"]
    assert [line.split() for line in lines[4:7]] == [
        ["supported", "3", "0"], ["contradicted", "0", "2"], ["unverifiable", "0", "0"]
    ]  # fmt: skip
    assert any(line.split()[:2] == ["contradicted", "2"] for line in lines[7:])
    assert f"    {FALSE}" in lines


def test_what_the_default_captioner_wrote_passes(tmp_path):
    report = caption_dataset(write(tmp_path / "source"), tmp_path / "out", workers=1)
    found = check_captions(tmp_path / "out", workers=1)
    assert found["total"]["written"] == found["total"]["accepted"] == report["captions"]["total"]["accepted"]
    assert found["total"]["claims"] == report["captions"]["total"]["claims"]


def test_hostile_captions_reach_no_terminal_as_they_are(tmp_path):
    dataset = write(tmp_path / "source", [bright(index, text) for index, text in enumerate(HOSTILE)])
    table = check_table(check_captions(dataset, workers=1))
    assert all(character.isprintable() for line in table.split("\n") for character in line.replace("\ufffd", ""))
    assert max(map(len, table.split("\n"))) < 200


def test_without_captions_there_is_nothing_to_check(tmp_path):
    dataset = write(tmp_path / "source", [bright(0), bright(1)])
    with pytest.raises(InputError, match="none of 2 rows .* has an infrared-aware caption"):
        check_captions(dataset, workers=1)


def test_the_report_may_not_lie_in_the_dataset(dataset):
    with pytest.raises(InputError, match="lies within the dataset"):
        check_captions(dataset, report=dataset / "scores.json")
