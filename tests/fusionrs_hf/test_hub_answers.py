"""Wherever a Hub is asked, by whatever library, it is asked within bounds."""

import ast

import pytest

from tests.house import ROOT, source_files, syntax_tree

ASKING = {"hf_hub_download", "snapshot_download", "load_dataset", "get_dataset_split_names", "xopen", "whoami"}
ASKING |= {"dataset_info", "model_info", "repo_info", "HfFileSystem"}
BOUNDED = {"asking_hub", "loading", "patiently"}
OFFLINE = "training/release/contents.py"  # runs where there is no network, on a folder that is here


def name_of(node):
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)


def unbounded(tree):
    """Yields calls of what asks a Hub that are in no block, and no argument, of what bounds its answers."""

    def visit(node, bounded):
        if isinstance(node, ast.With):
            calls = [item.context_expr for item in node.items]
            bounded |= any(isinstance(call, ast.Call) and name_of(call.func) in BOUNDED for call in calls)
        if isinstance(node, ast.Call):
            if name_of(node.func) in ASKING and not bounded:
                yield node
            bounded |= name_of(node.func) in BOUNDED
        for child in ast.iter_child_nodes(node):
            yield from visit(child, bounded)

    return list(visit(tree, False))


@pytest.mark.parametrize("text", ["snapshot_download('a/b')", "api = HfApi().whoami()", "with open('a'): xopen('b')"])
def test_a_place_that_forgets_the_bounds_is_found(text):
    assert len(unbounded(ast.parse(text))) == 1
    assert not unbounded(ast.parse(f"with asking_hub():\n  {text}"))


def test_no_place_forgets_the_bounds():
    forgotten = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in source_files()
        for call in unbounded(syntax_tree(path))
        if path.relative_to(ROOT).as_posix() != OFFLINE
    ]
    assert forgotten == []
