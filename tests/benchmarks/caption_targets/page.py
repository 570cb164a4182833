"""Writes the page of targets: ten pairs, an expert's caption, ours, and the measured facts behind each sentence.

    python -m tests.benchmarks.caption_targets.page

Writes README.md and pairs.png beside this file. The expert captions of targets.jsonl were written by a vision model
that looked at the pairs before it read what the captioner says of them; the pairs are of the training split.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dataset_builder.captioning import GroundedCaptioner
from dataset_builder.captioning.choice import Told
from dataset_builder.claims.grounding import InfraredFacts, measure
from dataset_builder.claims.pair_facts import Line
from tests.dataset_builder.made.sample_tiles import sample_rows

HERE = Path(__file__).parent
SIDE, GAP = 160, 6
HEADER = """# Ten pairs: what an expert would write, and what the captioner writes

Written by `python -m tests.benchmarks.caption_targets.page`. RGB stands left of its infrared, in the order of the
sections, two pairs a line. The expert captions were written by a vision model that looked at the pairs before it read
what the captioner says of them; no person has.

![ten pairs](pairs.png)
"""


def fact_line(told: Told) -> str:
    """A sentence and what was measured of its subject."""
    subject = told.telling.subjects[0]
    where = ", ".join(subject.places[:2]) if isinstance(subject, Line) else subject.place
    size = f"length {subject.length:.2f}" if isinstance(subject, Line) else f"share {subject.share:.2f}"
    rgb, infrared = subject.rgb, subject.infrared
    match = next((f'; the scene caption\'s "{name.match[0]}"' for name in told.names if name.match), "")
    return (
        f"- *{told.text}* {told.telling.kind}: {where}, {size}; rank {rgb.rank:.2f} in RGB and {infrared.rank:.2f} in "
        f"infrared, mean {infrared.mean:.0f}, step to its surroundings {rgb.step:+.0f} and {infrared.step:+.0f}{match}"
    )


def section(number: int, row: Mapping[str, Any], expert: str, facts: InfraredFacts) -> str:
    """One pair in Markdown."""
    captioner = GroundedCaptioner()
    written = captioner.caption([row], [facts])[0]
    compact, fluent = written.ir_captions
    parts = [
        f"## {number}. {row['sample_id']}",
        f"Scene: {row['captions'][0]}",
        f"Expert: {expert}",
        f"Ours, fluent: {fluent}",
        f"Ours, compact: {compact}",
        *(f"Ours, joint: {text}" for text in written.joint_captions),
        "\n".join(["What is told of it, and what was measured:", ""] + [
            fact_line(told) for told in captioner.told(row, facts)
        ]),
    ]  # fmt: skip
    return "\n\n".join(parts)


def sheet(rows: Sequence[Mapping[str, Any]]) -> Image.Image:
    """All pairs, two a line, each RGB left of its infrared."""
    lines = (len(rows) + 1) // 2
    image = Image.new("RGB", (4 * SIDE + 3 * GAP, lines * (SIDE + GAP) - GAP), "white")
    for number, row in enumerate(rows):
        left, top = number % 2 * 2 * (SIDE + GAP), number // 2 * (SIDE + GAP)
        for column, name in enumerate(("_rgb", "_ir")):
            tile = Image.fromarray(np.asarray(row[name])).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            image.paste(tile, (left + column * (SIDE + GAP), top))
    return image


def main() -> None:
    """Writes the page."""
    targets = [json.loads(line) for line in (HERE / "targets.jsonl").read_text().splitlines()]
    rows = {row["sample_id"]: row for row in sample_rows()}
    chosen = [rows[target["sample_id"]] for target in targets]
    sections = [
        section(number, row, target["expert"], measure(row["_ir"], row["_rgb"]))
        for number, (row, target) in enumerate(zip(chosen, targets, strict=True), start=1)
    ]
    (HERE / "README.md").write_text("\n\n".join([HEADER.strip(), *sections]) + "\n")
    sheet(chosen).quantize(128).save(HERE / "pairs.png", optimize=True)


if __name__ == "__main__":
    main()
