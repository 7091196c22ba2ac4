"""Clients of a scenario: each asks for one thing at a time, and gives up at last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lbproxy.testing.link import Wire
from lbproxy.testing.reading import Head, MessageReader, Unreadable
from lbproxy.testing.scenario.asking import HOST, NUMBER, SERVED, announcement, request_head
from lbproxy.testing.scenario.model import Load
from lbproxy.testing.scenario.requests import Request


class Surroundings(Protocol):
    """What a client needs of the stage."""

    clock: Any

    def elapsed(self) -> float:
        """Seconds from the beginning."""

    def dial(self, load: Load, address: str, receiver: Any, refused: Callable[[], None]) -> None:
        """Connect to the balancer."""

    def announced(self, load: Load) -> bool:
        """Whether each connection there begins with a PROXY header."""

    def wrong(self, what: str) -> None:
        """The balancer did what it must never do."""


class Client:
    """One of them.

    Attributes:
        address: Its IP address, which no other one has.
        load: What it belongs to.
    """

    def __init__(
        self, stage: Surroundings, load: Load, address: str, done: Callable[[Client], None]
    ) -> None:
        """Prepare.

        Args:
            stage: Has the balancer.
            load: What it belongs to.
            address: Its IP address.
            done: Is called after each request.
        """
        self.load = load
        self.address = address
        self._stage = stage
        self._done = done
        self._wire: Wire | None = None
        self._reader = MessageReader(self, until_close=True)
        self._request: Request | None = None
        self._head: Head | None = None
        self._document = b""
        self._patience: Any = None

    def ask(self, request: Request) -> None:
        """Ask for something, now."""
        self._request = request
        self._patience = self._stage.clock.callLater(self.load.patience, self._give_up)
        if self._wire is not None and self._wire.writable:
            self._send()
        else:
            self._reader = MessageReader(self, until_close=True)
            self._stage.dial(self.load, self.address, self, self._refused)

    def leave(self) -> None:
        """Close the connection."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    # What the network tells.

    def on_connected(self, wire: Wire) -> None:
        if self._request is None or self._wire is not None:
            wire.close()  # It took too long.
            return
        self._wire = wire
        if self._stage.announced(self.load):
            wire.write(announcement(self.address))
        self._send()

    def on_data(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except Unreadable as error:
            self._stage.wrong(f"{self._name} got what is no answer: {error}")
            self._end("cut", "unreadable")

    def on_end(self) -> None:
        self._reader.end()
        self._lost()

    def on_reset(self) -> None:
        self._lost()

    # What is read.

    def on_head(self, head: Head) -> bool:
        if self._request is None:
            self._stage.wrong("a client got an answer without having asked")
            return False
        self._head = head
        self._document = b""
        return self._request.method != "HEAD"

    def on_body(self, data: bytes) -> None:
        self._document += data

    def on_whole(self) -> None:
        head, self._head = self._head, None
        request = self._request
        if head is None or request is None:
            return
        request.status = head.status
        served, asked = head.fields.get(SERVED), head.fields.get(NUMBER)
        if served is not None:
            request.backend = served.decode()
            if asked != b"%d" % request.number:
                self._stage.wrong(f"{self._name} got the answer to another one")
        if head.fields.get(b"connection") == b"close":
            self.leave()
        if served is None:
            self._end("told", _reason_in(self._document) or f"status_{head.status}")
        else:
            self._end("answered", f"status_{head.status}" if head.status >= 500 else "")

    # The rest is ours.

    @property
    def _name(self) -> str:
        request = self._request
        return "a client" if request is None else f"request {request.number}"

    def _send(self) -> None:
        request, wire = self._request, self._wire
        assert request is not None and wire is not None
        head = request_head(
            request.method,
            request.target,
            self.load.host or HOST,
            self.load.headers,
            request.number,
            request.body,
            keyed=request.keyed,
        )
        wire.write(head + b"x" * request.body)

    def _refused(self) -> None:
        self._end("refused", "refused")

    def _give_up(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.reset()
        self._end("gave_up", "gave_up")

    def _lost(self) -> None:
        self.leave()
        self._end("cut", "cut")

    def _end(self, how: str, reason: str) -> None:
        request, self._request = self._request, None
        if request is None:
            return
        if self._patience.active():
            self._patience.cancel()
        request.ended, request.how = self._stage.elapsed(), how
        if not (request.reason and how in ("cut", "told")):  # Else the balancer has said why.
            request.reason = reason
        if how == "cut":
            self.leave()
        self._done(self)


def _reason_in(document: bytes) -> str:
    """The code in a problem document; empty if it is none."""
    _, _, rest = document.partition(b'"reason": "')
    return rest.partition(b'"')[0].decode()
