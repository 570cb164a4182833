"""JPEG that was cut and closed with an end mark is found; whole files, grey ones among them, are not."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dataset_builder.images.decoding import DecodeError, open_image
from dataset_builder.images.jpeg_end import RESTART, _Frame, is_cut_short

NOISE = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((96, 120, 3)), (3, 3, 0))
SCENE = (127 + 100 * NOISE / np.abs(NOISE).max()).astype(np.uint8)
FORMS = {
    "4:2:0": {"subsampling": 2},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "optimised tables": {"optimize": True},
    "restart marks": {"restart_marker_blocks": 5},
    "restart marks by rows": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
}


def encode(array, quality=90, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def judged(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return is_cut_short(data, np.asarray(image))


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("grey", [False, True])
def test_a_cut_file_that_is_closed_is_truncated(options, grey):
    data = encode(SCENE[..., 0] if grey else SCENE, **options)
    assert not judged(data)
    start = data.index(b"\xff\xda") + 20
    for share in (0.1, 0.3, 0.5) if "progressive" in options else (0.1, 0.3, 0.5, 0.7):
        cut = data[: start + int(share * (len(data) - start))].removesuffix(b"\xff") + b"\xff\xd9"
        with pytest.raises(DecodeError, match="truncated"):
            open_image(cut, 10**6)


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("side", [(96, 120), (90, 110), (17, 33), (8, 8), (64, 9)])
def test_a_whole_file_is_none_whatever_lies_at_its_end(options, side):
    for colour, rows, quality in itertools.product(
        ((128, 128, 128), (0, 0, 0), (255, 255, 255)), (0.2, 0.6, 1), (50, 95)
    ):
        array = np.resize(SCENE, (96, 120, 3))[: side[0], : side[1]].copy()
        array[int(side[0] * (1 - rows)) :] = colour
        assert not judged(encode(array, quality, **options))
        assert not judged(encode(np.ascontiguousarray(array[..., 0]), quality, **options))


def test_a_turned_photo_and_one_with_a_thumbnail_are_judged_as_they_are_stored():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(SCENE, exif=exif)
    assert open_image(data, 10**6).size == (96, 120)
    with pytest.raises(DecodeError, match="truncated"):
        open_image(data[: len(data) // 2] + b"\xff\xd9", 10**6)


@pytest.mark.parametrize(
    ("form", "luma", "unit"),
    [("4:2:0", (2, 2), (16, 16)), ("4:2:2", (2, 1), (8, 16)), ("4:4:4", (1, 1), (8, 8))],
)
def test_headers_say_what_is_coded_and_by_which_tables(form, luma, unit):
    data = encode(SCENE[:90], **FORMS[form])
    frame = _Frame(data)
    assert (frame.kind, frame.size, frame.interval, frame.unit) == ("baseline", (90, 120), 0, unit)
    assert frame.components == {1: luma, 2: (1, 1), 3: (1, 1)}
    ((tables, first, last, low_bit, start, stop),) = frame.scans
    assert tables == {1: (0, 0), 2: (1, 1), 3: (1, 1)} and (first, last, low_bit) == (0, 63, 0)
    assert data[stop:] == b"\xff\xd9" and data[start - 14 : start - 12] == b"\xff\xda"
    # Tables K.3 to K.6 of ITU-T T.81, which encoders use by default.
    assert [frame.bits((0, 0), symbol) for symbol in (0, 1, 5, 6, 11)] == ["00", "010", "110", "1110", "111111110"]
    assert [frame.bits((0, 1), symbol) for symbol in (0, 2, 3, 11)] == ["00", "10", "110", "11111111110"]
    assert [frame.bits((1, 0), symbol) for symbol in (0x00, 0x01, 0xF0)] == ["1010", "00", "11111111001"]
    assert [frame.bits((1, 1), symbol) for symbol in (0x00, 0x01, 0xF0)] == ["00", "01", "1111111010"]
    assert frame.bits((0, 0), 12) is None
    assert [len(frame.codes[table][1]) for table in ((0, 0), (0, 1), (1, 0), (1, 1))] == [12, 12, 162, 162]


def test_a_grey_file_has_one_component_and_units_of_eight():
    frame = _Frame(encode(SCENE[..., 0], restart_marker_blocks=5))
    assert (list(frame.components), frame.unit, frame.interval) == ([1], (8, 8), 5)
    assert _Frame(encode(SCENE, subsampling=2, restart_marker_rows=1)).interval == 8  # 120 pixels in units of 16


def test_a_progressive_file_that_lacks_a_scan_of_last_bits_is_cut():
    data = encode(SCENE, progressive=True)
    frame = _Frame(data)
    assert frame.kind == "progressive" and len(frame.scans) == 10
    assert not is_cut_short(data, SCENE)
    assert sum(low_bit == 0 for _, _, _, low_bit, _, _ in frame.scans) == 4
    for tables, _, _, low_bit, start, stop in frame.scans:
        begin = start - 4 - (4 + 2 * len(tables))  # the marker, two bytes of length and the header
        assert data[begin : begin + 2] == b"\xff\xda"
        assert is_cut_short(data[:begin] + data[stop:], SCENE) == (low_bit == 0), start


@pytest.mark.parametrize("blocks", [1, 5, 7])
def test_every_restart_mark_must_be_there(blocks):
    grey = SCENE[..., 0].copy()
    data = encode(grey, restart_marker_blocks=blocks)
    units = 12 * 15
    marks = [match.start() for match in RESTART.finditer(data, _Frame(data).scans[0][4])]
    assert len(marks) == -(-units // blocks) - 1
    assert not is_cut_short(data, grey)
    assert is_cut_short(data[: marks[-1]] + b"\xff\xd9", grey)


def test_what_is_no_jpeg_s_header_is_not_judged():
    data = encode(SCENE)
    for end in (2, 40, 300, data.index(b"\xff\xda") + 3):
        assert not is_cut_short(data[:end], SCENE)


def parts(frame):
    scans = [scan[:4] for scan in frame.scans]
    return frame.kind, frame.components, frame.size, frame.interval, frame.codes, scans


@pytest.mark.parametrize(
    "between",
    [b"\xff\xff\xff", b"\xff\x01", b"\xff\xd3", b"\x00\x07", b"\xff\xc4\x00\x13" + b"\x15" + bytes(16)],
    ids=["fill bytes", "a mark without length", "a restart mark", "garbage", "a table without symbols"],
)
def test_what_may_stand_between_segments_changes_nothing(between):
    data = encode(SCENE)
    plain, start = _Frame(data), 2 + 2 + int.from_bytes(data[4:6], "big")  # after the first segment
    found = _Frame(data[:start] + between + data[start:])
    assert not any(found.codes.pop((1, 5), (b"", b""))[1])
    assert parts(found) == parts(plain) and found.scans[0][4] == plain.scans[0][4] + len(between)


def test_the_last_two_units_alone_tell_that_a_scan_ended_early():
    """Units of 8 x 8 pixels in rows of 15: grey are the last one, the last two, or what is beside them."""
    grey = SCENE[..., 0].copy()
    data = encode(grey)
    cut = data[: int(0.7 * len(data))].removesuffix(b"\xff") + b"\xff\xd9"
    for places, expected in ((1, False), (2, True), (3, True)):
        pixels = np.where(grey == 128, 127, grey)
        pixels[-8:, -8 * places :] = 128
        assert is_cut_short(cut, pixels) == expected
