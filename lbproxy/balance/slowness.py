"""Which candidates are slow, measured by what the others take."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from lbproxy.balance.balancer import Candidate

#: Seconds in which an answer loses all but 1/e of its say.
DECAY = 10.0

#: No more answers than this have a say, so that under load a change is seen in a part of a second.
MOST = 50.0

#: What is known of a candidate counts beside so many answers that took what is usual: one answer
#: alone says little, and one that is not heard of any more is by and by as usual again.
PRIOR = 3.0

#: Slow is what takes more than so many times what is usual; below it differences are noise.
CLEARLY = 2.0

#: The power of what is beyond that. Where loads are level, one that takes r times as long gets in
#: proportion to 1 / r**4 of the requests: with 10 times, too few to be seen in a 99th percentile.
POWER = 3.0

#: A failed attempt counts like an answer that took so many times what is usual, if it was not
#: slower anyway: what fails at once must not look as if it had nothing to do.
PENALTY = 10.0

#: What is usual is at least so many seconds: below it differences are not the candidates'.
FLOOR = 1e-3

#: What is usual is found anew every so many seconds.
PERIOD = 0.5


@attrs.define
class _Heard:
    """The answers of a candidate.

    Attributes:
        seconds: What they took, each by its say.
        count: How many there are, each by its say.
        at: The time for which that holds, in the clock's seconds.
        failed: Whether the last one was a failure.
    """

    seconds: float = 0.0
    count: float = 0.0
    at: float = 0.0
    failed: bool = False

    def age(self, now: float) -> None:
        """Let the time pass."""
        kept = exp((self.at - now) / DECAY)
        self.seconds *= kept
        self.count *= kept
        self.at = now


class Slowness:
    """Tells the slow candidates from the others, by the mean times of their answers' heads.

    Usual is what the fastest quarter of the candidates takes; of up to four that is the fastest.

    Attributes:
        factors: For each one that is slow, by how much more its attempts under way count than
            those of the others; above 1.0.
        due: When `settle` is to be called, in the clock's seconds.
    """

    def __init__(self) -> None:
        self.factors: dict[Candidate, float] = {}
        self.due = float("inf")
        self._heard: dict[Candidate, _Heard] = {}
        self._usual = FLOOR

    def observe(self, candidate: Candidate, seconds: float, failed: bool, now: float) -> None:
        """An attempt has ended; see `Observer.observe`."""
        heard = self._heard.get(candidate)
        if heard is None:
            heard = self._heard[candidate] = _Heard(at=now)
            self.due = now  # What is usual may not have been known until now.
        if failed:
            seconds = max(seconds, PENALTY * self._usual)
        heard.failed = failed
        heard.age(now)
        if heard.count > MOST - 1.0:
            heard.seconds *= (MOST - 1.0) / heard.count
            heard.count = MOST - 1.0
        heard.seconds += seconds
        heard.count += 1.0
        if candidate in self.factors or heard.seconds > CLEARLY * self._usual * heard.count:
            self._judge(candidate, heard)

    def settle(self, now: float) -> None:
        """Find what is usual, and who is slow."""
        self.due = now + PERIOD
        answered = sorted(
            heard.seconds / heard.count for heard in self._heard.values() if not heard.failed
        )
        if answered:
            self._usual = max(FLOOR, answered[(len(answered) - 1) // 4])
        for candidate, heard in self._heard.items():
            heard.age(now)
            self._judge(candidate, heard)

    def _judge(self, candidate: Candidate, heard: _Heard) -> None:
        usual = self._usual
        mean = (heard.seconds + PRIOR * usual) / (heard.count + PRIOR)
        if mean > CLEARLY * usual:
            self.factors[candidate] = (mean / (CLEARLY * usual)) ** POWER
        else:
            self.factors.pop(candidate, None)
