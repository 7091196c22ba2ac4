"""A real reactor whose time and turns are moved by the test, and connections on it."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.transport.connection import Connection
from lbproxy.transport.reactor import LeanReactor

#: Seconds for which one turn waits for what must happen.
MOMENT = 1.0

#: Turns after which things go round in circles.
ENOUGH = 100_000


class TurningReactor(LeanReactor):
    """Watches descriptors as in production, one turn at a time.

    Attributes:
        now: The time, which passes when the test says so.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__()

    def seconds(self) -> float:
        """The time."""
        return self.now

    def turn(self, times: int = 1) -> None:
        """Call what is due, then what the kernel says is ready."""
        for _ in range(times):
            self.iterate(0)

    def advance(self, seconds: float) -> None:
        """Let time pass, and call what is due then."""
        self.now += seconds
        self.turn()

    def until(self, happened: Callable[[], object]) -> None:
        """Turn until something has happened.

        Raises:
            AssertionError: If nothing moves any more, and it has not.
        """
        while not happened():
            if not self._moves(MOMENT) and not happened():
                raise AssertionError("it did not happen")

    def work(self, done: Callable[[], object]) -> None:
        """Turn until something is so that the call itself brings about, piece by piece."""
        for _ in range(ENOUGH):
            if done():
                return
            self.turn()
        raise AssertionError("it does not end")

    def settle(self) -> None:
        """Turn until nothing moves."""
        turns = 0
        while self._moves(0.01):
            turns += 1
            assert turns < ENOUGH, "it does not settle"

    @property
    def watched(self) -> list[Any]:
        """What is watched but for the reactor's own, a reader that is a writer too twice."""
        return [
            one
            for one in (*self.getReaders(), *self.getWriters())
            if one not in self._internalReaders
        ]

    def _moves(self, seconds: float) -> bool:
        """Turn once, with some patience; whether anything was due or ready."""
        due = any(call.getTime() <= self.now for call in self.getDelayedCalls())
        # An epoll is itself readable while it has something to tell.
        ready, _, _ = select.select([self._poller.fileno()], [], [], 0.0 if due else seconds)
        self.iterate(0)
        return bool(due or ready)

    def close(self) -> None:
        """Give up its own descriptors."""
        self._poller.close()
        os.close(self.waker.i)
        os.close(self.waker.o)


class Recorder(Protocol):
    """Remembers what its transport tells it.

    Attributes:
        received: What was read.
        told: What else it heard, in order.
        reason: Why the connection was lost, once it was.
    """

    def __init__(self) -> None:
        self.received = b""
        self.told: list[str] = []
        self.reason: Failure | None = None

    def connectionMade(self) -> None:
        """Be told when the other side does not keep up."""
        transport: Any = self.transport
        transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Remember it."""
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Remember it."""
        self.told.append("lost")
        self.reason = reason

    def pauseProducing(self) -> None:
        """Remember it."""
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """Remember it."""
        self.told.append("resume")

    def stopProducing(self) -> None:
        """Remember it."""
        self.told.append("stop")


class HalfCloser(Recorder):
    """Hears of the other side's end apart from its own."""

    def readConnectionLost(self) -> None:
        """Remember it."""
        self.told.append("end")


class TransportCase(SynchronousTestCase):
    """Has a reactor."""

    def setUp(self) -> None:
        self.reactor = TurningReactor()
        self.addCleanup(self.reactor.close)

    def listening(self, family: int = socket.AF_INET, port: int = 0) -> socket.socket:
        """A socket that listens on loopback, at a free port or the given one; it does not block."""
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        listening = socket.create_server((host, port), family=family)
        self.addCleanup(listening.close)
        listening.setblocking(False)
        return listening

    def crowded(self) -> tuple[socket.socket, str]:
        """A Unix socket whose queue is full, and its address."""
        path = self.mktemp()
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(path)
        listening.listen(0)
        waiting = socket.socket(socket.AF_UNIX)
        self.addCleanup(waiting.close)
        waiting.connect(path)
        return listening, f"unix:{path}"

    def pair(self, *, small: bool = True) -> tuple[socket.socket, socket.socket]:
        """Two ends of a TCP connection, with small buffers or as they are; neither blocks."""
        listening = self.listening()
        if small:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        ours = socket.create_connection(listening.getsockname())
        listening.setblocking(True)
        theirs, _ = listening.accept()
        for end in (ours, theirs):
            self.addCleanup(end.close)
            end.setblocking(False)
        if small:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        return ours, theirs

    def connect(self, protocol: Any) -> tuple[Connection, socket.socket]:
        """A connection of a protocol, and the socket at the other end."""
        ours, theirs = self.pair()
        connection = Connection(self.reactor, ours, ours.getpeername())
        connection.start(protocol)
        return connection, theirs

    def read(self, theirs: socket.socket, size: int = 1 << 20) -> bytes:
        """What has come at the other end: at most `size` bytes, `b""` if nothing or the end."""
        pieces = []
        while size:
            try:
                data = theirs.recv(size)
            except BlockingIOError:
                break
            if not data:
                break
            pieces.append(data)
            size -= len(data)
        return b"".join(pieces)

    def drain(self, theirs: socket.socket) -> bytes:
        """Read all that comes, while the reactor turns, until nothing more does."""
        pieces = []
        silent = 0
        while silent < 3:
            self.reactor.turn()
            data = self.read(theirs)
            pieces.append(data)
            silent = 0 if data else silent + 1
        return b"".join(pieces)

    def ended(self, theirs: socket.socket) -> bool:
        """Whether the other end sees the end, which is no reset."""
        try:
            return theirs.recv(1) == b""
        except BlockingIOError:
            return False
