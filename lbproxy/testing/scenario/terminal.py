"""The timeline in a terminal: a row for the requests, and one for each backend."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import attrs

from lbproxy.testing.scenario.result import Result
from lbproxy.testing.scenario.timeline import Row, Timeline, timeline

#: The fewest columns of a row, whatever the terminal's width, and the most.
LEAST, MOST = 20, 240

#: Columns from one time below the rows to the next, at least.
_APART = 12

#: A space at which no line is broken.
_HARD = "\N{NO-BREAK SPACE}"


@attrs.frozen
class Ink:
    """What rows are drawn with.

    Attributes:
        bars: From nearly none to the most.
        down: A backend that its probes find down.
        ejected: One that live traffic speaks against.
        tick: Where a time stands.
    """

    bars: str
    down: str
    ejected: str
    tick: str


#: For terminals that know Unicode, and for all others.
BLOCKS = Ink("▁▂▃▄▅▆▇█", "×", "~", "╵")
LETTERS = Ink(".:-=+*#@", "x", "~", "'")


def drawn(result: Result, width: int, ink: Ink) -> Iterator[str]:
    """Draw the timeline.

    Args:
        result: What happened.
        width: Columns of the terminal.
        ink: What to draw with.

    Yields:
        Lines, none longer than the terminal is wide unless that is very narrow.
    """
    labels = ["requests", *(role.label for role in result.cast.roles)]
    margin = max(map(len, labels)) + 2
    slices = min(max(width - margin, LEAST), MOST)
    times = timeline(result, slices)
    if times.acts:
        yield f"{'events':<{margin}}{_marks(times)}"
    yield _row(times.requests, margin, times.highest, ink)
    if result.failed:
        yield _row(times.failed, margin, times.highest, ink)
    for row in times.backends:
        yield _row(row, margin, times.highest, ink)
    yield from _scale(times, margin, ink)
    seen = {state for row in times.backends for state in row.states}
    legend = [f"{ink.bars[-1]} is {times.highest / times.slice:.0f} requests/s"]
    if "down" in seen:
        legend.append(f"{ink.down} down by its probes")
    if "ejected" in seen:
        legend.append(f"{ink.ejected} put out for what live traffic showed")
    yield from textwrap.wrap(
        ", ".join(legend), width, initial_indent=" " * margin, subsequent_indent=" " * margin
    )
    said = "   ".join(
        f"{mark}: {act.text} at {act.at:g} s".replace(" ", _HARD) for mark, _, act in times.acts
    )
    for line in textwrap.wrap(said, max(width, 40) - 2, break_long_words=False):
        yield "  " + line.replace(_HARD, " ")


def _marks(times: Timeline) -> str:
    """The marks of the events, each at its time or a little behind its neighbour."""
    line: list[str] = []
    for mark, place, _ in times.acts:
        line += " " * (place - len(line))
        if len(line) < times.slices:
            line.append(mark)
    return "".join(line)


def _row(row: Row, margin: int, highest: int, ink: Ink) -> str:
    cells = []
    for count, state in zip(row.counts, row.states, strict=True):
        if count:
            cells.append(ink.bars[count * len(ink.bars) // (highest + 1)])
        else:
            cells.append({"down": ink.down, "ejected": ink.ejected}.get(state, " "))
    return f"{row.label:<{margin}}{''.join(cells)}".rstrip()


def _scale(times: Timeline, margin: int, ink: Ink) -> Iterator[str]:
    """Times below the rows, and where each of them is."""
    ticks = said = ""
    for moment in times.scale(_APART):
        place, text = round(moment / times.slice), f"{moment:g} s"
        if place < times.slices:
            ticks = ticks.ljust(place) + ink.tick
        if place + len(text) <= times.slices:
            said = said.ljust(place) + text
    yield " " * margin + ticks
    yield " " * margin + said
