"""Markdown of the result pages."""

from collections.abc import Sequence


def table(header: Sequence[str], left: int, rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose first `left` columns are set left, the others right."""
    lines = [header, ["---" if column < left else "---:" for column in range(len(header))], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
