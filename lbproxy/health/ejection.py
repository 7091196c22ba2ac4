"""Putting a backend out for a while, for what live traffic showed."""

from __future__ import annotations

from collections import deque

import attrs

#: Failures in a row that eject.
IN_ROW = 5

#: Or this share of failures, among at least so many outcomes, within so many seconds.
SHARE, AT_LEAST, WINDOW = 0.5, 10, 10.0

#: Outcomes that are remembered at most: enough to judge a share, however busy the backend is.
REMEMBERED = 1000

#: Seconds of the first ejection; the n-th one lasts n times as long, up to the most.
FIRST, MOST = 10.0, 300.0


@attrs.define
class Ejection:
    """The failures of one backend, and until when it is out.

    Attributes:
        until: When it is let back, in the clock's seconds; 0.0 if it is not out.
        troubled: Whether a success would change anything.
        refused: Whether its port accepted no connection when it was put out, or since.
    """

    until: float = attrs.field(default=0.0, init=False)
    troubled: bool = attrs.field(default=False, init=False)
    refused: bool = attrs.field(default=False, init=False)
    _streak: int = attrs.field(default=0, init=False)
    _times: int = attrs.field(default=0, init=False)
    _outcomes: deque[tuple[float, bool]] = attrs.field(
        factory=lambda: deque(maxlen=REMEMBERED), init=False
    )
    _failures: int = attrs.field(default=0, init=False)

    def observe(self, passed: bool, now: float) -> bool:
        """Take the outcome of one attempt; true if the backend should be ejected.

        Outcomes are remembered only from the first failure on: the path of a healthy backend
        costs two comparisons.
        """
        if passed:
            self._streak = 0
            if not self.troubled:
                return False
        else:
            self._streak += 1
        self._remember(passed, now)
        self.troubled = self._failures > 0
        if self._streak >= IN_ROW:
            return True
        seen = len(self._outcomes)
        return not passed and seen >= AT_LEAST and self._failures >= SHARE * seen

    def eject(self, now: float) -> float:
        """Put the backend out; the seconds for which."""
        if now - self.until > MOST:  # It has been well for long: what was is forgotten.
            self._times = 0
        self._times += 1
        seconds = min(FIRST * self._times, MOST)
        self.told(now + seconds)
        return seconds

    def told(self, until: float) -> None:
        """The backend is out until then, and what it has done so far is settled."""
        self.until = until
        self._streak = self._failures = 0
        self.troubled = False
        self._outcomes.clear()

    def _remember(self, passed: bool, now: float) -> None:
        outcomes = self._outcomes
        if len(outcomes) == REMEMBERED:
            self._failures -= not outcomes[0][1]
        outcomes.append((now, passed))
        self._failures += not passed
        while outcomes[0][0] < now - WINDOW:
            self._failures -= not outcomes.popleft()[1]
