"""Joined connections, one test class for both ways of moving bytes; and the splice by itself."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
from typing import Any

from twisted.python.failure import Failure

from lbproxy.transport import splice
from lbproxy.transport.connection import HIGH_WATER, READ_SIZE, Connection
from lbproxy.transport.relay import Relay
from lbproxy.transport.splice import PIPES, Pipe, Pipes, Splice, can_splice
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
        self.up.stop()
        self.down.stop()
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
        self.assertLessEqual(there.queued, HIGH_WATER + READ_SIZE)
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
        self.backend.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, splice_reset())
        self.backend.close()
        send = self.send(self.client, MUCH)
        self.reactor.work(lambda: send() or self.sides[1].lost is not None)
        self.assertIsNone(self.sides[0].lost)

    def test_source_gone(self) -> None:
        """A source that is reset in the midst is told to its protocol."""
        send = self.send(self.client, MUCH)
        receive, read = self.receive(self.backend)
        self.reactor.work(lambda: send() or receive() or len(read) > 1_000_000)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, splice_reset())
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
        self.assertIsNone(self.up._bulk)
        self.assertEqual(len(idle), 1)
        idle.pop().close()

    def test_no_pipe(self) -> None:
        """Where there can be no pipe, bytes are copied."""
        self.patch(PIPES, "_idle", [])
        self.patch(splice, "Pipe", refuse)
        self.test_both_ways()


def refuse() -> Pipe:
    """The process has no descriptors left."""
    raise OSError(24, os.strerror(24))


def splice_reset() -> bytes:
    """For `SO_LINGER`: close with a reset."""
    return (1).to_bytes(4, "little") + bytes(4)


class SpliceTests(TransportCase):
    """A length that is known beforehand, as for the body of a message."""

    def setUp(self) -> None:
        super().setUp()
        self.client, near = self.pair(small=False)
        self.backend, far = self.pair(small=False)
        self.protocols = Keeping(), Keeping()
        self.source, self.sink = Connection(self.reactor, near), Connection(self.reactor, far)
        self.source.start(self.protocols[0])
        self.sink.start(self.protocols[1])
        self.ends: list[int] = []
        self.addCleanup(self.end)

    def end(self) -> None:
        for connection in (self.source, self.sink):
            connection.abortConnection()
        self.reactor.turn()

    def splice(self, limit: int | None) -> Splice:
        pipe = PIPES.take()
        assert pipe is not None
        return Splice(self.source, self.sink, pipe, limit, lambda: self.ends.append(1))

    def test_limit(self) -> None:
        """So many bytes go over, and what stands behind them is the source's protocol's again."""
        self.client.sendall(b"body" + b"next")
        self.splice(4)
        self.reactor.work(lambda: self.ends)
        self.reactor.work(lambda: self.protocols[0].data)
        self.assertEqual((self.backend.recv(100), self.protocols[0].data), (b"body", b"next"))
        self.assertEqual((self.source.intake, self.sink.outlet), (None, None))

    def test_behind_queue(self) -> None:
        """What was queued before goes first; nothing is lost or mixed where the sink is slow."""
        head = b"h" * 8_000_000
        self.sink.write(head)
        self.assertTrue(self.sink.queued)
        self.splice(len(MUCH))
        read, rest = bytearray(), memoryview(MUCH)

        def done() -> bool:
            nonlocal rest
            with contextlib.suppress(BlockingIOError):
                rest = rest[self.client.send(rest) :]
            with contextlib.suppress(BlockingIOError):
                read.extend(self.backend.recv(1 << 18))
            return bool(self.ends) and len(read) == len(head) + len(MUCH)

        self.reactor.work(done)
        self.assertEqual(read[: len(head)], head)
        self.assertEqual(read[len(head) :], MUCH)
        self.assertEqual(self.ends, [1])

    def test_source_ends_early(self) -> None:
        """A source that ends before the limit is told to its protocol, not as an end."""
        self.client.sendall(b"bo")
        self.client.close()
        spliced = self.splice(4)
        self.reactor.work(lambda: self.protocols[0].lost)
        self.assertEqual((self.ends, spliced.moved), ([], 2))
        spliced.stop()
        self.assertEqual(self.backend.recv(100), b"bo")

    def test_close_behind(self) -> None:
        """A sink that is to close sends what is in the pipe before."""
        self.client.sendall(b"body")
        self.sink.write(b"h" * 8_000_000)
        spliced = self.splice(None)
        self.reactor.work(lambda: spliced.held)
        self.sink.loseWriteConnection()
        read = bytearray()

        def done() -> bool:
            try:
                data = self.backend.recv(1 << 18)
            except BlockingIOError:
                return False
            read.extend(data)
            return not data

        self.reactor.work(done)
        self.assertEqual((len(read), bytes(read[-4:])), (8_000_004, b"body"))
        spliced.stop()

    def test_stop(self) -> None:
        """A pipe that is not empty is not used again."""
        pipes = Pipes()
        self.patch(splice, "PIPES", pipes)
        self.client.sendall(b"body")
        self.sink.write(b"h" * 8_000_000)
        spliced = self.splice(None)
        self.reactor.work(lambda: spliced.held)
        spliced.stop()
        spliced.stop()
        self.assertEqual((pipes._idle, self.source.intake, self.sink.outlet), ([], None, None))
        pipe = pipes.take()
        assert pipe is not None
        pipes.give(pipe, empty=True)
        self.assertIs(pipes.take(), pipe)
        pipe.close()

    def test_plain_only(self) -> None:
        """Not where a subclass does something with the bytes."""
        other = Joined(self.reactor, self.client)
        self.assertTrue(can_splice(self.source, self.sink))
        self.assertFalse(can_splice(self.source, other))
        self.assertFalse(can_splice(other, self.sink))


class Keeping:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.data = b""
        self.lost = False

    def makeConnection(self, transport: Any) -> None:
        """The connection stands."""

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure) -> None:
        self.lost = True
