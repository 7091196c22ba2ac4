"""A probe that only connects, on a network in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer_only

from lbproxy.config.model import Backend, Health
from lbproxy.probe.tcp import tcp_check


@implementer_only(IReactorTCP, IReactorTime)
class Reactor(MemoryReactorClock):
    """Network and time without descriptors."""


class TCPCheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()

    def ask(self, words: bytes = b"") -> tuple[Any, Any]:
        """What is awaited, and what makes its connection."""
        asking = tcp_check(self.reactor, words)(Backend("a", "h:1"), Health(timeout=1.0))
        return asking, self.reactor.tcpClients.pop()[2]

    def test_accepted(self) -> None:
        """A port that accepts is a pass; nothing is said but what every client has to say."""
        for words in (b"", b"PROXY UNKNOWN\r\n"):
            asking, factory = self.ask(words)
            self.reactor.advance(0.25)
            transport = StringTransport()
            factory.buildProtocol(None).makeConnection(transport)
            outcome = self.successResultOf(asking)
            self.assertEqual((outcome.passed, outcome.reached, outcome.latency), (True, True, 0.25))
            self.assertEqual((transport.value(), transport.disconnecting), (words, True))

    def test_refused(self) -> None:
        """A port that refuses is a failure."""
        asking, factory = self.ask()
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        outcome = self.successResultOf(asking)
        self.assertEqual((outcome.passed, outcome.reached), (False, False))
        self.assertIn("refused", outcome.detail)

    def test_cancelled(self) -> None:
        """Cancelling gives it up."""
        asking, _ = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)
