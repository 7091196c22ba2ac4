"""Real sockets on a reactor whose turns the test takes: no threads, no waiting."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from lbproxy.transport.connection import Connection

#: Turns after which something that is awaited will not come.
PATIENCE = 100_000


@implementer(IReactorFDSet)
class Reactor(Clock):
    """Calls what is ready, once a turn."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard

    def removeAll(self) -> list[Any]:
        """Watch nothing any more."""
        watched = [*self.readers, *self.writers]
        self.readers.clear()
        self.writers.clear()
        return watched

    def getReaders(self) -> list[Any]:
        return list(self.readers)

    def getWriters(self) -> list[Any]:
        return list(self.writers)

    def turn(self) -> None:
        """Look once, and call."""
        self.advance(0)
        reading, writing, _ = select.select(list(self.readers), list(self.writers), [], 0)
        for descriptor in reading:
            if descriptor in self.readers:
                self._call(descriptor, descriptor.doRead)
        for descriptor in writing:
            if descriptor in self.writers:
                self._call(descriptor, descriptor.doWrite)

    def until(self, done: Callable[[], Any]) -> None:
        """Take turns until something is so."""
        for _ in range(PATIENCE):
            if done():
                return
            self.turn()
        raise AssertionError("it does not come")

    def _call(self, descriptor: Any, method: Callable[[], Any]) -> None:
        why = method()
        if why is None:
            return
        self.removeReader(descriptor)
        half = method == descriptor.doRead and type(why) is ConnectionDone
        lost = descriptor.readConnectionLost if half else descriptor.connectionLost
        lost(Failure(why))


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection over the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


class Joined(Connection):
    """A connection of which nobody can be sure that it is a plain one."""
