"""Texts that try to be markup, on their way through build, caption, card, Croissant, report and page."""

import json
import re
from dataclasses import replace

import markdown_it
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import DatasetCard

from dataset_builder import recaption
from dataset_builder.building import reading
from dataset_builder.pipeline import build
from dataset_builder.recaption import caption_dataset
from dataset_builder.recipe import BuildRecipe
from model_cards.markdown import markdown_table, markdown_text
from model_cards.report import CaptionedPair, write_report
from tests.dataset_builder.made.captioned_tiles import HOSTILE, NoWord, row, stage_of, write
from tests.model_cards.test_report import IR, RGB, Page, demo  # noqa: F401

# The text rules would set most of these captions aside; here they are to reach cards, pages and reports.
OFF = ("caption_too_long", "caption_has_markup", "caption_has_control_characters", "caption_not_text")
FILTERS = dict.fromkeys(("rgb_ir_misaligned", "ir_is_gray_of_rgb", *OFF), False)


def tokens_of(text):
    """Tokens of a card's text as GitHub and the Hub read it: tables, strikethrough, links."""
    tokens = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [token for block in tokens for token in (block, *(block.children or []))]


def say(known):
    index = int(known["sample_id"][-3:])
    return [HOSTILE[index % len(HOSTILE)], f"reject {HOSTILE[(index + 1) % len(HOSTILE)]}"]


STAGE = stage_of(say, NoWord("reject"))


def hostile_rows():
    return [
        row(
            index,
            sample_id=f"{text[:300]}/{index:03d}",
            source_dataset=text[:300],
            source_locator=f"{text[:300]}@{index}",
            sensor=text[:300],
            captions=[f"scene {index} {text}"],
        )
        for index, text in enumerate(HOSTILE * 3)
    ]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    write(root, hostile_rows())
    given = {
        "name": HOSTILE[3] + HOSTILE[0],
        "description": "Made.\n---\nlicense: evil\n---\n{{ 7*7 }}",
        "attribution": {text[:300]: text[:300] for text in HOSTILE},
        "sources": [{"kind": "repository", "path": "data"}],
        "caption": {},
        "filters": FILTERS,
        "groups": {"relations": ["bytes"]},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "make_caption_stage", lambda recipe: STAGE)
        return root, build(BuildRecipe.from_mapping(given, base=root), root / "out", workers=1)


@pytest.fixture(scope="module")
def captioned(built):
    """The build and the bare shards, captioned by the verb."""
    root = built[0]
    (root / "README.md").write_text("---\npretty_name: x\n---\n# Words\n\n<!-- captions:end -->\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recaption, "make_caption_stage", lambda recipe: STAGE)
        for name, folder in (("again", root / "out"), ("foreign", root)):
            caption_dataset(folder, root / name, workers=1)
    return root


FOLDERS = ("out", "again", "foreign")


@pytest.mark.parametrize("name", FOLDERS)
def test_the_front_matter_says_what_it_should(captioned, name):
    text = (captioned / name / "README.md").read_text(encoding="utf-8")
    found = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
    assert found == yaml.safe_load(DatasetCard(text).data.to_yaml())
    assert found.get("license") in (None, "cc0-1.0")
    assert {info["config_name"] for info in found["dataset_info"]} == {"default", "captions", "ir_aware", "sensor"}
    if name != "foreign":
        assert found["pretty_name"] == HOSTILE[3] + HOSTILE[0]


@pytest.mark.parametrize("name", FOLDERS)
def test_the_card_has_our_markup_and_none_of_theirs(captioned, name):
    text = DatasetCard.load(captioned / name / "README.md").text
    tokens = tokens_of(text)
    html = {token.content.strip() for token in tokens if token.type in ("html_inline", "html_block")}
    # The attribution is Markdown of the recipe's author, who may write what they like into their own card.
    theirs = {part for part in html if "captions:" not in part and part != "<br>"}
    assert theirs <= ({"<script>", "</script>"} if name != "foreign" else set())
    section = tokens_of(re.search("<!-- captions:start -->.*<!-- captions:end -->", text, re.DOTALL).group())
    kinds = {token.type for token in section}
    assert not kinds & {"link_open", "image", "em_open", "strong_open", "s_open", "fence", "hr", "blockquote_open"}
    assert {token.content.strip() for token in section if token.type in ("html_inline", "html_block")} <= {
        "<br>", "<!-- captions:start -->", "<!-- captions:end -->"
    }  # fmt: skip
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings.count("Infrared-aware captions") == 1
    assert not any(heading.strip() in ("heading", "evil") for heading in headings)
    assert "49" not in [token.content.strip() for token in tokens]


@pytest.mark.parametrize("name", FOLDERS)
def test_every_table_row_has_the_cells_of_its_header(captioned, name):
    text = DatasetCard.load(captioned / name / "README.md").text
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block
    tokens = tokens_of(text)
    rows = sum(token.type == "tr_open" for token in tokens)
    lines = [line for line in text.splitlines() if line.startswith("|") and not re.fullmatch(r"[|: -]+", line)]
    assert rows == len(lines)


@pytest.mark.parametrize("name", FOLDERS)
def test_texts_are_shown_as_they_are(captioned, name):
    tokens = tokens_of(DatasetCard.load(captioned / name / "README.md").text)
    shown = "".join(token.content for token in tokens if token.type == "text")
    assert "<script>alert(1)</script> bright roofs" in shown
    assert '" onmouseover="alert(1)" bright' in shown
    assert "{{ 7*7 }} {% raw %} ${HOME} bright" in shown
    text = (captioned / name / "README.md").read_text(encoding="utf-8").split("## Infrared-aware captions")[1]
    section = text.split("<!-- captions:end -->\n")[0]
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069\u200f]", section)
    assert max(map(len, section.splitlines())) < 3000


