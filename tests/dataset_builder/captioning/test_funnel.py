import json
import math
import random

import numpy as np
import pytest

from dataset_builder.captioning.funnel import (
    DRAWN_CAPTIONS,
    EXAMPLES,
    CaptionTally,
    Funnel,
    left_without,
    merged_report,
)
from dataset_builder.captioning.variety import self_bleu
from dataset_builder.card.captions import captions_section
from dataset_builder.schema import COLUMNS
from dataset_builder.shards.lines import join_lines, write_lines
from tests.dataset_builder.made.captioned_tiles import NoWord, noise, row, stage_of


def batch_of(rows, reasons=None):
    batch = {name: [known[name] for known in rows] for name in COLUMNS}
    batch["_rgb"] = [noise(index, 3) for index in range(len(rows))]
    batch["_ir"] = [np.full((48, 48), 250, np.uint8) for _ in rows]  # very bright
    batch["_reason"] = reasons or [None] * len(rows)
    return batch


def say(known):
    number = int(known["sample_id"][-3:])
    if number == 4:
        return "request_failed"
    return ["The image is very bright.", f"The image is dark, bad {number}."]


STAGE = stage_of(say, NoWord("bad"))


def caption_and_count(stage, batch):
    tally = CaptionTally()
    return tally.caption(stage, batch), tally.funnel, tally.lines


@pytest.fixture(scope="module")
def counted():
    return caption_and_count(STAGE, batch_of([row(i) for i in range(6)], [None] * 5 + ["unreadable"]))


def test_every_row_and_caption_is_counted_where_it_belongs(counted):
    total = counted[1].total()
    assert (total.rows, total.captioned, total.written, total.accepted) == (6, 4, 8, 4)
    assert dict(total.rejected) == {"has_word": 4}
    assert dict(total.failed) == dict(total.left) == {"request_failed": 1, "unreadable": 1}
    assert dict(total.claims) == {"supported": 4}
    assert dict(total.rejected_claims) == {"contradicted": 4}
    assert dict(total.usage) == {"requests": 5, "cost_usd": 1.25}
    assert total.words == 4 * 5
    sources = counted[1].sources
    assert {name: counts.rows for name, counts in sources.items()} == {"made": 4, "other": 2}
    assert dict(sources["other"].rejected) == {"has_word": 2}


def test_rows_left_without_a_caption_are_told_in_a_line_with_the_reasons(counted):
    report = {"total": counted[1].total().as_dict()}
    expected = "rows left without an infrared caption: 2 (1 request_failed, 1 unreadable)"
    assert left_without(report) == expected
    assert left_without({"total": {}}) == "rows left without an infrared caption: 0 (none)"


def test_a_row_without_an_accepted_caption_names_no_captioner(counted):
    batch = counted[0]
    assert batch["captioner"] == ["says"] * 4 + [None] * 2
    assert batch["ir_captions"] == [["The image is very bright."]] * 4 + [[], []]


def test_rejected_captions_and_failed_rows_are_told_line_by_line(counted):
    lines = counted[2]
    rejected = {"text": "The image is dark, bad 0.", "reason": "has_word"}
    assert lines[0] == {
        "sample_id": "made/000", "source": "other", **rejected, "detail": "the text The image is dark, bad 0."
    }  # fmt: skip
    assert [line["reason"] for line in lines] == ["has_word"] * 4 + ["request_failed", "unreadable"]
    assert lines[-1]["text"] is None


def test_only_new_scene_captions_are_counted_as_written():
    rows = [row(0), row(1, captions=[], caption_origin=[]), row(2, captions=[], caption_origin=[])]
    stage = stage_of(lambda known: ["very bright"])
    asked = stage.captioner.caption

    def with_scenes(rows, facts, faults=None):
        written = asked(rows, facts, faults)
        written[1].captions = ["a lake"]
        return written

    stage.captioner.caption = with_scenes
    batch, funnel, _ = caption_and_count(stage, batch_of(rows))
    assert funnel.total().scene_captions == 1
    assert batch["captions"][1] == ["a lake"] and batch["caption_origin"][1] == ["model"]


