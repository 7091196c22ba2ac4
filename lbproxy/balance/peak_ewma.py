"""Peak EWMA: the one whose latency and queue promise the shortest wait."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from math import exp
from typing import TYPE_CHECKING

import attrs

from lbproxy.balance.lots import Lots

if TYPE_CHECKING:
    from lbproxy.balance.balancer import C, Candidate

#: A failed attempt counts like an answer that took this many times the pool's median, if it was
#: not slower anyway: what fails at once must not look fast.
PENALTY = 10.0

#: The least latency, in seconds: below it differences are noise, and products would vanish.
FLOOR = 1e-4

#: The median is found anew so many times within the time in which a latency is forgotten.
MEDIANS = 20


@attrs.define
class _Latency:
    """What a candidate's answers take.

    Attributes:
        seconds: The estimate.
        at: When it was made, in the clock's seconds.
        failed: Whether it is that of a failure, which says nothing of how fast the pool is.
    """

    seconds: float
    at: float
    failed: bool


class PeakEwma:
    """Peak-sensitive moving average of latency, and the attempts in flight.

    Of two candidates, drawn in proportion to their shares, the one with the lower cost is chosen,
    nearly as in Finagle (com.twitter.finagle.loadbalancer.p2c, Peak EWMA)::

        cost = latency ** 2 * (1 + in_flight * mean share / share)

    There it is the latency itself. Where costs are level, one that takes r times as long then gets
    in proportion to r ** -2 of the requests, which with 10 times a 99th percentile just sees.

    A latency above the estimate becomes the estimate at once; one below it counts by the time that
    has passed, `1 - exp(-elapsed / decay)`. An estimate that no answer confirms tends to the
    pool's median in the same time, and a candidate of which nothing is known starts there: it is
    neither flooded nor forgotten, and one that was slow is tried again.

    In HTTP a latency is that of an answer's head, from when the request was whole; in TCP mode it
    is that of the connection. Two that are equally fast get requests by their weights; else the
    faster one gets more.
    """

    def __init__(self, decay: float, chance: random.Random) -> None:
        """Build.

        Args:
            decay: Seconds in which a latency loses all but 1/e of its say.
            chance: The lots are drawn from it.
        """
        self._decay = decay
        self._lots = Lots(chance)
        self._known: dict[Candidate, _Latency] = {}
        self._median = FLOOR
        self._median_until = float("-inf")

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one."""
        if len(candidates) == 1:
            return candidates[0]
        if now >= self._median_until:
            self._find_median(now)
        places = self._lots.two(candidates)
        first, second = candidates[places[0]], candidates[places[1]]
        return second if self._cost(second, now) < self._cost(first, now) else first

    def observe(self, candidate: Candidate, seconds: float, failed: bool, now: float) -> None:
        """An attempt has ended; see `Observer.observe`."""
        seconds = max(seconds, FLOOR)
        if failed:
            seconds = max(seconds, PENALTY * self._median)
        known = self._known.get(candidate)
        if known is None:
            self._known[candidate] = _Latency(seconds, now, failed)
            self._median_until = now  # There may have been no median until now.
            return
        if seconds < known.seconds:
            kept = exp(min(known.at - now, 0.0) / self._decay)  # A clock may be set back.
            seconds += (known.seconds - seconds) * kept
        known.seconds, known.at, known.failed = seconds, now, failed

    def forget(self, candidate: Candidate) -> None:
        """A candidate has left the pool."""
        self._known.pop(candidate, None)

    def latency(self, candidate: Candidate, now: float) -> float:
        """What its next answer is expected to take, in seconds."""
        known = self._known.get(candidate)
        if known is None:
            return self._median
        kept = exp(min(known.at - now, 0.0) / self._decay)
        return self._median + (known.seconds - self._median) * kept

    def _cost(self, candidate: Candidate, now: float) -> float:
        queue = candidate.in_flight * self._lots.mean / candidate.share
        latency = self.latency(candidate, now)
        return latency * latency * (1.0 + queue)

    def _find_median(self, now: float) -> None:
        self._median_until = now + self._decay / MEDIANS
        answered = [known.seconds for known in self._known.values() if not known.failed]
        if answered:
            # Of two the lower one: towards their mean a slow one would never be tried again.
            self._median = statistics.median_low(answered)
