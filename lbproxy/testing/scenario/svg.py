"""The timeline as a picture in SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

from lbproxy.testing.scenario.result import Result
from lbproxy.testing.scenario.timeline import Row, Timeline, timeline

#: Slices of time, how wide each is, and how many lie between two times below the rows at least.
SLICES, STEP, APART = 160, 5, 16

#: What is left beside the rows, how high each is, and the space below it.
LEFT, RIGHT, HEIGHT, GAP = 150, 70, 44, 12

#: Above the rows, for what was played, and for the marks of the events.
HEAD, EVENTS = 44, 26

#: How high a line of text is, and how many stand side by side.
LINE, COLUMNS = 18, 3

#: That can be read on white and on black.
GREY, RED, GREEN = "#808890", "#e03131", "#2f9e44"

_COLOURS = ("#1c7ed6", "#e8590c", "#ae3ec9", "#a07900", "#0c8599", "#c2255c")
_STATES = {"down": (RED, "down by its probes"), "ejected": ("#f08c00", "put out for its failures")}


def picture(result: Result) -> str:
    """The picture as a text of SVG."""
    times = timeline(result, SLICES)
    rows = [(times.requests, GREY)]
    rows += [(row, _COLOURS[place % len(_COLOURS)]) for place, row in enumerate(times.backends)]
    width = LEFT + SLICES * STEP + RIGHT
    top = HEAD + EVENTS
    bottom = top + len(rows) * (HEIGHT + GAP)
    said = [*_said_of_events(times), *_said_of_colours(times)]
    height = bottom + 40 + LINE * -(-len(said) // COLUMNS)
    verdict = ("as expected", GREEN) if result.ok else ("not as expected", RED)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{GREY}" role="img">',
        f"<title>{escape(result.scenario_file)}</title>",
        _text(LEFT, 22, _headline(result)),
        _text(width - RIGHT, 22, verdict[0], "end", verdict[1]),
    ]
    for place, (row, colour) in enumerate(rows):
        y = top + place * (HEIGHT + GAP)
        parts += _row(row, y, times, colour)
    if any(times.failed.counts):
        parts.append(_bars(times.failed, top, times.highest, RED))
    parts += _events(times, top, bottom)
    parts += _scale(times, bottom)
    for place, (line, colour) in enumerate(said):
        below, column = divmod(place, COLUMNS)
        x = LEFT + column * SLICES * STEP // COLUMNS
        parts.append(_text(x, bottom + 46 + LINE * below, line, "start", colour))
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


def _events(times: Timeline, top: int, bottom: int) -> Iterator[str]:
    for mark, place, act in times.acts:
        x = _x(place)
        yield (
            f'<path stroke="{GREY}" stroke-dasharray="2 3" d="M{x} {top - 8}V{bottom - GAP}">'
            f"<title>{escape(act.text)}</title></path>"
        )
        yield _text(x, top - 12, mark, "middle")


def _scale(times: Timeline, y: int) -> Iterator[str]:
    for moment in times.scale(APART):
        yield _text(_x(moment / times.slice), y + 8, f"{moment:g} s", "middle")


def _said_of_events(times: Timeline) -> Iterator[tuple[str, str]]:
    """What the marks mean."""
    for mark, _, act in times.acts:
        yield f"{mark}: {act.text} at {act.at:g} s", ""


def _said_of_colours(times: Timeline) -> Iterator[tuple[str, str]]:
    """What the colours behind the rows mean, and that of failures, each in its own."""
    if any(times.failed.counts):
        yield "bars in red: failed", RED
    for state, (colour, said) in _STATES.items():
        if any(state in row.states for row in times.backends):
            yield f"ground in this colour: {said}", colour


def _text(x: float, y: float, said: str, anchor: str = "start", colour: str = "") -> str:
    fill = f' fill="{colour}"' if colour else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{fill}>{escape(said)}</text>'
