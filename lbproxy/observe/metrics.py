"""What is counted of the exchanges, in a form that adds up over several processes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from lbproxy.observe.accesslog import OUTRUN, Attempt, Record
from lbproxy.observe.session import SessionRecord

#: Upper bounds of a histogram's buckets, in seconds; behind them is one for all that is slower.
BOUNDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

#: What the numbers of each series are. A histogram is a sum, and then its buckets.
REQUESTS, FIRST_BYTES, CONNECTS, FAILURES, EJECTIONS, SESSIONS, HEDGES, BREAKERS = range(8)

_HISTOGRAM = 1 + len(BOUNDS) + 1

#: How many there were, and their bytes in and out: all of a `SESSIONS` series, and what stands
#: before the histogram of a `REQUESTS` series.
TALLIES = 3

_SIZES = {
    REQUESTS: TALLIES + _HISTOGRAM,
    FIRST_BYTES: _HISTOGRAM,
    CONNECTS: _HISTOGRAM,
    FAILURES: 1,
    EJECTIONS: 1,
    HEDGES: 1,
    BREAKERS: 1,
    SESSIONS: TALLIES,
}

#: Where in a key the pool is, with the backend behind it.
_POOL = dict.fromkeys(_SIZES, 1) | {REQUESTS: 2, SESSIONS: 2}

_SLOTS = TALLIES + 1

#: Exchanges that wait to be counted at most; why in batches, `accesslog.BATCH` says.
BATCH = 128

#: A family and its labels.
Key = tuple[int | str | None, ...]


@attrs.define
class Counts:
    """Numbers by what they are of; only ever added to, while their backend is there.

    The families and their labels are
    `REQUESTS`: path of the route, pool, last backend, first digit of the status, reason;
    `FIRST_BYTES` and `CONNECTS`: pool, backend;
    `FAILURES`: pool, backend, outcome, decision;
    `EJECTIONS`: pool, backend;
    `HEDGES`: pool, backend, outcome;
    `BREAKERS`: pool, `None`;
    `SESSIONS`: listener, pool, last backend, reason.

    Attributes:
        series: The numbers of each.
    """

    series: dict[Key, list[float]] = attrs.Factory(dict)

    def of(self, key: Key) -> list[float]:
        """The numbers of a series, which begins with zeros."""
        numbers = self.series.get(key)
        if numbers is None:
            family = key[0]
            assert isinstance(family, int)
            numbers = self.series[key] = [0] * _SIZES[family]
        return numbers

    def add(self, other: Counts) -> None:
        """Add what was counted elsewhere."""
        for key, numbers in other.series.items():
            mine = self.of(key)
            for place, number in enumerate(numbers):
                mine[place] += number

    def keep(self, wanted: Callable[[tuple[Any, Any]], bool]) -> None:
        """Drop what is of backends that are not wanted any more.

        Args:
            wanted: Whether a backend is, by the names of its pool and its own.
        """
        for key in list(self.series):
            family = key[0]
            assert isinstance(family, int)
            place = _POOL[family]
            pool, backend = key[place : place + 2]
            if backend is not None and not wanted((pool, backend)):
                del self.series[key]

    def family(self, family: int) -> Iterator[tuple[Key, list[float]]]:
        """The series of a family: their labels and their numbers."""
        for key, numbers in self.series.items():
            if key[0] == family:
                yield key[1:], numbers


class Metrics:
    """Counts the exchanges of one process."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._ended: list[tuple[Record, float]] = []

    def observe(self, record: Record, ended: float) -> None:
        """Take an exchange that has ended; it is counted with others, at the latest by `take`.

        Args:
            record: What is known of it, which changes no more.
            ended: When it ended, in the clock's seconds.
        """
        self._ended.append((record, ended))
        if len(self._ended) >= BATCH:
            self._count()

    def observe_session(self, record: SessionRecord) -> None:
        """Take a session of TCP mode that has ended."""
        attempts = record.attempts
        backend = attempts[-1].backend if attempts else None
        numbers = self._counts.of((SESSIONS, record.listener, record.pool, backend, record.reason))
        numbers[0] += 1
        numbers[1] += record.bytes_in
        numbers[2] += record.bytes_out
        for attempt in attempts:
            self._count_attempt(record.pool, attempt)

    def opened(self, pool: str) -> None:
        """Take that a pool's breaker has opened."""
        self._counts.of((BREAKERS, pool, None))[0] += 1

    def take(self) -> Counts:
        """What has been counted since the last call."""
        self._count()
        counts, self._counts = self._counts, Counts()
        return counts

    def _count(self) -> None:
        records, self._ended = self._ended, []
        series = self._counts.series
        for record, ended in records:
            attempts = record.attempts
            pool = record.pool
            backend = _last(attempts).backend if attempts else None
            status = record.status // 100
            key: Key = (REQUESTS, record.route, pool, backend, status, record.reason)
            numbers = series.get(key) or self._counts.of(key)
            seconds = ended - record.started
            numbers[0] += 1
            numbers[1] += record.bytes_in
            numbers[2] += record.bytes_out
            numbers[3] += seconds
            numbers[_SLOTS + bisect_left(BOUNDS, seconds)] += 1
            for attempt in attempts:
                first = attempt.first_byte
                if first is not None:
                    key = (FIRST_BYTES, pool, attempt.backend)
                    numbers = series.get(key) or self._counts.of(key)
                    numbers[0] += first
                    numbers[1 + bisect_left(BOUNDS, first)] += 1
                if attempt.connected or attempt.decision or attempt.hedge:
                    self._count_attempt(pool, attempt)

    def _count_attempt(self, pool: str | None, attempt: Attempt) -> None:
        """What few attempts have: a connection of their own, a decision that followed, a rival."""
        seconds = attempt.connected
        if seconds:
            numbers = self._counts.of((CONNECTS, pool, attempt.backend))
            numbers[0] += seconds
            numbers[1 + bisect_left(BOUNDS, seconds)] += 1
        if attempt.hedge:
            self._counts.of((HEDGES, pool, attempt.backend, attempt.outcome))[0] += 1
        if attempt.decision and attempt.outcome != "answered":
            told = (FAILURES, pool, attempt.backend, attempt.outcome, attempt.decision)
            self._counts.of(told)[0] += 1


def _last(attempts: list[Attempt]) -> Attempt:
    """The one that ended its exchange: not a hedge that lost."""
    last = attempts[-1]
    return attempts[-2] if last.outcome == OUTRUN and len(attempts) > 1 else last
