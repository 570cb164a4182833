"""Small files that become large once they are decoded, and large ones that hold nothing: one a line of the bounds."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

GIGA = 1_000_000_000
WIDE = "\U0001f30d".encode()  # makes each character of a text in memory four bytes


def sparse(path: Path, start: bytes, size: int = 2 * GIGA, end: bytes = b"") -> Path:
    """A file of zeros between two ends that takes no room on the disk."""
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(size)
        file.seek(0, io.SEEK_END)
        file.write(end)
    return path


def repeated(path: Path, start: bytes, part: bytes, size: int, end: bytes = b"") -> Path:
    """A file of a part, again and again."""
    chunk = part * (1_000_000 // len(part))
    with open(path, "wb") as file:
        file.write(start)
        for _ in range(size // len(chunk)):
            file.write(chunk)
        file.write(end)
    return path


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        count = min(len(buffer), self.left)
        buffer[:count] = bytes(count)
        self.left -= count
        return count


def packed(path: Path, start: bytes = b"", size: int = GIGA, end: bytes = b"") -> Path:
    """Gzip that unpacks to zeros between two ends."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(size // 1_000_000):
            file.write(bytes(1_000_000))
        file.write(end)
    return path


def png(width: int, height: int, depth: int = 8, colour: int = 2, whole: bool = True) -> bytes:
    """A PNG of one colour; not whole: its header alone with the start of its data."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    line, packer, parts = bytes(1 + width * channels * depth // 8), zlib.compressobj(1), []
    for _ in range(height if whole else 1):
        parts.append(packer.compress(line))
    data = b"".join(parts) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n"
    for name, held in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b"")):
        made += struct.pack(">I", len(held)) + name + held + struct.pack(">I", zlib.crc32(name + held))
    return made


def tar(path: Path, members: dict[str, int | bytes]) -> Path:
    """A tar, packed by its name, whose members are bytes, or so many zeros."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, held in members.items():
            member = tarfile.TarInfo(name)
            member.size = held if isinstance(held, int) else len(held)
            archive.addfile(member, io.BufferedReader(_Zeros(held)) if isinstance(held, int) else io.BytesIO(held))
    return path


def archive(path: Path, size: int = 2 * GIGA) -> Path:
    """A zip such as torch saves, with a member of zeros."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made,
        made.open("archive/data.pkl", "w", force_zip64=True) as member,
    ):
        for _ in range(size // 1_000_000):
            member.write(bytes(1_000_000))
    return path


def parquet(path: Path, values: dict[str, list], **options: object) -> Path:
    """A Parquet file of columns; of equal values the bytes are there once, packed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(values), path, **{"compression": "zstd", **options})
    return path
