"""Customers and visitors of the shop that the balancer runs and watches over."""

from __future__ import annotations

import contextlib
import http.client
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.integration.asking import Reply, ask
from tests.integration.commands import status, top
from tests.integration.crowd import Crowd
from tests.integration.group import Group, until
from tests.integration.supervised import supervised

#: Customers who order, each other one with a key, and visitors who look, all at once.
CUSTOMERS, VISITORS = 4, 4


class Shoppers(Crowd):
    """Orders, and looks at the restaurants.

    Half of the orders have no key, so that no retry may repeat them.

    Attributes:
        placed: The names under which orders were answered with 201.
        failed: Whatever else came of a request.
    """

    def __init__(self, port: int) -> None:
        super().__init__(CUSTOMERS + VISITORS)
        self._port = port
        self.placed: list[str] = []
        self.failed: list[object] = []
        listed = ask(port, "GET", "/api/restaurants").value["restaurants"]
        restaurant = next(one["id"] for one in listed if one["open"])
        menu = ask(port, "GET", f"/api/restaurants/{restaurant}/menu").value["items"]
        item = next(one["id"] for one in menu if one["available"])
        items = [{"item_id": item, "quantity": 1}]
        self._order = {"restaurant_id": restaurant, "items": items}

    def _run(self, number: int) -> None:
        while not self._over.is_set():
            try:
                reply = self._order_once(number) if number < CUSTOMERS else self._look()
                if reply.status not in (200, 201):
                    self.failed.append(reply)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(error)
            self.asked[number] += 1

    def _order_once(self, number: int) -> Reply:
        customer = f"customer {number}, order {self.asked[number]}"
        key = customer.replace(" ", "-").replace(",", "") if number % 2 else None
        order = {**self._order, "customer_name": customer}
        reply = ask(self._port, "POST", "/api/orders", order, key)
        if reply.status == 201:
            self.placed.append(customer)
        return reply

    def _look(self) -> Reply:
        return ask(self._port, "GET", "/api/restaurants")


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


def stored(port: int) -> Counter[str]:
    """How often there is an order of each name."""
    names: Counter[str] = Counter()
    page = ask(port, "GET", "/api/orders?limit=200").value
    while True:
        names.update(order["customer_name"] for order in page["orders"])
        if page["next"] is None:
            return names
        page = ask(port, "GET", f"/api/orders?limit=200&after={page['next']}").value
