"""Asking a second backend when the first one takes longer than most answers do.

The rule is that of Dean and Barroso, "The Tail at Scale" (2013): a second request after the 95th
percentile costs some percent of load and takes away most of the tail. A budget keeps it at that
when everything becomes slow, for then a percentile of the past says nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from lbproxy.config import model
from lbproxy.forward.budget import RetryBudget
from lbproxy.forward.percentile import Percentile


class Hedged(Protocol):
    """An exchange that may be hedged."""

    @property
    def unanswered(self) -> bool:
        """Whether its first attempt still runs, alone."""

    def hedge(self, now: float) -> None:
        """It is late: a second attempt may begin."""


class Hedging:
    """When the requests of a pool are hedged.

    All wait for about as long, so they stand in a line, and one delayed call looks at its head.

    Attributes:
        budget: How many hedges there may be.
    """

    def __init__(self, clock: IReactorTime, config: model.Hedge) -> None:
        """Begin.

        Args:
            clock: Provides the time.
            config: After which time, and how many.
        """
        self._clock = clock
        self._after = config.after
        percent = int(config.after[1:]) if isinstance(config.after, str) else 95
        self._first_bytes = Percentile(percent)
        self._line: deque[tuple[float, Hedged]] = deque()
        self._look: IDelayedCall | None = None
        self.budget = RetryBudget(config.budget, floor=0)

    @property
    def after(self) -> float | None:
        """Seconds after which an answer is late; `None` while nothing is known of that."""
        return self._first_bytes.value if isinstance(self._after, str) else self._after

    def watch(self, exchange: Hedged, now: float) -> None:
        """An exchange that may be hedged has begun its first attempt."""
        after = self.after
        if after is None:
            return
        self._line.append((now + after, exchange))
        if self._look is None:
            self._look = self._clock.callLater(after, self._look_at_the_first)

    def took(self, seconds: float) -> None:
        """An attempt of what may be hedged had its first byte after so long, or then was outrun."""
        self._first_bytes.measure(seconds)

    def close(self) -> None:
        """Hedge nothing any more."""
        self._line.clear()
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_at_the_first(self) -> None:
        self._look = None
        now, line = self._clock.seconds(), self._line
        while line:
            due, exchange = line[0]
            if not exchange.unanswered:
                line.popleft()
            elif due <= now:
                line.popleft()
                exchange.hedge(now)
            else:
                self._look = self._clock.callLater(due - now, self._look_at_the_first)
                return
