"""Customers and a kitchen, each on a thread of its own, and what came of all that they did."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from math import inf
from pathlib import Path
from typing import Any

from lbproxy.testing.orders.history import (
    Event,
    Follow,
    History,
    Move,
    Order,
    Outcome,
    Place,
    Read,
)
from lbproxy.testing.orders.rules import broken
from ordering.states import STEPS, Status
from tests.integration.asking import Reply, ask
from tests.integration.commands import status, top
from tests.integration.crowd import Crowd
from tests.integration.group import Group, until
from tests.integration.supervised import supervised
from tests.processes import PATIENCE

#: Customers who order; one kitchen moves their orders on, one visitor looks, one follows the news.
CUSTOMERS = 4

#: Answers of which nobody knows whether a backend did what was asked before it was cut off.
_UNKNOWN = frozenset({500, 502, 503, 504})


class Shoppers(Crowd):
    """All of them, at one port.

    Attributes:
        failed: Whatever else came of a request than what was asked for.
    """

    def __init__(self, port: int, *, keys: bool) -> None:
        """Prepare.

        Args:
            port: Of the balancer.
            keys: Whether orders have an `Idempotency-Key`, so that a retry may repeat them.
        """
        super().__init__(CUSTOMERS + 3)
        self.failed: list[object] = []
        self._port = port
        self._keys = keys
        self._places: list[Place] = []
        self._moves: list[Move] = []
        self._reads: list[Read] = []
        self._events: list[Event] = []
        self._roles: tuple[Callable[[int], None], ...] = (
            *[self._order] * CUSTOMERS,
            self._cook,
            self._look,
            self._follow,
        )
        listed = ask(port, "GET", "/api/restaurants").value["restaurants"]
        restaurant = next(one["id"] for one in listed if one["open"])
        menu = ask(port, "GET", f"/api/restaurants/{restaurant}/menu").value["items"]
        chosen = [one["id"] for one in menu if one["available"]][:2]
        items = [{"item_id": item, "quantity": 1 + place} for place, item in enumerate(chosen)]
        self._wanted = {"restaurant_id": restaurant, "items": items}

    def check(self, backends: Iterable[int]) -> list[str]:
        """What breaks any of the rules of an order, now that all is over.

        Args:
            backends: Their ports.
        """
        stored = self._stored()
        return broken(
            History(
                {status.value: tuple(each.value for each in STEPS[status]) for status in STEPS},
                tuple(self._places),
                tuple(self._moves),
                tuple(self._reads),
                (Follow(0, tuple(self._events)),),
                tuple(stored),
                tuple(self._news(0)),
                {str(port): _shown(port, stored) for port in backends},
            )
        )

    @property
    def placed(self) -> int:
        """How many orders were answered as placed."""
        return sum(each.outcome is Outcome.OK for each in self._places)

    @property
    def unsure(self) -> list[Place | Move]:
        """What was asked for, and nobody knows whether it was done."""
        tried: list[Place | Move] = [*self._places, *self._moves]
        return [each for each in tried if each.outcome is Outcome.UNKNOWN]

    def _run(self, number: int) -> None:
        while not self._over.is_set():
            try:
                self._roles[number](number)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(error)
            self.asked[number] += 1

    # What each of them does.

    def _order(self, number: int) -> None:
        token = f"customer {number}, order {self.asked[number]}"
        key = token if self._keys else None
        begin, came = time.monotonic(), _NOTHING
        try:
            wanted = {**self._wanted, "customer_name": token}
            came = _came_of(ask(self._port, "POST", "/api/orders", wanted, key), 201)
        finally:
            self._places.append(Place(token, begin, *came))

    def _cook(self, number: int) -> None:
        """Take the oldest orders on by a step, and see that the next reader sees it."""
        page = self._get("/api/orders?limit=20")["orders"]
        for each in page[::-1][:3]:
            steps = STEPS[Status(each["status"])]
            if steps:
                self._move(each["id"], steps[0].value)
        self._read(f"/api/orders/{page[-1]['id']}" if page else "/api/orders")

    def _move(self, order: str, to: str) -> None:
        begin, came = time.monotonic(), _NOTHING
        try:
            path = f"/api/orders/{order}/status"
            came = _came_of(ask(self._port, "PATCH", path, {"status": to}), 200)
        finally:
            self._moves.append(Move(order, to, begin, *came))

    def _look(self, number: int) -> None:
        self._get("/api/restaurants")
        self._read("/api/orders?limit=5")

    def _follow(self, number: int) -> None:
        after = self._events[-1].number if self._events else 0
        self._events += _events_in(self._get(f"/api/notifications?after={after}&limit=7"))

    # How it is asked for.

    def _get(self, path: str) -> Any:
        reply = ask(self._port, "GET", path)
        if reply.status != 200:
            self.failed.append(reply)
            raise http.client.HTTPException(f"{path} gave {reply.status}")
        return reply.value

    def _read(self, path: str) -> None:
        begin = time.monotonic()
        value = self._get(path)
        orders = tuple(map(_order_in, value.get("orders", [value] if "id" in value else [])))
        self._reads.append(Read(begin, time.monotonic(), orders))

    def _stored(self) -> list[Order]:
        """All orders that there are, page by page."""
        orders: list[Order] = []
        path = "/api/orders?limit=200"
        while True:
            page = self._get(path)
            orders += map(_order_in, page["orders"])
            if page["next"] is None:
                return orders
            path = f"/api/orders?limit=200&after={page['next']}"

    def _news(self, after: int) -> list[Event]:
        """All events behind a number."""
        events: list[Event] = []
        while found := _events_in(self._get(f"/api/notifications?after={after}&limit=200")):
            events += found
            after = found[-1].number
        return events


#: What came of something that has no answer.
_Came = tuple[float, Outcome, Order | None]
_NOTHING: _Came = (inf, Outcome.UNKNOWN, None)


def _came_of(reply: Reply, done: int) -> _Came:
    if reply.status == done:
        return time.monotonic(), Outcome.OK, _order_in(reply.value)
    outcome = Outcome.UNKNOWN if reply.status in _UNKNOWN else Outcome.REFUSED
    return time.monotonic(), outcome, None


def _order_in(value: Mapping[str, Any]) -> Order:
    lines = tuple((each["price"], each["quantity"]) for each in value["items"])
    return Order(value["id"], value["customer_name"], value["status"], lines, value["total"])


def _events_in(value: Mapping[str, Any]) -> list[Event]:
    return [Event(each["seq"], each["order_id"], each["status"]) for each in value["notifications"]]


def _shown(port: int, orders: Iterable[Order]) -> dict[str, tuple[bytes, str]]:
    """What a backend answers for each order, byte for byte."""
    shown = {}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        for order in orders:
            connection.request("GET", f"/api/orders/{order.id}")
            answer = connection.getresponse()
            shown[order.id] = answer.read(), answer.getheader("ETag", "")
    return shown


@contextlib.contextmanager
def shop(folder: Path, workers: int) -> Iterator[Group]:
    """The shop with both backends up and supervised."""
    process = supervised(folder, top(workers), "slow_start = 0.5")
    with Group.of(process) as started:
        started.wait_until_all_serve()
        until(lambda: all(each["state"] == "up" for each in status(started).values()))
        yield started
        assert process.stop() == 0, process.output
    assert "Traceback" not in process.output, process.output


def ports(proxy: Group) -> list[int]:
    """Where the backends of a shop listen."""
    return [int(each["address"].rpartition(":")[2]) for each in status(proxy).values()]
