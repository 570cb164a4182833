import gzip
import hashlib
import tracemalloc
from pathlib import Path

import pytest

from dataset_builder.building.identity import finished_report
from dataset_builder.building.inputs import CODE, changes, code_files, write_listing
from dataset_builder.building.work_folder import start
from dataset_builder.recipe import BuildRecipe
from dataset_builder.shards.report import BuildReport
from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError
from fusionrs_hf.output_folder import writing
from tests.dataset_builder.made.identities import build_identity


class Reader:
    def __init__(self, *paths):
        self.paths = paths

    def inputs(self):
        return iter(self.paths)


@pytest.fixture
def tree(tmp_path):
    for name in ("a/b.png", "a/c/d.png", "a.png", "ab.png", "a/.hidden", "a/__pycache__/x.pyc"):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"12")
    return tmp_path


def listing(base, *specs, name="list", readers=(), named=None, out=None):
    path = base / name
    write_listing(path, specs, readers, base, named, out or base / "none")
    return path


def sources(path):
    with gzip.open(path, "rt") as lines:
        return [line.rstrip("\n").split("\t") for line in lines if int(line.split("\t")[0]) > CODE]


def test_files_are_listed_in_one_order_folder_by_folder(tree):
    assert sources(listing(tree, {"path": "in"})) == [
        ["2", "0", "2", '"in/a/b.png"'],
        ["2", "0", "2", '"in/a/c/d.png"'],
        ["2", "0", "2", '"in/a.png"'],
        ["2", "0", "2", '"in/ab.png"'],
    ]
    assert (tree / "list").read_bytes() == listing(tree, {"path": "in"}, name="again").read_bytes()


def test_every_path_of_an_entry_is_an_input_but_no_label(tree):
    (tree / "index.json").write_text("[]")
    (tree / "made").mkdir()
    (tree / "made" / "no.png").write_text("")
    spec = {
        "kind": "made",
        "source_dataset": "made",
        "index": "index.json",
        "roots": {"first": "in/a", "second": "in/ab.png"},
        "same": "./in/a",
        "pattern": "in/a/c/{000..010}-*.tar",
        "prompt": "a {class} of\nmade\0",
        "long": "x" * 5000,
    }
    found = [(int(root), size, name.strip('"')) for _, root, size, name in sources(listing(tree, spec))]
    assert found == [
        (0, "2", "index.json"),
        (1, "2", "in/a/b.png"),
        (1, "2", "in/a/c/d.png"),
        (2, "2", "in/ab.png"),
        (3, "2", "in/a/c/d.png"),
    ]


def test_a_reader_may_say_what_it_reads(tree):
    readers = [Reader(tree / "in" / "a", tree / "in" / "ab.png")]
    found = [name for *_, name in sources(listing(tree, {"path": "in"}, readers=readers))]
    assert found == ['"in/a/b.png"', '"in/a/c/d.png"', '"in/ab.png"']


def test_a_link_is_followed_but_not_in_circles_and_one_that_leads_nowhere_is_listed(tree):
    (tree / "far").mkdir()
    (tree / "far" / "e.png").write_bytes(b"123")
    (tree / "in" / "far").symlink_to(tree / "far")
    (tree / "in" / "a" / "back").symlink_to(tree / "in")
    (tree / "in" / "lost").symlink_to(tree / "nowhere")
    found = {name.strip('"'): size for *_, size, name in sources(listing(tree, {"path": "in"}))}
    assert found["in/far/e.png"] == "3" and found["in/lost"] == "-"
    assert len(found) == 6


def test_names_of_any_bytes_are_told_apart(tree):
    for number, name in enumerate((b"tab\tline\n", b"\xff\xfe", "ü".encode())):
        with open(str(tree / "in").encode() + b"/" + name, "wb") as file:
            file.write(b"1" * number)
    before = listing(tree, {"path": "in"})
    (tree / "in" / "tab\tline\n").unlink()
    assert changes(before, listing(tree, {"path": "in"}, name="now")) == ["1 removed: in/tab\tline\n"]


