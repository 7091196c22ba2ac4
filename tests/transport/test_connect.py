"""Connecting to an address of the config."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError, TimeoutError, UserError
from twisted.internet.interfaces import IReactorTCP, IReactorUNIX
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer_only

from lbproxy.errors import ConnectFailed
from lbproxy.transport.connect import Dialled, connect


@implementer_only(IReactorTCP, IReactorUNIX)
class Reactor(MemoryReactorClock):
    """A network without descriptors."""


class ConnectTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()

    def dial(self, address: str) -> Any:
        """Begin to connect; what fires when the connection stands."""
        return connect(self.reactor, address, Dialled, 2.0)

    def test_addresses(self) -> None:
        """A name or a literal with its port, and the path of a socket."""
        self.dial("shop.example:80")
        self.dial("[2001:db8::1]:81")
        self.dial("unix:/run/shop.sock")
        called = [(client[0], client[1], client[3]) for client in self.reactor.tcpClients]
        self.assertEqual(called, [("shop.example", 80, 2.0), ("2001:db8::1", 81, 2.0)])
        self.assertEqual(self.reactor.unixClients[0][0], "/run/shop.sock")

    def test_connected(self) -> None:
        """The protocol is given when its connection stands, not before."""
        dialled = self.dial("h:80")
        factory: Any = self.reactor.tcpClients[0][2]
        protocol = factory.buildProtocol(None)
        self.assertNoResult(dialled)
        protocol.makeConnection(StringTransport())
        self.assertIs(self.successResultOf(dialled), protocol)

    def test_failed(self) -> None:
        """A failure says what happened; only a refusal triggers a probe."""
        for error, refused, words in (
            (ConnectionRefusedError(), True, "refused"),
            (TimeoutError(), False, "within 2.0 s"),
        ):
            dialled = self.dial("h:80")
            factory: Any = self.reactor.tcpClients.pop()[2]
            factory.clientConnectionFailed(None, Failure(error))
            failed = self.failureResultOf(dialled, ConnectFailed).value
            self.assertEqual(failed.refused, refused)
            self.assertIn(words, failed.detail)

    def test_cancelled(self) -> None:
        """Cancelling gives the attempt up."""
        dialled = self.dial("h:80")
        dialled.cancel()
        connector: Any = self.reactor.connectors[0]
        self.assertTrue(connector.stoppedConnecting)
        self.failureResultOf(dialled, CancelledError)
        factory: Any = self.reactor.tcpClients[0][2]
        factory.clientConnectionFailed(connector, Failure(UserError()))  # As Twisted then does.
