import gzip
import json
import pickle
import tarfile
import tracemalloc

import pytest

from dataset_builder.schema import COLUMNS
from dataset_builder.sources import webdataset
from dataset_builder.sources.formats import tar_samples
from dataset_builder.sources.webdataset import WebDatasetSource
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.corpora import (
    CANARY,
    opened_files,
    picture,
    put,
    reasons_of,
    rows_of,
    rs5m_tar,
    write_tar,
)


@pytest.fixture
def rs5m(tmp_path):
    rs5m_tar(tmp_path / "RS5M/train/pub11-train-0000.tar", 0, 5)
    rs5m_tar(tmp_path / "RS5M/train/rs3-train-0000.tar", 5, 2)
    rs5m_tar(tmp_path / "RS5M/val/pub11-val-0000.tar", 7, 1)
    return tmp_path / "RS5M"


def tar_of(tmp_path, members, **options):
    return WebDatasetSource(write_tar(tmp_path / "a.tar", members), rights="x", source_dataset="wds", **options)


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, str(target)
    return info, None


def test_rs5m_is_read_as_it_ships(rs5m):
    rows = rows_of(WebDatasetSource(rs5m, rights="RS5M"))
    assert len(rows) == 8
    assert all(set(row) == {*COLUMNS, "_split", "_reason"} and row["ir"] is None for row in rows)
    assert rows[0]["sample_id"] == "RS5M/train/pub11-train-0000.tar/000000000"
    assert [row["source_locator"] for row in rows[:2]] == ["laion2b_0.jpg", "laion2b_1.jpg"]
    assert [row["rgb"]["bytes"] for row in rows] == [picture(number) for number in range(8)]
    assert [row["captions"] for row in rows] == [[f"a satellite image, number {number}"] for number in range(8)]
    assert [row["_split"] for row in rows] == ["train"] * 7 + ["validation"]
    assert {(row["source_dataset"], row["rights"], row["_reason"]) for row in rows} == {("RS5M", "RS5M", None)}
    assert rows[0]["caption_origin"] == ["source"]


def test_a_pattern_chooses_tars_by_name_or_path(rs5m):
    for pattern, tars in (("pub11-*", 6), ("*-train-*", 7), ("val/*", 1)):
        assert len(rows_of(WebDatasetSource(rs5m, rights="x", pattern=pattern))) == tars