def test_changes_are_counted_and_named(tree):
    before = listing(tree, {"path": "in"}, {"path": "in/a"})
    (tree / "in" / "a" / "b.png").write_bytes(b"123")
    (tree / "in" / "ab.png").unlink()
    for number in range(5):
        (tree / "in" / f"new{number}.png").touch()
    assert changes(before, listing(tree, {"path": "in"}, {"path": "in/a"}, name="now")) == [
        "5 added: in/new0.png, in/new1.png, in/new2.png, ...",
        "2 of another size: in/a/b.png, in/a/b.png",
        "1 removed: in/ab.png",
    ]


def test_changed_code_and_small_files_that_the_recipe_names_are_seen_by_content(tree):
    (tree / "ids.txt").write_text("a\n")
    before = listing(tree, named={"splits": {"train_ids": "ids.txt", "by": "hash"}, "folder": "in"})
    assert [name for *_, name in sources(before)] == ['"ids.txt"']
    (tree / "ids.txt").write_text("b\n")
    now = listing(tree, named={"splits": {"train_ids": "ids.txt"}}, name="now")
    assert changes(before, now) == ["1 changed: ids.txt"]
    with gzip.open(now, "rb") as lines:
        text = lines.read().replace(b'"dataset_builder/engine/run.py"', b'"dataset_builder/engine/run_.py"')
    with gzip.open(now, "wb") as lines:
        lines.write(text)
    assert changes(before, now, CODE) == [
        "1 added: dataset_builder/engine/run_.py",
        "1 removed: dataset_builder/engine/run.py",
    ]


def test_all_code_and_tables_that_decide_bytes_are_in_the_hash(tree):
    root = Path(__file__).parents[3]
    files = dict(code_files())
    assert list(files) == sorted(files, key=lambda name: Path(name).parts)
    assert {name for name in files if name.endswith(".py")} == {
        *(path.relative_to(root).as_posix() for path in (root / "dataset_builder").rglob("*.py")),
        "fusionrs_hf/processing_fusionrs_images.py",
    }
    assert {name for name in files if not name.endswith(".py")} == {
        "dataset_builder/captioning/rules/lexicon.yaml",
        "dataset_builder/rights/rights.yaml",
        "model_cards/templates/dataset_card.md",
    }
    with gzip.open(listing(tree), "rt") as lines:
        code = {
            line.split("\t")[3].strip('"\n'): line.split("\t")[2] for line in lines if line.startswith(f"{CODE}\t")
        }
    assert code == {name: hashlib.sha256((root / name).read_bytes()).hexdigest()[:16] for name in files}


def test_memory_grows_with_one_folder_only(tmp_path):
    for folder in range(20):
        (tmp_path / "in" / f"{folder}").mkdir(parents=True)
        for number in range(100):
            (tmp_path / "in" / f"{folder}" / f"{number}.png").touch()
    peaks = []
    for part in ("in/1", "in"):
        tracemalloc.start()
        listing(tmp_path, {"path": part})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000  # 2,000 names of 60 bytes are more


def test_a_build_names_files_that_came_went_or_grew_unfinished_and_finished(tree):
    recipe = BuildRecipe.from_mapping({"name": "x", "sources": [{"kind": "folder", "path": "in"}]}, base=tree)
    out, path = tree / "out", tree / "inputs.txt.gz"
    before = build_identity(recipe, out, listing=path)

    def prepare(work):
        work.mkdir(exist_ok=True)
        (work / path.name).write_bytes(path.read_bytes())
        return ()

    def begin(identity):
        with writing(out, "build") as output:
            start(output, identity, prepare, path, [path.name])

    begin(before)
    (out / path.name).write_bytes(path.read_bytes())
    groups = {"image_groups": 0, "joint_groups": 0, "largest": []}
    report = BuildReport("x", "", {}, "", before, "0", 0, 0, [], {}, {}, groups, {}, {"default": {}}, {})
    write_json(out / "build_report.json", report.as_dict())
    (tree / "in" / "ab.png").write_bytes(b"1")
    now = build_identity(recipe, out, listing=path)
    for check in (lambda: begin(now), lambda: finished_report(out, now, path)):
        with pytest.raises(InputError, match="asked for: inputs changed .1 of another size: in/ab.png.; delete it"):
            check()
