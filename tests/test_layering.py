"""Who may import whom, read from the source: leaves stay leaves, remote code imports only what every user has."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"fusionrs_hf", "model_cards", "dataset_builder", "training", "tests"}
MAY_USE = {
    "fusionrs_hf": {"fusionrs_hf"},
    "model_cards": {"model_cards"},
    "dataset_builder": {"dataset_builder", "fusionrs_hf", "model_cards"},
    "training": {"training", "dataset_builder", "fusionrs_hf", "model_cards"},
}
REMOTE = {"torch", "numpy", "PIL", "transformers", "huggingface_hub"}
FILES = sorted(path for package in MAY_USE for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> list[tuple[str, str]]:
    """(module, top-level name) of every import in a file, wherever it stands; relative ones as `.module`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.append((module, "" if node.level else module.split(".")[0]))
    return found


def is_remote(path: Path) -> bool:
    return path.parent.name == "fusionrs_hf" and path.name.startswith(("configuration_", "modeling_", "processing_"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_packages_import_only_what_is_below_them(path):
    package = path.relative_to(ROOT).parts[0]
    used = {top for _, top in imports(path) if top in OURS}
    assert used <= MAY_USE[package], f"{path.name} imports {used - MAY_USE[package]}"


@pytest.mark.parametrize("path", [path for path in FILES if path.name in ("cli.py", "verbs.py")], ids=str)
def test_verbs_import_nothing_before_they_run(path):
    light = {"fusionrs_hf", "fusionrs_hf.errors"} | set(sys.stdlib_module_names)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= light, f"{path} line {node.lineno}"
        elif isinstance(node, ast.ImportFrom):
            assert {node.module, node.module.split(".")[0]} & light, f"{path} line {node.lineno}"
            assert node.module.split(".")[0] != "fusionrs_hf" or node.module in light, f"{path} line {node.lineno}"


@pytest.mark.parametrize("path", [path for path in FILES if is_remote(path)], ids=lambda path: path.name)
def test_remote_code_imports_only_what_every_user_has(path):
    for module, top in imports(path):
        if module.startswith("."):
            sibling = path.parent / f"{module[1:]}.py"
            assert sibling.is_file() and is_remote(sibling), f"{path.name}: {module} is no sibling that travels along"
        else:
            assert top in REMOTE | set(sys.stdlib_module_names), f"{path.name} imports {module}"


def test_schema_and_builder_travel_alone():
    allowed = {"schema": {"datasets"}, "fusionrs": {"datasets", "pyarrow", ""}}
    for name, tops in allowed.items():
        for module, top in imports(ROOT / "dataset_builder" / f"{name}.py"):
            assert top in tops | set(sys.stdlib_module_names), f"{name}.py imports {module}"
            assert top or module == ".schema", f"{name}.py imports {module}"


def test_the_room_of_claims_travels_whole():
    room = ROOT / "dataset_builder" / "claims"
    names = {path.stem for path in room.glob("*.py")}
    for name in names - {"__init__"}:
        for module, top in imports(room / f"{name}.py"):
            if module.startswith("."):
                assert module[1:] in names, f"{name}.py imports {module}"
            else:
                measuring = {"scipy", "PIL"} if name == "grounding" else set()
                assert top in {"numpy"} | measuring | set(sys.stdlib_module_names), f"{name}.py imports {module}"


def test_file_names_are_unique_across_what_is_copied_flat():
    names = [path.name for path in FILES if is_remote(path)]
    assert len(names) == len(set(names)) >= 3