def test_a_funnel_depends_on_the_rows_not_on_how_they_are_cut():
    rows = [row(index) for index in range(100)]
    texts = ["The image is very bright", "The image is bright", "bad one", "It is uniform"]

    def funnel_of(cuts):
        parts = []
        for start, stop in cuts:
            stage = stage_of(lambda known: texts[: 1 + int(known["sample_id"][-3:]) % 4], NoWord("bad"))
            parts.append(caption_and_count(stage, batch_of(rows[start:stop]))[1].as_dict())
        return merged_report(STAGE, json.loads(json.dumps(parts)))

    whole = funnel_of([(0, 100)])
    cuts = [(0, 1), (1, 37), (37, 90), (90, 100)]
    assert funnel_of(cuts) == whole
    random.Random(0).shuffle(cuts)
    assert funnel_of(cuts) == whole
    assert len(whole["examples"]["has_word"]) == EXAMPLES
    assert whole["variety"]["captions"] == min(DRAWN_CAPTIONS, whole["total"]["accepted"])


def test_a_tally_counts_all_its_batches_and_tells_of_each():
    rows, seen = [row(i) for i in range(6)], []
    tally = CaptionTally(seen.append)
    for part in (rows[:2], rows[2:]):
        tally.caption(STAGE, batch_of(part))
    _, funnel, lines = caption_and_count(STAGE, batch_of(rows))
    assert (tally.funnel, tally.lines) == (funnel, lines)
    assert [counted.total().rows for counted in seen] == [2, 4]


def test_a_funnel_survives_its_json(counted):
    again = Funnel.from_dict(json.loads(json.dumps(counted[1].as_dict())))
    assert again == counted[1]


def test_lines_are_joined_in_order_and_nothing_is_written_for_none(tmp_path):
    parts = [tmp_path / name for name in ("a", "b", "c")]
    write_lines(parts[0], [{"text": "one\u2028two"}])
    write_lines(parts[1], [])
    write_lines(parts[2], [{"text": "half \ud800 pair"}, {"text": "\x00"}])
    found = join_lines(parts, tmp_path / "all.jsonl")
    lines = (tmp_path / "all.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line)["text"] for line in lines[:-1]] == ["one\u2028two", "half \ud800 pair", "\x00"]
    assert found["rows"] == 3 and found["bytes"] == (tmp_path / "all.jsonl").stat().st_size
    assert join_lines(parts[1:2], tmp_path / "all.jsonl") is None
    assert not (tmp_path / "all.jsonl").exists()


def test_the_section_shows_the_numbers(counted):
    section = captions_section(merged_report(STAGE, [counted[1].as_dict()]))
    for line in (
        "Written by says, revision 1.",
        "| made | 4 | 2 | 4 | 2 | 50.00% |",
        "| all | 6 | 4 | 8 | 4 | 50.00% |",
        "| `has_word` | 4 | made 2, other 2 |",
        "| `unreadable` | 1 | made 1 |",
        "4 supported, 0 contradicted, 0 unverifiable in accepted captions",
        "Asking took: requests 5, cost usd 1.25.",
    ):
        assert line in section


def test_self_bleu_by_hand():
    """The same text twice shares all; texts of other words share nothing: 0.1 match of 4, 3, 2 and 1 n-grams each."""
    assert self_bleu(["a b c d", "a b c d"]) == pytest.approx(1)
    nothing = math.exp(sum(math.log(0.1 / n) for n in (4, 3, 2, 1)) / 4)
    assert self_bleu(["a b c d", "e f g h"]) == pytest.approx(nothing)
    # "a b" against "a c a": a matched, b not; the bigram not; as long as two of three words: exp(1 - 3/2).
    short = math.exp((math.log(1 / 2) + math.log(0.1 / 1)) / 2 - 0.5)
    # "a c a" against "a b": one a of two, c not; 0.1 of 2 bigrams; 0.1 of 1 trigram; longer than the other.
    long = math.exp((math.log(1 / 3) + math.log(0.1 / 2) + math.log(0.1 / 1)) / 3)
    assert self_bleu(["a b", "a c a"]) == pytest.approx((short + long) / 2)
    assert self_bleu(["a b"]) is None
    assert self_bleu(["", "a"]) is None