def test_shards_start_at_samples_and_together_give_what_one_pass_gives(rs5m):
    whole = rows_of(WebDatasetSource(rs5m, rights="x", samples_per_shard=None))
    for size in (1, 2, 3, 100):
        source = WebDatasetSource(rs5m, rights="x", samples_per_shard=size)
        shards = list(source.shards())
        assert sum(map(len, shards)) == sum(-(-count // size) for count in (5, 2, 1))
        assert json.loads(json.dumps(shards)) == [[list(piece) for piece in shard] for shard in shards]
        backwards = [list(source.read(shard)) for shard in reversed(shards)]
        assert [row for rows in reversed(backwards) for row in rows] == whole
    assert list(pickle.loads(pickle.dumps(source)).shards()) == shards


def test_small_tars_are_read_together_and_large_ones_in_parts(tmp_path):
    for name, samples in (("a", 3), ("b", 2), ("c", 2), ("d", 7), ("e", 1), ("f", 1)):
        rs5m_tar(tmp_path / "tars" / f"{name}.tar", 0, samples)
    put(tmp_path / "tars" / "e.tar.gz", gzip.compress((tmp_path / "tars" / "e.tar").read_bytes()))
    source = WebDatasetSource(tmp_path / "tars", rights="x", samples_per_shard=5)
    together = [[tar for tar, *_ in shard] for shard in source.shards()]
    # 3 + 2 fill a shard; the first five of d do not fit beside c's two; how many e.tar.gz holds is not known.
    assert together == [["a.tar", "b.tar"], ["c.tar"], ["d.tar"], ["d.tar", "e.tar"], ["e.tar.gz"], ["f.tar"]]
    whole = rows_of(WebDatasetSource(tmp_path / "tars", rights="x", samples_per_shard=None))
    assert rows_of(source) == whole and len(whole) == 17


def test_img2dataset_writes_jpg_txt_and_json(tmp_path):
    meta = {"caption": "of json", "url": "https://example.org/1.jpg", "key": "000000001", "status": "success"}
    source = tar_of(
        tmp_path,
        [
            ("000000001.jpg", picture(1)),
            ("000000001.txt", b"of txt"),
            ("000000001.json", json.dumps(meta, indent=4).encode()),
            ("000000002.jpg", picture(2)),
            ("000000002.json", b'{"caption": ["one", "two"]}'),
            ("000000003.jpg", picture(3)),
            ("000000003.json", b'{"caption": null}'),
            ("000000004.jpg", picture(4)),
        ],
        json_caption="caption",
    )
    rows = rows_of(source)
    assert [row["captions"] for row in rows] == [["of txt", "of json"], ["one", "two"], [], []]
    assert [row["source_locator"] for row in rows] == [f"a.tar/00000000{n}" for n in (1, 2, 3, 4)]
    assert {row["_reason"] for row in rows} == {None}


def test_infrared_members_are_paired_by_their_key(tmp_path):
    members = [("k/1.rgb.png", picture(1, "PNG")), ("k/1.ir.png", picture(2, "PNG")), ("k/2.rgb.png", b"x")]
    options = {"rgb": ["rgb.png"], "ir": "ir.png", "ir_band": "lwir"}
    one, two = rows_of(tar_of(tmp_path, members, **options))
    assert one["ir"] == {"bytes": picture(2, "PNG"), "path": "a.tar/k/1.ir.png"}
    assert (one["ir_band"], one["ir_origin"], one["ir_unit"]) == ("lwir", "sensor", "display")
    assert two["ir"] is None and two["ir_band"] is None
    assert two["rgb"]["bytes"] == b"x"  # whether it is an image is asked by whoever decodes it


def test_captions_are_kept_byte_for_byte_and_others_counted_out(tmp_path):
    text = " Two  spaces,\r\nHTML <b>, \u202eRTL, \x07 and é"
    members = [("1.jpg", b"x"), ("1.txt", text.encode() + b"\n"), ("2.jpg", b"x"), ("2.txt", b"caf\xe9")]
    members += [("3.jpg", b"x"), ("3.json", b"{"), ("4.jpg", b"x"), ("4.json", b'{"caption": {"en": "a"}}')]
    rows = rows_of(tar_of(tmp_path, members, json_caption="caption"))
    assert rows[0]["captions"] == [text]
    assert [row["_reason"] for row in rows] == [None, *["caption_unreadable"] * 3]


def test_keys_without_an_image_and_names_without_a_key_are_rows_with_a_reason(tmp_path):
    members = [("1.txt", b"no image"), ("README", b"text"), ("sub/.hidden", b"x"), ("2.jpg", picture(2))]
    assert reasons_of(rows_of(tar_of(tmp_path, members))) == {
        "a.tar/1": "image_missing",
        "a.tar/README": "image_missing",
        "a.tar/sub/.hidden": "image_missing",
        "a.tar/2": None,
    }


def test_a_key_that_comes_twice_gives_two_rows_of_one_id(tmp_path):
    members = [("1.jpg", b"a"), ("1.txt", b"A"), ("1.jpg", b"b"), ("1.txt", b"B"), ("2.jpg", b"c"), ("1.jpg", b"d")]
    rows = rows_of(tar_of(tmp_path, members))
    assert [row["rgb"]["bytes"] for row in rows] == [b"a", b"b", b"c", b"d"]
    assert [row["captions"] for row in rows] == [["A"], ["B"], [], []]
    assert [row["sample_id"] for row in rows] == [f"wds/a.tar/{key}" for key in "1121"]


SCATTERED = {
    "all images, then all texts": ["0.jpg", "1.jpg", "2.jpg", "0.txt", "1.txt", "2.txt"],
    "texts first, in another order": ["2.txt", "0.txt", "1.txt", "1.jpg", "2.jpg", "0.jpg"],
    "one astray": ["0.jpg", "1.jpg", "1.txt", "2.jpg", "2.txt", "0.txt"],
    "in folders": ["a/0.jpg", "./a/1.jpg", "a/2.jpg", "./a/0.txt", "a/1.txt", "a/2.txt"],
    "accents by another system": ["é0.jpg", "é1.jpg", "é2.jpg", "e\u03010.txt", "e\u03011.txt", "e\u03012.txt"],
}


@pytest.mark.parametrize("size", [1, 2, 500, "compressed"])
@pytest.mark.parametrize("names", SCATTERED.values(), ids=SCATTERED)
def test_members_of_a_key_need_not_be_neighbours(tmp_path, names, size):
    number = lambda name: next(int(letter) for letter in name if letter.isdigit())  # noqa: E731
    members = [(n, picture(number(n)) if n.endswith("jpg") else f"text {number(n)}".encode()) for n in names]
    path = write_tar(tmp_path / "a.tar", members)
    if size == "compressed":
        path, size = put(tmp_path / "a.tgz", gzip.compress(path.read_bytes())), 500
    source = WebDatasetSource(path, rights="x", samples_per_shard=size)
    assert json.loads(json.dumps(list(source.shards())))
    rows = rows_of(source)
    assert {(row["rgb"]["bytes"], *row["captions"]) for row in rows} == {(picture(n), f"text {n}") for n in range(3)}
    assert [row["_reason"] for row in rows] == [None] * 3
    order = [number(name) for name in names]
    assert [row["captions"] for row in rows] == [[f"text {n}"] for n in dict.fromkeys(order)]


def test_scattered_members_of_a_tar_that_was_not_walked_or_that_memory_has_no_room_for_are_an_error(
    tmp_path, monkeypatch
):
    members = [(name, picture(0)) for name in SCATTERED["all images, then all texts"]]
    path = write_tar(tmp_path / "a.tar", members)
    with pytest.raises(InputError, match=r"a.tar has members of the key '0' that are no neighbours; set samples_per_"):
        rows_of(WebDatasetSource(path, rights="x", samples_per_shard=None))
    packed = put(tmp_path / "b.tar.gz", gzip.compress(path.read_bytes()))
    monkeypatch.setattr(tar_samples, "HELD_BYTES", 10)
    with pytest.raises(
        InputError, match=r"b.tar.gz has members of a key that are no neighbours, and more than 10 byt"
    ):
        rows_of(WebDatasetSource(packed, rights="x"))


@pytest.mark.parametrize("suffix", ["a.tar", "a.tar.gz"])
def test_what_a_mac_puts_beside_files_is_passed_over_and_counted(tmp_path, suffix, caplog):
    caplog.set_level("INFO")
    fork = b"\0\5\x16\7\0\2\0\0Mac OS X        "
    members = []
    for number in range(3):
        for end, data in (("jpg", picture(number)), ("txt", b"a field")):
            members += [(f"./._{number}.{end}", fork), (f"./{number}.{end}", data)]
    members += [("__MACOSX/d/._x.jpg", fork), ("0.json", b"{}"), ("0.seg.png", b"x")]
    path = write_tar(tmp_path / "a.tar", members)
    if suffix.endswith("gz"):
        path = put(tmp_path / suffix, gzip.compress(path.read_bytes()))
    rows = rows_of(WebDatasetSource(path, rights="x"))
    assert [row["captions"] for row in rows] == [["a field"]] * 3 and {row["_reason"] for row in rows} == {None}
    assert "7 members whose names start with ._ are passed over" in caplog.text
    assert f"{path}: members that are not read: 1 'json', 1 'seg.png'; see rgb, ir, text" in caplog.text


def test_a_name_with_further_dots_is_told_by_the_reason(tmp_path):
    members = [(f"22.{number:02d}.{end}", b"x") for number in range(2) for end in ("jpg", "txt")]
    assert reasons_of(rows_of(tar_of(tmp_path, [*members, ("23.txt", b"x")]))) == {
        "a.tar/22": "key_has_dots",
        "a.tar/23": "image_missing",
    }
    masks = [("1.jpg", picture(1)), ("1.seg.png", picture(2))]
    assert reasons_of(rows_of(tar_of(tmp_path, masks))) == {"a.tar/1": None}


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffa field of wheat".encode(),
        b"a field of wheat\r\n",
        b"a field of wheat\n",
        "\ufeffa field of wheat\r\n".encode(),
        "\ufeffa field of wheat\r\n".encode("utf-16-le"),
        "\ufeffa field of wheat".encode("utf-16-be"),
    ],
)
def test_marks_of_the_encoding_and_line_ends_are_no_part_of_a_caption(tmp_path, content):
    (row,) = rows_of(tar_of(tmp_path, [("1.jpg", picture(1)), ("1.txt", content)]))
    assert row["captions"] == ["a field of wheat"] and row["_reason"] is None