@pytest.mark.parametrize("name", FOLDERS)
def test_croissant_is_valid(captioned, name):
    mlcroissant = pytest.importorskip("mlcroissant")
    json.loads((captioned / name / "croissant.json").read_text(encoding="utf-8"))
    dataset = mlcroissant.Dataset(str(captioned / name / "croissant.json"))
    assert not dataset.metadata.issues.errors
    first = next(iter(dataset.records("train")))
    assert first["train/ir_captions"] == [HOSTILE[0].encode()]


@pytest.mark.parametrize("name", FOLDERS)
def test_captions_load_back_as_they_were_written(captioned, name, tmp_path):
    wanted = sorted(known["captions"][0] for known in hostile_rows())
    default = load_dataset(str(captioned / name), cache_dir=str(tmp_path))
    rows = [known for split in default.values() for known in split.remove_columns(["rgb", "ir"])]
    assert sorted(known["captions"][0] for known in rows) == wanted
    aware = load_dataset(str(captioned / name), "ir_aware", cache_dir=str(tmp_path))
    assert sum(map(len, aware.values())) == len(wanted)
    assert all(known["ir_captions"] == say(known)[:1] for known in rows)


@pytest.mark.parametrize("name", FOLDERS)
def test_rejected_captions_and_reports_are_json(captioned, name):
    text = (captioned / name / "quarantine" / "captions.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    assert sorted(line["text"] for line in lines) == sorted(say(known)[1] for known in hostile_rows())
    for report in (captioned / name).glob("*_report.json"):
        captions = json.loads(report.read_text(encoding="utf-8"))["captions"]
        assert captions["total"]["rejected"] == {"has_word": len(lines)}


def test_rows_of_a_hostile_build_are_all_kept(built):
    assert built[1].rows_kept == len(HOSTILE) * 3
    assert sum(len(pq.read_table(path)) for path in (built[0] / "out" / "data").iterdir()) == built[1].rows_kept


def test_the_page_shows_hostile_texts_and_nothing_else(demo, tmp_path):  # noqa: F811
    def page_of(texts):
        pair, item, hit = demo.pairs[0], demo.captions[0], demo.hits[0]
        candidates = [replace(hit.candidates[0], item=text) for text in texts]
        shown = replace(
            demo,
            dataset=replace(demo.dataset, scenes=list(texts), quarantined=dict.fromkeys(texts, 3)),
            pairs=[replace(pair, sample_id=text, sensor=text, captions=[text], ir_captions=[text]) for text in texts],
            captions=[replace(item, sample_id=t, reference=t, generated=t, facts={t: True}) for t in texts],
            hits=[replace(hit, query=text, candidates=candidates) for text in texts],
        )
        write_report(tmp_path / "index.html", shown)
        return Page((tmp_path / "index.html").read_text(encoding="utf-8"))

    plain, hostile = page_of([f"plain {i}" for i in range(len(HOSTILE))]), page_of(HOSTILE)
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(found) for _, found in hostile.elements] == [sorted(found) for _, found in plain.elements]
    assert "<script>alert(1)</script> bright roofs" in hostile.text
    assert "{{ 7*7 }} {% raw %}" in hostile.text
    assert not re.search("[\x00\x1b\u202a-\u202e\u2066-\u2069\u200f]", (tmp_path / "index.html").read_text())
    assert isinstance(demo.captions[0], CaptionedPair) and (RGB, IR)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_markdown_text_is_one_cell_and_reads_back(text):
    table = markdown_table(["a", "b"], [[markdown_text(text), "end"]])
    inline = [token for token in tokens_of(table) if token.type == "inline"]
    assert len(inline) == 4
    assert [child.type for child in inline[2].children if child.type != "text_special"] in ([], ["text"])
    shown = "".join(child.content for child in inline[2].children)
    assert shown.replace("\ufffd", "") == re.sub(
        "[\x00-\x1f\u200f\u2028-\u202e\u2066-\u2069]", "", " ".join(text.split())
    )
