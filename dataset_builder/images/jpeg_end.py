"""Whether a JPEG holds all of its image: decoders fill what is missing before an end mark with grey, and say nothing.

Read is how the file is cut into scans, not what they hold.
"""

import re
import struct

import numpy as np

SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
FRAMES = {0xC0: "baseline", 0xC1: "baseline", 0xC2: "progressive"}  # others are rare, and not judged
SOS, DHT, DRI, EOI = 0xDA, 0xC4, 0xDD, 0xD9
WITHOUT_LENGTH = {0x01, 0xD8, *range(0xD0, 0xD8)}
GREY = 128  # what decoders give where no coefficients are
COEFFICIENTS = 64


class _Frame:
    """What the headers say, and the scans."""

    def __init__(self, data: bytes) -> None:
        self.kind, self.components, self.size, self.interval = None, {}, (0, 0), 0
        self.codes: dict[tuple[int, int], tuple[bytes, bytes]] = {}  # (class, table) -> codes by length, symbols
        self.scans: list[tuple[dict[int, tuple[int, int]], int, int, int, int, int]] = []
        at = 2
        while at + 4 <= len(data):
            if data[at] != 0xFF:
                at += 1
                continue
            marker = data[at + 1]
            if marker == EOI:
                return
            if marker == 0xFF or marker in WITHOUT_LENGTH:
                at += 1 if marker == 0xFF else 2
                continue
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            body = data[at + 4 : at + 2 + length]
            at += 2 + length
            self._segment(marker, body)
            if marker == SOS:
                end = SCAN_END.search(data, at)
                stop = end.start() if end else len(data)
                self._scan(body, at, stop)
                at = stop

    def _segment(self, marker: int, body: bytes) -> None:
        if 0xC0 <= marker <= 0xCF and marker not in (DHT, 0xC8, 0xCC):
            self.kind = FRAMES.get(marker)
            _, height, width, count = struct.unpack(">BHHB", body[:6])
            self.size = (height, width)
            parts = [body[6 + 3 * number : 9 + 3 * number] for number in range(count)]
            self.components = {part[0]: (part[1] >> 4, part[1] & 15) for part in parts}
        elif marker == DRI:
            self.interval = int.from_bytes(body[:2], "big")
        elif marker == DHT:
            while len(body) > 16:
                counts = body[1:17]
                self.codes[body[0] >> 4, body[0] & 15] = counts, body[17 : 17 + sum(counts)]
                body = body[17 + sum(counts) :]

    def bits(self, table: tuple[int, int], symbol: int) -> str | None:
        """Returns the code of a symbol in a table, None where it has none."""
        counts, symbols = self.codes[table]
        code, place = 0, 0
        for length, count in enumerate(counts, 1):
            found = symbols.find(symbol, place, place + count)
            if found >= 0:
                return format(code + found - place, f"0{length}b")
            code, place = (code + count) << 1, place + count
        return None

    def _scan(self, body: bytes, start: int, stop: int) -> None:
        count = body[0]
        tables = {body[1 + 2 * n]: (body[2 + 2 * n] >> 4, body[2 + 2 * n] & 15) for n in range(count)}
        first, last, bits = body[1 + 2 * count : 4 + 2 * count]
        self.scans.append((tables, first, last, bits & 15, start, stop))

    @property
    def unit(self) -> tuple[int, int]:
        """Height and width of what is coded together, in pixels."""
        if len(self.components) == 1:
            return 8, 8
        return 8 * max(part[1] for part in self.components.values()), 8 * max(
            part[0] for part in self.components.values()
        )


def is_cut_short(data: bytes, pixels: np.ndarray) -> bool:
    """Whether scans of a JPEG are missing, or the last one ends before its image does.

    Args:
        data: The file, which has an end mark.
        pixels: What was decoded of it, as it is stored: uint8 `(height, width)` or `(height, width, channels)`.

    Returns:
        False also for what is not judged: arithmetic coding, four channels, a loss of less than two units, and the end
        of a last scan that only sharpens.
    """
    try:
        frame = _Frame(data)
        if frame.kind is None or len(frame.components) not in (1, 3) or not frame.scans:
            return False
        return _lacks_scans(frame) or frame.kind == "baseline" and _ends_early(frame, data, pixels)
    except (struct.error, IndexError, ValueError, KeyError):  # a header that no decoder would have taken
        return False


def _lacks_scans(frame: _Frame) -> bool:
    """Whether coefficients of a component were never told to their last bit."""
    whole = {component: np.zeros(COEFFICIENTS, bool) for component in frame.components}
    for tables, first, last, low_bit, _, _ in frame.scans:
        for component in tables:
            whole[component][first : last + 1] |= low_bit == 0
    return not all(part.all() for part in whole.values())


def _ends_early(frame: _Frame, data: bytes, pixels: np.ndarray) -> bool:
    """Whether the last units are the grey of missing data, while the scan does not end as grey is written."""
    tables, _, _, _, start, stop = frame.scans[-1]
    if len(tables) != len(frame.components):
        return False  # a scan a component: rare
    height, width = frame.unit
    across, down = -(-frame.size[1] // width), -(-frame.size[0] // height)
    scan = data[start:stop]
    if frame.interval:
        return len(RESTART.findall(scan)) < -(-across * down // frame.interval) - 1
    rows = 1 if across > 1 else 2  # the last two units
    last = pixels[max(0, down - rows) * height :, max(0, across - 2) * width :]
    if across * down < 3 or (last != GREY).any():
        return False
    flat = ""  # one unit as grey as the one before: no difference, no detail
    for component, (dc, ac) in tables.items():
        blocks = 1 if len(tables) == 1 else frame.components[component][0] * frame.components[component][1]
        steady, plain = frame.bits((0, dc), 0), frame.bits((1, ac), 0)
        if steady is None or plain is None:
            return True  # its tables cannot write such a unit
        flat += (steady + plain) * blocks
    tail = "".join(format(byte, "08b") for byte in scan[-len(flat) // 4 - 8 :].replace(b"\xff\x00", b"\xff"))
    return not any(tail[: len(tail) - padding].endswith(flat) for padding in range(8) if tail.endswith("1" * padding))
