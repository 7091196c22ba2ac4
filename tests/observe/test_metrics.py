"""What is counted of exchanges, and how counts of several processes add up."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.observe.accesslog import Attempt, Record, caller
from lbproxy.observe.metrics import (
    BOUNDS,
    CONNECTS,
    EJECTIONS,
    FAILURES,
    FIRST_BYTES,
    HEDGES,
    REQUESTS,
    SESSIONS,
    Metrics,
)
from lbproxy.observe.session import SessionRecord


def record(*attempts: Attempt, status: int = 200, reason: str = "answered") -> Record:
    """An exchange that began at the second 100."""
    made = Record(100.0, "id", caller("192.0.2.1", "web"))
    made.route, made.pool = "/", "api"
    made.status, made.reason = status, reason
    made.bytes_in, made.bytes_out = 3, 5
    made.attempts.extend(attempts)
    return made


def attempt(backend: str, **known: object) -> Attempt:
    """A try at a backend."""
    made = Attempt(backend, 100.0)
    for name, value in known.items():
        setattr(made, name, value)
    return made


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = Metrics()

    def test_exchange(self) -> None:
        """An exchange is counted with its bytes and its time, by how it ended."""
        answered = attempt("a", outcome="answered", connected=0.002, first_byte=0.01)
        self.metrics.observe(record(answered), 100.5)
        self.metrics.observe(record(answered, status=204), 100.5)
        counts = self.metrics.take()
        numbers = counts.series[REQUESTS, "/", "api", "a", 2, "answered"]
        self.assertEqual(numbers[:4], [2, 6, 10, 1.0])
        self.assertEqual(numbers[4 + BOUNDS.index(0.5)], 2)
        self.assertEqual(sum(numbers[4:]), 2)
        first = counts.series[FIRST_BYTES, "api", "a"]
        self.assertEqual((first[0], first[1 + BOUNDS.index(0.01)]), (0.02, 2))
        self.assertEqual(counts.series[CONNECTS, "api", "a"][1 + BOUNDS.index(0.0025)], 2)
        self.assertEqual(list(counts.family(FAILURES)), [])

    def test_backends_that_left(self) -> None:
        """What is of a backend that is not wanted any more is dropped, and all else is kept."""
        for backend in ("a", "b"):
            broken = attempt(backend, outcome="upstream_closed", decision="retry", hedge=True)
            answered = attempt(backend, outcome="answered", connected=0.002, first_byte=0.01)
            self.metrics.observe(record(broken, answered), 100.5)
        self.metrics.observe(record(status=503), 100.5)
        session = SessionRecord(100.0, "id", caller("192.0.2.1", "raw"))
        session.pool = "api"
        session.attempts.append(attempt("a", outcome="answered"))
        self.metrics.observe_session(session)
        counts = self.metrics.take()
        counts.of((EJECTIONS, "api", "a"))
        counts.of((EJECTIONS, "other", "a"))
        of_a = {key for key in counts.series if "a" in key and "other" not in key}
        self.assertEqual({key[0] for key in of_a}, set(range(7)))
        everything = set(counts.series)
        counts.keep(lambda names: names in (("api", "b"), ("other", "a")))
        self.assertEqual(set(counts.series), everything - of_a)

    def test_hedge(self) -> None:
        """A hedge is counted by what came of it; the exchange is the winner's, whoever that is."""
        won = attempt("b", outcome="answered", hedge=True, first_byte=0.02)
        lost = attempt("b", outcome="outrun", hedge=True)
        first = attempt("a", outcome="answered", first_byte=0.9)
        self.metrics.observe(record(attempt("a", outcome="outrun"), won), 100.5)
        self.metrics.observe(record(first, lost), 101.0)
        counts = self.metrics.take()
        self.assertEqual(
            [(labels, numbers[0]) for labels, numbers in counts.family(HEDGES)],
            [(("api", "b", "answered"), 1), (("api", "b", "outrun"), 1)],
        )
        self.assertEqual([labels[2] for labels, _ in counts.family(REQUESTS)], ["b", "a"])

    def test_slow(self) -> None:
        """What is slower than all bounds has a bucket too."""
        self.metrics.observe(record(), 1000.0)
        numbers = self.metrics.take().series[REQUESTS, "/", "api", None, 2, "answered"]
        self.assertEqual(numbers[-1], 1)

    def test_failed_attempts(self) -> None:
        """Each attempt that broke is counted, with what was done about it."""
        broken = attempt("a", outcome="connect_failed", decision="retry")
        self.metrics.observe(record(broken, attempt("b", outcome="answered")), 100.1)
        self.metrics.observe(record(), 100.1)
        counts = self.metrics.take()
        failures = dict(counts.family(FAILURES))
        self.assertEqual(failures, {("api", "a", "connect_failed", "retry"): [1]})
        self.assertIn((REQUESTS, "/", "api", "b", 2, "answered"), counts.series)

    def test_no_answer(self) -> None:
        """An exchange of which nothing could be said is counted by its reason."""
        self.metrics.observe(record(status=0, reason="client_gone"), 100.1)
        key = (REQUESTS, "/", "api", None, 0, "client_gone")
        self.assertEqual(list(self.metrics.take().series), [key])

    def test_session(self) -> None:
        """A session is counted with its bytes, by why it ended."""
        made = SessionRecord(100.0, "192.0.2.1", "db")
        made.pool, made.bytes_in, made.bytes_out = "api", 3, 5
        broken = attempt("a", outcome="connect_failed", decision="retry")
        made.attempts = [broken, attempt("b", connected=0.002)]
        self.metrics.observe_session(made)
        counts = self.metrics.take()
        self.assertEqual(counts.series[SESSIONS, "db", "api", "b", "ended"], [1, 3, 5])
        self.assertEqual(len(list(counts.family(FAILURES))), 1)
        self.assertEqual(sum(counts.series[CONNECTS, "api", "b"][1:]), 1)

    def test_take(self) -> None:
        """What was taken is not counted again."""
        self.metrics.observe(record(), 100.1)
        self.metrics.take()
        self.assertEqual(self.metrics.take().series, {})

    def test_add(self) -> None:
        """The counts of two processes are those of one that did the work of both."""
        total, other, alone = self.metrics.take(), Metrics(), Metrics()
        for place in range(6):
            broken = attempt("ab"[place % 2], outcome="closed", decision="not_safe")
            made = record(broken, status=502, reason="closed")
            for metrics in (alone, other if place % 3 else self.metrics):
                metrics.observe(made, 100.0 + 2.0**place)
        total.add(self.metrics.take())
        total.add(other.take())
        self.assertEqual(total, alone.take())
