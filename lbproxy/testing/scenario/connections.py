"""One connection at a simulated backend: what is asked there, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from lbproxy.testing.link import Wire
from lbproxy.testing.reading import Head, MessageReader, Unreadable
from lbproxy.testing.scenario.asking import NUMBER
from lbproxy.testing.scenario.model import Behaviour


class Owner(Protocol):
    """The backend, as its connections see it.

    Attributes:
        label: Its name.
        behaviour: How it is while it is well.
        ending: Whether it finishes what runs, to end then.
    """

    label: str
    behaviour: Behaviour
    ending: bool

    def do(self, act: Callable[[], None]) -> None:
        """Do something now, or when the process goes on."""

    def take(self, work: Work) -> None:
        """Work at a request, or have it wait until somebody has time for it."""

    def left(self, connection: Connection) -> None:
        """A connection has ended."""


@attrs.frozen(eq=False)
class Work:
    """A request that has come whole.

    Attributes:
        connection: Where it came.
        number: Which one; 0 is a probe.
        method: As on the wire.
        closes: Whether whoever asked wants the connection to end with the answer.
    """

    connection: Connection
    number: int
    method: str
    closes: bool


class Connection:
    """One connection at a backend."""

    def __init__(self, wire: Wire, backend: Owner, clock: Any) -> None:
        self._wire = wire
        self._backend = backend
        self._clock = clock
        self._reader = MessageReader(self, until_close=False)
        self._head: Head | None = None
        self._at_work = False
        self._idle: Any = None
        wire.receiver = self

    def close_if_idle(self) -> None:
        """Close it unless something is asked here."""
        if not (self._at_work or self._reader.begun):
            self._close()

    def answer(self, work: Work, status: int, size: int) -> None:
        """Give an answer, if anybody still waits for it."""
        self._at_work = False
        if not self._wire.writable:
            return
        keep_alive = self._backend.behaviour.keep_alive or 0.0
        closes = work.closes or self._backend.ending or keep_alive == 0.0
        lines = [
            f"HTTP/1.1 {status} Simulated",
            f"Content-Length: {size}",
            f"X-Simulated: {work.number}",
            f"X-Simulated-By: {self._backend.label}",
        ]
        if closes:
            lines.append("Connection: close")
        head = "\r\n".join(lines) + "\r\n\r\n"
        self._wire.write(head.encode() + (b"" if work.method == "HEAD" else b"x" * size))
        if closes:
            self._close()
        else:
            self._idle = self._clock.callLater(keep_alive, self._backend.do, self._idled)

    # What the network tells.

    def on_data(self, data: bytes) -> None:
        self._backend.do(lambda: self._feed(data))

    def on_end(self) -> None:
        self._backend.do(self._close)

    def on_reset(self) -> None:
        self._stop_idling()
        self._backend.left(self)

    # What is read.

    def on_head(self, head: Head) -> bool:
        self._head = head
        return True

    def on_body(self, data: bytes) -> None:
        """It is only counted, by its length."""

    def on_whole(self) -> None:
        head, self._head = self._head, None
        assert head is not None
        self._at_work = True
        closes = head.fields.get(b"connection", b"").lower() == b"close"
        number = int(head.fields.get(NUMBER, b"0"))
        self._backend.take(Work(self, number, head.start[0].decode(), closes))

    def _feed(self, data: bytes) -> None:
        if self._wire.closed:
            return
        self._stop_idling()
        try:
            self._reader.feed(data)
        except Unreadable:  # A session of TCP mode, or a probe of one.
            self._close()

    def _idled(self) -> None:
        self._idle = None
        self.close_if_idle()

    def _stop_idling(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None and idle.active():
            idle.cancel()

    def _close(self) -> None:
        self._stop_idling()
        self._wire.close()
        self._backend.left(self)
