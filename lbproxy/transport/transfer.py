"""Bytes moved from one connection to another, past the protocols of both.

What is only to be counted need not become a `bytes` object, an event of a parser and five calls. A
`Transfer` takes over the reading of a connection (`Connection.intake`). Where little comes it is
copied through one buffer that all transfers of a process share; where much comes it is moved
inside the kernel (`splice(2)`), and Python sees only how much it was: see
`docs/decisions/0011-splice-for-bulk.md`.
"""

from __future__ import annotations

import os
from socket import socket
from typing import Any, Protocol

from twisted.internet import main

from lbproxy.transport.connection import Connection
from lbproxy.transport.pipes import PIPES, Pipe

#: Bytes that are left of a body from which on a transfer is worth its set-up.
WORTH = 16384

#: Bytes that are copied at a time.
PIECE = 262144

#: Bytes that make a large read, and how many such in a row begin a splice. Where the other side
#: sends as fast as we read, reads end where its segments do, and few are full.
LARGE, MANY = 32768, 4

#: Bytes below which a splice costs more than a copy, and how many such in a row end it.
SMALL, FEW = 16384, 8

#: Bytes that are known to come still from which on the first large read is enough.
BULK = 1 << 18

_buffer = memoryview(bytearray(PIECE))


def can_transfer(source: Any) -> bool:
    """Whether a transport's bytes are those of its socket, and can be taken past its protocol."""
    return type(source) is Connection


def can_splice(source: Any, sink: Any) -> bool:
    """Whether bytes may go from one transport to the other without being seen.

    Not where the kernel has no `splice`, and only between plain connections of the kernel's: what a
    subclass does with the bytes, such as TLS, would be left out.
    """
    plain = type(source) is type(sink) is Connection and isinstance(source.socket, socket)
    return plain and hasattr(os, "splice")


class Moved(Protocol):
    """Who counts what a transfer has moved."""

    def relayed(self, count: int) -> None:
        """The sink has got so many bytes more; the transfer is over when it has all."""


class Transfer:
    """Moves what one connection brings to another one, all of it or a known length.

    It is the source's `intake`. The sink's producer has to pause the source: at once when bytes
    wait in a pipe, of which the transfer is the sink's `outlet` meanwhile; else when the sink has
    much queued. What was queued there before goes first; nothing else may be written to the sink.

    The ends of the connections are told to their protocols as ever. Where the source ends in
    order, nothing is left in the pipe.

    Attributes:
        held: Bytes that wait in the pipe.
    """

    __slots__ = ("_counter", "_left", "_pipe", "_sink", "_source", "_streak", "held")

    def __init__(
        self, source: Connection, sink: Any, counter: Moved, length: int | None = None
    ) -> None:
        """Begin.

        Args:
            source: Is read from; `can_transfer` has said that it can be.
            sink: The transport that is written to.
            counter: Is told of each piece.
            length: Bytes to move, at least 1, after which the source reads into its protocol
                again; `None` for all until the end.
        """
        self._source = source
        self._sink = sink
        self._counter = counter
        self._left = length
        self._pipe: Pipe | None = None
        self._streak = 0
        self.held = 0
        source.intake = self

    def pull(self) -> Any:
        """The source can be read; what is returned is why its connection has ended."""
        return self._copy() if self._pipe is None else self._splice(self._pipe)

    def push(self) -> Any:
        """The sink can be written to; what is returned is why its connection has ended."""
        if self._pipe is not None and not self._drain(self._pipe):
            return main.CONNECTION_LOST
        return None

    def stop(self) -> None:
        """Let go of both connections; what is in the pipe is lost."""
        if self._source.intake is self:
            self._source.intake = None
        if self._pipe is not None:
            self._give_back(self._pipe)

    def _copy(self) -> Any:
        left = self._left
        try:
            count = self._source.socket.recv_into(
                _buffer if left is None or left > PIECE else _buffer[:left]
            )
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not count:
            return main.CONNECTION_DONE
        if left is not None:
            self._left = left = left - count
            if not left:
                self._source.intake = None
        self._sink.write(_buffer[:count])
        if count < LARGE:
            self._streak = 0
        elif left != 0:
            self._streak += 1
            if self._streak == MANY or (left is not None and left >= BULK):
                self._begin_splice()
        self._counter.relayed(count)
        return None

    def _begin_splice(self) -> None:
        """Much comes: let the kernel move it."""
        self._streak = 0
        if can_splice(self._source, self._sink) and not self._sink.disconnected:
            self._pipe = PIPES.take()

    def _splice(self, pipe: Pipe) -> Any:
        if self.held:
            return None  # Another event of the same turn has filled the sink.
        left, size = self._left, pipe.size
        if left is not None and left < size:
            size = left
        try:
            count = os.splice(self._source.fileno(), pipe.writer, size, flags=_FLAGS)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not count:
            return main.CONNECTION_DONE
        if left is not None:
            self._left = left - count
        self.held = count
        self._streak = self._streak + 1 if count < SMALL else 0
        # What is wrong with the sink is met again in its own turn.
        if self._sink.queued or not self._drain(pipe) or self.held:
            self._wait()
        return None

    def _drain(self, pipe: Pipe) -> bool:
        """Give the sink what it takes; false if it is broken."""
        try:
            count = os.splice(pipe.reader, self._sink.fileno(), self.held, flags=_FLAGS)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.held -= count
        if not self.held:
            if self._left == 0:
                self.stop()
            elif self._streak == FEW:  # Little comes: copy it.
                self._give_back(pipe)
            elif self._sink.outlet is self:
                self._sink.outlet = None
        self._counter.relayed(count)
        return True

    def _wait(self) -> None:
        if self._sink.disconnected:
            self.stop()
        else:
            self._sink.wait_for(self)

    def _give_back(self, pipe: Pipe) -> None:
        if self._sink.outlet is self:
            self._sink.outlet = None
        PIPES.give(pipe, empty=not self.held)
        self._pipe = None
        self._streak = self.held = 0


#: Whole pages change hands, and nobody waits.
_FLAGS = (os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK) if hasattr(os, "splice") else 0
