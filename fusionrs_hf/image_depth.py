"""How many bits a channel of an encoded image has, where Pillow would cut colour to eight without a word."""

import io

from PIL import Image, TiffImagePlugin

PPM_LEVELS = 255  # the largest value of 8 bit
TIFF_BITS, TIFF_CHANNELS = 258, 277  # numbers of the tags BitsPerSample and SamplesPerPixel
CODESTREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000: start, then the marker of the segment that tells sizes
COMPONENTS = 40  # bytes from the codestream's start to the number of components
AVIF_DEPTH, AVIF_HIGH = b"av1C", 0x40  # box of an AV1 image, and the flag of 10 or 12 bit in its third byte


def has_colour_above_8_bit(image: Image.Image, data: bytes) -> bool:
    """Tells whether an image in a mode of 8 bit was encoded with more.

    Args:
        image: Opened, its pixels not loaded, of a mode that is not one of `WIDE_MODES`.
        data: What it was opened from.
    """
    if image.format == "PPM":
        arguments = [part[3] for part in image.tile]
        return any(isinstance(one, tuple) and len(one) > 1 and one[1] > PPM_LEVELS for one in arguments)
    if image.format == "TIFF":
        return _tiff_bits(image.tag_v2) > 8
    if image.format == "PNG":
        return any(";16" in str(part[3]) for part in image.tile)
    if image.format == "JPEG2000":
        return _jpeg2000_bits(data) > 8
    if image.format == "AVIF":
        boxes = (data[at + 6 : at + 7] for at in _places(data, AVIF_DEPTH))
        return any(box and box[0] & AVIF_HIGH for box in boxes)
    return False


def is_deep_colour_tiff(data: bytes) -> bool:
    """Tells whether bytes that Pillow cannot open are a TIFF of several channels above 8 bit: it has no mode for them.

    Raises:
        Exception: Any of `BROKEN`: the bytes are no TIFF, or a broken one.
    """
    file = io.BytesIO(data)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    return tags.get(TIFF_CHANNELS, 1) > 1 and _tiff_bits(tags) > 8


def _tiff_bits(tags: TiffImagePlugin.ImageFileDirectory_v2) -> int:
    bits = tags.get(TIFF_BITS, (8,))
    return max(bits if isinstance(bits, tuple) else (bits,))


def _jpeg2000_bits(data: bytes) -> int:
    start = data.find(CODESTREAM)
    if start < 0:
        return 8
    count = int.from_bytes(data[start + COMPONENTS : start + COMPONENTS + 2], "big")
    sizes = data[start + COMPONENTS + 2 : start + COMPONENTS + 2 + 3 * count : 3]
    return max(((size & 0x7F) + 1 for size in sizes), default=8)


def _places(data: bytes, mark: bytes) -> list[int]:
    places, at = [], data.find(mark)
    while at >= 0 and len(places) < 1000:
        places.append(at)
        at = data.find(mark, at + 1)
    return places
