import hashlib
import math

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from dataset_builder.groups.keys import caption_digest, caption_key, normalize_caption, perceptual_hash


def slow_hash(grey):
    """The protocol's hash of a 32 x 32 array by its sum, without an FFT."""
    n = 32
    basis = np.array(
        [
            [math.sqrt((1 if k == 0 else 2) / n) * math.cos(math.pi * (i + 0.5) * k / n) for i in range(n)]
            for k in range(8)
        ]
    )
    low = (basis @ grey.astype(float) @ basis.T).ravel()
    median = sorted(low[1:])[31]  # of 63
    return f"{int(''.join('1' if value > median else '0' for value in low), 2):016x}"


def test_perceptual_hash_equals_the_sum_formula_of_the_dct():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (32, 32), dtype=np.uint8) for _ in range(5)]  # already 32 x 32: Lanczos is identity
    assert perceptual_hash(images) == [slow_hash(image) for image in images]


def protocol_hash(image):
    """One image by itself, as the protocol says it."""
    grey = Image.fromarray(image).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(grey, dtype=float), norm="ortho")[:8, :8].ravel().round(6)
    return np.packbits(low > np.median(low[1:])).tobytes().hex()


def test_an_image_hashes_as_by_itself_whatever_is_hashed_with_it():
    rng = np.random.default_rng(3)
    shapes = [(300, 200), (20, 33), (32, 32), (64, 64), (1, 7), (300, 200, 3)]
    images = [rng.integers(0, 256, shapes[rng.integers(len(shapes))], dtype=np.uint8) for _ in range(61)]
    images += [np.kron(np.eye(4, dtype=np.uint8) * 200, np.ones((16, 16), np.uint8))] * 3  # symmetric: many ties
    assert perceptual_hash(images) == [protocol_hash(image) for image in images]


def test_perceptual_hash_survives_brightness_and_size_but_not_content():
    rng = np.random.default_rng(1)
    small = rng.integers(40, 200, (16, 16), dtype=np.uint8)
    image = np.kron(small, np.ones((8, 8), dtype=np.uint8))  # 128 x 128
    rgb = np.stack([image] * 3, axis=-1)
    same, brighter, halved, other = (
        int(text, 16) for text in perceptual_hash([rgb, image + 20, image[::2, ::2].copy(), image[::-1].copy()])
    )
    assert (same ^ brighter).bit_count() <= 2
    assert (same ^ halved).bit_count() <= 2
    assert (same ^ other).bit_count() > 10


def test_flat_images_of_any_level_hash_alike():
    flat = [np.full((50, 70), level, dtype=np.uint8) for level in (1, 77, 255)]
    assert perceptual_hash(flat) == ["8000000000000000"] * 3  # only DC exceeds the median, zero


def test_the_hash_of_an_image_is_that_of_its_luminance():
    rgb = np.random.default_rng(2).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    assert perceptual_hash([rgb]) == perceptual_hash([np.asarray(Image.fromarray(rgb).convert("L"))])


def test_no_images_no_hashes():
    assert perceptual_hash([]) == []


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("A  Road,\tby the RIVER.", "a road by the river"),
        ("ﬁeld – “green”", "field green"),
        ("Straße!", "strasse"),
        ("हिन्दी, शहर।", "हिन्दी शहर"),  # vowel signs are marks, not punctuation
        ("...", ""),
    ],
)
def test_captions_are_compared_without_case_punctuation_and_forms(text, normal):
    assert normalize_caption(text) == normal
    assert caption_key(text) == hashlib.sha256(normal.encode()).hexdigest()


def test_the_digest_is_the_front_of_the_key_and_nothing_has_none():
    assert caption_digest("A  Road!").hex() == caption_key("a road")[:32]
    assert caption_digest("...") is None
