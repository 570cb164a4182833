"""Line charts as inline SVG: no script, no library, colours from the page's own style sheet."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 230  # user units; the page scales them
LEFT, RIGHT, TOP, BOTTOM = 40, 14, 12, 36  # margins around the plotting area


@dataclass(frozen=True, slots=True)
class Curve:
    """One chart of lines over training steps.

    Args:
        title: What is drawn.
        series: Points `(step, value)` by name of the line; at most six lines are told apart.
        y_label: Name and unit of the vertical axis.
        percent: Whether values are shares in [0, 1] to be shown as percent.
    """

    title: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    y_label: str
    percent: bool = False


def line_chart(curve: Curve) -> Markup:
    """Returns the chart as an SVG element that a screen reader can read: title and last values of each line.

    Args:
        curve: What to draw; lines without a finite point are named in the legend only.
    """
    scale = 100 if curve.percent else 1
    lines = {
        name: [(step, scale * value) for step, value in points if math.isfinite(value)]
        for name, points in curve.series.items()
    }
    points = [point for line in lines.values() for point in line]
    if not points:
        return Markup("<p>%s: nothing was logged.</p>") % curve.title
    steps, values = zip(*points)
    x_ticks, y_ticks = ticks(min(0, *steps), max(steps)), ticks(min(0, *values), max(values))
    x = _axis(x_ticks, LEFT, WIDTH - RIGHT)
    y = _axis(y_ticks, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in y_ticks
    ]
    parts += [
        f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>' for tick in x_ticks
    ]
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">step</text>')
    for index, line in enumerate(lines.values()):
        path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in line)
        parts.append(f'<polyline class="line line-{index % 6}" points="{path}"/>')
        parts += [
            f'<circle class="dot line-{index % 6}" cx="{x(step):.1f}" cy="{y(value):.1f}" r="2.5"/>'
            for step, value in (line if len(line) <= 12 else line[-1:])
        ]
    unit = " %" if curve.percent else ""
    ends = "; ".join(f"{name} {line[-1][1]:.4g}{unit} at step {line[-1][0]:g}" for name, line in lines.items() if line)
    return Markup(
        f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{escape(curve.title)}. {escape(ends)}">'
        f"{''.join(parts)}</svg>"
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Returns about `count` round numbers that cover `[low, high]`, increasing."""
    span = (high - low) or abs(high) or 1.0
    magnitude = 10.0 ** math.floor(math.log10(span / count))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude * count >= span * 0.999)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _axis(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = values[0], values[-1]
    return lambda value: start + (value - low) / (high - low) * (end - start)
