"""Who may import whom, read from the source: leaves stay leaves, what travels imports only what every user has."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.house import (
    ROOT,
    circles,
    import_graph,
    imported_names,
    mean_reach,
    module_name,
    reached,
    rooms,
    source_files,
    syntax_tree,
)

MAY_USE = {
    "fusionrs_hf": {"fusionrs_hf"},
    "model_cards": {"model_cards"},
    "dataset_builder": {"dataset_builder", "fusionrs_hf", "model_cards"},
    "training": {"training", "dataset_builder", "fusionrs_hf", "model_cards"},
}
OURS = {*MAY_USE, "tests"}
SPACE = "model_cards/space/"  # an application: it uses the installed package as its user does
STANDARD = set(sys.stdlib_module_names)
REMOTE = {"torch", "numpy", "PIL", "transformers", "huggingface_hub"}
FACES = {  # packages whose `__init__` shows names of their files
    "dataset_builder",
    "dataset_builder.claims",
    "dataset_builder.filters",
    "fusionrs_hf",
}
MEASURING = {
    "grounding",
    "pair_edges",
    "pair_images",
    "pair_lines",
    "pair_parts",
    "pair_ridges",
    "pair_standing",
    "place_verdicts",
    "thing_lines",
    "thing_masks",
    "thing_places",
    "thing_verdicts",
}
FILES = source_files()
GRAPH = import_graph()


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_remote(path: Path) -> bool:
    """Whether the file is copied beside checkpoints or pipelines, flat, with its siblings."""
    prefixes = ("configuration_", "modeling_", "processing_", "pipeline_")
    return path.parent.name == "fusionrs_hf" and path.name.startswith(prefixes)


def needs_diffusers(path: Path) -> bool:
    return path.name.startswith("pipeline_") or path.name == "modeling_fusionrs_translator.py"


def imports_of(path: Path, top_only: bool = False) -> list[tuple[str, str]]:
    """(module as written, top-level name) of every import in a file; relative ones as `.module` with top name ""."""
    tree = syntax_tree(path)
    modules = []
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [(alias.name, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            modules.append((module, "" if node.level else module.split(".")[0]))
    return modules


@pytest.mark.parametrize("path", FILES, ids=names)
def test_packages_import_only_what_is_below_them(path):
    allowed = set(MAY_USE) if names(path).startswith(SPACE) else MAY_USE[path.relative_to(ROOT).parts[0]]
    used = {top for _, top in imports_of(path) if top in OURS}
    assert used <= allowed, f"{names(path)} imports {used - allowed}"


@pytest.mark.parametrize("path", [path for path in FILES if is_remote(path)], ids=names)
def test_remote_code_imports_only_what_every_user_has(path):
    allowed = REMOTE | STANDARD | ({"diffusers"} if needs_diffusers(path) else set())
    for module, top in imports_of(path):
        if top:
            assert top in allowed, f"{names(path)} imports {module}"
            continue
        sibling = path.parent / f"{module[1:]}.py"
        assert sibling.is_file() and is_remote(sibling), f"{names(path)}: {module} is no sibling that travels along"
        assert not needs_diffusers(sibling) or needs_diffusers(path), f"{names(path)} brings diffusers"


@pytest.mark.parametrize("path", [path for path in FILES if is_remote(path)], ids=names)
def test_remote_code_holds_no_text_that_is_taken_for_an_import(path):
    """transformers finds imports by a regular expression over the text, docstrings and comments included."""
    text = path.read_text()
    written = set(re.findall(r"^\s*from \.(\w+) import", text, re.MULTILINE))
    assert written == {module[1:] for module, top in imports_of(path) if not top}
    assert not re.search(r"^\s*from \. import", text, re.MULTILINE), "siblings are imported by name"


def test_file_names_are_unique_across_what_is_copied_flat():
    remote = [path.name for path in FILES if is_remote(path)]
    assert len(remote) == len(set(remote)) >= 3


def test_schema_and_builder_travel_alone():
    schema, builder = ROOT / "dataset_builder" / "schema.py", ROOT / "dataset_builder" / "fusionrs.py"
    for module, top in imports_of(schema, top_only=True):
        assert top in STANDARD, f"schema.py imports {module} before it is asked for features"
    assert {top for _, top in imports_of(schema)} <= {"datasets", *STANDARD}
    for module, top in imports_of(builder):
        assert top in {"datasets", "pyarrow", *STANDARD} or module == ".schema", f"fusionrs.py imports {module}"


def test_the_room_of_claims_travels_whole():
    room = ROOT / "dataset_builder" / "claims"
    siblings = {path.stem for path in room.glob("*.py")}
    for path in sorted(room.glob("*.py")):
        measuring = {"scipy", "PIL"} if path.stem in MEASURING else set()
        for module, top in imports_of(path):
            if top:
                assert top in {"numpy"} | measuring | STANDARD, f"{names(path)} imports {module}"
            else:
                assert module[1:] in siblings, f"{names(path)} imports {module}"


@pytest.mark.parametrize("folder", sorted((ROOT / "training" / "metrics").glob("*/")), ids=lambda path: path.name)
def test_a_metric_imports_each_of_its_modules_itself(folder):
    """`evaluate` copies the modules that the main file imports directly, from its own folder, and no others."""
    if folder.name == "__pycache__":
        pytest.skip("byte code")
    main = folder / f"{folder.name}.py"
    direct = {module[1:] for module, top in imports_of(main) if not top}
    others = {path.stem for path in folder.glob("*.py")} - {"__init__", folder.name}
    assert direct == others
    for path in folder.glob("*.py"):
        for module, top in imports_of(path):
            assert top not in OURS, f"{names(path)} imports {module}"


def is_light(module: str, top: str) -> bool:
    """Tells whether a module comes with Python, or is one of the ground floor that imports nothing else at once."""
    if top in STANDARD:
        return True
    path = ROOT / (module.replace(".", "/") + ".py")
    path = path if path.exists() else path.with_suffix("") / "__init__.py"
    return top == "fusionrs_hf" and path.exists() and all(is_light(*item) for item in imports_of(path, top_only=True))


@pytest.mark.parametrize("path", [path for path in FILES if path.name in ("cli.py", "verbs.py")], ids=names)
def test_parsers_import_nothing_heavy(path):
    for module, top in imports_of(path, top_only=True):
        assert is_light(module, top), f"{names(path)} imports {module} before a verb is chosen"


def test_no_circle_among_files_or_rooms():
    assert circles(GRAPH) == []
    for depth in (2, 3, 4):  # parts of a folder's name: rooms, then the rooms in them
        assert circles(rooms(GRAPH, depth)) == [], f"folders {depth} deep"


@cache
def defined_names(module: str) -> set[str]:
    """Names that a module defines itself: functions, classes and constants."""
    path = ROOT / (module.replace(".", "/") + ".py")
    tree = syntax_tree(path if path.exists() else ROOT / module.replace(".", "/") / "__init__.py")
    names_here: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names_here.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names_here.add(node.id)
    return names_here


@pytest.mark.parametrize("path", FILES, ids=names)
def test_names_are_imported_from_their_owner(path):
    for module, name in imported_names(path):
        if name is None or module not in GRAPH or f"{module}.{name}" in GRAPH or module in FACES:
            continue
        dynamic = "__getattr__" in defined_names(module)
        assert dynamic or name in defined_names(module), f"{names(path)} takes {name} from {module}, which has it lent"


def test_a_file_reaches_few_others():
    builder = import_graph(packages=["dataset_builder"])
    assert mean_reach(builder) <= 7.5
    assert len(reached(builder, "dataset_builder.rights.table")) <= 1
    assert len(reached(builder, "dataset_builder.publish.clearance")) <= 6
    assert module_name(ROOT / "dataset_builder" / "schema.py") in GRAPH
