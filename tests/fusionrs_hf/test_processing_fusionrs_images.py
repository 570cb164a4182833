"""What an image is taken for: one table of images, and every reader of infrared gives the same answer."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dataset_builder.filters import InfraredIsColormapped, RgbIsGray
from dataset_builder.images.decoding import DecodeError, DecodeStage
from dataset_builder.search.row_embedder import RowEmbedder
from fusionrs_hf.encoders import Encoder
from fusionrs_hf.errors import InputError
from fusionrs_hf.images import open_image, readable_infrared
from fusionrs_hf.processing_fusionrs_images import (
    CHANNEL_TOLERANCE,
    COLOURED_SHARE,
    WIDE_MODES,
    channel_mean,
    channel_spread,
    check_infrared,
    count_coloured,
    is_coloured,
    one_channel,
)
from tests.made import tiny
from training.data.image_files import read_infrared

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 254, (40, 50), dtype=np.uint8)
COLOURS = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
LIMITS = (0, 1000)
NEARLY = np.dstack([GREY, GREY + 2, GREY])  # the mean, rounded, is one more
FEW = NEARLY.copy()
FEW.reshape(-1, 3)[:20] = (0, 90, 200)  # 1 % of the pixels
MANY = NEARLY.copy()
MANY.reshape(-1, 3)[:21] = (0, 90, 200)
SPECKLED = GREY + 1
SPECKLED.reshape(-1)[:20] = 97  # 290 / 3 is 96.67


def scaled(values):
    return np.rint(np.clip(values / 1000, 0, 1) * 255).astype(np.uint8)


def palette(values):
    return Image.fromarray(values).quantize(16, dither=Image.Dither.NONE)


def see_through():
    image = Image.fromarray(np.dstack([GREY] * 3))
    image.info["transparency"] = (1, 2, 3)
    return image


WIDE = GREY.astype(np.uint16) * 5
# Image, its file format, and the grey levels it stands for; None: it is no infrared.
IMAGES = {
    "L": (Image.fromarray(GREY), "PNG", GREY),
    "I;16": (Image.fromarray(WIDE), "PNG", scaled(WIDE)),
    "I": (Image.fromarray(WIDE.astype(np.int32)), "TIFF", scaled(WIDE)),
    "F": (Image.fromarray(WIDE.astype(np.float32)), "TIFF", scaled(WIDE)),
    "RGB grey": (Image.fromarray(np.dstack([GREY] * 3)), "PNG", GREY),
    "RGB nearly grey": (Image.fromarray(NEARLY), "PNG", GREY + 1),
    "RGB, 1 % coloured": (Image.fromarray(FEW), "PNG", SPECKLED),
    "RGB, more than 1 % coloured": (Image.fromarray(MANY), "PNG", None),
    "RGB coloured": (Image.fromarray(COLOURS), "PNG", None),
    "RGB, a colour see-through": (see_through(), "PNG", None),
    "P grey": (palette(np.dstack([GREY // 16 * 16] * 3)), "PNG", ...),
    "P coloured": (palette(COLOURS), "PNG", None),
    "RGBA": (Image.fromarray(np.dstack([GREY] * 3 + [np.full_like(GREY, 255)])), "PNG", None),
    "RGBA coloured": (Image.fromarray(np.dstack([COLOURS, GREY])), "PNG", None),
    "LA": (Image.fromarray(np.dstack([GREY, GREY])), "PNG", None),
}


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind, **{key: image.info[key] for key in image.info if key == "transparency"})
    return buffer.getvalue()


def by_build(data, path):
    columns = {
        "sample_id": ["s0"],
        "rgb": [{"bytes": encoded(Image.fromarray(COLOURS), "PNG")}],
        "ir": [{"bytes": data}],
        "ir_band": ["nir"],
        "_reason": [None],
    }
    done = DecodeStage({"nir": LIMITS}, {})(columns)
    if done["_reason"][0]:
        assert done["_reason"][0] in ("ir_is_colormapped", "ir_mode_unsupported")
        return None
    stored = Image.open(io.BytesIO(done["ir"][0]["bytes"]))
    assert stored.mode == "L" or stored.mode in WIDE_MODES
    return done["_ir"][0]


def by_embedding(data, path):
    embedder = RowEmbedder(Encoder(tiny.clip_model(), tiny.clip_processor()), ["ir"], {"nir": LIMITS})
    image, _ = embedder._decode({"ir": {"bytes": data}, "ir_band": "nir"}, "ir")
    assert isinstance(image, Image.Image) or image == "not_infrared"
    return None if isinstance(image, str) else np.asarray(image)


def by_query(data, path):
    try:
        return np.asarray(readable_infrared(open_image(path), LIMITS, None)[0])
    except ValueError:
        return None


def by_benchmark(data, path):
    try:
        return np.asarray(check_infrared(read_infrared(path), LIMITS))
    except (InputError, DecodeError):
        return None


def by_encoder(data, path):
    pictures = []
    processor = tiny.clip_processor(ir_range=LIMITS)
    inner = processor.ir_image_processor
    processor.ir_image_processor = lambda images, **options: pictures.extend(images) or inner(images, **options)
    try:
        Encoder(tiny.clip_model(), processor).ir([path])
    except InputError:
        return None
    return np.asarray(pictures[0])[..., 0]


@pytest.mark.parametrize("reader", [by_build, by_embedding, by_query, by_benchmark, by_encoder])
@pytest.mark.parametrize("name", IMAGES)
def test_every_reader_gives_the_same_answer(name, reader, tmp_path):
    image, kind, expected = IMAGES[name]
    (tmp_path / "image").write_bytes(encoded(image, kind))
    answer = reader((tmp_path / "image").read_bytes(), tmp_path / "image")
    if expected is ...:
        expected = np.asarray(image.convert("L"))
    if expected is None:
        assert answer is None
    else:
        np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("name", [name for name in IMAGES if "RGB" in name or name.startswith("P")])
def test_the_filters_defaults_are_the_same_truth(name):
    image, rule = IMAGES[name][0], InfraredIsColormapped()
    assert (rule.max_difference, rule.max_share) == (CHANNEL_TOLERANCE, COLOURED_SHARE)
    rgb = np.asarray(image.convert("RGB"))
    assert (rule.judge(image) is not None) == is_coloured(rgb)
    assert (RgbIsGray()({"_rgb": rgb}) is None) == is_coloured(rgb)


def test_other_tolerances_are_arguments():
    image = Image.fromarray(NEARLY)
    assert one_channel(image, tolerance=1) is image
    assert one_channel(Image.fromarray(MANY), coloured_share=0.02).mode == "L"
    assert count_coloured(COLOURS, 255) == 0 and count_coloured(COLOURS, 1e9) == 0
    assert count_coloured(NEARLY, 1.9) == GREY.size


@pytest.mark.parametrize("name", ["processing_fusionrs_images", "images"])
def test_importing_it_loads_no_torch(name):
    code = f"import sys, fusionrs_hf.{name}; assert not {{'torch', 'transformers'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdin=subprocess.DEVNULL)


def test_decoding_loads_no_torch():
    code = "import sys, dataset_builder.images.decoding; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdin=subprocess.DEVNULL)


def test_channels_of_a_pixel_spread_and_average_as_by_hand():
    pixels = np.array([[[0, 0, 1], [0, 1, 1], [255, 255, 254]], [[9, 1, 4], [1, 9, 4], [4, 1, 9]]], np.uint8)
    assert channel_spread(pixels).tolist() == [[1, 1, 1], [8, 8, 8]]
    assert channel_mean(pixels).tolist() == [[0, 1, 255], [5, 5, 5]]
    every = np.stack(np.meshgrid(*[np.arange(0, 256, 17)] * 3), axis=-1).reshape(1, -1, 3).astype(np.uint8)
    np.testing.assert_array_equal(channel_mean(every), np.rint(every.mean(axis=-1)))
    assert count_coloured(pixels, 1) == 3 and count_coloured(pixels, 7.9) == 3 and count_coloured(pixels, 8) == 0
