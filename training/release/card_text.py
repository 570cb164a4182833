"""A card's snippets: named after the repository and pinned to the release's tag, and run before anything goes up."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PINS = r'(?:,\s*(?:code_)?revision="[^"\n]*")*'
LOADER = r"(?P<call>(?:\.from_pretrained|\bload_dataset|\bevaluate\.load|\bload_pipeline)\(\s*(?:\w+,\s*)?)"
LOAD = re.compile(LOADER + rf'"(?P<name>[^"\n]+)"(?P<view>(?:,\s*"[^"\n]*")?)(?P<pins>{PINS})(?P<rest>[^()\n]*)')
OWN_LOADERS = {  # calls that load the release itself; others, such as a model card's `load_dataset`, stay
    "dataset": ("load_dataset",),
    "metric": ("evaluate.load",),
}
MODEL_LOADERS = ("from_pretrained", "load_pipeline")


def python_blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yields (line of the first statement, code) of a card's Python snippets."""
    for block in BLOCK.finditer(text):
        yield text.count("\n", 0, block.start()) + 2, block[1]


def pinned(text: str, kind: str, repo_id: str, tag: str, bases: dict[str, str] | None = None) -> str:
    """Returns a card whose snippets load the repository at a tag, code included, whatever folder they named before.

    Args:
        text: Of the card.
        kind: Of `KINDS`.
        repo_id, tag: Of the release.
        bases: Commit by repository of what it builds upon: pinned, too, and not renamed.
    """
    loaders = OWN_LOADERS.get(kind, MODEL_LOADERS)

    def replace(found: re.Match[str]) -> str:
        if not any(loader in found["call"] for loader in loaders):
            return found[0]
        name, revision = repo_id, tag
        if found["name"] in (bases or {}):
            name, revision = found["name"], bases[found["name"]]
        pins = f', revision="{revision}"'
        if kind in ("clip", "vlm") and "trust_remote_code=True" in found["rest"]:
            pins += f', code_revision="{revision}"'
        return f'{found["call"]}"{name}"{found["view"]}{pins}{found["rest"]}'

    return _in_blocks(text, lambda code: LOAD.sub(replace, code))


def local(code: str, names: dict[str, str]) -> str:
    """Returns a snippet that loads folders in the place of repositories, unpinned; names it does not know stay."""

    def replace(found: re.Match[str]) -> str:
        if found["name"] not in names:
            return found[0]
        return f'{found["call"]}"{names[found["name"]]}"{found["view"]}{found["rest"]}'

    return LOAD.sub(replace, code)


def loaded_names(text: str) -> set[str]:
    """Returns the names of repositories and folders that a card's snippets load."""
    return {found["name"] for _, code in python_blocks(text) for found in LOAD.finditer(code)}


def _in_blocks(text: str, change: Callable[[str], str]) -> str:
    return BLOCK.sub(lambda block: f"```python\n{change(block[1])}```", text)


def line_of(text: str, part: str) -> int:
    """Returns the line that a part of a text begins at, from 1; 1 where it is not there."""
    place = text.find(part)
    return text.count("\n", 0, max(place, 0)) + 1


def read_card(folder: Path) -> str:
    """Returns the text of a folder's card."""
    return (folder / "README.md").read_text(encoding="utf-8")