def test_names_and_links_that_lead_outside_are_rows_with_a_reason_and_nothing_outside_is_opened(tmp_path):
    canary = put(tmp_path / "canary.jpg", CANARY)
    nul = tarfile.TarInfo("x")
    nul.pax_headers = {"path": "nul\0byte.jpg"}
    members = [
        ("../canary.jpg", CANARY),
        ("sub/../../canary.jpg", CANARY),
        (str(canary), CANARY),
        ("C:\\canary.jpg", CANARY),
        ("..\\canary.jpg", CANARY),
        (nul, CANARY),
        link("link.jpg", canary),
        link("hard.jpg", "ok.jpg", tarfile.LNKTYPE),
        link("device.jpg", "", tarfile.CHRTYPE),
        link("pipe.jpg", "", tarfile.FIFOTYPE),
        ("ok.jpg", picture(1)),
        ("ok.txt", b"fine"),
    ]
    source = tar_of(tmp_path / "tars", members)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with opened_files() as opened:
        rows = rows_of(source)
    assert [row["_reason"] for row in rows] == ["unsafe_path"] * 10 + [None]
    assert all(row["rgb"] == {"bytes": None, "path": None} for row in rows[:-1])
    assert {name for name in opened if str(tmp_path) in name} == {str(tmp_path / "tars" / "a.tar")}
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_no_pickle_is_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (put, (tmp_path / "sprung", b""))

    members = [("1.jpg", b"x"), ("1.pkl", pickle.dumps(Trap())), ("1.txt", pickle.dumps(Trap()))]
    rows = rows_of(tar_of(tmp_path, members))
    assert not (tmp_path / "sprung").exists()
    assert [row["_reason"] for row in rows] == ["caption_unreadable"]


