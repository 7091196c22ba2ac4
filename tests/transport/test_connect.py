"""Connecting to an address of the config."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError, UserError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorTCP,
    IReactorUNIX,
    IResolutionReceiver,
)
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer, implementer_only

from lbproxy.errors import ConnectFailed
from lbproxy.transport.connect import AGAIN, Dialled, connect
from tests.transport.turning import TransportCase


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

    def test_service(self) -> None:
        """What has no place yet fails as any attempt does."""
        dialled = self.dial("srv:_http._tcp.shop.test")
        self.assertNoResult(dialled)
        self.reactor.advance(0)
        failed = self.failureResultOf(dialled, ConnectFailed)
        self.assertIn("not known", str(failed.value))

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


@implementer(IHostResolution)
class Resolution:
    """A question that is being answered."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """It cannot be."""


@implementer(IHostnameResolver)
class Names:
    """A name service that answers when it is told to.

    Attributes:
        asked: Which names were asked for, and what is told of each, in order.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, IResolutionReceiver]] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Remember the question."""
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        self.asked.append((hostName, portNumber, resolutionReceiver))
        return resolution

    def answer(self, *hosts: str) -> None:
        """Answer the oldest question."""
        _, port, receiver = self.asked.pop(0)
        for host in hosts:
            kind = IPv6Address if ":" in host else IPv4Address
            receiver.addressResolved(kind("TCP", host, port))
        receiver.resolutionComplete()


class SocketTests(TransportCase):
    """Connecting over real sockets."""

    def setUp(self) -> None:
        super().setUp()
        self.names = Names()
        self.reactor.installNameResolver(self.names)

    def dial(self, address: str) -> Deferred[Dialled]:
        """Begin to connect."""
        return connect(self.reactor, address, Dialled, 2.0)

    def address(self, listening: socket.socket) -> str:
        """A listening socket's address, as the config has it."""
        host, port = listening.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def assert_connected(self, dialled: Deferred[Dialled], listening: socket.socket) -> Any:
        """The connection stands, and carries bytes both ways; its transport."""
        self.reactor.turn()
        protocol = self.successResultOf(dialled)
        listening.settimeout(5)
        theirs, _ = listening.accept()
        self.addCleanup(theirs.close)
        received: list[bytes] = []
        protocol.dataReceived = received.append  # type: ignore[method-assign, assignment]
        transport: Any = protocol.transport
        self.addCleanup(self.reactor.turn)
        self.addCleanup(transport.abortConnection)
        transport.write(b"abc")
        self.assertEqual(theirs.recv(9), b"abc")
        theirs.sendall(b"def")
        self.reactor.turn()
        self.assertEqual(received, [b"def"])
        self.assert_nothing_left()
        return transport

    def assert_failed(self, dialled: Deferred[Dialled], words: str, refused: bool) -> None:
        """The attempt has failed, and nothing of it is left."""
        failed = self.failureResultOf(dialled, ConnectFailed).value
        self.assertIn(words, failed.detail)
        self.assertEqual(failed.refused, refused)
        self.reactor.turn()
        self.assert_nothing_left()
        self.assertEqual(self.reactor.getReaders(), [self.reactor.waker])

    def assert_nothing_left(self) -> None:
        """No attempt is watched or timed any more."""
        self.assertEqual((self.reactor.getWriters(), self.reactor.getDelayedCalls()), ([], []))

    def full(self) -> str:
        """The address of a socket whose queue is full, so that connecting takes for ever."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(listening.close)
        for _ in range(2):
            waiting = socket.socket()
            self.addCleanup(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        return self.address(listening)

    def test_tcp(self) -> None:
        """Both versions of IP are connected to; small writes are not held back."""
        for family in (socket.AF_INET, socket.AF_INET6):
            listening = self.listening(family)
            transport = self.assert_connected(self.dial(self.address(listening)), listening)
            self.assertEqual(transport.getPeer().port, listening.getsockname()[1])
            for level, option in (
                (socket.IPPROTO_TCP, socket.TCP_NODELAY),
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            ):
                self.assertTrue(transport.socket.getsockopt(level, option))

    def test_unix(self) -> None:
        """So is a Unix socket, at once."""
        path = self.mktemp()
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(path)
        listening.listen()
        self.assert_connected(self.dial(f"unix:{path}"), listening)

    def test_no_unix_socket(self) -> None:
        """A path where nobody listens, or that is none, fails in the next turn."""
        path = self.mktemp()
        self.assert_fails_next(f"unix:{path}", "No such file", False)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path)
            self.assert_fails_next(f"unix:{path}", "refused", True)
        self.assert_fails_next("unix:/" + "x" * 200, "too long", False)

    def assert_fails_next(self, address: str, words: str, refused: bool) -> None:
        """The attempt fails when the reactor has turned, not at once; or it is cancelled before."""
        dialled = self.dial(address)
        self.assertNoResult(dialled)
        self.reactor.turn()
        self.assert_failed(dialled, words, refused)
        dialled = self.dial(address)
        dialled.cancel()
        self.failureResultOf(dialled, CancelledError)
        self.reactor.turn()
        self.assert_nothing_left()

    def test_crowded(self) -> None:
        """A Unix socket whose queue is full is tried again, until there is a place."""
        listening, address = self.crowded()
        dialled = self.dial(address)
        self.reactor.advance(AGAIN)
        self.assertNoResult(dialled)
        listening.accept()[0].close()
        self.reactor.turn()
        self.assertNoResult(dialled)
        self.reactor.advance(AGAIN)
        self.assert_connected(dialled, listening)

    def test_crowded_too_long(self) -> None:
        """For as long as any attempt may take; then it says what was wrong."""
        _, address = self.crowded()
        dialled = self.dial(address)
        for _ in range(round(1.9 / AGAIN)):
            self.reactor.advance(AGAIN)
        self.assertNoResult(dialled)
        self.reactor.advance(0.2)
        self.reactor.turn()
        self.assert_failed(dialled, "within 2.0 s: its queue of connections is full", False)

    def test_crowded_cancelled(self) -> None:
        """Cancelling gives it up in between."""
        _, address = self.crowded()
        dialled = self.dial(address)
        dialled.cancel()
        self.failureResultOf(dialled, CancelledError)
        self.reactor.turn()
        self.assert_nothing_left()

    def test_refused(self) -> None:
        """A port where nobody listens refuses."""
        with self.listening() as listening:
            address = self.address(listening)
        dialled = self.dial(address)
        self.reactor.turn()
        self.assert_failed(dialled, "refused", True)

    def test_too_late(self) -> None:
        """Who does not answer is given up in time."""
        dialled = self.dial(self.full())
        self.reactor.advance(1.9)
        self.assertNoResult(dialled)
        self.reactor.advance(0.1)
        self.reactor.turn()
        self.assert_failed(dialled, "within 2.0 s", False)

    def test_held_up(self) -> None:
        """A connection that stood in time stands, however late we come to look at it."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            dialled = self.dial(self.address(listening))
            self.reactor.advance(10.0)
            self.assert_connected(dialled, listening)

    def test_cancelled(self) -> None:
        """Cancelling gives the attempt up; its descriptor is nobody else's in the same turn."""
        dialled = self.dial(self.full())
        (attempt,) = self.reactor.getWriters()
        self.reactor.turn()
        dialled.cancel()
        self.failureResultOf(dialled, CancelledError)
        self.assertNotEqual(attempt.fileno(), -1)
        self.reactor.turn()
        self.assertEqual(attempt.fileno(), -1)
        self.assert_nothing_left()

    def test_no_descriptor(self) -> None:
        """Where no socket can be had, the attempt fails like another."""
        self.patch(socket, "socket", self.no_socket)
        self.assert_fails_next("127.0.0.1:80", "Too many open files", False)

    def no_socket(self, *args: Any) -> socket.socket:
        """Fail as when too many files are open."""
        raise OSError(24, "Too many open files")

    def test_name(self) -> None:
        """A name is looked up, in the time of the attempt."""
        listening = self.listening()
        dialled = self.dial(f"shop.example:{listening.getsockname()[1]}")
        self.assertEqual([asked[0] for asked in self.names.asked], ["shop.example"])
        self.reactor.advance(1.5)
        self.names.answer("127.0.0.1")
        self.assert_connected(dialled, listening)

    def test_name_of_ipv6(self) -> None:
        """A name may have an address of IPv6 only."""
        listening = self.listening(socket.AF_INET6)
        dialled = self.dial(f"shop.example:{listening.getsockname()[1]}")
        self.names.answer("::1")
        self.assert_connected(dialled, listening)

    def test_name_of_both(self) -> None:
        """Of several addresses those of IPv4 come first, and one that fails is not the last."""
        refusing = socket.socket()
        self.addCleanup(refusing.close)
        refusing.bind(("127.0.0.1", 0))  # It does not listen, and nobody else may at its port.
        port = refusing.getsockname()[1]
        for listening in (self.listening(), self.listening(socket.AF_INET6, port)):
            dialled = self.dial(f"localhost:{listening.getsockname()[1]}")
            self.names.answer("::1", "127.0.0.1")
            self.reactor.turn()
            self.assert_connected(dialled, listening)

    def test_name_of_nobody(self) -> None:
        """Where all addresses refuse, the name does."""
        with self.listening() as listening:
            port = listening.getsockname()[1]
        dialled = self.dial(f"shop.example:{port}")
        self.names.answer("127.0.0.1", "127.0.0.2", "127.0.0.3")
        self.reactor.turn(3)
        self.assert_failed(dialled, "refused", True)

    def test_slow_name(self) -> None:
        """What the look-up takes is missing from the time to connect."""
        port = self.full().rpartition(":")[2]
        dialled = self.dial(f"shop.example:{port}")
        self.reactor.advance(1.5)
        self.names.answer("127.0.0.1")
        self.reactor.advance(0.4)
        self.assertNoResult(dialled)
        self.reactor.advance(0.2)
        self.reactor.turn()
        self.assert_failed(dialled, "no connection within", False)

    def test_silent_address(self) -> None:
        """An address that does not answer leaves the others their share of the time."""
        port = int(self.full().rpartition(":")[2])
        listening = self.listening(socket.AF_INET6, port)
        dialled = self.dial(f"shop.example:{port}")
        self.names.answer("127.0.0.1", "::1")
        self.reactor.advance(0.9)
        self.assertNoResult(dialled)
        self.reactor.advance(0.2)
        self.assert_connected(dialled, listening)

    def test_no_answer(self) -> None:
        """A name service that does not answer is given up in time, and not listened to later."""
        dialled = self.dial("shop.example:80")
        self.reactor.advance(2.0)
        self.assert_failed(dialled, "within 2.0 s", False)
        self.names.answer("127.0.0.1")

    def test_unknown_name(self) -> None:
        """A name that nobody knows is named."""
        dialled = self.dial("shop.example:80")
        self.names.answer()
        self.assert_failed(dialled, "shop.example: ", False)

    def test_cancelled_name(self) -> None:
        """Cancelling while a name is looked up, or after, gives the attempt up."""
        dialled = self.dial("shop.example:80")
        dialled.cancel()
        self.failureResultOf(dialled, CancelledError)
        self.names.answer("127.0.0.1")
        dialled = self.dial(f"shop.example:{self.full().rpartition(':')[2]}")
        self.names.answer("127.0.0.1")
        dialled.cancel()
        self.failureResultOf(dialled, CancelledError)
        self.reactor.turn()
        self.assert_nothing_left()
