"""Images as they come from the world: damaged, mislabelled, of unusual kinds; each with the reason it leaves for.

All are made here, in memory. What is good in them is one coarse colour scene, its colours shifted by the name, so that
no two are alike.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

HEIGHT, WIDTH = 48, 64
BROKEN = ("unreadable", "truncated")


def scene(name, height=HEIGHT, width=WIDTH, channels=3):
    """A blocky scene with some grain, uint8 `(height, width, channels)`; two names give two scenes."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    coarse = rng.integers(20, 230, (-(-height // 8), -(-width // 8), channels), dtype=np.uint8)
    blocks = np.repeat(np.repeat(coarse, 8, 0), 8, 1)[:height, :width]
    return blocks + rng.integers(0, 20, blocks.shape, dtype=np.uint8)


def picture(name, mode="RGB"):
    return Image.fromarray(scene(name)).convert(mode)


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width, height, lines, depth=8, colour=2, interlaced=0):
    """A PNG from its unpacked lines, each with a filter number in front."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def deep_png(name):
    """Sixteen bits in each of three channels; Pillow would read the upper eight."""
    values = scene(name).astype(">u2") * 257 - 3
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    return raw_png(WIDTH, HEIGHT, lines, depth=16)


def interlaced_png(name):
    image, lines = scene(name), b""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    for top, left, down, across in passes:
        lines += b"".join(b"\0" + line.tobytes() for line in image[top::down, left::across])
    return raw_png(WIDTH, HEIGHT, lines, interlaced=1)


def bomb(name):
    """A PNG of a few hundred bytes that claims 60,000 x 60,000 pixels."""
    data = bytearray(encode(scene(name)))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def turned(name, orientation, kind="JPEG", mode="RGB"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(picture(name, mode), kind, exif=exif)


def cuts(data):
    """The first bytes of a file, ten times: from its signature to nearly all."""
    size = len(data)
    return {stop: data[:stop] for stop in (3, 12, 30, 60, size // 8, size // 4, size // 2, size - 300, size - 13)}


def pages(name, subfile_type):
    """A TIFF of two pages; the second is of the given kind: 0 a page of its own, 1 a smaller copy, 4 a mask."""
    second = picture(name).resize((WIDTH // 2, HEIGHT // 2))
    second.encoderinfo = {"tiffinfo": {254: subfile_type}}
    return encode(picture(name), "TIFF", save_all=True, append_images=[second])


def several(name, kind):
    return encode(picture(name), kind, save_all=True, append_images=[picture(name + "second")], duration=100)


def transparent(name, alpha):
    return np.dstack([scene(name), np.full((HEIGHT, WIDTH), alpha, np.uint8)])


def bright_cloud(name):
    return 255 - scene(name) // 20


def half_empty(name):
    image = scene(name)
    image[: HEIGHT * 6 // 10] = 0
    return image


def broken_checksum(name):
    data = bytearray(encode(scene(name)))
    data[-40] ^= 255
    return bytes(data)


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"/>'
HTML = b"<!doctype html><html><head><title>404 Not Found</title></head><body>Not Found</body></html>"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# Name of the file -> its bytes, and the reason for which its row leaves (or one of several); None where it is kept.
RGB = {
    "zero_bytes.png": (b"", "unreadable"),
    "one_byte.jpg": (b"\xff", "unreadable"),
    "noise.jpg": (np.random.default_rng(0).bytes(5_000), "unreadable"),
    "svg_named.png": (SVG, "unreadable"),
    "html_named.jpg": (HTML, "unreadable"),
    "postscript_named.png": (encode(picture("postscript"), "EPS"), "unreadable"),
    "png_named.jpg": (encode(scene("png_named")), None),
    "jpeg_named.tif": (encode(picture("jpeg_named"), "JPEG", quality=95), None),
    "webp_named.PNG": (encode(picture("webp_named"), "WEBP"), None),
    "cmyk.jpg": (encode(picture("cmyk", "CMYK"), "JPEG"), "rgb_mode_unsupported"),
    "cmyk.tif": (encode(picture("cmyk2", "CMYK"), "TIFF"), "rgb_mode_unsupported"),
    "lab.tif": (encode(ImageCms.profileToProfile(picture("lab"), ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"), outputMode="LAB"), "TIFF"), "rgb_mode_unsupported"),
    "palette.png": (encode(picture("palette").quantize(64)), None),
    "palette_opaque_entry.png": (encode(picture("entry").quantize(64), transparency=bytes([255] * 64)), None),
    "palette_transparent.png": (encode(picture("see").quantize(64), transparency=0), "rgb_has_alpha"),
    "palette_of_grays.png": (encode(picture("grays", "L").convert("P")), "rgb_is_gray"),
    "sixteen_bit_gray.png": (encode(scene("s16")[..., 0].astype(np.uint16) * 200), "rgb_mode_unsupported"),
    "sixteen_bit_rgb.png": (deep_png("deep"), "colour_above_8_bit"),
    "float.tif": (encode(scene("float")[..., 0].astype(np.float32), "TIFF"), "rgb_mode_unsupported"),
    "integers.tif": (encode(scene("integers")[..., 0].astype(np.int32), "TIFF"), "rgb_mode_unsupported"),
    "gray.jpg": (encode(picture("gray", "L"), "JPEG"), "rgb_is_gray"),
    "black_and_white.png": (encode(picture("bilevel", "1")), "rgb_is_gray"),
    "opaque_alpha.png": (encode(transparent("opaque", 255)), None),
    "alpha.png": (encode(transparent("alpha", 254)), "rgb_has_alpha"),
    "alpha.webp": (encode(transparent("alpha2", 9), "WEBP", lossless=True), "rgb_has_alpha"),
    "gray_with_alpha.png": (encode(picture("la", "LA")), "rgb_is_gray"),
    "one_pixel.png": (encode(np.full((1, 1, 3), 7, np.uint8)), "image_too_small"),
    "narrow.png": (encode(scene("narrow", 31, 200)), "image_too_small"),
    "just_wide_enough.png": (encode(scene("wide enough", 32, 200)), None),
    "wide_30000.jpg": (encode(scene("wide", 40, 30_000), "JPEG"), None),
    "wide_30000_flat.png": (encode(np.full((1, 30_000, 3), 9, np.uint8)), "image_too_small"),
    "bomb.png": (bomb("bomb"), "image_too_large"),
    "animated.gif": (several("gif", "GIF"), "image_is_animated"),
    "animated.webp": (several("webp", "WEBP"), "image_is_animated"),
    "animated.png": (several("apng", "PNG"), "image_is_animated"),
    "pages.tif": (pages("pages", 0), "image_is_animated"),
    "overviews.tif": (pages("overviews", 1), None),
    "mask.tif": (pages("mask", 4), None),
    "preview_beside.jpg": (encode(picture("mpo"), "MPO", save_all=True, append_images=[picture("x")]), None),
    "still.gif": (encode(picture("still").quantize(64), "GIF"), None),
    "plain.bmp": (encode(picture("bmp"), "BMP"), None),
    "plain.tif": (encode(picture("tif"), "TIFF", compression="tiff_lzw"), None),
    "plain.jp2": (encode(picture("jp2"), "JPEG2000"), None),
    "plain.avif": (encode(picture("avif"), "AVIF"), None),
    "progressive.jpg": (encode(picture("progressive"), "JPEG", progressive=True), None),
    "progressive_cut.jpg": (encode(picture("cut"), "JPEG", progressive=True)[:-200], "truncated"),
    "interlaced.png": (interlaced_png("interlaced"), None),
    "profile.jpg": (encode(picture("profile"), "JPEG", icc_profile=PROFILE), None),
    "profile.png": (encode(picture("profile2"), icc_profile=PROFILE), None),
    "wrong_checksum.png": (broken_checksum("checksum"), "truncated"),
    "then_zeros.jpg": (encode(picture("zeros"), "JPEG")[:-400] + bytes(400), "truncated"),
    "then_garbage.jpg": (encode(picture("garbage"), "JPEG")[:-400] + b"\x12\x9e" * 200, "truncated"),
    "whole_then_garbage.jpg": (encode(picture("tail"), "JPEG") + b"\x12\x9e" * 200, None),
    "flat.png": (encode(np.full((HEIGHT, WIDTH, 3), (90, 120, 60), np.uint8)), "rgb_too_flat"),
    "empty.png": (encode(half_empty("empty")), "too_much_nodata"),
    "clouded.png": (encode(bright_cloud("cloud")), "rgb_is_clouded"),
}  # fmt: skip
RGB |= {f"orientation_{value}.jpg": (turned(f"turned {value}", value), None) for value in range(1, 9)}
RGB |= {
    f"cut_{stop}.{suffix}": (data, BROKEN)
    for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("TIFF", "tif"), ("WEBP", "webp"), ("BMP", "bmp"))
    for stop, data in cuts(encode(picture(f"cut {kind}"), kind)).items()
}

# Beside good RGB: bytes, reason, and whether they are written anew as single-channel PNG (else they stay as they are).
INFRARED = {
    "plain.png": (encode(picture("ir plain", "L")), None, False),
    "plain.jpg": (encode(picture("ir jpeg", "L"), "JPEG"), None, False),
    "three_equal.png": (encode(picture("ir equal", "L").convert("RGB")), None, True),
    "three_equal.jpg": (encode(picture("ir equal jpeg", "L").convert("RGB"), "JPEG"), None, True),
    "palette_of_grays.png": (encode(picture("ir palette", "L").convert("P")), None, True),
    "false_colour.png": (encode(scene("ir false colour")), "ir_is_colormapped", False),
    "false_colour_palette.png": (encode(picture("ir false").quantize(64)), "ir_is_colormapped", False),
    "alpha.png": (encode(picture("ir alpha", "LA")), "ir_mode_unsupported", False),
    "transparent_gray.png": (encode(picture("ir tp", "L").convert("P"), transparency=3), "ir_mode_unsupported", False),
    "cmyk.jpg": (encode(picture("ir cmyk", "CMYK"), "JPEG"), ("ir_mode_unsupported", "ir_is_colormapped"), False),
    "bilevel.png": (encode(picture("ir bilevel", "1")), "ir_mode_unsupported", False),
    "sixteen_bit_rgb.png": (deep_png("ir deep"), "colour_above_8_bit", False),
    "sixteen_bit.png": (encode(scene("ir 16")[..., 0].astype(np.uint16) * 100), None, False),
    "sixteen_bit.tif": (encode(scene("ir 16 tif")[..., 0].astype(np.uint16) * 100, "TIFF"), None, False),
    "float.tif": (encode(scene("ir float")[..., 0].astype(np.float32) * 100, "TIFF"), None, False),
    "not_a_number.tif": (encode(np.full((HEIGHT, WIDTH), np.nan, np.float32), "TIFF"), "ir_not_finite", False),
    "cut.png": (encode(picture("ir cut", "L"))[:-100], "truncated", False),
    "zero_bytes.png": (b"", "unreadable", False),
    "html.png": (HTML, "unreadable", False),
    "other_size.png": (encode(scene("ir size", 40, 64)[..., 0]), "sizes_differ", False),
    "flat.png": (encode(np.full((HEIGHT, WIDTH), 77, np.uint8)), "ir_too_flat", False),
    "pages.tif": (several("ir pages", "TIFF"), "image_is_animated", False),
    "bomb.png": (bomb("ir bomb"), "image_too_large", False),
    "turned_both.jpg": (turned("ir turned both", 3, mode="L"), None, False),
}  # fmt: skip
