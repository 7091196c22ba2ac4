"""What the balancer has seen of its backends, as values."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import attrs

from lbproxy.balance.standing import State
from lbproxy.health import breaker


@attrs.frozen
class Turn:
    """A change of a backend's state, as the balancer judged it.

    Attributes:
        at: When.
        backend: Its name.
        state: The new one.
        until: When it is to be let back, if it is ejected.
    """

    at: float
    backend: str
    state: State
    until: float


@attrs.frozen
class Probed:
    """The end of a probe, as the balancer judged it.

    Attributes:
        at: When.
        backend: Its name.
        passed: Whether it is well.
        up: The verdict then.
        reached: Whether its port accepted.
    """

    at: float
    backend: str
    passed: bool
    up: bool
    reached: bool


@attrs.frozen
class Begun:
    """The begin of an attempt.

    Attributes:
        at: When.
        backend: Its name.
        in_flight: What the worker has under way there, this one included.
    """

    at: float
    backend: str
    in_flight: int


@attrs.frozen
class BreakerTurn:
    """A change of the state of a breaker, in one worker.

    Attributes:
        at: When.
        state: The new one.
        until: When its time is over, if it is open.
    """

    at: float
    state: breaker.State
    until: float


class History:
    """The states of all backends, as the balancer judged them."""

    def __init__(self, names: Iterable[str], turns: Iterable[Turn]) -> None:
        """Begin: of nobody anything is known.

        Args:
            names: Whose states are asked for.
            turns: In order; those of others may be among them.
        """
        self._times: dict[str, list[float]] = {name: [0.0] for name in names}
        self._states: dict[str, list[State]] = {name: [State.UNKNOWN] for name in self._times}
        for turn in turns:
            if turn.backend in self._times:
                self._times[turn.backend].append(turn.at)
                self._states[turn.backend].append(turn.state)

    def within(self, name: str, begin: float, end: float) -> set[State]:
        """All the states that a backend had within a time."""
        times = self._times[name]
        first, behind = bisect_right(times, begin) - 1, bisect_right(times, end)
        return set(self._states[name][first:behind])
