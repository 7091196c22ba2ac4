"""Bodies of known length, moved past the protocols of both sides.

What is only to be counted need not become a `bytes` object, an event of a parser and five calls. A
`Transfer` takes over the reading of a connection (`Connection.intake`), and gives the kernel's
bytes back to the kernel from one buffer that all transfers of a process share.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet import main

from lbproxy.transport.connection import Connection

#: Bytes that are left of a body from which on a transfer is worth its set-up.
WORTH = 16384

#: Bytes that are moved at a time.
PIECE = 262144

_buffer = memoryview(bytearray(PIECE))


def can_transfer(source: Any) -> bool:
    """Whether a transport's bytes are those of its socket, and can be taken past its protocol."""
    return type(source) is Connection


class Moved(Protocol):
    """Who counts what a transfer has moved."""

    def relayed(self, count: int) -> None:
        """So many bytes more; the transfer is over when all are moved."""


class Transfer:
    """Moves bytes from a connection to another one, which may hold back by its producer."""

    __slots__ = ("_counter", "_left", "_sink", "_source")

    def __init__(self, source: Connection, sink: Connection, length: int, counter: Moved) -> None:
        """Prepare; it begins when it is the source's `intake`.

        Args:
            source: Is read from.
            sink: Is written to.
            length: Bytes to move, at least 1.
            counter: Is told, and hears from the source if that is lost before.
        """
        self._source = source
        self._sink = sink
        self._left = length
        self._counter = counter

    def pull(self) -> Any:
        """Move what has come; what is returned is why the source has ended."""
        try:
            count = self._source.socket.recv_into(_buffer[: self._left])
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not count:
            return main.CONNECTION_DONE
        self._left -= count
        if not self._left:
            self._source.intake = None
        self._sink.write(_buffer[:count])
        self._counter.relayed(count)
        return None
