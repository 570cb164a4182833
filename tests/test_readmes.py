"""The READMEs name only what there is, and their Python is Python; those of the front page also run."""

import importlib.util
import re
from glob import glob
from pathlib import Path

import pytest

import fusionrs_hf.auto  # noqa: F401
from tests.made import tiny, tiny_vlm

ROOT = Path(__file__).parent.parent
TOP = ("dataset_builder", "fusionrs_hf", "model_cards", "training", "tests")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted(page for top in TOP for page in (ROOT / top).rglob("README.md"))
ROOMS = {path.name for top in TOP for path in (ROOT / top).rglob("*") if path.is_dir()}  # names of folders below
FRONT_LINES = 170
MADE = ("runs", ".venv", "quarantine", "data")  # what commands write, wherever it is told of

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(TOP)})/[\w./*{{}},-]*")  # from the root, wherever it stands
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def snippets(page: Path) -> list[str]:
    return [code for language, code in FENCE.findall(page.read_text()) if language == "python"]


def without_fences(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def alternatives(name: str) -> list[str]:
    """The names that a shell would make of one with braces."""
    braces = re.search(r"\{([^{}]*,[^{}]*)\}", name)
    if not braces:
        return [name]
    before, after = name[: braces.start()], name[braces.end() :]
    return [full for part in braces[1].split(",") for full in alternatives(before + part + after)]


def is_there(name: str, *folders: Path) -> bool:
    return any(glob(str(folder / name)) for folder in folders)


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def span_paths(page: Path) -> list[str]:
    """Code spans that are paths of this repository by their look: a folder of ours first, or a Python file's name."""
    spans = [span.rstrip("/") for span in SPAN.findall(without_fences(page)) if re.fullmatch(r"[\w./*{},-]+", span)]
    of_ours = ROOMS - set(MADE)
    return [span for span in spans if ("/" in span and span.split("/")[0] in of_ours) or span.endswith(".py")]


def test_the_front_page_stays_one():
    assert len((ROOT / "README.md").read_text().splitlines()) <= FRONT_LINES


@pages
def test_paths_from_the_root_exist(page):
    named = {path.rstrip(".,") for path in PATH.findall(page.read_text())}
    assert [name for path in named for name in alternatives(path) if not is_there(name, ROOT)] == []


@pages
def test_paths_in_backticks_exist(page):
    names = [name for path in span_paths(page) for name in alternatives(path)]
    folders = [ROOT, page.parent, *(ROOT / top for top in TOP)]
    files = {path.name for top in TOP for path in (ROOT / top).rglob("*.py")}  # a bare name may be of any folder
    assert [name for name in names if name not in files and not is_there(name, *folders)] == []


@pages
def test_links_lead_somewhere(page):
    for link in LINK.findall(without_fences(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, fragment = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name} links to {link}"
        if fragment:
            assert fragment in map(anchor, HEADING.findall(without_fences(target))), f"{page.name} links to {link}"


@pages
def test_modules_that_are_run_exist(page):
    for name in re.findall(rf"\b-m ((?:{'|'.join(TOP)})(?:\.\w+)+)", page.read_text()):
        assert importlib.util.find_spec(name), f"{page.name} runs {name}"


@pages
def test_python_compiles_and_imports_modules_that_exist(page):
    for code in snippets(page):
        compile(code, str(page), "exec")
        for name in re.findall(r"^(?:from|import) ([\w.]+)", code, re.MULTILINE):
            assert importlib.util.find_spec(name), f"{page.name} imports {name}"


def run_front_page(capsys: pytest.CaptureFixture) -> tuple[dict, str]:
    """Runs the snippets one after the other, as a reader would; returns their names, and what they print."""
    names: dict = {}
    for code in snippets(ROOT / "README.md"):
        exec(compile(code, "README.md", "exec"), names)
    return names, capsys.readouterr().out


def check_front_page(names: dict, printed: str) -> None:
    assert {"rgb", "ir", "captions", "ir_band"} <= set(names["row"])
    assert names["row"]["ir_captions"][1] in " ".join((ROOT / "README.md").read_text().split())
    assert names["row"]["joint_captions"]
    for embeds, rows in (("rgb_embeds", 1), ("ir_embeds", 1), ("text_embeds", len(names["row"]["captions"]))):
        assert names["outputs"][embeds].shape[0] == rows
        assert (names["outputs"][embeds].norm(dim=-1) - 1).abs().max() < 1e-5
    assert "State the facts" not in printed and "assistant" not in printed


def test_the_front_page_runs_on_tiny_models(tmp_path, monkeypatch, capsys):
    (tmp_path / "dataset_builder").mkdir()
    (tmp_path / "dataset_builder/sample").symlink_to(ROOT / "dataset_builder/sample")
    demo, clip_processor = tmp_path / "runs/demo", tiny.clip_processor()
    clip_processor.tokenizer.model_max_length = 64
    text_config = tiny.text_config()
    text_config.max_position_embeddings = 64
    for model, processor, name in (
        (tiny.clip_model(text_config=text_config), clip_processor, "clip"),
        (tiny_vlm.vlm_model(), tiny_vlm.vlm_processor(), "vlm"),
    ):
        model.save_pretrained(demo / name)
        processor.save_pretrained(demo / name)
    monkeypatch.chdir(tmp_path)
    check_front_page(*run_front_page(capsys))


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "runs/demo/vlm/config.json").is_file(), reason="`make demo` has not made runs/demo")
def test_the_front_page_runs_on_the_demo(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    names, printed = run_front_page(capsys)
    check_front_page(names, printed)
    assert len(printed.split()) >= 3
