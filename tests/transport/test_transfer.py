"""Bodies that go past the protocols of both sides."""

from __future__ import annotations

import contextlib
import random
import socket

from twisted.internet.error import ConnectionDone, ConnectionLost

from lbproxy.transport.connection import Connection
from lbproxy.transport.transfer import Transfer, can_transfer
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
    def setUp(self) -> None:
        super().setUp()
        self.sender = Recorder()
        self.source, self.origin = self.connect(self.sender)
        self.taker = Holder(self.source)
        self.sink, self.client = self.connect(self.taker)
        self.counter = Counter()

    def begin(self, length: int) -> None:
        """Transfer so many bytes."""
        self.source.intake = Transfer(self.source, self.sink, length, self.counter)

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
        self.assertLessEqual(self.sink.queued, 2 * 262144)
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

    def test_sink_lost(self) -> None:
        """Bytes for a client that has gone are counted, and go nowhere."""
        self.begin(100)
        self.sink.abortConnection()
        self.reactor.turn(2)
        self.origin.send(b"hello")
        self.reactor.turn(2)
        self.assertEqual(self.counter.moved, 5)

    def test_who_can(self) -> None:
        """A socket of ours can; what stands above something else cannot."""
        self.assertTrue(can_transfer(self.source))
        self.assertFalse(can_transfer(Recorder()))
        self.assertFalse(can_transfer(socket.socket))
