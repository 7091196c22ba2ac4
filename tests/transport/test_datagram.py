"""A datagram and its answer, over real sockets."""

from __future__ import annotations

import socket

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from lbproxy.errors import ConnectFailed
from lbproxy.transport.datagram import ask
from tests.processes import free_port
from tests.transport.turning import TransportCase


class DatagramTests(TransportCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.reactor.settle)
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.server.close)
        self.server.bind(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]

    def ask(self, port: int | None = None) -> Deferred[bytes]:
        """Ask the server, for an answer that begins with an a."""
        port = port or self.port
        return ask(self.reactor, "127.0.0.1", port, b"question", lambda data: data[:1] == b"a")

    def test_answer(self) -> None:
        """The first answer that fits is given, and the socket is closed."""
        asking = self.ask()
        data, client = self.server.recvfrom(100)
        self.assertEqual(data, b"question")
        for answer in (b"no", b"", b"a 1", b"a 2"):
            self.server.sendto(answer, client)
        self.reactor.settle()
        self.assertEqual(self.successResultOf(asking), b"a 1")
        self.assertEqual(self.reactor.watched, [])

    def test_ports(self) -> None:
        """Each question has a port of its own."""
        asking = [self.ask() for _ in range(8)]
        clients = {self.server.recvfrom(100)[1] for _ in asking}
        self.assertEqual(len(clients), 8)
        for each in asking:
            each.cancel()
            self.failureResultOf(each, CancelledError)

    def test_strangers(self) -> None:
        """What comes from somebody else is not heard."""
        asking = self.ask()
        _, client = self.server.recvfrom(100)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.sendto(b"a forgery", client)
        self.reactor.settle()
        self.assertNoResult(asking)
        self.server.sendto(b"a 1", client)
        self.reactor.settle()
        self.assertEqual(self.successResultOf(asking), b"a 1")

    def test_nobody_there(self) -> None:
        """A port at which nobody listens is told by the kernel, and need not be waited for."""
        asking = self.ask(free_port())
        self.reactor.settle()
        self.assertIn("refused", str(self.failureResultOf(asking, ConnectFailed).value))
        self.assertEqual(self.reactor.watched, [])

    def test_no_address(self) -> None:
        """What cannot be sent there fails at once."""
        asking = ask(self.reactor, "not an address", 1, b"question", bool)
        self.failureResultOf(asking, ConnectFailed)
        self.assertEqual(self.reactor.watched, [])

    def test_no_descriptor(self) -> None:
        """So does it if there is no descriptor left."""

        def none(*_: object) -> socket.socket:
            raise OSError(24, "Too many open files")

        self.patch(socket, "socket", none)
        failed = self.failureResultOf(self.ask(), ConnectFailed)
        self.assertEqual(str(failed.value), "Too many open files")

    def test_cancelled(self) -> None:
        """Cancelling closes the socket."""
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.reactor.settle()
        self.assertEqual(self.reactor.watched, [])

    def test_reactor_stops(self) -> None:
        """A reactor that ends fails what is under way."""
        asking = self.ask()
        (exchange,) = self.reactor.watched
        exchange.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(asking, ConnectFailed)
