"""Bodies that go past the protocols of both sides."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.transport import pipes, transfer
from lbproxy.transport.connection import HIGH_WATER, Connection
from lbproxy.transport.pipes import PIPES, Pipe, Pipes
from lbproxy.transport.transfer import PIECE, Transfer, can_splice, can_transfer
from tests.transport.turning import Recorder, TransportCase

BODY = random.Random(1).randbytes(3 << 20)


class Counter:
    """Adds up what was moved.

    Attributes:
        moved: Bytes.
    """

    def __init__(self) -> None:
        self.moved = 0

    def relayed(self, count: int) -> None:
        """Add."""
        self.moved += count


class Holder(Recorder):
    """Holds another connection back when its own is full."""

    def __init__(self, other: Connection) -> None:
        super().__init__()
        self._other = other

    def pauseProducing(self) -> None:
        """Hold it back."""
        super().pauseProducing()
        self._other.pauseProducing()

    def resumeProducing(self) -> None:
        """Let it go on."""
        super().resumeProducing()
        self._other.resumeProducing()


class TransferTests(TransportCase):
    """Bytes are copied, whatever comes."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(transfer, "can_splice", lambda source, sink: False)
        self.join()

    def join(self) -> None:
        """Make two connections."""
        self.sender = Recorder()
        self.source, self.origin = self.connect(self.sender)
        self.taker = Holder(self.source)
        self.sink, self.client = self.connect(self.taker)
        self.counter = Counter()

    def begin(self, length: int) -> None:
        """Transfer so many bytes."""
        Transfer(self.source, self.sink, self.counter, length)

    def push(self, data: bytes) -> bytes:
        """What the client gets while the origin sends as fast as it can."""
        got = b""
        rest = memoryview(data)
        for _ in range(100_000):
            with contextlib.suppress(BlockingIOError):
                rest = rest[self.origin.send(rest) :] if rest else rest
            self.reactor.turn()
            got += self.read(self.client, 65536)
            if not rest and len(got) >= len(data):
                break
        return got + self.drain(self.client)

    def test_whole(self) -> None:
        """All bytes go through in order, and no protocol sees any of them."""
        self.begin(len(BODY))
        self.assertEqual(self.push(BODY), BODY)
        self.assertEqual(self.counter.moved, len(BODY))
        self.assertEqual((self.sender.received, self.source.intake), (b"", None))

    def test_exact(self) -> None:
        """What comes behind the length is read as before."""
        self.begin(5)
        self.origin.send(b"hello, and more")
        self.assertEqual(self.drain(self.client), b"hello")
        self.assertEqual(self.sender.received, b", and more")

    def test_slow_client(self) -> None:
        """A client that does not read holds the origin back; what is queued stays bounded."""
        self.begin(len(BODY))
        rest = memoryview(BODY)
        blocked = 0
        while rest and blocked < 5:
            try:
                rest = rest[self.origin.send(rest) :]
                blocked = 0
            except BlockingIOError:
                blocked += 1
            self.reactor.turn()
        self.reactor.turn(100)
        self.assertIn("pause", self.taker.told)
        self.assertLessEqual(self.sink.waiting, HIGH_WATER + PIECE)
        got = self.drain(self.client) + self.push(bytes(rest))
        self.assertEqual(got, BODY)

    def test_source_ends(self) -> None:
        """The source's protocol hears of an end, and of a reset as one."""
        self.begin(100)
        self.origin.send(b"hello")
        self.origin.close()
        self.assertEqual(self.drain(self.client), b"hello")
        assert self.sender.reason is not None
        self.assertTrue(self.sender.reason.check(ConnectionDone, ConnectionLost))
        self.assertEqual(self.counter.moved, 5)

    def test_behind_queue(self) -> None:
        """What was queued before goes first."""
        head = b"h" * 500_000
        self.sink.write(head)
        self.assertTrue(self.sink.queued)
        self.begin(len(BODY))
        self.assertEqual(self.push(BODY), head + BODY)

    def test_one_after_another(self) -> None:
        """As soon as the last byte is with the sink, the connections may be used again."""
        self.begin(len(BODY))
        self.assertEqual(self.push(BODY), BODY)
        self.begin(len(BODY))
        self.assertEqual(self.push(BODY), BODY)
        self.assertEqual(self.counter.moved, 2 * len(BODY))
        self.assertEqual((self.source.intake, self.sink.outlet), (None, None))

    def test_sink_lost(self) -> None:
        """A sink that is reset while bytes wait for it is told to its own protocol."""
        self.begin(len(BODY))
        self.origin.setblocking(False)
        rest = memoryview(BODY)
        while "pause" not in self.taker.told:
            with contextlib.suppress(BlockingIOError):
                rest = rest[self.origin.send(rest) :]
            self.reactor.turn()
        reset(self.client)
        self.reactor.until(lambda: "lost" in self.taker.told)
        self.assertIsNone(self.sink.outlet)
        self.assertIsNone(self.sender.reason)

    def test_source_reset(self) -> None:
        """A source that is reset in the middle is told to its protocol."""
        self.begin(len(BODY))
        self.origin.send(BODY[:100_000])
        self.reactor.turn(5)
        reset(self.origin)
        self.drain(self.client)
        self.reactor.until(lambda: "lost" in self.sender.told)
        self.assertIsNone(self.source.intake)


