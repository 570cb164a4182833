"""Rows as captioners get them, and endpoint captioners with no patience."""

import numpy as np

from dataset_builder.captioning.models.endpoint import EndpointCaptioner, EndpointSettings
from dataset_builder.claims.grounding import measure


def make_row(number: int, captions=None, size: int = 24, **columns):
    """A row whose images are its own; its scene caption is `a field <number>` unless others are given."""
    random = np.random.default_rng(number)
    return {
        "sample_id": f"row-{number}",
        "captions": [f"a field {number}"] if captions is None else captions,
        "ir_origin": "sensor",
        "ir_band": "nir",
        "_ir": random.integers(0, 256, (size, size), dtype=np.uint8),
        "_rgb": random.integers(0, 256, (size, size, 3), dtype=np.uint8),
        **columns,
    }


def facts_of(rows):
    return [measure(row["_ir"], row["_rgb"]) for row in rows]


def ask(captioner, rows, faults=None):
    return captioner.caption(rows, facts_of(rows), faults)


def endpoint(server, cache, **options):
    options = {"backoff_s": 0.01, "model": "tiny", "timeout_s": 5, "min_side": 0, **options}
    return EndpointCaptioner(EndpointSettings(base_url=server.base_url, cache=cache, **options))
