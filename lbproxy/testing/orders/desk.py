"""Where the simulated backends keep their orders: one store, as behind the backends of the shop."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from lbproxy.testing.orders.history import Event, Order

#: Where an order may go from each status.
STEPS: Mapping[str, tuple[str, ...]] = {
    "placed": ("accepted", "cancelled"),
    "accepted": ("ready",),
    "ready": ("delivered",),
    "delivered": (),
    "cancelled": (),
}

#: Before the paths of all that it is asked.
PREFIX = "/o/"

#: Events that are told at a time.
PAGE = 5


class Desk:
    """The store.

    Attributes:
        orders: All of them, by id.
        events: What happened to them.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.events: list[Event] = []
        self._keys: dict[str, str] = {}

    def do(self, method: str, path: str, key: str, body: str) -> tuple[int, bytes]:
        """Do what a request asks for, all of it or nothing; status and body of the answer.

        Args:
            method: POST places an order, PATCH has it take a step, GET shows it.
            path: Behind `PREFIX`: an order's id, or `after` and a number for the events behind it.
            key: The `Idempotency-Key`, or an empty string.
            body: The client's name of the order, or the status that it is to have.
        """
        if method == "POST":
            return 201, _document(self._place(key, body))
        kind, _, what = path.partition("/")
        if kind == "after":
            events = self.events[int(what) : int(what) + PAGE]
            return 200, json.dumps([attrs.astuple(event) for event in events]).encode()
        order = self.orders[what]
        if method == "PATCH":
            if body not in STEPS[order.status]:
                return 409, b""
            order = self._put(attrs.evolve(order, status=body))
        return 200, _document(order)

    def _place(self, key: str, token: str) -> Order:
        if key in self._keys:
            return self.orders[self._keys[key]]
        number = len(self.orders) + 1
        lines = ((250 + number, 1 + number % 3), (99, 2))
        total = sum(price * quantity for price, quantity in lines)
        order = self._put(Order(str(number), token, "placed", lines, total))
        if key:
            self._keys[key] = order.id
        return order

    def _put(self, order: Order) -> Order:
        self.orders[order.id] = order
        self.events.append(Event(len(self.events) + 1, order.id, order.status))
        return order


def _document(order: Order) -> bytes:
    return json.dumps(attrs.astuple(order)).encode()


def order_in(body: bytes) -> Order:
    """The order that an answer shows."""
    id, token, status, lines, total = json.loads(body)
    return Order(id, token, status, tuple((price, quantity) for price, quantity in lines), total)


def events_in(body: bytes) -> list[Event]:
    """The events that an answer tells."""
    return [Event(*event) for event in json.loads(body)]
