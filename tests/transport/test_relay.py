"""Joined connections, one test class for all ways of moving bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
from typing import Any

from twisted.python.failure import Failure

from lbproxy.transport import pipes
from lbproxy.transport.connection import HIGH_WATER, Connection
from lbproxy.transport.pipes import PIPES, Pipe
from lbproxy.transport.relay import Relay
from lbproxy.transport.transfer import PIECE
from tests.transport.turning import TransportCase

#: Of the test's own, whole and in pieces of random sizes.
MUCH = random.Random(1).randbytes(5_000_000)


class Joined(Connection):
    """A connection of which nobody can be sure that it is a plain one."""


class Side:
    """One protocol of a relay's two."""

    transport: Any

    def __init__(self) -> None:
        self.to: Relay | None = None
        self.lost: Failure | None = None
        self.ended = False

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport

    def dataReceived(self, data: bytes) -> None:
        assert self.to is not None
        self.to.take(data)

    def readConnectionLost(self) -> None:
        assert self.to is not None
        self.ended = True
        self.to.end()

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason


class RelayTests(TransportCase):
    """Bytes are seen by the protocols, and copied."""

    kind: type[Connection] = Joined

    def setUp(self) -> None:
        super().setUp()
        self.client, near = self.pair(small=False)
        self.backend, far = self.pair(small=False)
        self.sides = Side(), Side()
        for side, skt in zip(self.sides, (near, far), strict=True):
            self.kind(self.reactor, skt).start(side)
        here, there = (side.transport for side in self.sides)
        self.up, self.down = Relay(here, there), Relay(there, here)
        self.sides[0].to, self.sides[1].to = self.up, self.down
        self.addCleanup(self.end)

    def end(self) -> None:
        for side in self.sides:
            if side.lost is None:
                side.transport.abortConnection()
        self.reactor.turn()

    def send(self, source: socket.socket, data: bytes, sizes: Any = lambda: 1 << 20) -> Any:
        """Send all of it, as the socket takes it; what to call in each turn."""
        rest = memoryview(data)

        def more() -> bool:
            nonlocal rest
            if rest:
                with contextlib.suppress(BlockingIOError):
                    rest = rest[source.send(rest[: sizes()]) :]
            return not rest

        return more

    def receive(self, sink: socket.socket, most: int = 1 << 20) -> tuple[Any, bytearray]:
        """Read what is there in each turn, into a buffer."""
        read = bytearray()

        def more() -> None:
            with contextlib.suppress(BlockingIOError):
                read.extend(sink.recv(most))

        return more, read

    def test_both_ways(self) -> None:
        """Everything arrives as it was sent, both ways at once, in pieces of any size."""
        chance = random.Random(2)
        ways = []
        for source, sink in ((self.client, self.backend), (self.backend, self.client)):
            send = self.send(source, MUCH, lambda: chance.choice((1, 100, 5000, 70000, 300000)))
            ways.append((send, *self.receive(sink, chance.choice((3000, 200_000)))))

        def done() -> bool:
            for send, receive, _ in ways:
                send()
                receive()
            return all(len(read) == len(MUCH) for _, _, read in ways)

        self.reactor.work(done)
        for _, _, read in ways:
            self.assertEqual(hashlib.sha256(read).digest(), hashlib.sha256(MUCH).digest())
        self.assertEqual((self.up.moved, self.down.moved), (len(MUCH), len(MUCH)))

    def test_back_pressure(self) -> None:
        """While one side does not read, little is taken from the other; then all of it comes."""
        send = self.send(self.client, MUCH * 4)
        last, quiet = 0, 0

        def stuck() -> bool:
            nonlocal last, quiet
            send()
            quiet = quiet + 1 if self.up.moved == last else 0
            last = self.up.moved
            return quiet > 50

        self.reactor.work(stuck)
        here, there = (side.transport for side in self.sides)
        self.assertNotIn(here, self.reactor.getReaders())
        self.assertLessEqual(there.queued, HIGH_WATER + PIECE)
        receive, read = self.receive(self.backend)

        def done() -> bool:
            receive()
            return bool(send()) and len(read) == 4 * len(MUCH)

        self.reactor.work(done)
        self.assertEqual(bytes(read), MUCH * 4)
        self.assertFalse(self.up.clogged)

    def test_half_close(self) -> None:
        """One side ends: the other reads that behind all bytes, and can still answer."""
        send = self.send(self.client, MUCH)
        receive, read = self.receive(self.backend, 10_000)
        self.reactor.work(lambda: receive() or send())
        self.client.shutdown(socket.SHUT_WR)
        self.reactor.work(lambda: receive() or len(read) == len(MUCH))
        self.reactor.work(lambda: self.sides[0].ended)
        self.assertEqual(self.backend.recv(1), b"")
        self.backend.sendall(b"answer")
        answer, got = self.receive(self.client)
        self.reactor.work(lambda: answer() or got == b"answer")

    def test_sink_gone(self) -> None:
        """A sink that is reset is told to its own protocol, whoever reads."""
        self.backend.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_reset())
        self.backend.close()
        send = self.send(self.client, MUCH)
        self.reactor.work(lambda: send() or self.sides[1].lost is not None)
        self.assertIsNone(self.sides[0].lost)

    def test_source_gone(self) -> None:
        """A source that is reset in the midst is told to its protocol."""
        send = self.send(self.client, MUCH)
        receive, read = self.receive(self.backend)
        self.reactor.work(lambda: send() or receive() or len(read) > 1_000_000)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_reset())
        self.client.close()
        self.reactor.work(lambda: receive() or self.sides[0].lost is not None)

    def test_little(self) -> None:
        """After much comes little, back and forth, and all the same."""
        send = self.send(self.client, MUCH)
        receive, read = self.receive(self.backend)
        self.reactor.work(lambda: receive() or (send() and len(read) == len(MUCH)))
        for number in range(50):
            self.client.send(b"%d" % number)
            del read[:]
            self.reactor.work(lambda: receive() or read)
            self.assertEqual(read, b"%d" % number)


class PlainRelayTests(RelayTests):
    """Between plain connections: copied where little comes, spliced where much does."""

    kind = Connection

    def test_spliced(self) -> None:
        """Much is spliced, and the pipe is given back when little comes."""
        idle: list[Pipe] = []
        self.patch(PIPES, "_idle", idle)
        self.test_little()
        self.assertEqual(len(idle), 1)
        idle.pop().close()

    def test_no_pipe(self) -> None:
        """Where there can be no pipe, bytes are copied."""
        self.patch(PIPES, "_idle", [])
        self.patch(pipes, "Pipe", refuse)
        self.test_both_ways()


def refuse() -> Pipe:
    """The process has no descriptors left."""
    raise OSError(24, os.strerror(24))


def linger_reset() -> bytes:
    """For `SO_LINGER`: close with a reset."""
    return (1).to_bytes(4, "little") + bytes(4)
