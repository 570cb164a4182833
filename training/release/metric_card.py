"""The card of a metric, from what its module says of itself."""

import ast
import shutil
from pathlib import Path

from fusionrs_hf.errors import InputError
from model_cards.environment import template_environment
from model_cards.render import PAPER, TAGS

NAMES = ("_DESCRIPTION", "_INPUTS", "_CITATION")


def write_metric_folder(folder: Path, out: Path) -> Path:
    """Copies a metric's modules beside a card.

    Args:
        folder: Of the metric, with a module of the same name.
        out: New folder of that name.

    Raises:
        InputError: There is no such module, or it lacks `_DESCRIPTION`, `_INPUTS` or `_CITATION`.
    """
    main = folder / f"{folder.name}.py"
    if not main.is_file():
        raise InputError(f"{main} is missing, expected a folder with an `evaluate` module of its own name")
    out.mkdir(parents=True)
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            shutil.copyfile(path, out / path.name)
    texts = _texts(main)
    environment = template_environment(keep_trailing_newline=True)
    card = environment.get_template("metric_card.md").render(
        name=folder.name,
        title=folder.name.replace("_", " "),
        paper=PAPER,
        tags=[*TAGS, "evaluate", "metric"],
        description=" ".join(texts["_DESCRIPTION"].split()),
        inputs=texts["_INPUTS"].strip(),
        citation=texts["_CITATION"].strip(),
    )
    (out / "README.md").write_text(card, encoding="utf-8")
    return out


def _texts(main: Path) -> dict[str, str]:
    """Reads texts that a module assigns, without running it."""
    found = {}
    for node in ast.parse(main.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    if absent := [name for name in NAMES if name not in found]:
        raise InputError(f"{main} has no {absent[0]}, which its card is written from; add it")
    return found
