"""Whether the requests of a pool are let through, by how those before them ended."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import attrs

from lbproxy.health.ejection import MOST
from lbproxy.health.window import WINDOW, Window

#: Good answers in a row that close a breaker.
GOOD = 5


class State(Enum):
    """What a breaker does with who comes."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


#: By how much they keep from the backends.
_ORDER = [state.value for state in State]

#: Those in which requests are refused, in words for people.
REFUSE = frozenset((State.HALF_OPEN.value, State.OPEN.value))


class Breaker:
    """Refuses all requests of a pool for a while when too many of those before them failed.

    It opens when of the requests of the last ten seconds, if they are enough, so great a share
    failed. When its time is over it is half-open: it lets one request through at a time, and one
    more for each that was answered well. `GOOD` of these in a row close it. The first failure opens
    it again: for the n-th time it is open n times as long, up to `MOST` seconds.

    Attributes:
        state: Closed at first.
        until: When its time is over, in the clock's seconds, while it is open.
        period: A number that each change of state makes another one.
        on_turn: Called with another state, and in words what that is and why.
    """

    def __init__(self, share: float, requests: int, seconds: float) -> None:
        """Begin closed.

        Args:
            share: Of the requests that must have failed, above 0.0 and up to 1.0.
            requests: How many must have ended, so that a share means something.
            seconds: For which it is open the first time.
        """
        self._share = share
        self._enough = requests
        self._seconds = seconds
        self._window = Window()
        self._times = 0
        self._trials = self._good = 0
        self.state = State.CLOSED
        self.until = 0.0
        self.period = 0
        self.on_turn: Callable[[State, str], None] | None = None

    def admit(self, now: float) -> Admission | None:
        """Let a request through, or not; whoever is let through is to say how that ended."""
        if self.state is State.OPEN:
            if now < self.until:
                return None
            self._turn(State.HALF_OPEN, "is half-open: one request at a time is let through")
        if self.state is State.HALF_OPEN:
            if self._trials > self._good:
                return None
            self._trials += 1
        return Admission(self, self.period)

    def answered(self, now: float) -> None:
        """A request was answered well."""
        if self.state is State.CLOSED:
            self._window.request(now)
            return
        self._trials -= 1
        self._good += 1
        if self._good == GOOD:
            self._window = Window()
            self._turn(State.CLOSED, f"closes: {GOOD} requests in a row were answered")

    def failed(self, now: float, *, counted: bool = False) -> None:
        """A request failed.

        Args:
            now: The present time, in the clock's seconds.
            counted: Whether it counts already, since its answer began well.
        """
        if self.state is State.HALF_OPEN:
            self._open("one of the few requests that are let through failed", now)
            return
        if not counted:
            self._window.request(now)
        self._window.mark(now)
        requests, failed = self._window.totals(now)
        if requests >= self._enough and failed >= self._share * requests:
            self._open(f"{failed} of {requests} requests failed within {WINDOW} s", now)

    def left(self) -> None:
        """A request ended in a way that says nothing of the backends."""
        if self.state is State.HALF_OPEN:
            self._trials -= 1

    def _open(self, why: str, now: float) -> None:
        if now - self.until > MOST:  # It has been closed for long: what was is forgotten.
            self._times = 0
        self._times += 1
        seconds = min(self._seconds * self._times, MOST)
        self.until = now + seconds
        self._turn(State.OPEN, f"opens for {seconds:g} s: {why}")

    def _turn(self, state: State, why: str) -> None:
        self.state = state
        self.period += 1
        self._trials = self._good = 0
        if self.on_turn is not None:
            self.on_turn(state, why)


@attrs.define
class Admission:
    """A request that was let through: it counts once, and only if nothing has turned since.

    Attributes:
        breaker: Who has let it through.
        period: In which of its periods.
    """

    breaker: Breaker
    period: int
    _well: float | None = attrs.field(default=None, init=False)
    _over: bool = attrs.field(default=False, init=False)

    @property
    def holds(self) -> bool:
        """Whether it would still be let through."""
        return self.period == self.breaker.period

    def answered(self, now: float) -> None:
        """The head of a good answer has come."""
        if self.holds and not self._over:
            self._over, self._well = True, now
            self.breaker.answered(now)

    def failed(self, now: float) -> None:
        """It failed; also when its answer broke off soon after it had begun."""
        well, self._well = self._well, None
        if not self.holds:
            return
        if not self._over:
            self._over = True
            self.breaker.failed(now)
        elif well is not None and int(now) - int(well) < WINDOW:
            self.breaker.failed(now, counted=True)

    def left(self) -> None:
        """It is over; if nothing has been said of how it ended, that says nothing."""
        if self.holds and not self._over:
            self._over = True
            self.breaker.left()


def worst(states: set[str]) -> str:
    """Of the states of several breakers that which keeps most from the backends; empty if none."""
    return max(states, key=_ORDER.index, default="")
