"""Which candidates are slow, by what the others take."""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from lbproxy.balance.balancer import Candidate

#: Seconds in which an answer loses all but 1/e of its say.
DECAY = 10.0

#: So many answers have a say at most: under load a change is seen in a part of a second, and one
#: that was slow is tried again soon.
MOST = 20.0

#: What is heard of a candidate stands beside so many answers that took what is usual. One answer
#: alone says little, and one that is not heard of any more is by and by as usual again.
PRIOR = 3.0

#: Slow is what takes more than so many times what is usual; below it differences are chance.
CLEARLY = 2.0

#: The power of what is beyond that. Where loads are level, one that takes r times as long gets in
#: proportion to r ** -5 of the requests: too few for a 99th percentile to see.
POWER = 4.0

#: What is under way at a slow one counts at most so many times as much: where all are busy, the
#: slowest too takes its hundredth, and what it does is seen.
LIMIT = 100.0

#: A failed attempt counts like an answer that took so many times what is usual, if it was not
#: slower anyway: what fails at once must not look as if it had nothing to do.
PENALTY = 10.0

#: Seconds that an answer takes at least: below it differences are not the candidates', and one
#: that is two milliseconds away in the network is not slow.
FLOOR = 2e-3

#: Seconds after which what is usual is found anew.
PERIOD = 0.5


@attrs.define
class _Heard:
    """The answers of a candidate.

    Attributes:
        at: The time for which that holds, in the clock's seconds.
        mean: The mean of the logarithms of what they took, in seconds.
        count: How many they are, each by the say that it still has.
        failed: Whether the last attempt failed, which says nothing of how fast the others are.
    """

    at: float
    mean: float = 0.0
    count: float = 0.0
    failed: bool = False

    def age(self, now: float) -> None:
        """Let the time pass."""
        if now > self.at:  # A clock may be set back.
            self.count *= exp((self.at - now) / DECAY)
            self.at = now

    def add(self, taken: float, now: float) -> None:
        """Hear an answer; of those before it each has less say where they are many."""
        self.age(now)
        count = self.count + 1.0
        self.count = count = count if count < MOST else MOST
        self.mean += (taken - self.mean) / count

    def beside(self, prior: float) -> float:
        """The mean, beside that of a few others."""
        return (self.mean * self.count + prior * PRIOR) / (self.count + PRIOR)


class Slowness:
    """Tells the slow candidates from the others, by the geometric means of their answers' times.

    One request in twenty that takes a hundred times as long as the others doubles an arithmetic
    mean by chance, and the geometric one hardly changes. Usual is what the fastest quarter of the
    candidates takes: of up to four the fastest, of many not the one with most luck.

    Attributes:
        factors: For each one that is slow, how many times as much as that of the others what is
            under way at it counts; above 1.0.
        due: When `settle` is to be called, in the clock's seconds.
    """

    def __init__(self) -> None:
        self.factors: dict[Candidate, float] = {}
        self.due = float("inf")
        self._heard: dict[Candidate, _Heard] = {}
        self._usual = log(FLOOR)
        self._bound = self._usual + log(CLEARLY)

    def observe(self, candidate: Candidate, seconds: float, failed: bool, now: float) -> None:
        """An attempt has ended; see `Observer.observe`."""
        heard = self._heard.get(candidate)
        if heard is None:
            heard = self._heard[candidate] = _Heard(now)
            self.due = now  # What is usual may not have been known until now.
        taken = log(seconds if seconds > FLOOR else FLOOR)
        if failed:
            taken = max(taken, self._usual + log(PENALTY))
        heard.failed = failed
        heard.add(taken, now)
        if heard.mean > self._bound or candidate in self.factors:
            self._judge(candidate, heard)

    def forget(self, candidate: Candidate) -> None:
        """A candidate has left the pool."""
        self._heard.pop(candidate, None)
        self.factors.pop(candidate, None)

    def settle(self, now: float) -> None:
        """Find what is usual, and who is slow."""
        self.due = now + PERIOD
        for heard in self._heard.values():
            heard.age(now)
        answered = [heard for heard in self._heard.values() if not heard.failed]
        count = sum(heard.count for heard in answered)
        if count > 0.0:
            mean = sum(heard.mean * heard.count for heard in answered) / count
            means = sorted(heard.beside(mean) for heard in answered)
            self._usual = means[(len(means) - 1) // 4]
            self._bound = self._usual + log(CLEARLY)
        for candidate, heard in self._heard.items():
            self._judge(candidate, heard)

    def _judge(self, candidate: Candidate, heard: _Heard) -> None:
        excess = heard.beside(self._usual) - self._bound
        if excess > 0.0:
            self.factors[candidate] = min(LIMIT, exp(POWER * excess))
        else:
            self.factors.pop(candidate, None)
