"""A name that is looked up again and again."""

from __future__ import annotations

import random

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import DNS
from lbproxy.discovery.answer import Answer, Place, Question
from lbproxy.discovery.watch import JITTER, RETRY, Watch
from lbproxy.errors import Unresolved
from tests.discovery.names import Names, addresses

API = Question("api.test")


class Middle(random.Random):
    """Chance that is always in the middle, or as far from it as the test says."""

    off = 0.0

    def uniform(self, a: float, b: float) -> float:
        """In the middle, and so much of the half beside it."""
        return (a + b) / 2 + self.off * (b - a) / 2


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.names, self.chance = Clock(), Names(), Middle()
        self.changes: list[set[str]] = []
        self.heard = 0
        self.watch = self.watching(DNS())

    def watching(self, config: DNS, known: Answer | None = None) -> Watch:
        """One that is not started."""
        return Watch(self.clock, self.names, API, config, self.chance, self.changed, known)

    def changed(self) -> None:
        """Remember what it is now, if that is something else than before."""
        self.heard += 1
        places = () if self.watch.answer is None else self.watch.answer.places
        found = {place.address for place in places}
        if found not in self.changes[-1:]:
            self.changes.append(found)

    def due(self) -> float:
        """Seconds until it asks again."""
        (call,) = self.clock.getDelayedCalls()
        return call.getTime() - self.clock.seconds()

    def test_ttl(self) -> None:
        """It asks at once, and again when the answer has expired; never twice at a time."""
        self.watch.start()
        self.clock.advance(1000.0)
        self.assertEqual(len(self.names.asked), 1)
        self.names.pending.pop().callback(addresses("10.0.0.1", ttl=20))
        self.clock.advance(19.9)
        self.assertEqual(len(self.names.asked), 1)
        self.clock.advance(0.2)
        self.assertEqual((len(self.names.asked), self.changes), (2, [{"10.0.0.1"}]))

    def test_bounds(self) -> None:
        """However short or long an answer says that it lives."""
        for ttl, config, wanted in (
            (0, DNS(), 1.0),
            (86400, DNS(), 300.0),
            (2**32 - 1, DNS(), 300.0),
            (10, DNS(min_ttl=20.0), 20.0),
            (10, DNS(max_ttl=5.0), 5.0),
        ):
            self.names.known[API] = addresses("10.0.0.1", ttl=ttl)
            self.watch = self.watching(config)
            self.watch.start()
            self.assertEqual(self.due(), wanted)
            self.watch.stop()

    def test_jitter(self) -> None:
        """The time varies by a tenth either way."""
        self.names.known[API] = addresses("10.0.0.1", ttl=100)
        for off in (-1.0, 1.0):
            self.chance.off = off
            self.watch = self.watching(DNS())
            self.watch.start()
            self.assertAlmostEqual(self.due(), 100.0 * (1.0 + off * JITTER))
            self.watch.stop()

    def test_no_change(self) -> None:
        """The same addresses are no change, in whatever order and for however long."""
        self.names.known[API] = addresses("10.0.0.1", "10.0.0.2", ttl=5)
        self.watch.start()
        self.names.known[API] = addresses("10.0.0.2", "10.0.0.1", ttl=7)
        self.clock.advance(5.0)
        self.assertEqual((len(self.names.asked), self.heard, self.due()), (2, 1, 7.0))

    def test_change(self) -> None:
        """What comes and what goes is told, all at once."""
        self.names.known[API] = addresses("10.0.0.1", "10.0.0.2", ttl=5)
        self.watch.start()
        self.names.known[API] = addresses("10.0.0.2", "10.0.0.3", ttl=5)
        self.clock.advance(5.0)
        self.assertEqual(self.changes, [{"10.0.0.1", "10.0.0.2"}, {"10.0.0.2", "10.0.0.3"}])

    def test_failure_keeps(self) -> None:
        """A look-up that fails changes nothing, and is made again after a short while."""
        self.names.known[API] = addresses("10.0.0.1", ttl=100)
        self.watch.start()
        self.names.known[API] = "nobody answers"
        self.clock.advance(100.0)
        self.assertEqual((self.watch.trouble, self.due()), ("nobody answers", RETRY))
        self.clock.advance(RETRY)
        self.assertEqual(self.heard, 3)
        self.names.known[API] = addresses("10.0.0.2", ttl=100)
        self.clock.advance(RETRY)
        self.assertEqual((self.watch.trouble, self.due()), ("", 100.0))
        self.assertEqual(self.changes, [{"10.0.0.1"}, {"10.0.0.2"}])

    def test_half_an_answer(self) -> None:
        """What of a name could not be asked stays as it was."""
        self.names.known[API] = addresses("10.0.0.1", "2001:db8::1", ttl=5)
        self.watch.start()
        self.names.known[API] = Answer(frozenset({Place("10.0.0.2")}), 5.0, frozenset({("", 6)}))
        self.clock.advance(5.0)
        self.assertEqual(self.changes[-1], {"10.0.0.2", "2001:db8::1"})

    def test_told_once(self) -> None:
        """The log says when it begins to fail, and when it ceases to."""
        told: list[str] = []
        self.patch(self.watch, "log", Recorder(told))
        self.names.known[API] = "nobody answers"
        self.watch.start()
        self.names.known[API] = "another reason"
        self.clock.advance(RETRY)
        self.assertEqual(self.watch.trouble, "another reason")
        self.names.known[API] = addresses("10.0.0.1", ttl=5)
        self.clock.advance(RETRY)
        self.clock.advance(5.0)
        self.names.known[API] = "nobody answers"
        self.clock.advance(5.0)
        self.assertEqual(
            told,
            [
                "api.test does not resolve: nobody answers; nothing is known of it",
                "api.test resolves again",
                "api.test has changed: new 10.0.0.1",
                "api.test does not resolve: nobody answers; what was known holds",
            ],
        )

    def test_first(self) -> None:
        """Who waits for the first answer hears of it, also if it is none, and also afterwards."""
        for answer in (addresses("10.0.0.1"), Failure(Unresolved("none"))):
            self.watch = self.watching(DNS())
            waiting, gone = self.watch.first(), self.watch.first()
            self.watch.start()
            gone.cancel()
            self.failureResultOf(gone, CancelledError)
            self.assertNoResult(waiting)
            self.names.pending.pop().callback(answer)
            self.successResultOf(waiting)
            self.successResultOf(self.watch.first())
            self.watch.stop()

    def test_known_before(self) -> None:
        """What was known before a watch began is the first answer, and the same is no change."""
        self.names.known[API] = addresses("10.0.0.1")
        self.watch = self.watching(DNS(), addresses("10.0.0.1", ttl=1))
        self.successResultOf(self.watch.first())
        self.watch.start()
        self.assertEqual(self.changes, [])

    def test_stop(self) -> None:
        """Stopping ends a look-up under way, who waits for it, and the next one."""
        self.watch.start()
        waiting = self.watch.first()
        self.successResultOf(self.watch.stop())
        self.successResultOf(waiting)
        self.assertEqual((self.names.cancelled, self.watch.trouble), (1, ""))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.names.known[API] = addresses("10.0.0.1")
        self.watch = self.watching(DNS())
        self.watch.start()
        self.successResultOf(self.watch.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_surprise(self) -> None:
        """Whatever breaks a look-up, there is a next one; it is logged as a mistake of ours."""
        self.watch.start()
        self.names.pending.pop().errback(ZeroDivisionError("oh"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.watch.trouble, self.due()), ("oh", RETRY))

    def test_surprise_elsewhere(self) -> None:
        """So it is if somebody cannot do anything with an answer."""
        self.names.known[API] = addresses("10.0.0.1", ttl=9)
        self.patch(self, "changed", lambda: 1 // 0)
        self.watch = self.watching(DNS())
        self.watch.start()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.due(), 9.0)

    def test_told_changes(self) -> None:
        """The log says what is new and what is gone, or that only weights and the like are."""
        told: list[str] = []
        self.patch(self.watch, "log", Recorder(told))
        for answer in (
            addresses("10.0.0.1", "10.0.0.2", ttl=1),
            addresses("10.0.0.2", "10.0.0.3", ttl=1),
            Answer(frozenset({Place("10.0.0.2", weight=2), Place("10.0.0.3")}), 1.0),
        ):
            self.names.known[API] = answer
            self.clock.advance(1.0)
            if not self.names.asked:
                self.watch.start()
        self.assertEqual(
            told,
            [
                "api.test has changed: new 10.0.0.1, 10.0.0.2",
                "api.test has changed: new 10.0.0.3; gone 10.0.0.1",
                "api.test has changed: the same addresses in other roles",
            ],
        )


class Recorder:
    """A log that keeps its lines."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def info(self, form: str, **fields: object) -> None:
        """Keep one."""
        self._told.append(form.format(**fields))

    warn = info
