"""What the commands make of a balancer that does not answer as it should."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from lbproxy.cli.client import LONG_PATIENCE, PATIENCE, Client, Failed
from lbproxy.cli.where import Where


class _Hung:
    """Takes each request, and never answers; who gives up hears it as Twisted's client tells it."""

    def request(self, method: str, url: str, **more: Any) -> Deferred[Any]:
        def give_up(asked: Deferred[Any]) -> None:
            asked.errback(ResponseNeverReceived([Failure(CancelledError())]))

        return Deferred(give_up)


class HungTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.client = Client(_Hung(), self.clock, Where("127.0.0.1", 3900))

    def test_status(self) -> None:
        """A balancer that hangs is told from another program, and soon."""
        asked = Deferred.fromCoroutine(self.client.status())
        self.clock.advance(PATIENCE - 1)
        self.assertNoResult(asked)
        self.clock.advance(1)
        told = str(self.failureResultOf(asked, Failed).value)
        self.assertIn("at 127.0.0.1:3900 does not answer within 10 s", told)

    def test_restart(self) -> None:
        """What takes its time has it."""
        asked = Deferred.fromCoroutine(self.client.tell("/restart", {}))
        self.clock.advance(LONG_PATIENCE - 1)
        self.assertNoResult(asked)
        self.clock.advance(1)
        self.assertIn("within 40 s", str(self.failureResultOf(asked, Failed).value))

    def test_interrupted(self) -> None:
        """Ctrl-C is nobody's fault."""
        asked = Deferred.fromCoroutine(self.client.status())
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
