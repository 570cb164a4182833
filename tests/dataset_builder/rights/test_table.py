from pathlib import Path

import pyarrow as pa
import pytest

from dataset_builder.rights.table import CONTENT, PARTS, held_parts, read_policy
from dataset_builder.schema import FEATURES, new_row
from fusionrs_hf.errors import InputError

ALL, NONE = set(CONTENT), set()
IMAGES = {"images", "infrared"}
SUBSOURCES = ("US", "CH", "DE", "S2", "FI", "ES", "P3", "P5", "L8", "L9")
ENTRY = "{licence: x, images: yes, infrared: yes, captions: yes, ir_captions: yes, index: yes"


@pytest.fixture(scope="module")
def shipped():
    return read_policy()


def policy_file(folder: Path, text: str) -> Path:
    (folder / "mine.yaml").write_text(text)
    return folder / "mine.yaml"


@pytest.mark.parametrize(
    ("code", "allowed", "conditions"),
    [
        ("CC0-1.0", ALL, NONE),
        ("public-domain", ALL, NONE),
        ("MIT", ALL, {"attribution"}),
        ("Apache-2.0", ALL, {"attribution", "changes_marked"}),
        ("CC-BY-4.0", ALL, {"attribution", "changes_marked"}),
        ("CC-BY-SA-4.0", ALL, {"attribution", "changes_marked", "share_alike"}),
        ("CC-BY-NC-4.0", ALL, {"attribution", "changes_marked", "non_commercial"}),
        ("ODbL-1.0", ALL, {"attribution", "share_alike"}),
        ("copernicus", ALL, {"attribution", "changes_marked", "no_endorsement"}),
        ("landsat", ALL, NONE),
        ("RS5M", NONE, NONE),
        ("RSICD", NONE, NONE),
        ("RSITMD", NONE, NONE),
        ("UCM-Captions", NONE, NONE),
        ("Sydney-Captions", NONE, NONE),
        ("NWPU-Captions", IMAGES, {"attribution", "changes_marked", "non_commercial"}),
        ("HIT-UAV", ALL, {"attribution", "changes_marked"}),
        ("LLVIP", {"captions", "ir_captions"}, {"attribution", "non_commercial"}),
        ("caltech-aerial", ALL, {"attribution", "changes_marked", "non_commercial", "share_alike"}),
        *((f"skyscript/{name}", {*IMAGES, "captions"}, None) for name in SUBSOURCES),
    ],
)
def test_the_shipped_table_allows(shipped, code, allowed, conditions):
    entry = shipped.get(code)
    assert {part for part in CONTENT if entry.allows(part)} == allowed
    assert entry.allows("index")
    assert conditions is None or set(entry.conditions) == conditions
    if code.startswith("skyscript/"):
        assert {"attribution", "share_alike"} <= set(entry.conditions)
        assert "OpenStreetMap" in entry.notice


def test_every_shipped_entry_says_where_it_comes_from_and_is_listed_once(shipped):
    assert all(entry.evidence for entry in shipped.entries.values())
    assert len(shipped.entries) == len(shipped.codes)


def test_codes_are_found_without_regard_to_case_and_no_code_is_none(shipped):
    assert shipped.get("cc0-1.0") is shipped.get("CC0-1.0")
    assert shipped.get("skyscript/us") is shipped.get("skyscript/US")
    assert shipped.get("skyscript") is shipped.get("") is shipped.get(None) is None


def test_what_nobody_knows_is_not_allowed(shipped):
    assert shipped.get("RSICD").images == "unknown"
    assert not shipped.get("RSICD").allows("images")


def test_a_file_adds_codes_and_changes_keys_of_those_that_are_there(tmp_path, shipped):
    own = ENTRY + ", conditions: [attribution], notice: 'By\n  us.'}"
    table = read_policy(policy_file(tmp_path, f"mine: {own}\nrsicd: {{captions: yes}}\n"))
    assert table.get("Mine").notice == "By us."
    assert table.get("RSICD").allows("captions")
    assert table.get("RSICD").images == "unknown"
    assert table.get("RSICD").evidence == shipped.get("RSICD").evidence
    assert not shipped.get("RSICD").allows("captions")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "is not YAML"),
        ("- CC0-1.0", "must map rights codes"),
        ("mine: yes", "mine must be a code with a mapping of licence, images"),
        ("1: {images: yes}", "1 must be a code"),
        ("CC0-1.0: {image: yes}", "CC0-1.0 has the unknown key 'image'; did you mean 'images'?"),
        ("CC0-1.0: {images: maybe}", "CC0-1.0: images must be yes, no or unknown, got 'maybe'"),
        ("CC0-1.0: {index: 1}", "index must be yes, no or unknown, got 1"),
        ("CC0-1.0: {licence: 4}", "licence must be a text, got 4"),
        ("CC0-1.0: {licence: ' '}", "licence must not be empty"),
        ("CC0-1.0: {conditions: atribution}", "conditions must be a list of attribution"),
        ("CC0-1.0: {conditions: [atribution]}", "no condition 'atribution'; did you mean 'attribution'?"),
        ("CC0-1.0: {conditions: [attribution]}", "the condition attribution needs a notice"),
        ("mine: {images: yes}", "mine: a new code needs licence, infrared, captions, ir_captions, index too"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_its_remedy(tmp_path, text, sentence):
    path = policy_file(tmp_path, text)
    with pytest.raises(InputError, match=f"^{path}.*") as error:
        read_policy(path)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("has_ir", "origin", "held"),
    [
        (True, "sensor", {"images"}),
        (True, "translated", {"images", "infrared"}),
        (True, None, {"images", "infrared"}),
        (False, "translated", {"images"}),
    ],
)
@pytest.mark.parametrize("has_rgb", [True, False])
def test_infrared_of_a_sensor_is_an_image_and_a_translated_one_a_derivative(has_ir, origin, held, has_rgb):
    image = {"bytes": b"x", "path": None}
    row = new_row(sample_id="a", source_dataset="d", source_locator="l", rights="r", rgb=image)
    row |= {"rgb": image if has_rgb else None, "ir": image if has_ir else None, "ir_origin": origin}
    found = held_parts(pa.Table.from_pylist([row], schema=FEATURES.arrow_schema))
    own_image = has_rgb or (has_ir and origin != "translated")
    assert {part for part in PARTS if found[part][0].as_py()} == (held - {"images"}) | {"index"} | (
        {"images"} if own_image else set()
    )


def test_captions_are_held_where_there_is_one():
    lists = [[], ["x"], None]
    rows = [
        {"captions": captions, "ir_captions": infrared, "joint_captions": joint}
        | {"rgb": None, "ir": None, "ir_origin": None}
        for captions in lists
        for infrared in lists
        for joint in lists
    ]
    schema = pa.schema([FEATURES.arrow_schema.field(name) for name in rows[0]])
    found = held_parts(pa.Table.from_pylist(rows, schema=schema))
    assert found["captions"].to_pylist() == [bool(row["captions"] or row["joint_captions"]) for row in rows]
    assert found["ir_captions"].to_pylist() == [bool(row["ir_captions"] or row["joint_captions"]) for row in rows]
    assert found["index"].to_pylist() == [True] * 27
