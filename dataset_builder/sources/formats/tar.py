"""Headers of a tar file, walked without reading the data between them: stricter than `tarfile`, and faster.

`tarfile` ends without a word at a damaged header, keeps every member in memory, and takes extension headers of any
size; a corpus of millions of members from the net needs the opposite.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from fusionrs_hf.bounds import MEMBERS_OF_ARCHIVE
from fusionrs_hf.errors import shown

BLOCK = 512
MAX_SIZE = 1 << 62  # bytes; a larger file is none
MAX_EXTENSION = 1 << 20  # bytes of a long name or of pax records
REGULAR = (b"0", b"\0", b"7")
WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes
EXTENSIONS = (b"x", b"X", b"g", b"L", b"K")
ZEROS = bytes(BLOCK)


class DamagedTarError(ValueError):
    """What follows byte `args[0]` cannot be read; `args[1]` says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One entry.

    Args:
        name: As written, decoded with `surrogateescape`; not trusted.
        kind: `file`, `folder` or `other` (a link, a device, a pipe, a sparse file).
        start: Byte of its first header, that of an extension included.
        data, size: Byte at which its content starts, and bytes of it.
    """

    name: str
    kind: str
    start: int
    data: int
    size: int


def members(file: BinaryIO, length: int | None, start: int = 0) -> Iterator[Member]:
    """Yields the members of a tar (ustar, GNU or pax; also several tars one after the other) in their order.

    The file may be read by the caller between two members, forward of the member's header.

    Args:
        file: Seekable; `gzip` files are, forward at no loss.
        length: Bytes of the file; None where it is not known beforehand.
        start: Byte of a member's first header, as `Member.start` gives it.

    Raises:
        DamagedTarError: A header that is none, or data that ends before it should.
    """
    offset, first, records, count = start, None, {}, 0
    while block := _block(file, offset):
        if block == ZEROS and first is None:  # the end, or the end of one of several tars
            offset += BLOCK
            continue
        first = offset if first is None else first
        kind, size = _kind_and_size(block, offset)
        data = offset + BLOCK
        if kind in EXTENSIONS:
            records |= _extension(kind, _content(file, data, size), offset)
            offset = data + _padded(size)
            continue
        name = records.get("path") or _name(block)
        while kind == b"S" and block[482 if data == offset + BLOCK else 504]:  # a sparse file's map goes on
            block, data = _content(file, data, BLOCK), data + BLOCK
        size = _number(records["size"], offset) if "size" in records else size
        stored = 0 if kind in WITHOUT_DATA else size
        if _reached(file, data + stored, length) < data + stored:
            raise DamagedTarError(first, f"it is cut off: a member's content should end at byte {data + stored}")
        if (count := count + 1) > MEMBERS_OF_ARCHIVE:
            raise DamagedTarError(first, f"it holds more than {MEMBERS_OF_ARCHIVE} members")
        yield Member(name, _kind(kind, name, records), first, data, size)
        offset, first, records = data + _padded(stored), None, {}
    if first is not None:
        raise DamagedTarError(first, "it is cut off after an extension header")


def content_of(file: BinaryIO, member: Member) -> bytes:
    """Returns what a member holds; raises DamagedTarError where it is cut off."""
    file.seek(member.data)
    content = file.read(member.size)
    if len(content) < member.size:
        raise DamagedTarError(member.start, "it is cut off inside a member")
    return content


def _block(file: BinaryIO, offset: int) -> bytes:
    file.seek(offset)
    block = file.read(BLOCK)
    if block and len(block) < BLOCK:
        raise DamagedTarError(offset, "it is cut off inside a header")
    return block


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _reached(file: BinaryIO, end: int, length: int | None) -> int:
    return min(end, length) if length is not None else file.seek(end)


def _content(file: BinaryIO, offset: int, size: int) -> bytes:
    """Bytes of an extension header."""
    if size > MAX_EXTENSION:
        raise DamagedTarError(offset - BLOCK, f"it claims an extension header of {size} bytes")
    file.seek(offset)
    content = file.read(size)
    if len(content) < size:
        raise DamagedTarError(offset - BLOCK, "it is cut off inside an extension header")
    return content


def _kind_and_size(block: bytes, offset: int) -> tuple[bytes, int]:
    """Type flag and size of a header whose checksum is right."""
    field = block[148:156]
    try:
        wanted = int(field.rstrip(b" \0").strip() or b"0", 8)
        size = _octal_or_binary(block[124:136])
    except ValueError:
        wanted = size = -1
    # Old programs added signed bytes.
    unsigned = sum(block) - sum(field) + 8 * 32
    if wanted != unsigned and wanted != unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:]):
        raise DamagedTarError(offset, "there is no header where one should be")
    if not 0 <= size < MAX_SIZE:
        raise DamagedTarError(offset, "a header has a size that is no number of bytes")
    return block[156:157], size


def _octal_or_binary(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big", signed=True) if field[0] == 0xFF else int.from_bytes(field[1:], "big")
    return int(field.split(b"\0", 1)[0].strip() or b"0", 8)


def _number(text: str, offset: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MAX_SIZE)) or int(text) >= MAX_SIZE:
        raise DamagedTarError(offset, f"a header has the size {shown(text)}")
    return int(text)


def _extension(kind: bytes, content: bytes, offset: int) -> dict[str, str]:
    """What an extension header says of the next member: `path`, `size`, or that it is sparse."""
    if kind == b"L":
        return {"path": _text(content.split(b"\0", 1)[0])}
    if kind in (b"K", b"g"):  # the target of a link; defaults, which no writer of corpora uses for names
        return {}
    records, position = {}, 0
    while position < len(content) and content[position]:
        digits = content[position : position + 8].split(b" ", 1)[0]
        length = int(digits) if digits.isdigit() else 0
        record = content[position : position + length]
        if length <= len(digits) + 1 or not record.endswith(b"\n") or b"=" not in record:
            raise DamagedTarError(offset, "a pax header is no list of records")
        key, value = record[len(digits) + 1 : -1].split(b"=", 1)
        if key in (b"path", b"size") or key.startswith(b"GNU.sparse"):
            records[_text(key)] = _text(value)
        position += length
    return records


def _name(block: bytes) -> str:
    name, prefix = block[:100].split(b"\0", 1)[0], block[345:500].split(b"\0", 1)[0]
    return _text(prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name)


def _kind(kind: bytes, name: str, records: dict[str, str]) -> str:
    if kind == b"5" or (kind in REGULAR and name.endswith("/")):
        return "folder"
    sparse = any(key.startswith("GNU.sparse") for key in records)
    return "file" if kind in REGULAR and not sparse else "other"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
