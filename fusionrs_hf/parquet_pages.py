"""Headers of a Parquet file's pages, read before any page is: how large each becomes once it is unpacked.

The format's `PageHeader` in Thrift's compact protocol (parquet-format, `parquet.thrift`); of it the first three fields
are used. Footers say sizes too, but of a whole column, and are not what a reader allocates by.
"""

from collections.abc import Iterator
from typing import BinaryIO

HEADER_BYTES = 1 << 16  # statistics in a header hold two values of a column; writers cut them
STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
NESTING = 8


class NoPageError(ValueError):
    """Bytes that are no header of a page."""


def page_sizes(file: BinaryIO, start: int, stored: int) -> Iterator[int]:
    """Yields the unpacked bytes of each page of a column chunk.

    Args:
        file: The Parquet file.
        start: Byte of the chunk's first page, that of the dictionary where there is one.
        stored: Bytes of the chunk in the file.

    Raises:
        NoPageError: There is no header where one should be.
    """
    position, end = start, start + stored
    while position < end:
        file.seek(position)
        header = _Compact(file.read(min(HEADER_BYTES, end - position)))
        fields = header.struct()
        unpacked, packed = fields.get(2), fields.get(3)
        if not isinstance(unpacked, int) or not isinstance(packed, int) or unpacked < 0 or packed < 0:
            raise NoPageError(f"no page starts at byte {position}")
        yield unpacked
        position += header.at + packed


class _Compact:
    """Reads values in Thrift's compact protocol."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise NoPageError("a header of a page is cut off")
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while shift < 64:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
        raise NoPageError("a number in a header of a page has no end")

    def whole(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self, depth: int = 0) -> dict[int, int | None]:
        """Returns the whole numbers among the fields by their ids; of others, None."""
        if depth > NESTING:
            raise NoPageError("a header of a page is nested too deep")
        fields, number = {}, 0
        while (head := self.byte()) != STOP:
            number = number + (head >> 4) if head >> 4 else self.whole()
            fields[number] = self.value(head & 0x0F, depth)
        return fields

    def value(self, kind: int, depth: int) -> int | None:
        if kind in (TRUE, FALSE):
            return None
        if BYTE < kind < DOUBLE:
            return self.whole()
        if kind == STRUCT:
            self.struct(depth + 1)
        elif kind in (LIST, SET):
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.varint()
            for _ in range(min(count, HEADER_BYTES)):
                self.byte() if head & 0x0F in (TRUE, FALSE) else self.value(head & 0x0F, depth + 1)
        elif kind in (BYTE, DOUBLE, BINARY):
            length = {BYTE: 1, DOUBLE: 8}.get(kind) or self.varint()
            self.at += length
        else:
            raise NoPageError(f"a header of a page holds a value of kind {kind}")
        return None
