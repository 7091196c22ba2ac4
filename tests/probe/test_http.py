"""A probe that asks by HTTP, on a network in memory."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.standing import State
from lbproxy.config import model
from lbproxy.config.model import Backend, Health
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import MOST_BYTES, NOTHING, Said
from lbproxy.probe.checks import Unanswered
from lbproxy.probe.http import http_check
from lbproxy.probe.prober import Prober
from tests.probe.test_tcp import Reactor

ADDRESSES = (
    ("127.0.0.1:3001", "127.0.0.1"),
    ("[::1]:3001", "::1"),
    ("one.example:3001", "one.example"),
)


class HTTPCheckTests(SynchronousTestCase):
    """One probe at a time, whose backend is the test."""

    def ask(self, health: Health, address: str = "h:1") -> Deferred[ProbeOutcome]:
        """Begin a probe, whose connection stands."""
        self.reactor = Reactor()
        asking = http_check(self.reactor, health)(Backend("a", address), health)
        self.wire = StringTransport()
        factory: Any = self.reactor.tcpClients[0][2]
        self.protocol: Any = factory.buildProtocol(None)
        self.protocol.makeConnection(self.wire)
        return asking

    def outcome(self, health: Health, body: bytes, kind: bytes = b"text/plain") -> ProbeOutcome:
        """What comes of an answer with a body, in two pieces."""
        asking = self.ask(health)
        fields = b"Content-Type: %b\r\nContent-Length: %d" % (kind, len(body))
        self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (fields, body[:3]))
        self.assertNoResult(asking)
        self.protocol.dataReceived(body[3:])
        return self.successResultOf(asking)

    def test_asks_by_address(self) -> None:
        """A backend is called by its address, whatever kind that is."""
        for address, host in ADDRESSES:
            asking = self.ask(Health(), address)
            self.assertEqual(self.reactor.tcpClients[0][:2], (host, 3001))
            self.assertIn(b"GET /health HTTP/1.1\r\n", self.wire.value())
            self.assertEqual(self.wire.value().count(b"\r\nHost: %b\r\n" % address.encode()), 1)
            self.protocol.dataReceived(b"HTTP/1.1 204 X\r\n\r\n")
            outcome = self.successResultOf(asking)
            self.assertEqual((outcome.passed, outcome.detail), (True, "answered 204"))

    def test_body(self) -> None:
        """The pattern is looked for in the beginning of the body, whatever it is cut into."""
        health = Health(body="al+ive")
        for body, passed in (
            (b"alive", True),
            (b"dead", False),
            (b"\xff\xfe alllive", True),
            (b"." * (MOST_BYTES - 5) + b"alive, and more", True),
            (b"." * (MOST_BYTES - 4) + b"alive", False),
        ):
            self.assertIs(self.outcome(health, body).passed, passed)
        self.assertEqual(
            self.outcome(health, b"dead").detail, "answered 200 without al+ive in its body"
        )

    def test_said(self) -> None:
        """What is said is heard if the config wants that and the answer says that it is JSON."""
        words, drains = b'{"drain": true}', Said(drain=True)
        for kind, said in (
            (b"application/json", drains),
            (b"Application/JSON; charset=utf-8", drains),
            (b"application/health+json", drains),
            (b"text/html", NOTHING),
            (b"application/jsonp", NOTHING),
            (b"application/xml, text/json", NOTHING),
        ):
            self.assertEqual(self.outcome(Health(json=True), words, kind).said, said, kind)
            self.assertEqual(self.outcome(Health(), words, kind).said, NOTHING)

    def test_ignored(self) -> None:
        """What cannot be heard is named."""
        outcome = self.outcome(Health(json=True), b'{"weight": "much"}', b"application/json")
        self.assertTrue(outcome.passed)
        self.assertEqual(outcome.ignored, ("weight is no whole number from 0 to 1000",))

    def test_ends_with_its_connection(self) -> None:
        """A body that ends with its connection is whole; one that is cut is not."""
        for fields, passed in ((b"", True), (b"Content-Length: 9\r\n", False)):
            asking = self.ask(Health(body="ok"))
            self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n%b\r\nok" % fields)
            self.assertNoResult(asking)
            self.protocol.connectionLost(Failure(ConnectionDone()))
            self.assertIs(self.successResultOf(asking).passed, passed)

    def test_cancelled(self) -> None:
        """Cancelling closes the connection, wherever the answer is, and says that it stood."""
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"):
            asking = self.ask(Health())
            self.protocol.dataReceived(answer)
            asking.cancel()
            self.failureResultOf(asking, Unanswered)
            self.assertTrue(self.wire.disconnecting)
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_cancelled_while_connecting(self) -> None:
        """Of a connection that did not come about it says no such thing."""
        self.reactor = Reactor()
        health = Health()
        asking = http_check(self.reactor, health)(Backend("a", "h:1"), health)
        asking.cancel()
        failed = self.failureResultOf(asking, CancelledError)
        self.assertIsNone(failed.check(Unanswered))

    def test_too_late(self) -> None:
        """Who accepts and answers late is down, and is still the last resort; who hangs is not."""
        for accepts in (True, False):
            self.reactor = Reactor()
            config = model.Pool("api", (Backend("a", "h:1"),))
            pool = Pool(config, RoundRobin(), 0.0)
            check = http_check(self.reactor, Health())
            prober = Prober(self.reactor, pool, check, random.Random(1))
            prober.startService()
            if accepts:
                factory: Any = self.reactor.tcpClients[0][2]
                factory.buildProtocol(None).makeConnection(StringTransport())
            self.reactor.advance(1.0)
            (backend,) = pool.backends
            assert backend.last_probe is not None
            self.assertEqual(backend.last_probe.detail, "no answer in 1.0 s")
            self.assertEqual((backend.state, backend.reached), (State.DOWN, accepts))
            self.assertIs(pool.choose(frozenset(), 1.0), backend if accepts else None)
            prober.stopService()
