"""A reactor that a test turns by hand: real sockets, and time that only the test moves."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from twisted.internet import main
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReactorFDSet
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

#: Turns after which what is waited for will not come.
ENOUGH = 100_000

#: Seconds for which one turn waits for a socket, should the kernel need a moment.
MOMENT = 0.2


@implementer(IReactorFDSet)
class Turns(Clock):
    """Watches descriptors by `poll`, and calls what is due."""

    def __init__(self) -> None:
        super().__init__()
        self._readers: list[Any] = []
        self._writers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        if reader not in self._readers:
            self._readers.append(reader)

    def addWriter(self, writer: Any) -> None:
        if writer not in self._writers:
            self._writers.append(writer)

    def removeReader(self, reader: Any) -> None:
        if reader in self._readers:
            self._readers.remove(reader)

    def removeWriter(self, writer: Any) -> None:
        if writer in self._writers:
            self._writers.remove(writer)

    def removeAll(self) -> list[Any]:
        raise NotImplementedError

    def getReaders(self) -> list[Any]:
        return self._readers

    def getWriters(self) -> list[Any]:
        return self._writers

    def turn(self, seconds: float = 0.0) -> bool:
        """Call what is due and can go on; whether anything could."""
        self.advance(0)
        wanted: dict[int, int] = {}
        for watched, event in ((self._readers, select.POLLIN), (self._writers, select.POLLOUT)):
            for one in watched:
                wanted[one.fileno()] = wanted.get(one.fileno(), 0) | event
        poll = select.poll()
        for descriptor, events in wanted.items():
            poll.register(descriptor, events)
        ready = dict(poll.poll(seconds * 1000))
        # As Twisted's reactors do, everything that was ready is asked, reading first.
        for one in list(self._readers):
            if ready.get(one.fileno(), 0) & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._ask(one, one.doRead, True)
        for one in list(self._writers):
            if one in self._writers and ready.get(one.fileno(), 0) & ~select.POLLIN:
                self._ask(one, one.doWrite, False)
        return bool(ready)

    def until(self, happened: Callable[[], Any]) -> None:
        """Turn until something has happened.

        Raises:
            AssertionError: If nothing moves any more, and it has not.
        """
        for _ in range(ENOUGH):
            if happened():
                return
            if not self.turn(MOMENT) and not happened():
                break
        raise AssertionError("it did not happen")

    def settle(self) -> None:
        """Turn until nothing moves; for what is not to happen."""
        for _ in range(ENOUGH):
            if not self.turn(0.01):
                return
        raise AssertionError("it does not settle")

    def _ask(self, one: Any, step: Callable[[], Any], reading: bool) -> None:
        reason = step()
        if reason is None:
            return
        self.removeReader(one)
        if reading and reason is main.CONNECTION_DONE and IHalfCloseableDescriptor.providedBy(one):
            one.readConnectionLost(Failure(ConnectionDone()))
        else:
            self.removeWriter(one)
            one.connectionLost(Failure(reason))
