"""A user's own probe, however it ends."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import Backend, Health
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import NOTHING, Said
from lbproxy.probe.own import own_check

BACKEND, HEALTH = Backend("a", "h:1"), Health()


class OwnCheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def ask(self, probe: Any) -> Deferred[ProbeOutcome]:
        """Ask with a probe of any kind."""
        return own_check(self.clock, probe)(BACKEND, HEALTH)

    def outcome(self, probe: Any) -> ProbeOutcome:
        """What comes of one that ends at once."""
        return self.successResultOf(self.ask(probe))

    def test_endings(self) -> None:
        """Each thing that it may give is an outcome."""
        for ending, passed, detail in [
            (None, True, "passed"),
            (True, True, "passed"),
            ("replica lags by 3 s", True, "replica lags by 3 s"),
            ({}, True, "passed"),
            ({"drain": True}, True, "passed, says drain"),
            (False, False, "did not pass"),
            (1, False, "the probe gave int, and not a bool, a str, a dict or None"),
            (b"ok", False, "the probe gave bytes, and not a bool, a str, a dict or None"),
        ]:
            outcome = self.outcome(lambda backend, health, ending=ending: ending)
            self.assertEqual((outcome.passed, outcome.detail), (passed, detail))
            self.assertTrue(outcome.reached)

    def test_says(self) -> None:
        """A dict is heard as JSON would be."""
        outcome = self.outcome(lambda *_: {"weight": 3, "capacity": "many"})
        self.assertEqual(outcome.said, Said(weight=3))
        self.assertEqual(outcome.ignored, ("capacity is no whole number from 1 to 1000000",))
        self.assertEqual(self.outcome(lambda *_: None).said, NOTHING)

    def test_told(self) -> None:
        """It is told of what."""
        told: list[Any] = []
        self.outcome(lambda *what: told.extend(what))
        self.assertEqual(told, [BACKEND, HEALTH])

    def test_raises(self) -> None:
        """What it raises are the words of a failure, however long they are."""

        def broken(*_: object) -> None:
            raise RuntimeError("no master\n" * 100)

        outcome = self.outcome(broken)
        self.assertFalse(outcome.passed)
        self.assertTrue(outcome.detail.startswith("RuntimeError: no master"))
        self.assertEqual((len(outcome.detail), outcome.reached), (200, True))

    def test_one_line(self) -> None:
        """Whatever the words, they are one line, and no commands to a terminal."""

        def broken(*_: object) -> None:
            raise RuntimeError("no\r\nmaster\x1b[2J, à la fin")

        self.assertEqual(self.outcome(broken).detail, "RuntimeError: no master [2J, à la fin")
        self.assertEqual(self.outcome(lambda *_: "all\nwell\n").detail, "all well")

    def test_refused(self) -> None:
        """A connection that failed shows that the port does not accept."""

        def refused(*_: object) -> None:
            raise ConnectionRefusedError

        self.assertFalse(self.outcome(refused).reached)

    def test_waits(self) -> None:
        """It may give a Deferred, or be a coroutine; what it took is measured."""

        async def slow(*_: object) -> bool:
            await deferLater(self.clock, 0.25)
            return True

        for probe in (slow, lambda *_: deferLater(self.clock, 0.25, lambda: True)):
            asking = self.ask(probe)
            self.assertNoResult(asking)
            self.clock.advance(0.25)
            outcome = self.successResultOf(asking)
            self.assertEqual((outcome.passed, outcome.latency), (True, 0.25))

    def test_cancelled(self) -> None:
        """Cancelling gives it up, and what it waits for."""
        waited: Deferred[Any] = Deferred()
        asking = self.ask(lambda *_: waited)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertTrue(waited.called)

    def test_stubborn(self) -> None:
        """One that does not let itself be cancelled is left alone, and not heard later."""
        waited: list[Deferred[Any]] = [Deferred(), Deferred()]

        async def stubborn(*_: object) -> bool:
            for each in waited:
                try:
                    await each
                except CancelledError:
                    continue
            raise RuntimeError("too late")

        asking = self.ask(stubborn)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        waited[1].callback(None)
        self.assertEqual(self.flushLoggedErrors(), [])
