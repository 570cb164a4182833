import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from model_cards.charts import Curve, line_chart, ticks
from model_cards.clip import Retrieval
from model_cards.facts import BaseModel, Estimate
from model_cards.report import (
    Candidate,
    CaptionedPair,
    DatasetSummary,
    DemoResults,
    Pair,
    Search,
    duration,
    write_report,
)
from model_cards.vlm import FactScore

RGB = Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3).astype(np.uint8))
IR = RGB.convert("L")
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Elements of a page as (tag, attributes), its text, and whether tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "title"):
            self.text += data

    def all(self, tag):
        return [attributes for found, attributes in self.elements if found == tag]


def search(rank: int) -> Search:
    candidates = [Candidate(item=IR, similarity=0.9 - 0.1 * place, right=place == rank) for place in range(1, 6)]
    return Search(
        direction="rgb_to_ir", subset="held_out_region/nir", query=RGB, candidates=candidates, rank=rank, gallery=250
    )


@pytest.fixture
def demo() -> DemoResults:
    row = Retrieval(
        "held_out_region/nir",
        "rgb_to_ir",
        250,
        {"R@1": 0.612, "R@5": 0.801, "R@10": 0.9},
        Estimate(0.612, 0.55, 0.67),
        {"pretrained": 0.4, "shuffled": 0.0123},
        {"pretrained": Estimate(0.212, 0.15, 0.27)},
    )
    recall = {"R@1": 0.1, "R@5": 0.2, "R@10": 0.3}
    text = Retrieval(
        "held_out_region/nir", "ir_to_text/scene", 250, recall, Estimate(0.1, 0.07, 0.14), {"chance": 0.004}
    )
    return DemoResults(
        dataset=DatasetSummary(
            rows={"train": {"nir": 1234, "lwir": 56}, "test": {"nir": 250}},
            scenes=["Somewhere, 2016, CC0"],
            quarantined={"ir_too_flat": 7},
        ),
        pairs=[
            Pair(
                sample_id="s2/1/nir", band="near infrared", sensor="Sentinel-2", rgb=RGB, ir=IR, ir_style=IR,
                captions=["Fields <b> & a river."], ir_captions=["Infrared: bright."],
            )
        ],
        clip_curves=[Curve("Loss", {"training": [(1, 3.0), (2, 2.0)]}, "nats")],
        vlm_curves=[Curve("VLM loss", {"training": [(1, 1.0)]}, "nats")],
        retrieval=[row, text],
        control_source={"pretrained": "this run", "shuffled": "committed bench result"},
        hits=[search(1)],
        misses=[search(3)],
        captions=[
            CaptionedPair(
                sample_id="s2/2/nir", band="near infrared", rgb=RGB, ir=IR, reference="Infrared: bright.",
                generated="Infrared: dark.", facts={"level": False, "contrast": True, "darkest": None},
            )
        ],
        fact_scores=[FactScore("level", Estimate(0.79, 0.7, 0.86), {"constant caption": Estimate(0.1)})],
        scored_pairs=187,
        base_models=[BaseModel("A tower", statement="Origin unstated.", demo_only=True)],
        stages=[("weights", 0.0), ("CLIP", 164.4)],
        links={"CLIP card": "clip/README.md"},
    )  # fmt: skip


@pytest.fixture
def write(demo, tmp_path):
    def rendered(**changes) -> Page:
        write_report(tmp_path / "index.html", replace(demo, **changes))
        return Page((tmp_path / "index.html").read_text(encoding="utf-8"))

    return rendered


def test_the_page_asks_for_nothing_outside_itself(write, tmp_path):
    page = write()
    assert page.all("script") == []
    addresses = [value for _, found in page.elements for name, value in found.items() if name in ("src", "href")]
    assert all(address.startswith(("data:", "#")) for address in addresses if address != "clip/README.md")
    assert not re.search(r"https?:|@import|url\(", (tmp_path / "index.html").read_text())


