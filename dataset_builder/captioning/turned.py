"""A pair with its own infrared turned: what is borne out there as well says little of this pair.

Only tones by place are turned, not what is traced: of a line, the places in the sentence are turned instead.
"""

import re
from dataclasses import replace

import numpy as np

from dataset_builder.claims.grounding import GRID, InfraredFacts, measure


def turned(facts: InfraredFacts) -> list[InfraredFacts]:
    """Facts of the pair with the infrared half turned, and moved twice by a third of both sides; the RGB stays."""
    grey = np.frombuffer(bytes.fromhex(facts.grid), np.uint8).reshape(GRID, GRID)
    third = GRID // 3
    views = (grey[::-1, ::-1], *(np.roll(grey, (by, by), (0, 1)) for by in (third, -third)))
    return [
        replace(
            measure(np.ascontiguousarray(view)),
            luminance_grid=facts.luminance_grid,
            colour_grid=facts.colour_grid,
            images=facts.images,
        )
        for view in views
    ]


_OPPOSITES = (
    {"left": "right", "west": "east", "western": "eastern"},
    {"upper": "lower", "top": "bottom", "north": "south", "northern": "southern", "up": "down"},
)
_WORD = re.compile(r"[a-z]+")


def turned_places(text: str) -> list[str]:
    """A sentence with its places mirrored, upside down, and both, where that changes them; lower case."""
    across, down = (pairs | {second: first for first, second in pairs.items()} for pairs in _OPPOSITES)
    said = text.lower()
    texts = [
        _WORD.sub(lambda match, words=words: words.get(match[0], match[0]), said)
        for words in (across, down, across | down)
    ]
    return [other for other in texts if sorted(_WORD.findall(other)) != sorted(_WORD.findall(said))]
