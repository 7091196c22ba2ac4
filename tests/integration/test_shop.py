"""The shop as clients see it: two backends, one store, and the balancer before them."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tests.integration.asking import Reply, ask
from tests.processes import PATIENCE, Process, start_backend, start_balancer

ORDERS = 200
"""How many are placed while a backend dies."""

CLIENTS = 8
"""How many of them are under way at once."""


@define
class Shop:
    """The processes.

    Attributes:
        store: The file that both backends share.
        backends: By name; a backend that was replaced is not among them any more.
    """

    store: Path
    backends: dict[str, Process]
    balancer: Process
    _processes: ExitStack = field(repr=False)

    def replace(self, name: str) -> None:
        """Kill a backend, then start it again where it was."""
        port = self.backends[name].port
        self.backends[name].kill()
        again = start_backend(name, self.store, port)
        self.backends[name] = self._processes.enter_context(again)

    def an_order(self, customer: str) -> dict[str, object]:
        """One that can be placed, of the first restaurant that is open."""
        port = self.balancer.port
        listed = ask(port, "GET", "/api/restaurants").value["restaurants"]
        restaurant = next(one["id"] for one in listed if one["open"])
        menu = ask(port, "GET", f"/api/restaurants/{restaurant}/menu").value["items"]
        item = next(one["id"] for one in menu if one["available"])
        return {
            "restaurant_id": restaurant,
            "items": [{"item_id": item, "quantity": 1}],
            "customer_name": customer,
        }

    def stored(self, backend: str) -> list[dict[str, Any]]:
        """All orders, asked of one backend itself."""
        port = self.backends[backend].port
        page = ask(port, "GET", "/api/orders?limit=200").value
        orders: list[dict[str, Any]] = page["orders"]
        while page["next"] is not None:
            page = ask(port, "GET", f"/api/orders?limit=200&after={page['next']}").value
            orders += page["orders"]
        return orders


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop without orders."""
    store = tmp_path / "shop.sqlite3"
    with ExitStack() as processes:
        backends = {
            name: processes.enter_context(start_backend(name, store)) for name in ("klein", "flask")
        }
        ports = {name: backend.port for name, backend in backends.items()}
        balancer = start_balancer(**ports, config=tmp_path / "lbproxy.toml")
        processes.enter_context(balancer)
        yield Shop(store, backends, balancer, processes)


def test_backends_take_turns(shop: Shop) -> None:
    """Requests go to the backends in strict alternation, the first one first."""
    replies = [ask(shop.balancer.port, "GET", "/api/restaurants") for _ in range(4)]
    assert [reply.status for reply in replies] == [200] * 4
    served = [reply.fields["x-served-by"] for reply in replies]
    assert served == ["klein", "flask", "klein", "flask"]


def test_one_store(shop: Shop) -> None:
    """An order placed at one backend is there at the other at once, the same in every value."""
    klein, flask = shop.backends["klein"].port, shop.backends["flask"].port
    placed = ask(klein, "POST", "/api/orders", shop.an_order("Zoë"))
    assert placed.status == 201
    read = ask(flask, "GET", f"/api/orders/{placed.value['id']}")
    assert (read.status, read.value) == (200, placed.value)


def place_all(shop: Shop, dying: str, keyed: bool) -> dict[str, Reply | None]:
    """Place `ORDERS` orders through the balancer while a backend is killed and comes back.

    The kill comes with half of them begun; the last quarter waits for the return, so that both
    backends take part again.

    Returns:
        What each customer was answered; None where there was no whole answer.
    """
    returned = threading.Event()
    template = shop.an_order("")

    def place(number: int) -> tuple[str, Reply | None]:
        customer = f"customer {number}"
        if number == ORDERS // 2:
            shop.replace(dying)
            returned.set()
        elif number >= ORDERS * 3 // 4:
            assert returned.wait(2 * PATIENCE)
        order = {**template, "customer_name": customer}
        key = f"key-{number}" if keyed else None
        try:
            return customer, ask(shop.balancer.port, "POST", "/api/orders", order, key)
        except (OSError, http.client.HTTPException):
            return customer, None

    with ThreadPoolExecutor(CLIENTS) as clients:
        return dict(clients.map(place, range(ORDERS)))


@pytest.mark.parametrize("dying", ["klein", "flask"])
def test_plain_orders_while_a_backend_dies(shop: Shop, dying: str) -> None:
    """Each order is there once, or its client got an error and it is there once at most."""
    answers = place_all(shop, dying, keyed=False)
    times = Counter(order["customer_name"] for order in shop.stored(dying))
    placed = {name for name, reply in answers.items() if reply and reply.status == 201}
    assert [name for name, count in times.items() if count > 1] == []
    assert placed - set(times) == set()
    assert set(times) <= set(answers)
    # Only what was under way when the backend died may be lost.
    assert len(answers) - len(placed) <= CLIENTS


@pytest.mark.parametrize("dying", ["klein", "flask"])
def test_keyed_orders_while_a_backend_dies(shop: Shop, dying: str) -> None:
    """With an idempotency key no client sees the death, and each order is there exactly once."""
    answers = place_all(shop, dying, keyed=True)
    refused = {name: reply for name, reply in answers.items() if not reply or reply.status != 201}
    assert refused == {}
    told = {name: reply.value["id"] for name, reply in answers.items() if reply}
    stored = shop.stored(dying)
    assert len(stored) == ORDERS
    assert {order["customer_name"]: order["id"] for order in stored} == told
