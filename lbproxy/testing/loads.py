"""Who is slow, by all that a policy has heard: worked out anew, in one step for each answer."""

from __future__ import annotations

from math import exp, inf, log

import attrs

from lbproxy.balance.backend import Backend


@attrs.define
class _Answers:
    """Those of a backend: their mean, on what scale ever, and how many have a say."""

    at: float
    mean: float = 0.0
    count: float = 0.0
    failed: bool = False

    def with_others(self, mean: float) -> float:
        """The mean, with three more answers beside them."""
        return (self.mean * self.count + 3.0 * mean) / (self.count + 3.0)


class Slow:
    """Who takes more than twice what is usual (`docs/decisions/0019`).

    Attributes:
        times: How many times as much what is under way there counts, if it is more.
    """

    def __init__(self) -> None:
        self.times: dict[Backend, float] = {}
        self._answers: dict[Backend, _Answers] = {}
        self._usual = log(0.002)
        self._due = inf

    def hear(self, backend: Backend, seconds: float, failed: bool, now: float) -> None:
        """An attempt has ended; of twenty answers the oldest one goes, and each fades in 10 s."""
        if backend not in self._answers:
            self._answers[backend] = _Answers(now)
            self._due = now
        answers, taken = self._answers[backend], log(max(seconds, 0.002))
        if failed:
            taken = max(taken, self._usual + log(10.0))
        answers.count = min(20.0, answers.count * exp((answers.at - now) / 10.0) + 1.0)
        answers.mean += (taken - answers.mean) / answers.count
        answers.at, answers.failed = now, failed
        self._judge(backend)

    def forget(self, backend: Backend) -> None:
        """A backend has left."""
        self._answers.pop(backend, None)
        self.times.pop(backend, None)

    def settle(self, now: float) -> None:
        """Find what is usual, if that was done half a second ago: the fastest quarter knows."""
        if now < self._due:
            return
        self._due = now + 0.5
        for answers in self._answers.values():
            answers.count *= exp((answers.at - now) / 10.0)
            answers.at = now
        well = [answers for answers in self._answers.values() if not answers.failed]
        count = sum(answers.count for answers in well)
        if count:
            mean = sum(answers.mean * answers.count for answers in well) / count
            means = sorted(answers.with_others(mean) for answers in well)
            self._usual = means[(len(means) - 1) // 4]
        for backend in self._answers:
            self._judge(backend)

    def _judge(self, backend: Backend) -> None:
        beyond = self._answers[backend].with_others(self._usual) - self._usual - log(2.0)
        self.times[backend] = min(100.0, exp(4.0 * beyond)) if beyond > 0.0 else 1.0


class Latencies:
    """What the next answer of each is expected to take."""

    def __init__(self, decay: float) -> None:
        """Begin.

        Args:
            decay: Seconds in which a latency fades.
        """
        self._decay = decay
        self._answers: dict[Backend, _Answers] = {}
        self._median = 1e-4
        self._due = -inf

    def hear(self, backend: Backend, seconds: float, failed: bool, now: float) -> None:
        """An attempt has ended: what is more counts at once, what is less by and by."""
        seconds = max(seconds, 1e-4, 10.0 * self._median if failed else 0.0)
        known = self._answers.get(backend)
        if known is None:
            self._due = now
        elif seconds < known.mean:
            seconds += (known.mean - seconds) * exp((known.at - now) / self._decay)
        self._answers[backend] = _Answers(now, seconds, failed=failed)

    def forget(self, backend: Backend) -> None:
        """A backend has left."""
        self._answers.pop(backend, None)

    def settle(self, now: float) -> None:
        """Find the median of all that are well, if that was done a while ago."""
        if now < self._due:
            return
        self._due = now + self._decay / 20
        well = sorted(answers.mean for answers in self._answers.values() if not answers.failed)
        if well:
            self._median = well[(len(well) - 1) // 2]

    def of(self, backend: Backend, now: float) -> float:
        """A backend's, which tends to the median."""
        known, median = self._answers.get(backend), self._median
        if known is None:
            return median
        return median + (known.mean - median) * exp((known.at - now) / self._decay)
