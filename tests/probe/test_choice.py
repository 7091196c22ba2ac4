"""Which probe a pool has."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import Backend, Health, Pool
from lbproxy.probe.choice import check_of
from tests.probe.test_tcp import Reactor

BACKEND = Backend("a", "h:1")


class ChoiceTests(SynchronousTestCase):
    def asked(self, health: Health, sessions: bool = False) -> tuple[int, bytes]:
        """The port that a probe connects to, and what it says there."""
        reactor = Reactor()
        pool = Pool("api", (BACKEND,), health=health)
        asking = check_of(reactor, pool, sessions, {}, b"words")(BACKEND, health)
        ((_, port, factory, *_),) = reactor.tcpClients
        transport = StringTransport()
        protocol: Any = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        asking.addErrback(lambda _: None)
        asking.cancel()
        return port, transport.value()

    def test_http(self) -> None:
        """Requests are probed by a request, with what the config says of it."""
        health = Health("/up", method="HEAD", headers=(("host", "shop"), ("X-A", "1")), port=9)
        port, said = self.asked(health)
        self.assertEqual(port, 9)
        lines = said.split(b"\r\n")
        self.assertEqual(lines[0], b"HEAD /up HTTP/1.1")
        self.assertEqual(
            {line for line in lines if line.lower().startswith((b"host", b"x-a"))},
            {b"Host: shop", b"X-A: 1"},
        )

    def test_sessions(self) -> None:
        """Sessions are probed by connecting, unless there is something to ask."""
        self.assertEqual(self.asked(Health(), sessions=True), (1, b"words"))
        self.assertEqual(self.asked(Health(port=9), sessions=True), (9, b"words"))
        self.assertIn(b"GET /up HTTP/1.1", self.asked(Health("/up"), sessions=True)[1])

    def test_tcp(self) -> None:
        """A pool for requests may be probed by connecting too."""
        self.assertEqual(self.asked(Health(tcp=True)), (1, b"words"))

    def test_unknown(self) -> None:
        """A probe that is not there any more."""
        with self.assertRaises(KeyError):
            self.asked(Health(check="gone"))
