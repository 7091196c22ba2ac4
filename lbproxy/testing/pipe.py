"""The channel between a parent and a worker: bytes and descriptors, in order, after a while."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure


class Pipe:
    """One end of a pair of connected sockets: what a protocol takes for its transport.

    Attributes:
        open: Whether its process still has it.
    """

    def __init__(self, clock: Any, latency: float) -> None:
        """Prepare; what comes waits until somebody is there to take it.

        Args:
            clock: Carries what is written.
            latency: Seconds to the other end.
        """
        self.open = True
        self._clock = clock
        self._latency = latency
        self._under_way: deque[bytes | int | None] = deque()
        self._protocol: Any = None
        self._held = False
        self._waiting: list[bytes | int | None] = []
        self._other: Pipe

    @classmethod
    def pair(cls, clock: Any, latency: float) -> tuple[Pipe, Pipe]:
        """Both ends."""
        here, there = cls(clock, latency), cls(clock, latency)
        here._other, there._other = there, here
        return here, there

    def connect(self, protocol: Any) -> None:
        """Have a protocol speak and hear here."""
        self._protocol = protocol
        protocol.makeConnection(self)
        self._take_what_waits()

    def hold(self) -> None:
        """Have what comes wait: the process that has this end reads nothing."""
        self._held = True

    def release(self) -> None:
        """It reads again."""
        self._held = False
        self._take_what_waits()

    def close(self) -> None:
        """The process that has this end is gone: the other one hears of it behind what was sent."""
        if self.open:
            self.open = False
            self._send(None)
            for each in self._waiting:
                _drop(each)

    # What a protocol asks of its transport.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self.open:
            self._send(data)

    def sendFileDescriptor(self, descriptor: int) -> None:
        """Send a descriptor: whoever gets it has one of its own."""
        if self.open:
            self._send(os.dup(descriptor))

    def loseConnection(self) -> None:
        """Close this end."""
        self.close()

    def getPeer(self) -> str:
        """Nobody asks who that is."""
        return "the other process"

    getHost = getPeer

    # The rest is ours.

    def _send(self, what: bytes | int | None) -> None:
        # It must stay in order, which the clock does not promise of what is due when it looks.
        self._under_way.append(what)
        self._clock.call_at(self._clock.now + self._latency, self._arrive)

    def _arrive(self) -> None:
        self._other._come(self._under_way.popleft())

    def _come(self, what: bytes | int | None) -> None:
        if not self.open:
            _drop(what)
        elif self._held or self._protocol is None:
            self._waiting.append(what)
        else:
            self._take(what)

    def _take_what_waits(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._take(each)

    def _take(self, what: bytes | int | None) -> None:
        if what is None:
            self.open = False
            self._protocol.connectionLost(Failure(ConnectionDone()))
        elif isinstance(what, int):
            self._protocol.fileDescriptorReceived(what)
        else:
            self._protocol.dataReceived(what)


def _drop(what: bytes | int | None) -> None:
    """A descriptor that nobody takes is closed."""
    if isinstance(what, int):
        with suppress(OSError):
            os.close(what)
