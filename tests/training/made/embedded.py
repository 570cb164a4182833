"""Embedded rows drawn by seed."""

import numpy as np

from training.scoring.embedded_rows import EmbeddedRows, EmbeddedTexts


def vectors(rows, seed):
    values = np.random.default_rng(seed).normal(size=(rows, 6)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def embedded(rows=8, captions=2):
    """Rows in two bands and two sources, several captions each."""
    owner = np.repeat(np.arange(rows), captions)
    texts = EmbeddedTexts(owner, np.array([f"key{i}" for i in range(len(owner))]), vectors(len(owner), 3))
    images = {"rgb": vectors(rows, 1), "ir": vectors(rows, 2), "fused": vectors(rows, 4)}
    names = [np.array([f"{name}{index % modulus}" for index in range(rows)]) for name, modulus in (("b", 2), ("s", 2))]
    return EmbeddedRows(np.array([f"g{index}" for index in range(rows)]), *names, images, {"scene": texts})
