"""Bytes from one socket to another inside the kernel, through a pipe (`splice(2)`).

Python sees only how many there were. For little a splice costs more than a copy, and for much a
quarter of it: see `docs/decisions/0011-splice-for-bulk.md`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Any

from twisted.internet import main

from lbproxy.transport.connection import Connection

#: What a pipe may hold, in bytes: the most that Linux gives to those who are not root
#: (`/proc/sys/fs/pipe-max-size`). The pages are the sockets' own, not copies.
PIPE_SIZE = 1 << 20

#: Empty pipes that are kept for the next one: making one takes three calls.
KEPT_PIPES = 32


class Pipe:
    """A pipe, non-blocking and as large as the kernel lets it be.

    Attributes:
        reader: The descriptor to read from.
        writer: The descriptor to write to.
        size: Bytes that it holds at most.
    """

    __slots__ = ("reader", "size", "writer")

    def __init__(self) -> None:
        """Make it.

        Raises:
            OSError: If the process has too many descriptors already.
        """
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self.size = fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:  # The user's pipes together are at their limit (`pipe(7)`).
            self.size = fcntl.fcntl(self.writer, fcntl.F_GETPIPE_SZ)

    def close(self) -> None:
        """Close both ends, and drop what is in it."""
        os.close(self.reader)
        os.close(self.writer)


class Pipes:
    """Pipes that wait to be used again: empty ones, `KEPT_PIPES` at most."""

    def __init__(self) -> None:
        self._idle: list[Pipe] = []

    def take(self) -> Pipe | None:
        """A pipe, or `None` if there can be none: then bytes are copied."""
        if self._idle:
            return self._idle.pop()
        try:
            return Pipe()
        except OSError:
            return None

    def give(self, pipe: Pipe, *, empty: bool) -> None:
        """Take a pipe back; one that still holds bytes is closed."""
        if empty and len(self._idle) < KEPT_PIPES:
            self._idle.append(pipe)
        else:
            pipe.close()


#: Those of this process.
PIPES = Pipes()


def can_splice(source: Any, sink: Any) -> bool:
    """Whether bytes may go from one transport to the other without being seen.

    Not where the kernel has no `splice`, and only between plain connections: what a subclass does
    with the bytes, such as TLS, would be left out.
    """
    return hasattr(os, "splice") and type(source) is type(sink) is Connection


class Splice:
    """Moves what one connection brings to another one.

    While it stands it is the source's `intake`, and the sink's `outlet` while the pipe holds bytes
    that the sink does not take: then the source is not read, so no more is under way than a pipe
    holds. What was queued at the sink before goes first; nothing else may be written to the sink.

    The ends of the connections are told as ever: to their protocols, which call `stop`. Where the
    source ends in order, nothing is left in the pipe.

    Attributes:
        moved: Bytes that came from the source so far. For time limits, look at it now and then.
        held: Bytes of them that wait in the pipe.
    """

    __slots__ = ("_left", "_on_end", "_pipe", "_pipe_size", "_sink", "_source", "held", "moved")

    def __init__(
        self,
        source: Connection,
        sink: Connection,
        pipe: Pipe,
        limit: int | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        """Begin.

        Args:
            source: Is read.
            sink: Is written to; `can_splice` has said that both are plain.
            pipe: Of `PIPES`, which gets it back.
            limit: How many bytes are to be moved, at least one; `None` for all until the end.
            on_end: Called when that many are with the sink, or in its kernel queue. The two
                connections are then free again: the source reads into its protocol.
        """
        self._source = source
        self._sink = sink
        self._pipe: Pipe | None = pipe
        self._pipe_size = pipe.size
        self._left = limit
        self._on_end = on_end
        self.held = 0
        self.moved = 0
        source.intake = self

    def pull(self) -> Any:
        """The source can be read; what is returned is why its connection has ended."""
        pipe = self._pipe
        if pipe is None or self.held:
            return None
        left = self._left
        size = self._pipe_size if left is None or left > self._pipe_size else left
        flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
        try:
            size = os.splice(self._source.fileno(), pipe.writer, size, flags=flags)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not size:
            return main.CONNECTION_DONE
        self.moved += size
        self.held = size
        if left is not None:
            self._left = left - size
        if not self._sink.queued:
            # An error is met again when the sink is found to be writable: the source's turn is
            # not the sink's.
            self._drain(pipe)
        if self.held:
            self._source.pauseProducing()
            self._sink.wait_for(self)
        elif self._left == 0:
            self._end()
        return None

    def push(self) -> Any:
        """The sink can be written to; what is returned is why its connection has ended."""
        pipe = self._pipe
        if pipe is None:
            return None
        if not self._drain(pipe):
            return main.CONNECTION_LOST
        if not self.held:
            self._sink.outlet = None
            self._source.resumeProducing()
            if self._left == 0:
                self._end()
        return None

    def stop(self) -> None:
        """Let go of both connections; what is in the pipe is lost."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        if self._source.intake is self:
            self._source.intake = None
        if self._sink.outlet is self:
            self._sink.outlet = None
        PIPES.give(pipe, empty=not self.held)

    def _drain(self, pipe: Pipe) -> bool:
        """Give the sink what it takes; false if it is broken."""
        flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
        try:
            self.held -= os.splice(pipe.reader, self._sink.fileno(), self.held, flags=flags)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def _end(self) -> None:
        self.stop()
        if self._on_end is not None:
            self._on_end()
