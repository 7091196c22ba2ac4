"""Clients behind another proxy, whose header may come in any pieces."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.protocol import Protocol

from lbproxy.config import model
from lbproxy.preface.proxy_protocol import LOCAL, InetAddress, UnixAddress, v1, v2
from lbproxy.proxy.announced import Announced, address_of
from lbproxy.transport.connection import Connection
from lbproxy.transport.timer import FIRST
from tests.proxy.wires import BalancerCase
from tests.transport.turning import TurningReactor

V4 = InetAddress("203.0.113.7", 51234), InetAddress("198.51.100.2", 443)
V6 = InetAddress("2001:db8::7", 51234), InetAddress("2001:db8::2", 443)
UNIX = UnixAddress(b"/run/client"), UnixAddress(b"/run/us")


class Inner(Protocol):
    """What the connection is for."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.ended = True


class AnnouncedTests(BalancerCase):
    def setUp(self) -> None:
        self.network = TurningReactor()
        self.addCleanup(self.network.close)
        self.start(listener=model.Listener("web", "haproxy:tcp:0"))

    def connect(self) -> tuple[Any, Inner, Connection]:
        """A proxy's socket, what speaks with its client, and the connection between."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            outside = socket.create_connection(listening.getsockname())
            near, _ = listening.accept()
        self.addCleanup(outside.close)
        near.setblocking(False)
        inner = Inner()
        connection = Connection(self.network, near, near.getpeername())
        connection.start(Announced(self.site, self.listener, inner))
        return outside, inner, connection

    def give(self, outside: Any, data: bytes) -> None:
        """Let bytes come by themselves."""
        outside.sendall(data)
        self.network.turn()

    def end(self, outside: Any, inner: Inner) -> None:
        """The client goes."""
        outside.close()
        self.network.work(lambda: inner.ended)

    def test_every_split(self) -> None:
        """The header may come in two reads, cut anywhere, with the client's bytes behind it."""
        for header in (v1(*V4), v2(*V4)):
            data = header + b"hello"
            for at in range(1, len(data)):
                outside, inner, connection = self.connect()
                self.give(outside, data[:at])
                self.give(outside, data[at:])
                self.network.work(lambda: inner.data == b"hello")  # noqa: B023
                self.assertEqual(connection.getPeer(), IPv4Address("TCP", "203.0.113.7", 51234))
                self.end(outside, inner)
        self.assert_nothing_left()

    def test_addresses(self) -> None:
        """The addresses are those of the header, or the connection's own where it has none."""
        inet6 = IPv6Address("TCP", "2001:db8::7", 51234), IPv6Address("TCP", "2001:db8::2", 443)
        cases: list[tuple[bytes, Any]] = [
            (v2(*V6), inet6),
            (v2(*UNIX), (UNIXAddress(b"/run/client"), UNIXAddress(b"/run/us"))),
            (LOCAL["v1"], None),
            (LOCAL["v2"], None),
        ]
        for header, expected in cases:
            outside, inner, connection = self.connect()
            if expected is None:
                expected = connection.getPeer(), connection.getHost()
            self.give(outside, header)
            self.network.work(lambda: inner.transport)  # noqa: B023
            self.assertEqual((connection.getPeer(), connection.getHost()), expected)
            self.end(outside, inner)

    def test_refused(self) -> None:
        """No header, or a malformed one: closed, and the client's protocol never hears of it."""
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 1 2 3 4\r\n"):
            outside, inner, connection = self.connect()
            self.give(outside, data)
            self.network.work(lambda: connection.protocol is None)  # noqa: B023
            self.assertIsNone(inner.transport)
            self.assertRaises(ConnectionResetError, outside.recv, 1)
            self.assertEqual(self.log.lines[-1]["reason"], "bad_preface")
        self.assert_nothing_left()

    def test_too_slow(self) -> None:
        """A header that does not come within the time for a head."""
        outside, _, connection = self.connect()
        self.give(outside, b"PROXY ")
        self.pass_time(10.5)
        self.network.work(lambda: connection.protocol is None)
        self.assertEqual(self.log.lines[-1]["reason"], "head_timeout")
        self.assert_nothing_left()

    def test_gone(self) -> None:
        """A connection that only looks whether the port accepts."""
        outside, _, connection = self.connect()
        outside.close()
        self.network.work(lambda: connection.protocol is None)
        self.assertEqual(self.log.lines, [])
        self.assert_nothing_left()

    def test_drain(self) -> None:
        """While we stop, who has not said who it is is not waited for as long as else."""
        _, _, connection = self.connect()
        drained = self.site.drain()
        self.assertNoResult(drained)
        self.pass_time(FIRST)
        self.network.work(lambda: connection.protocol is None)
        self.successResultOf(drained)
        self.assertEqual(self.log.lines[-1]["reason"], "head_timeout")

    def test_address_of(self) -> None:
        """A transport's address as a header has it, and back."""
        self.assertEqual(
            address_of(IPv6Address("TCP", "fe80::1%eth0", 1)), InetAddress("fe80::1", 1)
        )
        self.assertEqual(address_of(UNIXAddress(None)), UnixAddress(b""))