class SplicedTransferTests(TransferTests):
    """Much is moved inside the kernel, through a pipe."""

    def setUp(self) -> None:
        TransportCase.setUp(self)
        self.pipes: list[Pipe] = []
        self.patch(PIPES, "_idle", self.pipes)
        self.patch(transfer, "LARGE", 1000)  # The buffers of these sockets are small.
        self.patch(transfer, "SMALL", 500)
        self.join()
        self.addCleanup(self.close)

    def close(self) -> None:
        """Close the pipes that were kept."""
        while self.pipes:
            self.pipes.pop().close()

    def test_whole(self) -> None:
        """All bytes go through in order, and the pipe is there for the next."""
        super().test_whole()
        self.assertEqual(len(self.pipes), 1)

    def test_little(self) -> None:
        """When little comes it is copied again."""
        self.begin(2 * len(BODY) + transfer.FEW)
        self.assertEqual(self.push(BODY), BODY)
        self.assertEqual(self.pipes, [])
        for number in range(transfer.FEW):
            self.origin.send(b"%d" % number)
            self.assertEqual(self.drain(self.client), b"%d" % number)
        self.assertEqual(len(self.pipes), 1)
        self.assertEqual(self.push(BODY), BODY)

    def test_no_pipe(self) -> None:
        """Where there can be no pipe, bytes are copied."""

        def refuse() -> Pipe:
            raise OSError(24, "Too many open files")

        self.patch(pipes, "Pipe", refuse)
        super().test_whole()
        self.assertEqual(self.pipes, [])

    def test_close_behind(self) -> None:
        """A sink whose side is to be closed sends what is in the pipe before."""
        Transfer(self.source, self.sink, self.counter)
        self.sink.write(b"h" * HIGH_WATER)
        for _ in range(transfer.MANY + 1):
            self.origin.send(b"b" * 1000)
            self.reactor.turn()
        self.assertGreater(self.sink.waiting, self.sink.queued)
        self.sink.loseWriteConnection()
        self.assertEqual(self.drain(self.client)[-5001:], b"h" + b"b" * 5000)
        self.assertEqual(self.client.recv(1), b"")

    def test_lost_with_bytes(self) -> None:
        """A pipe that is not empty is not used again."""
        super().test_sink_lost()
        self.assertEqual(self.pipes, [])


class CapabilityTests(TransportCase):
    def setUp(self) -> None:
        super().setUp()
        self.source, _ = self.connect(Recorder())
        self.sink, _ = self.connect(Recorder())

    def test_transfer(self) -> None:
        """A socket of ours can; what stands above something else cannot."""
        self.assertTrue(can_transfer(self.source))
        self.assertFalse(can_transfer(Recorder()))
        self.assertFalse(can_transfer(socket.socket))

    def test_splice(self) -> None:
        """Not where a subclass does something with the bytes."""
        ours, _ = self.pair()
        other = Other(self.reactor, ours)
        self.assertTrue(can_splice(self.source, self.sink))
        self.assertFalse(can_splice(self.source, other))
        self.assertFalse(can_splice(other, self.sink))


class PipesTests(SynchronousTestCase):
    def test_kept(self) -> None:
        """An empty pipe is used again; one with bytes in it is closed."""
        kept = Pipes()
        pipe, other = kept.take(), kept.take()
        assert pipe is not None and other is not None
        os.write(other.writer, b"left")
        kept.give(pipe, empty=True)
        kept.give(other, empty=False)
        self.assertRaises(OSError, os.fstat, other.writer)
        self.assertIs(kept.take(), pipe)
        pipe.close()


class Other(Connection):
    """Does something with the bytes."""


def reset(skt: socket.socket) -> None:
    """Close with a reset."""
    skt.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    skt.close()
