"""A backend's side of the counter: what comes about orders on one of its connections."""

from __future__ import annotations

from typing import Any, Protocol

from lbproxy.testing.link import Wire
from lbproxy.testing.orders.desk import PREFIX, Desk
from lbproxy.testing.reading import Head

#: Seconds until what is asked is done, and from then until the answer: in either a backend can die.
WORK, WAY = 0.02, 0.03


class Clerk(Protocol):
    """The backend."""

    sour: bool
    slow: float
    deaths: int

    def do(self, act: Any) -> None:
        """Do something now, or when the process goes on."""


class Counter:
    """Takes one request after the other."""

    def __init__(self, wire: Wire, backend: Clerk, desk: Desk, clock: Any) -> None:
        self._wire = wire
        self._backend = backend
        self._desk = desk
        self._clock = clock
        self._head: Head | None = None
        self._body = b""

    @property
    def busy(self) -> bool:
        """Whether a request is being read."""
        return self._head is not None

    def begin(self, head: Head) -> bool:
        """Take a request's head, if it is about orders."""
        if not head.start[1].decode().startswith(PREFIX):
            return False
        self._head, self._body = head, b""
        return True

    def add(self, data: bytes) -> None:
        """Take a piece of its body."""
        self._body += data

    def end(self) -> None:
        """It is whole: do it, and answer. Who has died meanwhile does neither."""
        head, self._head = self._head, None
        assert head is not None
        alive = self._backend.deaths

        def work() -> None:
            if self._backend.deaths != alive:
                return
            if self._backend.sour:
                self._answer(503, b"")
                return
            method, path = head.start[0].decode(), head.start[1].decode().removeprefix(PREFIX)
            key = head.fields.get(b"idempotency-key", b"").decode()
            done = self._desk.do(method, path, key, self._body.decode())
            self._clock.callLater(WAY, self._backend.do, lambda: self._answer(*done))

        self._clock.callLater(WORK + self._backend.slow, self._backend.do, work)

    def _answer(self, status: int, body: bytes) -> None:
        head = b"HTTP/1.1 %d X\r\nX-Order: 1\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        self._wire.write(head + body)