def test_a_cut_tar_gives_what_is_whole_and_one_row_for_the_rest_however_it_is_sharded(tmp_path):
    path = rs5m_tar(tmp_path / "a.tar", 0, 6)
    whole = rows_of(WebDatasetSource(path, rights="x"))
    data = path.read_bytes()
    starts = [start for ((_, start, _),) in WebDatasetSource(path, rights="x", samples_per_shard=1).shards()]
    # The last sample before the damage may have had more members, so it leaves as well.
    for size, count in ((starts[2] + 100, 1), (starts[2] + 600, 1), (starts[3] - 700, 2), (starts[5] + 3000, 5)):
        path.write_bytes(data[:size])
        rows = rows_of(WebDatasetSource(path, rights="x", samples_per_shard=None))
        for samples in (1, 2, 4):
            assert rows_of(WebDatasetSource(path, rights="x", samples_per_shard=samples)) == rows
        good = [row for row in rows if row["_reason"] is None]
        assert good == whole[: len(good)]
        assert rows[-1]["source_locator"].startswith("a.tar/@") and rows[-1]["_reason"] == "tar_damaged"
        assert all(row["_reason"] == "tar_damaged" for row in rows[len(good) :])
        assert len(good) == count


def test_a_damaged_header_loses_the_rest_with_a_reason_and_a_warning(tmp_path, caplog):
    path = rs5m_tar(tmp_path / "a.tar", 0, 4)
    data = bytearray(path.read_bytes())
    second = list(WebDatasetSource(path, rights="x", samples_per_shard=1).shards())[1][0][1]
    data[second + 3] ^= 1
    path.write_bytes(data)
    rows = rows_of(WebDatasetSource(path, rights="x"))
    assert [row["_reason"] for row in rows] == ["tar_damaged"] * 2  # whether the first had more members is not known
    assert f"a.tar is damaged from byte {second} on: there is no header where one should be" in caplog.text


