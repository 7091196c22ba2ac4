"""TCP transports that write at once.

Twisted's transports queue each write and wait for the reactor to say that the socket is writable:
two `epoll_ctl` calls and a turn of the reactor for an answer that the kernel would have taken
immediately. Here `send` is tried first, and only what it leaves goes through the queue.
"""

from __future__ import annotations

from socket import MSG_DONTWAIT, MSG_PEEK
from typing import TYPE_CHECKING

from twisted.internet.tcp import Client, Connection, Connector, Server

if TYPE_CHECKING:
    _Base = Connection
else:
    _Base = object


class OptimisticWrites(_Base):
    """A mixin for `twisted.internet.tcp.Connection`."""

    def write(self, data: bytes) -> None:
        """Send what the kernel takes now, queue the rest behind what is queued already."""
        queued = self.dataBuffer or self._tempDataBuffer
        if queued or self.TLS or self._writeDisconnected or not self.connected:
            super().write(data)
            return
        sent = self.writeSomeData(data)
        if not isinstance(sent, int):
            sent = 0  # Inside its own write the protocol must not hear of the loss: next turn.
        if sent < len(data):
            super().write(data[sent:])

    def is_quiet(self) -> bool:
        """Whether nothing waits to be read: neither bytes nor the end of the connection."""
        try:
            self.socket.recv(1, MSG_PEEK | MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


class OptimisticServer(OptimisticWrites, Server):
    """A connection that was accepted."""


class OptimisticClient(OptimisticWrites, Client):
    """A connection that was made."""


class OptimisticConnector(Connector):
    """Makes an `OptimisticClient`."""

    def _makeTransport(self) -> OptimisticClient:
        return OptimisticClient(self.host, self.port, self.bindAddress, self, self.reactor)
