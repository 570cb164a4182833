import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from fusionrs_hf import pipeline_fusionrs_translator as translating
from fusionrs_hf.modeling_fusionrs_translator import Domain
from fusionrs_hf.pipeline_fusionrs_translator import CORE_PX, MARGIN_PX, dark_level, display_values, to_grey
from tests.made import tiny_translator


def images(*sizes, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


ALONE = """
import sys
sys.modules["fusionrs_hf"] = None
import numpy as np
from diffusers import DiffusionPipeline
pipe = DiffusionPipeline.from_pretrained(sys.argv[1], trust_remote_code=True)
for part in (pipe, pipe.translator):
    assert type(part).__module__.startswith("diffusers_modules."), type(part).__module__
result = pipe(np.load(sys.argv[2]), band="nir", output_type="np")
np.save(sys.argv[3], result.images[0])
pipe.save_pretrained(sys.argv[4])
"""


def test_it_loads_translates_and_saves_where_the_package_is_not_installed(tmp_path):
    pipe, (image,) = tiny_translator.pipeline(), images((30, 41))
    pipe.save_pretrained(tmp_path / "first")
    np.save(tmp_path / "image.npy", image)
    names = [tmp_path / name for name in ("first", "image.npy", "result.npy", "second")]
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", ALONE, *names], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = pipe(image, band="nir", output_type="np").images[0]
    np.testing.assert_array_equal(np.load(tmp_path / "result.npy"), expected)
    files = {path.relative_to(tmp_path / "first").as_posix() for path in (tmp_path / "first").rglob("*.*")}
    again = {path.relative_to(tmp_path / "second").as_posix() for path in (tmp_path / "second").rglob("*.*")}
    assert files == again and "translator/diffusion_pytorch_model.safetensors" in files
    assert json.loads((tmp_path / "second" / "model_index.json").read_text())["_class_name"] == [
        "pipeline_fusionrs_translator",
        "RGB2IRPipeline",
    ]


def test_remote_code_needs_trust(tmp_path):
    tiny_translator.pipeline().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="trust_remote_code"):
        DiffusionPipeline.from_pretrained(tmp_path)


def test_many_images_of_any_size_give_one_channel_each_as_one_by_one():
    pipe, given = tiny_translator.pipeline(), images((20, 30), (64, 64), (1, 9), (64, 64))
    together = pipe(given, band="nir", condition="scene", batch_size=3)
    for index, image in enumerate(given):
        alone = pipe(Image.fromarray(image), band="nir", condition="scene")
        assert together.images[index].mode == "L" and together.images[index].size == image.shape[1::-1]
        difference = np.abs(np.asarray(together.images[index], int) - np.asarray(alone.images[0], int))
        assert difference.max() <= 1 and (difference > 0).mean() < 1e-3
        width = together.high[index].astype(float) - together.low[index]
        assert together.interval_width[index] == pytest.approx(width.mean(), abs=1e-3) and width.min() >= 0


def test_parts_of_a_large_image_join_exactly():
    """Beyond the margin nothing has a say: in parts, a large image gives what it gives whole."""
    pipe = tiny_translator.pipeline()
    (image,) = images((CORE_PX + 150, 2 * CORE_PX + 37))
    shown = image.astype(np.float32) / 255
    (parts,) = pipe.predict([shown], "nir", "scene")
    with torch.no_grad():
        rgb = torch.from_numpy(shown.transpose(2, 0, 1)[None].copy())
        whole = pipe.translator(rgb, torch.tensor([1])).quantiles[0, 0].numpy()
    np.testing.assert_allclose(parts, whole, atol=1e-4)


def test_a_pixel_has_no_say_beyond_the_margin():
    pipe = tiny_translator.pipeline()
    shown = np.full((200, 200, 3), 0.5, np.float32)
    changed = shown.copy()
    changed[100, 100] = 1
    (first,), (second,) = (pipe.predict([values], "nir", "scene") for values in (shown, changed))
    rows, columns = np.nonzero(np.abs(first - second).max(axis=0) > 1e-7)
    assert rows.size and max(abs(rows - 100).max(), abs(columns - 100).max()) < MARGIN_PX


def test_reflectance_is_shown_in_the_training_scenes_stretch():
    pipe = tiny_translator.pipeline()
    values = np.array([[[400, 600, 900], [1200, 1300, 1500], [9000, 100, 2100]]], np.uint16)
    expected = [[[0, 0, 0], [0.5, 0.5, 0.5], [1, 0, 1]]]
    np.testing.assert_allclose(pipe.show_reflectance(values, "toa"), expected)
    moved = values.astype(np.float32) + [250, -100, 40]
    for kind in ("surface", "raw"):  # whatever the offset is, the darkest is taken for the scene's
        shown = pipe.show_reflectance(moved, kind, dark=[650, 500, 940])
        np.testing.assert_allclose(shown, expected, atol=1e-6)
    result = pipe(values, band="nir", reflectance="toa", output_type="np")
    assert result.images[0].shape == (1, 3)


