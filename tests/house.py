"""The house measured from its source: who imports whom, what circles there are, how far a file reaches.

    python -m tests.house

Imports are read from the syntax tree, wherever they stand in a file. What is dispatched by name does not count: names
in strings (tables of readers), and what a command line or a face (`__init__`) imports when a verb or a name is asked
for. A file reaches what it imports, what that imports, and so on, within its own package.
"""

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("fusionrs_hf", "model_cards", "dataset_builder", "training")
DISPATCHING = ("cli.py", "verbs.py", "__init__.py")  # of these only what is imported at once counts
Graph = dict[str, set[str]]


def source_files(root: Path = ROOT, packages: Iterable[str] = PACKAGES) -> list[Path]:
    """Returns the Python files of the packages, sorted."""
    return sorted(path for package in packages for path in (root / package).rglob("*.py"))


def module_name(path: Path, root: Path = ROOT) -> str:
    """Returns the dotted name of a file's module; a folder's `__init__.py` has the folder's."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


@cache
def syntax_tree(path: Path) -> ast.Module:
    """Returns the syntax tree of a file; parsed once."""
    return ast.parse(path.read_text())


def imported_names(path: Path, root: Path = ROOT) -> list[tuple[str, str | None]]:
    """Returns (module, name) of every import in a file, relative ones made absolute; name None for `import module`."""
    package = module_name(path, root).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    names: list[tuple[str, str | None]] = []
    tree = syntax_tree(path)
    for node in tree.body if path.name in DISPATCHING else ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names += [(module, alias.name) for alias in node.names]
    return names


def import_graph(root: Path = ROOT, packages: Iterable[str] = PACKAGES) -> Graph:
    """Returns, for each module of the packages, the modules of theirs that it imports."""
    files = {module_name(path, root): path for path in source_files(root, packages)}
    graph: Graph = {}
    for name, path in files.items():
        targets = set()
        for module, item in imported_names(path, root):
            target = f"{module}.{item}" if item and f"{module}.{item}" in files else module
            if target in files and target != name:
                targets.add(target)
        graph[name] = targets
    return graph


def reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Returns the modules that one reaches, itself not counted."""
    seen, pending = set(), [start]
    while pending:
        for target in graph[pending.pop()] - seen:
            seen.add(target)
            pending.append(target)
    return seen - {start}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Returns the groups of nodes that reach each other, each sorted."""
    reach = {node: reached(graph, node) for node in graph}
    groups = {tuple(sorted({node, *(other for other in reach[node] if node in reach[other])})) for node in graph}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def rooms(graph: Mapping[str, set[str]], depth: int) -> Graph:
    """Returns the graph of folders: a module's room is its folder, at most `depth` parts deep; a root file is its own.

    A face (`__init__`) belongs to its folder, that of a package to itself.
    """
    folders = {name.rsplit(".", 1)[0] for name in graph if "." in name}

    def room(name: str) -> str:
        folder = name if name in folders and "." in name else name.rsplit(".", 1)[0]
        return name if "." not in folder else ".".join(folder.split(".")[:depth])

    merged: Graph = {}
    for name, targets in graph.items():
        merged.setdefault(room(name), set()).update(room(target) for target in targets if room(target) != room(name))
    return merged


def mean_reach(graph: Mapping[str, set[str]]) -> float:
    """Returns how many others a module reaches, in the mean; empty faces are not counted."""
    return sum(len(reached(graph, name)) for name in graph) / len(graph)


def main() -> None:
    """Prints the measures that `tests/test_layering.py` holds to."""
    whole = import_graph()
    print("circles of files:", circles(whole) or "none")
    for depth in (2, 3):
        print(f"circles of folders, {depth} deep:", circles(rooms(whole, depth)) or "none")
    for package in PACKAGES:
        graph = import_graph(packages=[package])
        print(f"{package}: {len(graph)} files, each reaches {mean_reach(graph):.2f} others of its package")
    builder = import_graph(packages=["dataset_builder"])
    for name in ("dataset_builder.rights.table", "dataset_builder.publish.clearance", "dataset_builder.schema"):
        print(f"{name} reaches {len(reached(builder, name))} of the builder, {len(reached(whole, name))} in all")


if __name__ == "__main__":
    main()
