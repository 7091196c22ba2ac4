"""A chart of the ratios as SVG: a line for each workload, a mark for each peer."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from benchmarks.macro.results import Run
from benchmarks.macro.workloads import Workload

WIDTH = 860
LINE = 26
TOP = 74
BOTTOM = 34

#: Where the scale begins and ends; left of it are the workloads, right of it lbproxy's ratio.
LEFT, RIGHT = 300, 760

#: That can be read on white and on black.
GREY = "#808890"

# Each has a shape of its own too, for those who do not see the colours.
_MARKS = {
    "lbproxy": ("#e8590c", '<circle cx="{x}" cy="{y}" r="7"/>'),
    "haproxy": ("#1c7ed6", '<rect x="{x}" y="{y}" width="11" height="11" {shift}/>'),
    "nginx": ("#2f9e44", '<path d="M{x} {y}m0-7l7 12h-14z"/>'),
    "caddy": ("#ae3ec9", '<path d="M{x} {y}m0-7l7 7l-7 7l-7-7z"/>'),
    "node": ("#a07900", '<path d="M{x} {y}m-6-6l12 12m0-12l-12 12" stroke-width="3" {line}/>'),
}
_SHIFT = 'transform="translate(-5.5 -5.5)"'


def chart(run: Run, workloads: Sequence[Workload]) -> str:
    """The chart as a text of SVG; peers that have no mark are left out."""
    ratios = [
        (workload, {peer: _middle(run, workload, peer) for peer in _MARKS if peer in run.versions})
        for workload in workloads
    ]
    shown = [(workload, {p: r for p, r in found.items() if r}) for workload, found in ratios]
    shown = [(workload, found) for workload, found in shown if found]
    values = [ratio for _, found in shown for ratio in found.values()] or [1.0]
    low = math.floor(min(0.0, *map(math.log2, values)))
    high = math.ceil(max(1.0, *map(math.log2, values)))

    def across(ratio: float) -> float:
        share = (math.log2(ratio) - low) / (high - low)
        return round(LEFT + share * (RIGHT - LEFT), 1)

    height = TOP + LINE * len(shown) + BOTTOM
    end = TOP + LINE * len(shown)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{GREY}" role="img">',
        "<title>What a request costs the proxy, in proportion to the reference</title>",
        _text(
            16, 22, "CPU per request (idle clients: memory), times HAProxy; for files, times nginx"
        ),
        *_legend(peer for peer in _MARKS if peer in run.versions),
        _text(WIDTH - 16, TOP - 10, "lbproxy", "end"),
    ]
    for power in range(low, high + 1):
        x = across(2.0**power)
        weight = ' stroke-width="2"' if power == 0 else ' stroke-dasharray="2 4"'
        parts.append(f'<path d="M{x} {TOP}V{end}" stroke="{GREY}"{weight}/>')
        parts.append(_text(x, end + 20, f"{2.0**power:g}", "middle"))
    for number, (workload, found) in enumerate(shown):
        y = TOP + LINE * number + LINE // 2
        parts.append(_text(LEFT - 16, y + 4, workload.title, "end"))
        # The reference is on its line anyway, and lbproxy above all others.
        for peer in sorted(found, key=functools.partial(_layer, workload)):
            parts.append(_mark(peer, across(found[peer]), y))
        if "lbproxy" in found:
            parts.append(_text(WIDTH - 16, y + 4, f"{found['lbproxy']:.2f}", "end"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _middle(run: Run, workload: Workload, peer: str) -> float:
    ratio = run.ratio(workload, peer)
    return 0.0 if ratio is None else max(ratio.middle, 0.0)


def _layer(workload: Workload, peer: str) -> int:
    if peer == workload.reference:
        return 0
    return 2 if peer == "lbproxy" else 1


def _legend(peers: Iterable[str]) -> list[str]:
    parts, x = [], 24
    for peer in peers:
        parts += [_mark(peer, x, 46), _text(x + 14, 50, peer)]
        x += 100
    return parts


def _mark(peer: str, x: float, y: float) -> str:
    colour, shape = _MARKS[peer]
    drawn = shape.format(x=x, y=y, shift=_SHIFT, line=f'stroke="{colour}"')
    return f'<g fill="{colour}">{drawn}</g>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
