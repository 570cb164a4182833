import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from fusionrs_hf.errors import InputError
from fusionrs_hf.processing_fusionrs_images import check_infrared
from tests.made import tiny
from tests.training.made.interrupted import interrupted
from tests.training.test_train_clip import command, folders, losses, weights  # noqa: F401 - folders is a fixture
from training.data.augmentation import DRAWS, SYMMETRIES, PairAugmentation
from training.data.pairs import PairCollator
from training.train_clip import main

DRAWN = np.random.default_rng(0).random((40, DRAWS))
ALL = PairAugmentation(crop=0.4, flip=True, color=0.5)


def same(left, right):
    return left.mode == right.mode and left.size == right.size and left.tobytes() == right.tobytes()


def pattern(dtype, height=30, width=40):
    """One pattern as infrared of a dtype, and as an RGB image whose red channel is its lower byte."""
    values = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (height, width), dtype=dtype, endpoint=True)
    low = (values.astype(int) % 256).astype(np.uint8)
    return Image.fromarray(np.stack([low, 255 - low, np.zeros_like(low)], axis=-1)), Image.fromarray(values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_and_infrared_stay_aligned(dtype):
    rgb, ir = pattern(dtype)
    shapes, seen = set(), set()
    for draw in DRAWN:
        new_rgb, new_ir = PairAugmentation(crop=0.4, flip=True)(rgb, ir, "a lake", draw)
        assert new_ir.mode == ir.mode and new_ir.size == new_rgb.size
        assert np.array_equal(np.asarray(new_rgb)[..., 0], np.asarray(new_ir).astype(int) % 256)
        shapes.add(new_ir.size)
        seen.add(np.asarray(new_ir).tobytes())
    assert len(shapes) > 20 and len(seen) == len(DRAWN)
    assert min(width * height for width, height in shapes) >= 0.4 * 30 * 40 * 0.93  # whole pixels


def test_all_eight_symmetries_are_drawn_and_values_are_only_moved():
    rgb, ir = pattern(np.uint16)
    found = {PairAugmentation(flip=True)(rgb, ir, "a lake", [(i + 0.5) / 8] * DRAWS)[1].tobytes() for i in range(8)}
    assert len(found) == len(SYMMETRIES) == 8
    assert {bytes(sorted(pixels)) for pixels in found} == {bytes(sorted(ir.tobytes()))}


def test_a_window_of_infrared_of_another_size_shows_the_same():
    rgb, small = tiny.rgb_image(size=64), tiny.ir_image(size=32)
    large = small.resize((64, 64), Image.Resampling.NEAREST)
    for draw in DRAWN:
        _, cut_large = PairAugmentation(crop=0.5)(rgb, large, "a lake", draw)
        _, cut_small = PairAugmentation(crop=0.5)(rgb, small, "a lake", draw)
        assert all(abs(2 * one - other) <= 2 for one, other in zip(cut_small.size, cut_large.size))


def test_colours_change_in_the_rgb_alone():
    rgb, ir = tiny.rgb_image(), tiny.ir_image()
    results = [PairAugmentation(color=0.5)(rgb, ir, "a lake", draw) for draw in DRAWN]
    assert all(same(new_ir, ir) for _, new_ir in results)
    assert len({new_rgb.tobytes() for new_rgb, _ in results}) == len(DRAWN)
    assert all(new_rgb.size == rgb.size and new_rgb.mode == "RGB" for new_rgb, _ in results)


def test_infrared_of_which_a_caption_states_anything_keeps_its_values():
    rgb, ir = tiny.rgb_image(), tiny.ir_image()
    change = PairAugmentation(radiometry=0.5)
    free = [change(rgb, ir, "a lake by a wood", draw) for draw in DRAWN]
    assert len({new_rgb.tobytes() for new_rgb, _ in free}) == len({new_ir.tobytes() for _, new_ir in free}) == 40
    told = [change(rgb, ir, "The lake is dark.", draw) for draw in DRAWN]
    assert all(same(new_ir, ir) and same(new_rgb, other) for (new_rgb, new_ir), (other, _) in zip(told, free))
    compared = [change(rgb, ir, "The lake is darker than in the visible image.", draw) for draw in DRAWN]
    assert all(same(new_ir, ir) and same(new_rgb, rgb) for new_rgb, new_ir in compared)


def test_what_the_caption_says_stays_true():
    rgb, ir = tiny.rgb_image(), tiny.ir_image()

    def changed(caption, **options):
        return any(not same(PairAugmentation(**options)(rgb, ir, caption, draw)[1], ir) for draw in DRAWN)

    assert changed("a lake by a wood", flip=True) and changed("a lake by a wood", crop=0.5)
    directions = (
        "Water in the north-west.",
        "an upper corner",
        "to the left of it",
        "bright except for the EASTERN side",
    )
    for caption in (*directions, "horizontal stripes"):
        assert not changed(caption, flip=True)
    for caption in (*directions, "dark at the centre", "trees along the edges", "a house in one corner"):
        assert not changed(caption, crop=0.5)
    for caption in ("dark at the centre", "trees along the edges"):
        assert changed(caption, flip=True)
    for caption, kept in (("The lake is darker than in the visible image.", True), ("The lake is dark.", False)):
        images = [PairAugmentation(color=0.5)(rgb, ir, caption, draw)[0] for draw in DRAWN]
        assert all(same(image, rgb) == kept for image in images)


def test_a_pair_is_never_left_without_colour():
    grey = np.full((32, 32, 3), 90, np.uint8)
    grey[:, -1, 0] += 1  # one column has a colour, and a weak one
    rgb, ir = Image.fromarray(grey), tiny.ir_image()
    whole = 0
    for draw in DRAWN:
        new_rgb, new_ir = ALL(rgb, ir, "snow", draw)
        whole += same(new_rgb, rgb) and same(new_ir, ir)
        tiny.clip_processor()(images=new_rgb)  # which refuses an RGB image without colour
    assert 10 < whole < len(DRAWN)


def rows():
    return [
        {
            "sample_id": f"r{index}",
            "ir_band": "nir",
            "rgb": tiny.rgb_image(index),
            "ir": tiny.ir_image(index),
            "captions": ["water"],
            "ir_captions": [],
            "image_group_id": f"r{index}",
        }
        for index in range(6)
    ]


def test_what_is_drawn_depends_on_seed_epoch_and_row_alone():
    collator = PairCollator(tiny.clip_processor(), augmentation=ALL)

    def pixels(given=None, **options):
        return dataclasses.replace(collator, **options)(given or rows())["pixel_values"]

    first = pixels()
    assert torch.equal(first, pixels()) and torch.equal(first.flip(0), pixels(rows()[::-1]))
    assert torch.equal(pixels(epoch=1), pixels([{**row, "epoch": 1} for row in rows()]))
    for other in (pixels(epoch=1), pixels(seed=1), pixels(augmentation=None)):
        assert all(not torch.equal(*pair) for pair in zip(first, other))


def test_an_image_has_so_many_versions_and_bands_of_a_tile_share_the_rgb_of_each():
    collator = PairCollator(tiny.clip_processor(), augmentation=PairAugmentation(radiometry=0.5), versions=2)
    tile = [{**row, "rgb": tiny.rgb_image(), "image_group_id": "tile"} for row in rows()]
    batches = [dataclasses.replace(collator, epoch=epoch)(tile) for epoch in range(9)]
    assert len({image.numpy().tobytes() for batch in batches for image in batch["pixel_values"]}) == 3
    for index in range(len(tile)):
        seen = [batch["ir_pixel_values"][index].numpy().tobytes() for batch in batches]
        assert len(set(seen)) <= 3
    plain = PairCollator(tiny.clip_processor())(tile)["pixel_values"][0]
    shown = sum(torch.equal(image, plain) for batch in batches for image in batch["pixel_values"])
    assert 9 < shown < 27  # of 54, each version as likely as the image itself


def test_infrared_above_8_bit_is_changed_between_its_limits():
    processor = tiny.clip_processor()
    processor.ir_range = {"nir": (1_000, 3_000)}
    wide = [{**row, "ir": Image.fromarray(np.asarray(row["ir"], np.uint16) * 8 + 900)} for row in rows()]
    eight = [{**row, "ir": check_infrared(row["ir"], (1_000, 3_000))} for row in wide]
    collator = PairCollator(processor, augmentation=PairAugmentation(radiometry=0.5))
    assert torch.equal(collator(wide)["ir_pixel_values"], collator(eight)["ir_pixel_values"])


def test_controls_are_changed_as_infrared_is():
    views = {
        view: PairCollator(tiny.clip_processor(), ir_view=view, augmentation=ALL)(rows())
        for view in ("sensor", "grayscale", "rgb_duplicate")
    }
    assert all(torch.equal(batch["pixel_values"], views["sensor"]["pixel_values"]) for batch in views.values())
    duplicate = views["rgb_duplicate"]
    assert torch.equal(duplicate["ir_pixel_values"], duplicate["pixel_values"])
    grey = [{**row, "ir": row["rgb"].convert("L")} for row in rows()]
    expected = PairCollator(tiny.clip_processor(), augmentation=ALL)(grey)
    assert torch.equal(views["grayscale"]["ir_pixel_values"], expected["ir_pixel_values"])


def test_a_run_with_changed_images_resumes_exactly_and_is_evaluated_without(folders, tmp_path, monkeypatch):  # noqa: F811
    change, calls = PairAugmentation.__call__, []
    monkeypatch.setattr(PairAugmentation, "__call__", lambda *given: calls.append(given) or change(*given))
    options = {"augment_crop": 0.5, "augment_flip": True, "augment_color": 0.3, "ir_caption_probability": 1}
    options |= {"eval_strategy": "steps", "eval_steps": 2}
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    main(command(folders, straight, **options))
    assert len(calls) in (16, 20)  # four steps of four rows, and a batch read ahead: no validation row, no statistics
    interrupted(straight, resumed, 2)
    main(command(folders, resumed, **options, dataloader_num_workers=1))
    assert losses(resumed) == losses(straight)
    last = weights(straight)
    for name, value in weights(resumed).items():
        torch.testing.assert_close(value, last[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"remember_images": True, "augment_flip": True}, "remember_images needs images that come again"),
        ({"augment_versions": 2}, "augment_versions is of changed images"),
        ({"augment_radiometry": 1.5}, r"augment_radiometry must lie in \[0, 1\), got 1.5"),
        ({"augment_crop": 0}, r"augment_crop must lie in \(0, 1\], got 0"),
        ({"augment_color": 1}, r"augment_color must lie in \[0, 1\), got 1"),
        ({"dataloader_persistent_workers": True, "dataloader_num_workers": 1}, "first epoch's captions for ever"),
    ],
)
def test_what_cannot_be_is_refused(folders, tmp_path, options, message):  # noqa: F811
    with pytest.raises(InputError, match=message):
        main(command(folders, tmp_path, **options))
