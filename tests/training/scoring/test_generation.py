import numpy as np
import torch

from tests.training.test_train_vlm import vlm_run  # noqa: F401 - a fixture
from training.scoring.generation import tampered


def test_tampering_changes_the_named_image_only():
    pixels = torch.randn(3, 2, 3, 4, 4)
    donors = np.array([1, 2, 0])
    before = pixels.clone()
    assert torch.equal(tampered(pixels, donors, "own_images"), before)
    shuffled = tampered(pixels, donors, "ir_shuffled")
    assert torch.equal(shuffled[:, 0], before[:, 0]) and torch.equal(shuffled[0, 1], before[1, 1])
    assert torch.equal(tampered(pixels, donors, "rgb_shuffled")[2, 0], before[0, 0])
    blanked = tampered(pixels, donors, "ir_blanked")
    assert torch.equal(blanked[:, 0], before[:, 0]) and not blanked[:, 1].any()
    assert torch.equal(pixels, before)
