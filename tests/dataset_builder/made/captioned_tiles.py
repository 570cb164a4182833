"""A tiny dataset in the published layout, and captioners that write what a test wants."""

import pyarrow as pa

from dataset_builder.captioning import CaptionStage, Written
from dataset_builder.schema import FEATURES, SPLITS, new_row
from dataset_builder.shards.parquet import write_shard
from tests.dataset_builder.made.noise_images import noise, png

HOSTILE = (
    "<script>alert(1)</script> bright roofs",
    '" onmouseover="alert(1)" bright',
    "{{ 7*7 }} {% raw %} ${HOME} bright",
    "bright\n---\nlicense: evil\n---\n# heading",
    "bright | dark \\| pale \\\\| grey",
    "`bright` ``` code <!-- captions:end --> &lt;b&gt;",
    "\u202ebright\u202c \u200fdark\u2066",
    "bright\x00 \x1b[31mred\x07",
    "![bright](http://evil.example/x.png) [dark](javascript:alert(1)) www.evil.example me@evil.example",
    "|---|---|\n| a | b |",
    "bright " * 3000,
    "'; DROP TABLE captions; -- *bold* _bright_ ~~dark~~ $$x$$",
)


def row(index, **changes):
    known = {
        "sample_id": f"made/{index:03d}",
        "source_dataset": "made" if index % 3 else "other",
        "source_locator": f"scene@r{100 * index}c0s48",
        "rights": "CC0-1.0",
        "rgb": png(noise(index, 3)),
        "ir": png(noise(1000 + index, 1)),
        "ir_origin": "sensor",
        "ir_band": "nir",
        "ir_unit": "display",
        "captions": [f"a field with the number {index}"],
        "caption_origin": ["hand"],
        "ir_captions": ["bright, from before"],
        "captioner": "source",
    }
    return new_row(**{**known, **changes})


def write(folder, rows=None, shards=("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")):
    """Writes rows (default: 12 for each shard) as shards, in their order."""
    rows = rows or [row(index) for index in range(12 * len(shards))]
    size = -(-len(rows) // len(shards))
    for number, name in enumerate(shards):
        table = pa.Table.from_pylist(rows[number * size : (number + 1) * size], schema=FEATURES.arrow_schema)
        assert name.split("-")[0] in SPLITS
        write_shard(folder / "data" / f"{name}.parquet", table)
    return folder


class Says:
    """A captioner that writes what a function of the row says: texts, or the reason of a failure."""

    name, revision = "says", "1"
    settings = {}

    def __init__(self, say):
        self.say, self.asked = say, []

    def caption(self, rows, facts, faults=None):
        self.asked += [row["sample_id"] for row in rows]
        said = [self.say(row) for row in rows]
        usage = {"requests": 1, "cost_usd": 0.25}
        return [Written(failure=x, usage=usage) if isinstance(x, str) else Written(list(x), usage=usage) for x in said]


class NoWord:
    """Rejects captions with a word, and tells the text."""

    reason = "has_word"

    def __init__(self, word):
        self.word = word

    def __call__(self, text, row):
        return f"the text {text}" if self.word in text else None


def stage_of(say, *rules, repairs=0):
    return CaptionStage(Says(say), rules, repairs)
