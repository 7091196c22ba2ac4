"""The timeline as a picture in SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

from lbproxy.testing.scenario.result import Result
from lbproxy.testing.scenario.timeline import Row, Timeline, timeline

#: Slices of time, and how wide each is.
SLICES, STEP = 160, 5

#: What is left beside the rows, how high each is, and the space below it.
LEFT, RIGHT, HEIGHT, GAP = 110, 70, 44, 12

#: Above the rows, for what was played, and for the marks of the events.
HEAD, EVENTS = 44, 26

#: That can be read on white and on black.
GREY, RED, GREEN = "#808890", "#e03131", "#2f9e44"

_COLOURS = ("#1c7ed6", "#e8590c", "#ae3ec9", "#a07900", "#0c8599", "#c2255c")
_STATES = {"down": (RED, "down by its probes"), "ejected": ("#f08c00", "ejected")}

#: Seconds that may lie between two times below the rows.
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200)


def picture(result: Result) -> str:
    """The picture as a text of SVG."""
    times = timeline(result, SLICES)
    rows = [(times.requests, GREY)]
    rows += [(row, _COLOURS[place % len(_COLOURS)]) for place, row in enumerate(times.backends)]
    width = LEFT + SLICES * STEP + RIGHT
    top = HEAD + EVENTS
    bottom = top + len(rows) * (HEIGHT + GAP)
    lines = -(-len(times.acts) // 3)
    height = bottom + 30 + 18 * lines + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{GREY}" role="img">',
        f"<title>{escape(result.scenario_file)}</title>",
        _text(LEFT, 22, _headline(result)),
        _text(
            width - RIGHT,
            22,
            *(("as expected", "end", GREEN) if result.ok else ("not as expected", "end", RED)),
        ),
    ]
    for place, (row, colour) in enumerate(rows):
        y = top + place * (HEIGHT + GAP)
        parts += _row(row, y, times, colour)
    parts += _row_of_failures(times, top)
    parts += _events(times, top, bottom)
    parts += _scale(times, bottom)
    parts += _legend(times, bottom + 50)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _headline(result: Result) -> str:
    return (
        f"{result.scenario_file}: {len(result.requests)} requests, {result.failed} failed, "
        f"{result.retries} retries, {result.doubled} doubled"
    )


def _x(place: float) -> float:
    return round(LEFT + place * STEP, 1)


def _bars(row: Row, y: int, highest: int, colour: str) -> str:
    """The bars of a row as one path, from its floor."""
    floor = y + HEIGHT
    drawn = [
        f"M{_x(place)} {floor}v-{HEIGHT * count / highest:.1f}h{STEP}V{floor}z"
        for place, count in enumerate(row.counts)
        if count
    ]
    return f'<path fill="{colour}" d="{"".join(drawn)}"/>'


def _row(row: Row, y: int, times: Timeline, colour: str) -> Iterator[str]:
    place = 0
    for state, slices in groupby(row.states):
        count = len(list(slices))
        if state in _STATES:
            shade, said = _STATES[state]
            yield (
                f'<rect x="{_x(place)}" y="{y}" width="{count * STEP}" height="{HEIGHT}" '
                f'fill="{shade}" opacity="0.18"><title>{said}</title></rect>'
            )
        place += count
    yield f'<path stroke="{GREY}" opacity="0.5" d="M{LEFT} {y + HEIGHT}h{SLICES * STEP}"/>'
    yield _bars(row, y, times.highest, colour)
    yield _text(LEFT - 10, y + HEIGHT - 6, row.label, "end")
    most = max(row.counts) / times.slice
    yield _text(LEFT + SLICES * STEP + 6, y + 12, f"{most:.0f}/s")


def _row_of_failures(times: Timeline, y: int) -> Iterator[str]:
    """Those that failed, before all requests."""
    if any(times.failed.counts):
        yield _bars(times.failed, y, times.highest, RED)


def _events(times: Timeline, top: int, bottom: int) -> Iterator[str]:
    for mark, place, act in times.acts:
        x = _x(place)
        yield (
            f'<path stroke="{GREY}" stroke-dasharray="2 3" d="M{x} {top - 8}V{bottom - GAP}">'
            f"<title>{escape(act.text)}</title></path>"
        )
        yield _text(x, top - 12, mark, "middle")


def _scale(times: Timeline, y: int) -> Iterator[str]:
    step = next((each for each in _STEPS if each >= 16 * times.slice), _STEPS[-1])
    number = 0
    while number * step <= times.slice * SLICES + 1e-9:
        yield _text(_x(number * step / times.slice), y + 8, f"{number * step:g} s", "middle")
        number += 1


def _legend(times: Timeline, y: int) -> Iterator[str]:
    """What the marks mean, in three columns."""
    for place, (mark, _, act) in enumerate(times.acts):
        line, column = divmod(place, 3)
        x = LEFT + column * SLICES * STEP // 3
        yield _text(x, y + 18 * line, f"{mark}: {act.text} at {act.at:g} s")


def _text(x: float, y: float, said: str, anchor: str = "start", colour: str = "") -> str:
    fill = f' fill="{colour}"' if colour else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{fill}>{escape(said)}</text>'