def test_blocks_within_the_limit_are_in_the_domain():
    pipe, given = tiny_translator.pipeline(), images((64, 128))
    assert pipe(given, band="nir", condition="scene").in_domain == [False]  # no limit was fitted
    levels = 0.8 + 0.4 * torch.rand(40, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    tiles = torch.from_numpy(given[0].transpose(2, 0, 1).astype(np.float32) / 255)[..., :64] * levels
    pipe.translator.set_domains([Domain(), Domain.of(tiles, 1 - tiles, None, share=0.9)])
    assert pipe(given, band="nir", condition="scene").in_domain == [True]
    assert pipe.domain_distance(given[0].astype(np.float32) / 255, "scene").shape == (2,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"band": "lwir"}, "one of nir under condition 'unknown', got 'lwir'"),
        ({"band": "nir", "condition": "mars"}, "one of unknown, scene"),
        ({"band": "nir", "reflectance": "boa"}, "toa, surface, raw, got 'boa'"),
        ({"band": "nir", "output_type": "pt"}, "pil or np"),
    ],
)
def test_wrong_questions_name_what_there_is(options, message):
    with pytest.raises(ValueError, match=message):
        tiny_translator.pipeline()(images((8, 8))[0], **options)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_images_that_are_not_rgb_are_refused(mode):
    with pytest.raises(ValueError, match=f"got mode {mode}"):
        tiny_translator.pipeline()(Image.new(mode, (8, 8)), band="nir")


def test_damaged_weights_are_an_error():
    pipe = tiny_translator.pipeline()
    with torch.no_grad():
        pipe.translator.head.weight[0] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        pipe(images((8, 8)), band="nir")


def test_grey_levels_are_rounded_and_clipped():
    values = np.array([-0.2, 0.0, 0.5 / 255 + 1e-4, 0.499 / 255, 0.5, 1.0, 1.7])
    assert to_grey(values).tolist() == [0, 0, 1, 0, 128, 255, 255] and to_grey(values).dtype == np.uint8
    (image,) = images((3, 4))
    np.testing.assert_allclose(display_values(image), image / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("shape", "kind"), [((4, 4), np.uint8), ((4, 4, 4), np.uint8), ((4, 4, 3), np.uint16), ((0, 4, 3), np.uint8)]
)
def test_arrays_that_are_no_rgb_of_8_bit_are_refused(shape, kind):
    with pytest.raises(ValueError, match="must be RGB of 8 bit, got u"):
        display_values(np.zeros(shape, kind))


def test_an_offset_is_the_first_percentile_of_each_channel():
    values = np.stack([np.arange(101), 1000 - 2 * np.arange(101), np.full(101, 7)], axis=-1).reshape(1, 101, 3)
    assert dark_level(values).tolist() == [1, 802, 7]


def test_parts_cover_an_image_once_with_a_margin_that_ends_at_its_edges():
    covered = np.zeros((100, 70), int)
    for index, window, core in translating._parts([np.zeros((100, 70, 3))], 48):
        covered[core] += 1
        for inner, outer, length in zip(core, window, covered.shape, strict=True):
            assert (outer.start, outer.stop) == (max(0, inner.start - MARGIN_PX), min(length, inner.stop + MARGIN_PX))
        assert index == 0
    assert (covered == 1).all()


def test_parts_of_one_size_go_together_and_none_is_lost():
    parts = [(number, (slice(0, size), slice(0, 5)), None) for number, size in enumerate((4, 6, 4, 4, 6, 9, 4))]
    groups = [[number for number, *_ in group] for group in translating._in_batches(iter(parts), 2)]
    assert groups == [[0, 2], [1, 4], [3, 6], [5]]
    assert [len(group) for group in translating._in_batches(iter(parts), 0)] == [1] * 7
    groups = [[number for number, *_ in group] for group in translating._in_batches(iter(parts), 3, pixels=40)]
    assert groups == [[1], [0, 2], [4], [5], [3, 6]]  # 20, 30 and 45 pixels a part: one at least


@pytest.mark.parametrize(("distances", "inside"), [([1.0, 1.1], True), ([1.0, 1.1, 1.1], False), ([1.01], False)])
def test_half_of_the_blocks_within_the_limit_are_enough(monkeypatch, distances, inside):
    pipe = tiny_translator.pipeline()
    monkeypatch.setattr(type(pipe), "domain_distance", lambda self, image, condition: np.array(distances))
    assert pipe.is_in_domain(np.zeros((8, 8, 3)), "scene") is inside


def test_blocks_are_whole_unless_the_image_is_smaller():
    pipe = tiny_translator.pipeline()
    sizes = ((63, 63), (64, 127), (130, 64), (192, 128))
    counts = [len(pipe.domain_distance(np.zeros((*size, 3), np.float32), "scene")) for size in sizes]
    assert counts == [1, 1, 2, 6]
