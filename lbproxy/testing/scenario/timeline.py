"""What happened when, in a number of equal slices of time: for whoever draws it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from lbproxy.testing.scenario.acts import Act
from lbproxy.testing.scenario.result import Result

#: What stands for events, in their order; the last one for all that are left.
MARKS = "123456789abcdefghijklmnopqrstuvwxyz"

#: Seconds that may lie between two times of a scale.
_STEPS = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0),
    *(1800.0, 3600.0, 7200.0, 14400.0, 43200.0),
)


@attrs.frozen
class Row:
    """One row.

    Attributes:
        label: What it is of.
        counts: Requests in each slice.
        states: How the balancer judged the backend in each slice: at its worst.
    """

    label: str
    counts: list[int]
    states: list[str]


@attrs.frozen
class Timeline:
    """All rows.

    Attributes:
        slice: Seconds that each slice lasts.
        slices: How many there are.
        requests: All of them, by the time when they were sent.
        failed: Those that failed.
        backends: Those that each answered.
        acts: What happened, each with its mark and its slice.
    """

    slice: float
    slices: int
    requests: Row
    failed: Row
    backends: list[Row]
    acts: list[tuple[str, int, Act]]

    @property
    def highest(self) -> int:
        """The most requests in a slice."""
        return max([*self.requests.counts, 1])

    def scale(self, apart: int) -> list[float]:
        """Round times from the beginning to the end, so many slices apart at least."""
        step = next((each for each in _STEPS if each >= apart * self.slice), _STEPS[-1])
        return [each * step for each in range(int(self.slices * self.slice / step + 1e-9) + 1)]


def timeline(result: Result, slices: int) -> Timeline:
    """Cut what happened into so many slices."""
    length = result.scenario.duration / slices

    def place(moment: float) -> int:
        return min(max(int(moment / length), 0), slices - 1)

    def row(label: str, moments: Iterable[float], states: list[str] | None = None) -> Row:
        counts = [0] * slices
        for moment in moments:
            counts[place(moment)] += 1
        return Row(label, counts, states or [""] * slices)

    requests = result.requests
    backends = []
    for role in result.cast.roles:
        served = (each.sent for each in requests if each.backend == role.label and not each.failed)
        backends.append(row(role.label, served, _states(result, role.label, slices, place)))
    return Timeline(
        length,
        slices,
        row("requests", (each.sent for each in requests)),
        row("failed", (each.sent for each in requests if each.failed)),
        backends,
        [
            (MARKS[min(number, len(MARKS) - 1)], place(act.at), act)
            for number, act in enumerate(result.acts)
        ],
    )


def _states(result: Result, label: str, slices: int, place: Callable[[float], int]) -> list[str]:
    """A backend's state in each slice; of several in one the one that is not up."""
    states = ["up"] * slices
    turns = [turn for turn in result.turns if turn.backend == label]
    ends = [*(turn.at for turn in turns[1:]), result.scenario.duration]
    for turn, end in zip(turns, ends, strict=True):
        if turn.state not in ("up", "unknown"):
            for each in range(place(turn.at), place(end) + 1):
                states[each] = turn.state
    return states
