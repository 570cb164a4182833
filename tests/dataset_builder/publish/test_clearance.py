from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_builder.publish.clearance import check_folder, refused_rows
from dataset_builder.rights.table import Rights, RightsTable, read_policy
from dataset_builder.schema import FEATURES, new_row
from dataset_builder.shards import folder as reading
from fusionrs_hf.errors import InputError

ALL = Rights(licence="x", images=True, infrared=True, captions=True, ir_captions=True, index=True)
POLICY = RightsTable(
    {
        "free": ALL,
        "no words": replace(ALL, captions=False, ir_captions="unknown"),
        "nothing": replace(ALL, images=False, infrared=False, captions=False, ir_captions=False, index=False),
    }
)
IMAGE = {"bytes": b"never read", "path": None}


def row(name, rights, **fields):
    origins = ["source"] * len(fields.get("captions", ()))
    given = {"source_dataset": "made", "source_locator": name, "rgb": IMAGE, "caption_origin": origins, **fields}
    return new_row(sample_id=name, rights="to be set", **given) | {"rights": rights}


def write(folder, *shards):
    """Writes shards of rows, all of train, and returns their names."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    names = [f"train-{number:05d}-of-{len(shards):05d}.parquet" for number in range(len(shards))]
    for name, rows in zip(names, shards, strict=True):
        pq.write_table(pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema), folder / "data" / name)
    return names


def refused(folder, *shards, whole=True):
    told = []
    names = write(folder, *shards)
    return refused_rows(folder, names, POLICY, whole, lambda *entry: told.append(entry)), told


def test_rows_of_null_rights_are_refused_beside_those_of_a_listed_code(tmp_path):
    rows = [row("a", "free"), row("b", None), row("c", "no words", captions=["w"]), row("d", None), row("e", "free")]
    found, told = refused(tmp_path, rows)
    assert told == [("b", "None", "unlisted"), ("d", "None", "unlisted"), ("c", "no words", "captions")]
    assert found.rows == 3 and found.by_code == {"None": 2, "no words": 1}
    assert found.parts == {"None": {}, "no words": {"captions": 1}}
    assert found.examples == {"None": ["b", "d"], "no words": ["c"]}
    assert found.sentence() == (
        "3 rows: 'None': 2 rows, code not listed (b, d); 'no words': captions of 1 rows not allowed (c)"
    )
    alone, _ = refused(tmp_path / "alone", [row("a", None)])
    assert (alone.rows, alone.by_code) == (1, {"None": 1})


def test_a_dataset_with_null_rights_passes_no_gate(tmp_path):
    write(tmp_path, [row("a", "CC0-1.0")])
    check_folder(tmp_path)
    write(tmp_path, [row("a", "CC0-1.0"), row("b", None)])
    with pytest.raises(InputError, match=r"1 rows: 'None': 1 rows, code not listed \(b\); code 'None' is not listed"):
        check_folder(tmp_path)


def test_a_row_counts_once_and_its_parts_are_those_that_it_holds(tmp_path):
    words = {"captions": ["a"], "ir_captions": ["b"]}
    rows = [row("a", "no words", **words), row("b", "no words"), row("c", "no words", ir_captions=["b"])]
    found, told = refused(tmp_path, rows)
    assert told == [("a", "no words", "captions,ir_captions"), ("c", "no words", "ir_captions")]
    assert (found.rows, found.by_code) == (2, {"no words": 2})
    assert found.sentence() == "2 rows: 'no words': captions of 1, ir_captions of 2 rows not allowed (a, c)"
    sensor = row("d", "nothing", ir=IMAGE, ir_origin="sensor", joint_captions=["c"])
    made = row("e", "nothing", ir=IMAGE, ir_origin="translated")
    _, told = refused(tmp_path, [sensor, made])
    assert told == [
        ("d", "nothing", "images,captions,ir_captions,index"),
        ("e", "nothing", "images,infrared,index"),
    ]


def test_an_index_is_asked_for_the_index_alone(tmp_path):
    rows = [row("a", "no words", captions=["w"]), row("b", "nothing"), row("c", None)]
    _, told = refused(tmp_path, rows, whole=False)
    assert refused_rows(tmp_path, write(tmp_path, rows), POLICY).rows == 3  # all of a row, unless it is said
    assert told == [("b", "nothing", "index"), ("c", "None", "unlisted")]


@pytest.mark.parametrize("batch", [2, 10_000])
def test_counts_and_examples_go_on_over_batches_and_shards(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(reading, "LIGHT_ROWS", batch)
    rows = [row(name, "no words", captions=["w"]) for name in "abcde"]
    found, told = refused(tmp_path, rows[:1], rows[1:])
    assert [entry[0] for entry in told] == list("abcde")
    assert found.examples == {"no words": ["a", "b", "c"]}
    assert found.parts == {"no words": {"captions": 5}} and found.rows == 5
    assert found.sentence() == "5 rows: 'no words': captions of 5 rows not allowed (a, b, c, ...)"
    three, _ = refused(tmp_path / "three", rows[:3])
    assert three.sentence().endswith("(a, b, c)")


def test_the_remedy_is_to_publish_less_or_to_list_the_code_as_the_refusal_is(tmp_path):
    held, unlisted = row("a", "no words", captions=["w"]), row("b", "wild")
    less, add = "publish less of it", "code 'wild' is not listed: add it with licence"
    remedies = [refused(tmp_path, rows)[0].remedy() for rows in ([held], [unlisted], [held, unlisted])]
    assert [(less in remedy, add in remedy) for remedy in remedies] == [(True, False), (False, True), (True, True)]
    assert remedies[2].index(less) < remedies[2].index(add)


def test_every_code_s_own_notice_is_asked_for_in_any_lines(tmp_path):
    notices = {code: read_policy().get(code).notice for code in ("CC-BY-SA-4.0", "skyscript/US")}
    write(tmp_path, [row("a", "CC-BY-SA-4.0"), row("b", "skyscript/US"), row("c", "CC0-1.0")])
    for missing, written in (("CC-BY-SA-4.0", "skyscript/US"), ("skyscript/US", "CC-BY-SA-4.0")):
        (tmp_path / "NOTICE.md").write_text(notices[written])
        with pytest.raises(InputError, match=f"does not hold the notice that rows of code {missing!r} ask for"):
            check_folder(tmp_path)
    (tmp_path / "NOTICE.md").write_text("\n\n".join(notices.values()).replace(" ", "\n"))
    check_folder(tmp_path)
