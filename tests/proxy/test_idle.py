"""Kept-alive connections to a backend: for how long each is used again."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import KEEP_ALIVE_USED, Backend, UpstreamTimeouts
from lbproxy.proxy.idle import MOST_ANNOUNCED, Connections
from lbproxy.transport.timer import CoarseTimer
from tests.proxy.wires import BalancerCase

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"


class AnnouncedTests(BalancerCase):
    """Servers may say how long they keep an idle connection."""

    def kept_for(self, announced: bytes, **backend: object) -> float:
        """Seconds after which a connection is not kept any more, up to 200."""
        self.start("a", backend=backend)
        client = self.client(GET)
        wire = self.accept()
        wire.give(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + announced + b"\r\n")
        began = self.reactor.seconds()
        while wire.open and self.reactor.seconds() < began + 200.0:
            self.pass_time(0.5)
        client.close()
        return self.reactor.seconds() - began

    def assert_kept(self, seconds: float, announced: bytes, **backend: object) -> None:
        """It is as many seconds, or up to two ticks of the timer more."""
        kept = self.kept_for(announced, **backend)
        self.assertGreaterEqual(kept, seconds)
        self.assertLessEqual(kept, seconds + 1.0)

    def test_unknown(self) -> None:
        """Of who announces nothing little is assumed."""
        self.assert_kept(1.5, b"")
        self.assert_kept(1.5, b"Keep-Alive: max=100\r\n")
        self.assert_kept(1.5, b"Keep-Alive: timeout=soon\r\n")

    def test_announced(self) -> None:
        """What is announced is used for the most part, and not for ever."""
        self.assert_kept(5 * KEEP_ALIVE_USED, b"Keep-Alive: timeout=5, max=100\r\n")
        self.assert_kept(5 * KEEP_ALIVE_USED, b"Keep-Alive: max=100,Timeout = 5\r\n")
        most = MOST_ANNOUNCED * KEEP_ALIVE_USED
        self.assert_kept(most, b"Keep-Alive: timeout=86400\r\n")

    def test_nothing(self) -> None:
        """Who announces no time at all has its connection closed at once."""
        self.assert_kept(0.0, b"Keep-Alive: timeout=0\r\n")

    def test_profile(self) -> None:
        """It counts for more than a profile, and less than what the config says."""
        announced = b"Keep-Alive: timeout=20\r\n"
        self.assert_kept(16.0, announced, server="gunicorn")
        self.assert_kept(8.0, announced, server="gunicorn", keep_alive=10.0)


class HeldUpTests(BalancerCase):
    """What we read late has come long before, and its connection is older than it seems."""

    def connections_after(self, pause: float, request: bytes) -> int:
        """How many the backend has had for two requests.

        Args:
            pause: Seconds without a turn of the reactor before the first answer is read.
            request: The second one; the first is a GET.
        """
        self.start("a", backend={"server": "klein"})
        client = self.client(GET)
        first = self.accept()
        self.pass_time(0.5)
        self.reactor.advance(pause)
        first.give(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        client.give(request)
        return 1 if first.value().count(b" HTTP/1.1\r\n") == 2 else 2

    def test_unsafe(self) -> None:
        """A POST, which may not be sent twice, goes on a new one."""
        post = b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n"
        self.assertEqual(self.connections_after(0.1, post), 1)
        self.assertEqual(self.connections_after(2.0, post), 2)

    def test_safe(self) -> None:
        """A GET, which may, takes the one that there is."""
        self.assertEqual(self.connections_after(2.0, GET), 1)


class SuitsTests(SynchronousTestCase):
    """Whether the connections of a backend stay when its config is another one."""

    def test_what_changes(self) -> None:
        """How often it is chosen is no matter of its connections, whoever says so; all else is."""
        backend, timeouts = Backend("a", "h:1"), UpstreamTimeouts()
        clock = Clock()
        connections = Connections(clock, CoarseTimer(clock), backend, timeouts)
        unlike: dict[str, Any] = {"weight": 2, "record_weight": 20, "backup": True}
        for field in attrs.fields(Backend):
            changed = attrs.evolve(backend, **{field.name: unlike.get(field.name, "other")})
            suits = connections.suits(changed, timeouts, None)
            self.assertIs(suits, field.name in unlike, field.name)
        longer = attrs.evolve(timeouts, connect=9.0)
        self.assertFalse(connections.suits(backend, longer, None))
