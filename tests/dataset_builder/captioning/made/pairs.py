"""Pairs, facts and rows for tests of the default captioner."""

import dataclasses
import re
from typing import Any

import numpy as np

from dataset_builder.captioning import GroundedCaptioner
from dataset_builder.claims.grounding import InfraredFacts, measure

FORBIDDEN = re.compile(
    r"\b(?:hot|warm\w*|cold|cool\w*|heat\w*|temperature\w*|emissiv\w+|reflectiv\w+|material\w*|metal\w*|"
    r"red|green|blue|yellow|brown|orange|purple|pink|colou?r\w*)\b",
    re.IGNORECASE,
)


def write(captioner: GroundedCaptioner, row: dict[str, Any], facts: InfraredFacts) -> list[str]:
    """The infrared captions of one row."""
    return captioner.caption([row], [facts])[0].ir_captions


def facts_with(**changes: object) -> InfraredFacts:
    """Facts whose numbers fit any changed class well enough to be judged by class alone."""
    generator = np.random.default_rng(0)
    infrared = generator.integers(0, 255, (48, 48)).astype(np.uint8)
    return dataclasses.replace(measure(infrared, np.zeros((48, 48, 3), np.uint8)), **changes)


def row_of(sample_id: str = "a", captions: tuple = (), origin: str = "sensor", band: str = "nir") -> dict[str, Any]:
    """What the captioner reads of a row."""
    return {"sample_id": sample_id, "captions": list(captions), "ir_origin": origin, "ir_band": band}


def reversed_pair() -> tuple[np.ndarray, np.ndarray]:
    """Infrared and RGB of an even tile with a square in the upper left: dark in RGB, white in the infrared."""
    noise = np.random.default_rng(0).normal(0, 2, (64, 64))
    infrared, rgb = np.full((64, 64), 60.0), np.full((64, 64, 3), 150.0)
    infrared[6:24, 6:24], rgb[6:24, 6:24] = 230, 30
    return (infrared + noise).astype(np.uint8), (rgb + noise[..., None]).astype(np.uint8)


def line_pair() -> tuple[np.ndarray, np.ndarray]:
    """Infrared and RGB of an even tile; a dark line from the upper left down is in the infrared alone."""
    noise = np.random.default_rng(0).normal(0, 2, (64, 64))
    infrared, rgb = np.full((64, 64), 150.0), np.full((64, 64, 3), 120.0)
    for step in range(4, 60):
        infrared[step, step : step + 2] = 20
    return (infrared + noise).astype(np.uint8), (rgb + noise[..., None]).astype(np.uint8)
