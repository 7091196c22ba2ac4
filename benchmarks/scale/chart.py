"""The tables as a chart in SVG: a frame for each situation, a line for each policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.scale.cases import Case, Row
from lbproxy.config.model import BALANCERS

#: One frame, what is left around it, and how many stand side by side.
WIDTH, HEIGHT = 330, 180
LEFT, TOP, RIGHT, BOTTOM = 64, 40, 16, 44
COLUMNS = 2

#: A scale that goes from 1 to more than this has a line for each power of ten only.
CROWDED = 100.0

#: Above the frames, for the names of the policies.
HEAD = 40

#: Latencies beyond this many seconds are drawn at the upper edge: such a queue has no end.
CEILING = 1.0

#: That can be read on white and on black.
GREY = "#808890"

# Each has a shape of its own too, for those who do not see the colours.
_MARKS = {
    "round_robin": ("#1c7ed6", '<rect x="{x}" y="{y}" width="9" height="9" {shift}/>'),
    "least_loaded": ("#2f9e44", '<path d="M{x} {y}m0-6l6 10h-12z"/>'),
    "two_choices": ("#ae3ec9", '<path d="M{x} {y}m0-6l6 6l-6 6l-6-6z"/>'),
    "peak_ewma": ("#e8590c", '<circle cx="{x}" cy="{y}" r="5"/>'),
    "consistent_hash": ("#a07900", '<path d="M{x} {y}m-5-5l10 10m0-10l-10 10" {line}/>'),
}
_SHIFT = 'transform="translate(-4.5 -4.5)"'


def chart(cases: Sequence[tuple[Case, Sequence[Row]]]) -> str:
    """The chart as a text of SVG."""
    lines = math.ceil(len(cases) / COLUMNS)
    width, height = COLUMNS * (LEFT + WIDTH + RIGHT), HEAD + lines * (TOP + HEIGHT + BOTTOM)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{GREY}" role="img">',
        "<title>Balancers at scale, simulated</title>",
    ]
    x = 24.0
    for name in BALANCERS:
        parts += [_mark(name, x, 20), _text(x + 12, 24, name)]
        x += 36 + 8 * len(name)
    parts.append(_text(width - RIGHT, 24, "across: backends", "end"))
    for number, (case, rows) in enumerate(cases):
        line, column = divmod(number, COLUMNS)
        left = column * (LEFT + WIDTH + RIGHT) + LEFT
        parts += _frame(left, HEAD + line * (TOP + HEIGHT + BOTTOM) + TOP, case, rows)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _frame(left: int, top: int, case: Case, rows: Sequence[Row]) -> list[str]:
    found = {
        name: [min(case.value(row.results[name]), _ceiling(case)) for row in rows]
        for name in BALANCERS
    }
    low, high, scale = _scale([value for values in found.values() for value in values])

    def up(value: float) -> float:
        part = (math.log(max(value, low)) - math.log(low)) / (math.log(high) - math.log(low))
        return round(top + HEIGHT * (1.0 - part), 1)

    def across(place: int) -> float:
        return round(left + WIDTH * (place + 0.5) / len(rows), 1)

    parts = [_text(left, top - 14, case.title)]
    for value in scale:
        parts.append(
            f'<path d="M{left} {up(value)}h{WIDTH}" stroke="{GREY}" stroke-dasharray="2 4"/>'
        )
        parts.append(_text(left - 8, up(value) + 4, case.shown(value), "end"))
    for place, row in enumerate(rows):
        parts.append(_text(across(place), top + HEIGHT + 20, f"{row.backends:,}", "middle"))
    for name, values in found.items():
        points = [(across(place), up(value)) for place, value in enumerate(values)]
        drawn = " ".join(f"{x},{y}" for x, y in points)
        colour = _MARKS[name][0]
        parts.append(
            f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        parts += [_mark(name, x, y) for x, y in points]
    return parts


def _ceiling(case: Case) -> float:
    return CEILING if case.title.startswith("p99") else math.inf


def _scale(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """The ends of a logarithmic scale, and its lines: powers of ten, or 2 and 5 times these too."""
    least, most = max(min(values), 1e-4), max(values)
    digits = (1, 2, 5) if most < CROWDED * least else (1,)
    marks = [
        digit * 10.0**power
        for power in range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 1)
        for digit in digits
    ]
    low = max(mark for mark in marks if mark <= least)
    high = min(mark for mark in marks if mark >= most and mark > low)
    return low, high, [mark for mark in marks if low <= mark <= high]


def _mark(name: str, x: float, y: float) -> str:
    colour, shape = _MARKS[name]
    drawn = shape.format(x=x, y=y, shift=_SHIFT, line=f'stroke="{colour}" stroke-width="2.5"')
    return f'<g fill="{colour}">{drawn}</g>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
