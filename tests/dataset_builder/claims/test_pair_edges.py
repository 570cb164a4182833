import numpy as np
import pytest

from dataset_builder.claims.pair_edges import edges_of


def step_at(column, low=60.0, high=200.0):
    grey = np.full((48, 48), low, np.float32)
    grey[:, column:] = high
    return grey


def colour(*channels):
    return np.stack(channels, axis=-1)


def grey(image):
    return colour(image, image, image)


def test_a_step_is_an_edge_two_pixels_wide_shared_within_a_pixel():
    same = edges_of(step_at(24), grey(step_at(24, 200, 60)))
    assert (same.rgb_share, same.infrared_share) == pytest.approx((2 / 48, 2 / 48))
    assert (same.rgb_shared, same.infrared_shared) == (1, 1)
    assert (same.rgb_chance, same.infrared_chance) == pytest.approx((4 / 48, 4 / 48))
    shared = [edges_of(step_at(24), grey(step_at(24 + by))).infrared_shared for by in (1, 2, 3, 4)]
    assert shared == [1, 0.5, 0, 0]  # of columns 23 and 24 those within a pixel of the other's two


def test_each_image_s_edges_are_counted_by_the_other_s():
    both = step_at(16)
    both[30:] = 0  # one more edge, from side to side
    found = edges_of(both, grey(step_at(16)))
    assert found.infrared_share > found.rgb_share == pytest.approx(2 / 48)
    assert found.infrared_shared < 1 and found.infrared_chance == pytest.approx(4 / 48)
    assert found.rgb_chance > found.infrared_chance and found.rgb_shared == pytest.approx(1, abs=0.4)


def test_an_edge_of_any_channel_is_one_and_nothing_has_none():
    flat = np.full((48, 48), 90, np.float32)
    for channel in range(3):
        channels = [flat, flat, flat]
        channels[channel] = step_at(24)
        assert edges_of(step_at(24), colour(*channels)).infrared_shared == 1
    nothing = edges_of(step_at(24), grey(flat))
    assert (nothing.rgb_share, nothing.rgb_shared, nothing.infrared_shared, nothing.infrared_chance) == (0, 0, 0, 0)


def test_an_edge_is_seven_levels_a_pixel_and_an_eighth_of_the_spread():
    flat = grey(np.zeros((48, 48), np.float32))
    shares = [edges_of(step_at(24, 100, 100 + high), flat).infrared_share for high in (13.9, 14)]
    assert shares == [0, pytest.approx(2 / 48)]  # half of the step to each side
    wide = step_at(24, 100, 120)  # ten levels a pixel, beside a slope of 100 levels over the columns
    for spread, edges in ((80, 2 / 48), (90, 0)):  # 0.12 of them: 9.6 and 10.8
        image = wide.copy()
        image[:6], image[6:12] = 60, 60 + spread  # an eighth of the area each
        share = edges_of(image, flat).infrared_share
        rows = np.abs(np.gradient(image, axis=0)).max(1) > 9
        assert share == pytest.approx(rows.mean() + (1 - rows.mean()) * edges, abs=0.06)


def test_edges_run_down_and_across_alike():
    image = step_at(20)
    found = edges_of(image, grey(image.T.copy()))
    turned = edges_of(np.ascontiguousarray(image.T), grey(image))
    assert found == turned and found.rgb_share == pytest.approx(2 / 48)
    assert found.infrared_shared == pytest.approx(4 / 48)  # where they cross


@pytest.mark.parametrize(("bright", "edges"), [(115, True), (116, False)])
def test_the_spread_leaves_out_the_brightest_twentieth(bright, edges):
    image = step_at(24, 100, 120)  # ten levels a pixel, on 40 of 48 rows: 0.035 of the area
    image[40:], image[40:].flat[:bright] = 100, 250  # of 116 pixels one counts: then an edge is 18 levels a pixel
    found = edges_of(image, grey(np.zeros((48, 48), np.float32))).infrared_share
    alone = edges_of(np.where(image == 120, np.float32(100), image), grey(np.zeros((48, 48), np.float32)))
    assert found == pytest.approx(alone.infrared_share + (80 / 2304 if edges else 0), abs=0.002)
