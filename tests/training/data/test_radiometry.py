import numpy as np
import pytest
from PIL import Image

from training.data.radiometry import RADIOMETRY_DRAWS, other_radiometry

RAMP = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
MIDDLE = [0.5] * RADIOMETRY_DRAWS


@pytest.mark.parametrize("image", [RAMP, Image.merge("RGB", [RAMP, RAMP.rotate(90), RAMP.rotate(180)])])
def test_no_strength_and_the_middle_of_every_draw_change_nothing(image):
    for changed in (other_radiometry(image, 0, [0.9] * RADIOMETRY_DRAWS), other_radiometry(image, 0.5, MIDDLE)):
        assert changed.mode == image.mode and changed.tobytes() == image.tobytes()


def test_each_draw_does_what_it_says():
    def at(place, number, value=51):
        draw = [number if index == place else 0.5 for index in range(RADIOMETRY_DRAWS)]
        image = Image.fromarray(np.array([[0, value, 255 - value, 255]], np.uint8))
        return np.asarray(other_radiometry(image, 0.5, draw))[0].tolist()

    assert at(0, 0.0) == [0, round(255 * 0.2 ** np.exp(-0.5)), round(255 * 0.8 ** np.exp(-0.5)), 255]
    assert at(1, 0.0) == [51, round(127.5 - 76.5 * 0.6), round(127.5 + 76.5 * 0.6), 204]
    assert at(2, 0.0) == [0, round(51 - 0.15 * 255), round(204 - 0.15 * 255), round(255 * 0.85)]


def test_what_was_brighter_is_never_darker_than_the_rest():
    for draw in np.random.default_rng(0).random((50, RADIOMETRY_DRAWS)):
        steps = np.diff(np.asarray(other_radiometry(RAMP, 0.9, draw)).astype(int).ravel())
        assert (steps >= 0).all() and steps.any()


def test_channels_gain_apart():
    grey = Image.merge("RGB", [RAMP] * 3)
    red, green, blue = np.asarray(other_radiometry(grey, 0.5, [0.5, 0.5, 0.5, 0.0, 0.5, 0.999]))[8, 8].tolist()
    assert red < green == 136 < blue
