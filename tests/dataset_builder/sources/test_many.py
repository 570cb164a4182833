import pytest

from dataset_builder.sources.many import expanded
from fusionrs_hf.errors import InputError


@pytest.fixture
def scenes(tmp_path):
    for name in ("l8/salt_2020-06-01.tif", "l8/salt_2021-06-01.tif", "s2/virginia_2020-07-02.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


SHARED = {"kind": "scene", "rights": "x", "limits": "auto"}


def test_a_pattern_stands_for_each_file_with_the_shared_fields(scenes):
    found = expanded([SHARED | {"path": "*/*.tif"}, {"kind": "folder", "path": "*"}], scenes)
    names = ["l8/salt_2020-06-01.tif", "l8/salt_2021-06-01.tif", "s2/virginia_2020-07-02.tif"]
    assert found == [*(SHARED | {"path": name} for name in names), {"kind": "folder", "path": "*"}]


def test_what_stands_in_braces_becomes_a_field(scenes):
    found = expanded([SHARED | {"path": "{sensor}/{source_dataset}_{acquired_at}.tif", "sensor": "none"}], scenes)
    facts = [(spec["sensor"], spec["source_dataset"], spec["acquired_at"]) for spec in found]
    assert facts == [("l8", "salt", "2020-06-01"), ("l8", "salt", "2021-06-01"), ("s2", "virginia", "2020-07-02")]


def test_a_table_s_columns_go_before_the_shared_fields(scenes):
    rows = "path,acquired_at,tile_px,split\nl8/salt_2020-06-01.tif,2020-06-01,64,train\n"
    rows += "s2/virginia_2020-07-02.tif,,,test\n"
    (scenes / "scenes.csv").write_text(rows)
    found = expanded([SHARED | {"table": "scenes.csv", "tile_px": 256}], scenes)
    assert [(spec["tile_px"], spec["split"], spec.get("acquired_at")) for spec in found] == [
        (64, "train", "2020-06-01"),
        (256, "test", None),
    ]
    assert [spec["path"] for spec in found][0] == str(scenes / "l8/salt_2020-06-01.tif")


def test_a_path_that_is_there_is_no_pattern(scenes):
    (scenes / "a[1].tif").write_bytes(b"")
    assert expanded([SHARED | {"path": "a[1].tif"}], scenes) == [SHARED | {"path": "a[1].tif"}]


def test_what_cannot_be_is_told(scenes):
    with pytest.raises(InputError, match="fits the pattern 'none/\\*.tif'"):
        expanded([SHARED | {"path": "none/*.tif"}], scenes)
    with pytest.raises(InputError, match="are both named s"):
        expanded([SHARED | {"path": "*/*.tif", "name": "s"}], scenes)
    (scenes / "scenes.csv").write_text("file,name\na.tif,a\n")
    with pytest.raises(InputError, match="row 1 of .*scenes.csv names no path"):
        expanded([SHARED | {"table": "scenes.csv"}], scenes)
    with pytest.raises(InputError, match="path or table, got both"):
        expanded([SHARED | {"table": "scenes.csv", "path": "a"}], scenes)
