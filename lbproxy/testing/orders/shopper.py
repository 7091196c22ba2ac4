"""A client who orders, has orders move on, reads them, and follows what happens to them."""

from __future__ import annotations

from math import inf
from typing import Protocol

import attrs

from lbproxy.testing import visitor
from lbproxy.testing.link import Wire
from lbproxy.testing.orders.desk import STEPS, events_in, order_in
from lbproxy.testing.orders.history import Event, Follow, Move, Order, Outcome, Place, Read
from lbproxy.testing.plan import Ask, Visit
from lbproxy.testing.reading import Head, MessageReader, Unreadable
from lbproxy.testing.visitor import Visitor

#: What is asked about orders, as methods of an `Ask`.
METHODS = ("PLACE", "MOVE", "READ", "FOLLOW")

#: How often an order is posted again of which nobody knows what became of it, and after how long.
AGAIN, PAUSE = 3, 0.5


class Book:
    """What all shoppers of a world have done and been told.

    Attributes:
        places: Orders that they posted.
        moves: Steps that they asked for.
        reads: What they were shown.
        known: The orders that they know of, as each was seen last.
    """

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.moves: list[Move] = []
        self.reads: list[Read] = []
        self.known: dict[str, Order] = {}


class Surroundings(visitor.Surroundings, Protocol):
    """What a shopper needs of its world."""

    book: Book


class Shopper(Visitor):
    """One visit, with a connection of its own for each request.

    Attributes:
        follow: What it was told of events.
    """

    _world: Surroundings

    def __init__(self, world: Surroundings, visit: Visit) -> None:
        super().__init__(world, visit)
        self.follow = Follow(0, ())
        self._again = 0
        self._about: Order | None = None
        self._status = 0
        self._ours = False
        self._body = b""

    # What the network tells.

    def on_data(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except Unreadable as error:
            self._world.violation(f"shopper {self.visit.number} got what is no answer: {error}")

    def on_end(self) -> None:
        self._reader.end()
        self._over("cut", inf, Outcome.UNKNOWN)

    def on_reset(self) -> None:
        self._over("cut", inf, Outcome.UNKNOWN)

    # What is read.

    def on_head(self, head: Head) -> bool:
        self._status, self._body = head.status, b""
        self._ours = b"x-order" in head.fields
        return head.status >= 200

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_whole(self) -> None:
        if self._status < 200:
            return
        now = self._world.clock.seconds()
        if not self._ours or self._status == 503:
            self._over("not ordered", now, Outcome.UNKNOWN)
        elif self._status == 409:
            self._over("no such step", now, Outcome.REFUSED)
        else:
            self._over("ordered", now, Outcome.OK)

    # The rest is ours.

    def _dial(self) -> None:
        self._sent = self._world.clock.seconds()
        known = list(self._world.book.known.values())
        self._about = known[self._result.ask.number % len(known)] if known else None
        self._world.dial(self.visit, self, lambda: self._over("refused", inf, Outcome.UNKNOWN))

    def _speak(self, wire: Wire, ask: Ask) -> None:
        self._reader = MessageReader(self, until_close=True)
        self._world.tell("orders", ask.number, ask.method, self._again)
        wire.write(self._request(ask))

    def _request(self, ask: Ask) -> bytes:
        method, path, body, key = "GET", "", "", ""
        if ask.method == "PLACE":
            method, body = "POST", _token(ask)
            key = f"Idempotency-Key: {body}\r\n" if ask.keyed else ""
        elif self._about is None or ask.method == "FOLLOW":
            path = f"after/{self.follow.events[-1].number if self.follow.events else 0}"
        else:
            path = f"id/{self._about.id}"
            if ask.method == "MOVE":
                method, body = "PATCH", self._step(self._about)
        head = f"{method} /o/{path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{key}"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return f"{head}{length}\r\n{body}".encode()

    def _step(self, order: Order) -> str:
        return next(iter(STEPS[order.status]), "cancelled")

    def _over(self, how: str, end: float, outcome: Outcome) -> None:
        """Note what came of it; once."""
        result = self._result
        if result.ended is not None or (self._wire is None and how != "refused"):
            return
        self._close()
        self._note(result.ask, end, outcome)
        repeated = result.ask.method == "PLACE" and result.ask.keyed
        if outcome is Outcome.UNKNOWN and how != "refused" and repeated and self._again < AGAIN:
            self._again += 1
            self._world.happened("ordered_again")
            self._world.clock.callLater(PAUSE, self._dial)
            return
        self._again = 0
        result.ended, result.how = self._world.clock.seconds(), how
        self._world.tell("ordered", result.ask.number, how, self._status)
        self._world.clock.callLater(0.01 + result.ask.think, self.begin)

    def _note(self, ask: Ask, end: float, outcome: Outcome) -> None:
        book, body, told = self._world.book, self._body, outcome is Outcome.OK
        listing = ask.method != "PLACE" and (self._about is None or ask.method == "FOLLOW")
        if listing:
            if told:
                events: list[Event] = events_in(body)
                seen = (*self.follow.events, *events)
                self.follow = attrs.evolve(self.follow, events=seen)
            return
        order = order_in(body) if told else None
        if order is not None:
            self._world.happened(f"order_{ask.method.lower()}")
            book.known[order.id] = order
        if ask.method == "PLACE":
            book.places.append(Place(_token(ask), self._sent, end, outcome, order))
        elif ask.method == "MOVE":
            assert self._about is not None
            to = self._step(self._about)
            book.moves.append(Move(self._about.id, to, self._sent, end, outcome, order))
        elif order is not None:
            book.reads.append(Read(self._sent, end, (order,)))


def _token(ask: Ask) -> str:
    return f"t{ask.number}"