def test_every_picture_is_described_and_keeps_its_pixels(write):
    pictures = write().all("img")
    assert len(pictures) == 3 + 6 + 6 + 2  # the pair; query and five answers twice; the captioned pair
    assert all(picture["alt"] for picture in pictures)
    encoded = pictures[0]["src"].removeprefix("data:image/png;base64,")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))), np.asarray(RGB))


def test_figures_stand_beside_their_controls_and_these_beside_their_source(write):
    text = "".join(write().text.split())
    assert "(a)towersasloadedthisrun" in text
    assert "(c)trainedonshuffledpairscommittedbenchresult" in text
    assert "25061.255.0–67.080.190.040.0lead+21.2[+15.0,+27.0]1.2" in text
    assert "30.00.4chancenotrun" in text  # IR -> text: control (a) is chance, (c) has no such row


def test_only_the_right_answer_is_framed(write):
    classes = [found.get("class") for tag, found in write().elements if tag == "figure" and found.get("class")]
    assert classes.count("right") == 2  # one a search
    assert "right answer at place 3 of 250" in write().text


def test_ticks_are_marks_and_words(write):
    text = " ".join(write().text.split())
    assert "✗ level wrong" in text and "✓ contrast right" in text and "– darkest not stated" in text


def test_captions_are_escaped(write, tmp_path):
    write()
    assert "Fields &lt;b&gt; &amp; a river." in (tmp_path / "index.html").read_text()


def test_counts_reasons_and_what_must_not_be_published_are_said(write):
    text = " ".join(write().text.split())
    assert "nirlwir" in text and "1,23456" in text and "250–" in text
    assert "ir_too_flat 7." in text
    assert "Demo weights, not to be published. A tower: Origin unstated." in text
    assert "weights kept from an earlier run; CLIP 2 min 44 s." in text


def test_a_run_with_nothing_to_show_says_so(write, demo):
    text = " ".join(
        write(hits=[], misses=[], base_models=[], dataset=replace(demo.dataset, quarantined={})).text.split()
    )
    assert "No row was set aside." in text and "There was none." in text
    assert "Demo weights" not in text


def test_headings_go_down_one_level_at_a_time_and_every_anchor_exists(write):
    page = write()
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    ids = {found["id"] for _, found in page.elements if "id" in found}
    assert {link["href"][1:] for link in page.all("a") if link["href"].startswith("#")} <= ids


def test_chart_maps_the_ends_of_the_data_to_the_ends_of_the_axes():
    # Axes run from 0 to 100 steps and from 0 to 4; the plotting area is x 40..426, y 194 (bottom)..12 (top).
    svg = line_chart(Curve("Loss", {"a": [(0, 4.0), (100, 0.0)]}, "nats"))
    assert 'points="40.0,12.0 426.0,194.0"' in svg


def test_chart_tells_a_screen_reader_where_each_line_ends():
    svg = line_chart(Curve("Recall <val>", {"RGB & IR": [(5, 0.1), (10, 0.25)]}, "R@1", percent=True))
    assert 'aria-label="Recall &lt;val&gt;. RGB &amp; IR 25 % at step 10"' in svg


def test_chart_skips_values_that_are_not_finite_and_says_when_nothing_is_left():
    svg = line_chart(Curve("Loss", {"a": [(0, 1.0), (1, float("nan")), (2, 2.0)]}, "nats"))
    assert "nan" not in svg and len(re.search(r'points="([^"]*)"', svg)[1].split()) == 2
    assert line_chart(Curve("Loss", {"a": []}, "nats")) == "<p>Loss: nothing was logged.</p>"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 3.2, [0, 1, 2, 3, 4]),
        (0, 0.9, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0, 0, [0, 0.2]),
    ],
)
def test_ticks_are_round_and_cover_the_range(low, high, expected):
    assert ticks(low, high) == expected


def test_duration_reads_as_minutes_and_seconds():
    assert [duration(seconds) for seconds in (9.6, 59.7, 125)] == ["10 s", "1 min 00 s", "2 min 05 s"]
