"""Whether a card is complete: its numbers are there and are those of the result files, its snippets are Python."""

import ast
import re
from pathlib import Path

from huggingface_hub import ModelCard

from fusionrs_hf.errors import InputError, shown
from training.release.card_text import python_blocks, read_card
from training.release.cards import card_of
from training.trainers.run_log import LOG_NAME

# What stands where a number or a statement should.
MISSING = re.compile(
    r"\b(?:not evaluated yet|TODO|TBD|FIXME|XX+\.?X*)\b|\bnan\b|\{\{.*?\}\}|\[more information needed\]", re.IGNORECASE
)
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def check_card(folder: Path, kind: str) -> None:
    """Refuses a card with a missing number, a snippet that is no Python, or figures that its run did not write.

    Raises:
        InputError: Names the line at fault and what to do.
    """
    text = read_card(folder)
    prose = FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)
    for number, line in enumerate(prose.splitlines(), 1):
        if found := MISSING.search(line):
            remedy = "evaluate (`fusionrs eval`)" if "evaluated" in found[0].lower() else "state it"
            raise InputError(
                f"{folder / 'README.md'} line {number}: {shown(found[0])} stands where a result should; {remedy}, "
                f"then `fusionrs card {folder}`"
            )
    for start, code in python_blocks(text):
        try:
            ast.parse(code)
        except SyntaxError as error:
            line = start + (error.lineno or 1) - 1
            raise InputError(f"{folder / 'README.md'} line {line}: the snippet is no Python ({error.msg})") from error
    if (folder / LOG_NAME).is_file():
        _check_told(folder, kind, text)


def _check_told(folder: Path, kind: str, text: str) -> None:
    """The card tells of its own run and of its last evaluation: as it would be written now."""
    remedy = f"`fusionrs card {folder}` writes it anew"
    if not (folder / "metrics.json").is_file():
        raise InputError(f"{folder} has no metrics.json, and a release tells results; `fusionrs eval {kind}` first")
    fresh = card_of(kind, folder)
    there, due = (_results(card) for card in (ModelCard(text, ignore_metadata_errors=True), fresh))
    if there != due:
        changed = sorted(due.keys() ^ there.keys()) or sorted(name for name in due if due[name] != there[name])
        raise InputError(f"{folder / 'README.md'} line 1: {changed[0]} is not as in metrics.json; {remedy}")
    section = _section(str(fresh), "## Training")
    for line in section.splitlines():
        if line.strip() and line not in text:
            raise InputError(f"{folder / 'README.md'} lacks the line {shown(line.strip()[:80])} on its run; {remedy}")


def _results(card: ModelCard) -> dict[str, object]:
    return {
        f"{result.dataset_name}, {result.metric_name}": result.metric_value for result in card.data.eval_results or ()
    }


def _section(text: str, title: str) -> str:
    found = re.search(rf"^{re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""
