"""Accepting clients from a real listening socket, a turn of the reactor at a time."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface.verify import verifyObject

from lbproxy.transport.accept import BATCH, PAUSE, Acceptor
from tests.transport.turning import Recorder, TransportCase


class Failing:
    """A listening socket whose `accept` fails as often as there are errors.

    Attributes:
        errors: The numbers of the errors.
    """

    def __init__(self, listening: socket.socket, *errors: int) -> None:
        self._listening = listening
        self.errors = [*errors]

    def accept(self) -> Any:
        """Fail, or accept."""
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        return self._listening.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)


class AcceptorTests(TransportCase):
    def accept(self, listening: Any) -> Acceptor:
        """Accept from a socket, into `self.protocols`."""
        self.protocols: list[Recorder] = []
        acceptor = Acceptor(self.reactor, listening, self.build)
        acceptor.startReading()
        self.addCleanup(self.close)
        return acceptor

    def build(self) -> Recorder:
        """Make a protocol."""
        self.protocols.append(Recorder())
        return self.protocols[-1]

    def close(self) -> None:
        """Close what was accepted."""
        for protocol in self.protocols:
            transport: Any = protocol.transport
            transport.abortConnection()
        self.reactor.turn()

    def client(self, listening: Any) -> socket.socket:
        """A client that connects."""
        client = socket.socket(listening.family)
        self.addCleanup(client.close)
        client.connect(listening.getsockname())
        return client

    def test_accept(self) -> None:
        """A client gets a protocol, which gets what it sends; TCP's options are inherited."""
        for family in (socket.AF_INET, socket.AF_INET6):
            listening = self.listening(family)
            verifyObject(IReadDescriptor, self.accept(listening))
            client = self.client(listening)
            client.sendall(b"abc")
            self.reactor.turn(2)
            (protocol,) = self.protocols
            self.assertEqual(protocol.received, b"abc")
            transport: Any = protocol.transport
            self.assertEqual(transport.getPeer().port, client.getsockname()[1])
            for level, option in (
                (socket.IPPROTO_TCP, socket.TCP_NODELAY),
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            ):
                self.assertTrue(transport.socket.getsockopt(level, option))
            self.assertEqual(transport.socket.gettimeout(), 0.0)
            self.assertFalse(transport.socket.get_inheritable())

    def test_unix(self) -> None:
        """A Unix socket is accepted from like another."""
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(self.mktemp())
        listening.listen()
        listening.setblocking(False)
        self.accept(listening)
        self.client(listening).sendall(b"abc")
        self.reactor.turn(2)
        self.assertEqual([protocol.received for protocol in self.protocols], [b"abc"])

    def test_batch(self) -> None:
        """In one turn at most `BATCH` are accepted, so that others have theirs."""
        listening = self.listening()
        self.accept(listening)
        for _ in range(BATCH + 1):
            self.client(listening)
        self.reactor.turn()
        self.assertEqual(len(self.protocols), BATCH)
        self.reactor.turn()
        self.assertEqual(len(self.protocols), BATCH + 1)

    def test_blocking(self) -> None:
        """A socket that somebody has passed to us may block; then nobody waits for a client."""
        listening = self.listening()
        listening.setblocking(True)
        acceptor = self.accept(listening)
        acceptor.doRead()
        self.assertEqual(self.protocols, [])

    def test_stopped(self) -> None:
        """Who comes while nobody is accepted waits, and is not refused."""
        listening = self.listening()
        acceptor = self.accept(listening)
        acceptor.stopReading()
        self.client(listening)
        self.reactor.turn()
        self.assertEqual(self.protocols, [])
        acceptor.startReading()
        self.reactor.turn()
        self.assertEqual(len(self.protocols), 1)

    def test_shortage(self) -> None:
        """Where descriptors or memory run out it is said, and tried again after a while."""
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            listening = Failing(self.listening(), number)
            self.accept(listening)
            self.client(listening)
            self.reactor.turn(3)
            self.assertEqual((self.protocols, listening.errors), ([], []))
            self.reactor.advance(PAUSE)
            self.assertEqual(len(self.protocols), 1)

    def test_stopped_in_a_shortage(self) -> None:
        """Who has stopped meanwhile does not begin again."""
        listening = Failing(self.listening(), errno.EMFILE)
        acceptor = self.accept(listening)
        self.client(listening)
        self.reactor.turn()
        acceptor.stopReading()
        self.reactor.advance(PAUSE)
        self.assertEqual((self.protocols, self.reactor.getDelayedCalls()), ([], []))

    def test_gone(self) -> None:
        """A client that was gone before it was accepted harms no other."""
        listening = Failing(self.listening(), errno.ECONNABORTED)
        self.accept(listening)
        self.client(listening)
        self.reactor.turn(2)
        self.assertEqual(len(self.protocols), 1)

    def test_faults(self) -> None:
        """A protocol that cannot be made, or fails when it is, harms no other client."""

        class Faulty(Recorder):
            def connectionMade(self) -> None:
                raise ZeroDivisionError

        made: list[Any] = [Faulty, lambda: 1 // 0]
        listening = self.listening()
        acceptor = Acceptor(self.reactor, listening, lambda: made.pop()())
        acceptor.startReading()
        clients = [self.client(listening) for _ in range(3)]
        made.insert(0, self.build)
        self.protocols = []
        self.addCleanup(self.close)
        self.reactor.turn(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        for client in clients[:2]:
            client.settimeout(5)
            self.assertRaises(ConnectionResetError, client.recv, 1)
        clients[2].sendall(b"abc")
        self.reactor.turn()
        self.assertEqual(self.protocols[0].received, b"abc")