def test_compressed_tars_are_one_shard_and_their_damage_is_told(tmp_path):
    plain = rs5m_tar(tmp_path / "a.tar", 0, 3)
    packed = put(tmp_path / "b.tar.gz", gzip.compress(plain.read_bytes()))
    source = WebDatasetSource(packed, rights="x", source_dataset="wds", samples_per_shard=1)
    assert list(source.shards()) == [(("b.tar.gz", 0, -1),)]
    ours = [row["rgb"]["bytes"] for row in rows_of(source)]
    assert ours == [picture(number) for number in range(3)]
    put(packed, packed.read_bytes()[:-600])
    assert rows_of(source)[-1]["_reason"] == "tar_damaged"
    put(packed, b"no gzip at all")
    with pytest.raises(InputError, match=r"b.tar.gz is no tar \(Not a gzipped file"):
        list(source.shards())


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"x" * 2000])
def test_a_file_that_is_no_tar_is_told_before_anything_is_built(tmp_path, content):
    put(tmp_path / "tars" / "a.tar", content)
    with pytest.raises(InputError, match=r"^\S+a.tar is no tar \(.*\); get it again$"):
        list(WebDatasetSource(tmp_path / "tars", rights="x").shards())


def test_a_tar_without_members_gives_no_rows(tmp_path):
    assert rows_of(tar_of(tmp_path, [])) == []


def test_a_member_that_no_memory_should_take_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "IMAGE_BYTES", 100)
    rows = rows_of(tar_of(tmp_path, [("1.jpg", b"x" * 101), ("2.jpg", b"x" * 100)]))
    assert [row["_reason"] for row in rows] == ["image_too_large", None]


def test_memory_does_not_grow_with_the_tar(tmp_path):
    peaks = []
    for count in (100, 1000):
        source = tar_of(tmp_path, ((f"{number:06d}.jpg", b"x" * 3000) for number in range(count)))
        tracemalloc.start()
        assert sum(1 for shard in source.shards() for _ in source.read(shard)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": "none"}, r"none does not exist; give a tar or a folder with tars"),
        ({"pattern": "zzz"}, r"holds no .tar, .tar.gz or .tgz that matches 'zzz'; see `pattern`"),
        ({"rgb": []}, r"rgb must name the members that are images"),
        ({"samples_per_shard": 0}, r"samples_per_shard must be positive \(null: whole tars\), got 0"),
        ({"caption_origin": "robot"}, r"caption_origin must be one of source, hand, rule, model, got 'robot'"),
        ({"ir_band": "uv"}, r"ir_band must be one of nir, swir, .*, got 'uv'"),
    ],
)
def test_values_that_cannot_be_are_told_in_one_line(rs5m, values, message):
    with pytest.raises(InputError, match=f"^[^\n]*{message}[^\n]*$"):
        list(WebDatasetSource(**{"path": rs5m, "rights": "x", **values}).shards())
