"""Whether all backends of a pool fail alike: then what they share is at fault, and not they."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from enum import Enum

import attrs

#: Failures in a row, all of one kind, that each backend must have for a pool to fail alike. One
#: could be the request's own fault, and two its retry; with three at each of two backends the same
#: was seen six times with no good answer in between.
EACH = 3

#: Seconds for which a failure is evidence. It is the window of the ejections and of the retry
#: budget: what is older cannot be "at about the same time".
FRESH = 10.0


class Symptom(Enum):
    """How an attempt failed, as coarse as it takes to say that two failed in the same way."""

    UNREACHABLE = "cannot be reached"
    BROKEN = "break connections off"
    SILENT = "do not answer in time"
    ILL = "answer 5xx"


@attrs.define
class Run:
    """Failures of one backend in a row.

    Attributes:
        symptom: Of all of them.
        count: How many.
        last: When the last one was, in the clock's seconds.
    """

    symptom: Symptom
    count: int
    last: float


class Alike:
    """What the backends of a pool last failed with, and whether that is the same for all.

    No other balancer that we know has this rule. The HAProxy manual ("retry-on") warns of what it
    prevents: that most failures are the fault of the request or of what stands behind, and that
    retrying spreads them. There are two thresholds:

    - A backend is not ejected while each other one that may be chosen has last failed in the same
      way, within `FRESH` seconds. One failure is enough: if it was a coincidence, the next good
      answer of that backend says so, and the next failure ejects.
    - The pool fails alike while each of its backends, and there are two at least, has failed
      `EACH` times in a row in the same way, the last time within `FRESH` seconds. Then what fails
      that way is not tried elsewhere. Requests still go out, each once, so the first good answer
      of anyone ends it.

    Attributes:
        symptom: How all fail, since they do; `None` else.
        since: From when on, in the clock's seconds.
    """

    __slots__ = ("_last", "_runs", "since", "symptom")

    def __init__(self) -> None:
        self._runs: dict[Hashable, Run] = {}
        self._last = 0.0
        self.symptom: Symptom | None = None
        self.since = 0.0

    def failed(
        self, backend: Hashable, symptom: Symptom, backends: Collection[Hashable], now: float
    ) -> None:
        """An attempt failed.

        Args:
            backend: Where.
            symptom: How.
            backends: All that may be chosen at present.
            now: The present time, in the clock's seconds.
        """
        self._last = now
        run = self._runs.get(backend)
        if run is None or run.symptom is not symptom or now - run.last > FRESH:
            self._runs[backend] = Run(symptom, 1, now)
        else:
            run.count, run.last = run.count + 1, now
        if self.symptom is None and len(self._runs) < len(backends):
            return  # Somebody has not failed at all.
        shared = len(backends) > 1 and all(
            self._fails(each, symptom, EACH, now) for each in backends
        )
        if not shared:
            self.symptom = None
        elif self.symptom is not symptom:
            self.symptom, self.since = symptom, now

    def passed(self, backend: Hashable) -> None:
        """An attempt was answered well, or somebody has come back of whom nothing bad is known."""
        self._runs.pop(backend, None)
        self.symptom = None

    def ails(self, backend: Hashable) -> bool:
        """Whether the last attempt at a backend failed, so that a good one would be news."""
        return backend in self._runs

    def shares(self, backend: Hashable, others: Collection[Hashable], now: float) -> bool:
        """Whether each of the others has last failed as this one did."""
        run = self._runs.get(backend)
        return run is not None and all(self._fails(each, run.symptom, 1, now) for each in others)

    def holds(self, now: float) -> Symptom | None:
        """How all fail at present; `None` too when nobody has asked for `FRESH` seconds."""
        return self.symptom if now - self._last <= FRESH else None

    def _fails(self, backend: Hashable, symptom: Symptom, times: int, now: float) -> bool:
        run = self._runs.get(backend)
        return (
            run is not None
            and run.symptom is symptom
            and run.count >= times
            and now - run.last <= FRESH
        )
