import io
import random
import re
import tarfile

import pytest

from dataset_builder.sources.formats.tar import BLOCK, DamagedTarError, members

LONG = "folder/" * 30 + "a.name.that.needs.an.extension.header.jpg"
NAMES = ["a.jpg", "b/c.txt", "ü.png", "x" * 100, "p" * 60 + "/" + "q" * 60, LONG, "empty.txt"]


def tar_bytes(form=tarfile.PAX_FORMAT, names=NAMES, mtime=1690000000.25):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            content = b"" if name == "empty.txt" else bytes([number]) * (BLOCK * number + 7)
            info.size, info.mtime = len(content), mtime
            tar.addfile(info, io.BytesIO(content))
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"kind{kind.decode()}")
            info.type, info.linkname = kind, "a.jpg"
            tar.addfile(info)
    return buffer.getvalue()


def walked(data, **options):
    return list(members(io.BytesIO(data), options.get("length", len(data)), options.get("start", 0)))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_tarfile_finds(form):
    data = tar_bytes(form)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        theirs = [(info.name, info.isreg(), info.isdir(), info.offset_data, info.size) for info in tar]
    ours = walked(data)
    assert [(m.name.rstrip("/"), m.kind == "file", m.kind == "folder", m.data, m.size) for m in ours] == theirs
    assert [m.kind for m in ours[-5:]] == ["folder", "other", "other", "other", "other"]


def test_ustar_prefixes_are_joined():
    names = ["a.jpg", "p" * 60 + "/" + "q" * 60]
    assert [m.name for m in walked(tar_bytes(tarfile.USTAR_FORMAT, names, mtime=1))][:2] == names


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_walk_may_start_at_any_member(form):
    data = tar_bytes(form)
    whole = walked(data)
    for number, member in enumerate(whole):
        assert walked(data, start=member.start) == whole[number:]


def test_sizes_above_8_gib_are_read_in_both_forms():
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        info = tarfile.TarInfo("huge.bin")
        info.size = 9 << 30
        header = info.tobuf(form)
        [member] = members(io.BytesIO(header), len(header) + info.size)
        assert (member.size, member.data) == (9 << 30, len(header))


def test_several_tars_one_after_the_other_are_one():
    one, two = tar_bytes(names=["a.jpg"]), tar_bytes(names=["b.jpg"])
    assert [m.name for m in walked(one + two) if m.kind == "file"] == ["a.jpg", "b.jpg"]


def test_the_end_may_lack_its_blocks_of_zeros():
    whole = walked(tar_bytes())
    assert walked(tar_bytes()[: whole[-1].data]) == whole


def test_cut_anywhere_a_tar_gives_its_whole_members_and_then_says_that_it_is_cut():
    data = tar_bytes(names=NAMES[:6])
    whole = walked(data)
    ends = [member.data + (member.size if member.kind == "file" else 0) for member in whole]
    for size in range(1, ends[-1], 97):
        found = []
        expected = [member for member, end in zip(whole, ends, strict=True) if end <= size]
        try:
            for member in members(io.BytesIO(data[:size]), size):
                found.append(member)
            padded = max(((end + BLOCK - 1) // BLOCK * BLOCK for end in ends if end <= size), default=0)
            assert size <= padded  # between two members nothing shows
        except DamagedTarError as error:
            assert error.args[0] <= size
        assert found == expected


def test_a_damaged_byte_in_a_header_is_found_where_tarfile_ends_without_a_word():
    data = bytearray(tar_bytes(names=["a.jpg", "b.jpg", "c.jpg"], mtime=1))
    second = walked(bytes(data))[1]
    data[second.start + 3] ^= 1
    found = []
    with pytest.raises(DamagedTarError, match="no header where one should be") as error:
        for member in members(io.BytesIO(data), len(data)):
            found.append(member.name)
    assert (found, error.value.args[0]) == (["a.jpg"], second.start)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["a.jpg"]


def test_a_hole_of_zeros_is_not_taken_for_the_end():
    data = bytearray(tar_bytes(names=["a.jpg", "b.jpg", "x" * 20, "y" * 20, "z" * 20], mtime=1))
    second, last = walked(bytes(data))[1], walked(bytes(data))[4]
    data[second.start : last.start + BLOCK] = bytes(last.start + BLOCK - second.start)
    with pytest.raises(DamagedTarError):
        walked(bytes(data))


def test_random_damage_never_ends_in_anything_but_members_or_the_error():
    data = tar_bytes(names=NAMES[:4])
    draw = random.Random(0)
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(draw.randint(1, 40)):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        try:
            found = walked(bytes(changed))
        except DamagedTarError as error:
            assert 0 <= error.args[0] <= len(data)
        else:
            assert all(member.data + member.size <= len(data) for member in found if member.kind == "file")


def header(name, kind, size):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def with_size_field(field):
    block = bytearray(header("a.jpg", tarfile.REGTYPE, 0))
    block[124:136] = field
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 256)
    return bytes(block)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (header("x", b"x", 1 << 40), "claims an extension header of 1099511627776 bytes"),
        (header("x", b"L", 100), "cut off inside an extension header"),
        (header("x", b"x", 12) + b"999 path=a\n\0".ljust(BLOCK, b"\0"), "no list of records"),
        (header("x", b"x", 3) + b"0 a".ljust(BLOCK, b"\0"), "no list of records"),
        (header("x", b"x", 11) + b"11 size=-5\n".ljust(BLOCK, b"\0") + header("a", b"0", 0), "has the size '-5'"),
        (header("x", b"L", 3) + b"abc".ljust(BLOCK, b"\0"), "cut off after an extension header"),
        (header("x", b"L", 3) + b"abc".ljust(BLOCK, b"\0") + bytes(BLOCK), "no header where one should be"),
        (with_size_field(b"\xff" * 12), "a size that is no number"),
        (with_size_field(b"9" * 11 + b"\0"), "a header has a size that is no number|no header"),
        (header("a.jpg", b"0", 600) + bytes(BLOCK), "a member's content should end at byte 1112"),
        (b"\x89PNG" + bytes(BLOCK), "no header where one should be"),
        (b"short", "cut off inside a header"),
    ],
)
def test_hostile_headers_end_the_walk(data, why):
    with pytest.raises(DamagedTarError) as error:
        walked(data)
    assert re.search(why, error.value.args[1])


def test_many_extension_headers_neither_recurse_nor_pile_up():
    data = (header("x", b"L", 5) + b"b.jpg".ljust(BLOCK, b"\0")) * 5000 + header("a.jpg", b"0", 0)
    assert [member.name for member in walked(data)] == ["b.jpg"]


def test_names_that_are_no_utf8_come_through():
    block = bytearray(header("caf.jpg", b"0", 0))
    block[3] = 0xE9
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 256)
    assert [m.name for m in walked(bytes(block))] == ["caf\udce9jpg"]


def test_signed_checksums_of_old_programs_are_right():
    block = bytearray(header("caf.jpg", b"0", 0))
    block[3] = 0xE9
    signed = sum(block[:148]) + sum(block[156:]) + 256 - 256
    block[148:156] = b"%06o\0 " % signed
    assert len(walked(bytes(block))) == 1
