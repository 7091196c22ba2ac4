"""Every operation, from a request to its answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from msgspec import Struct

from ordering.answers import Answer, answer, refusal
from ordering.calls import BODY_LIMIT, Call
from ordering.idempotency import once
from ordering.model import Health, NewMenuItem, NewOrder, NewRestaurant, NewStatus, StoreHealth
from ordering.notifications import list_notifications
from ordering.orders import get_order, list_orders, move_order, place_order
from ordering.problems import BadParameter, BodyTooLarge, Draining, Problem
from ordering.restaurants import (
    add_menu_item,
    add_restaurant,
    get_menu,
    get_restaurant,
    list_restaurants,
)
from ordering.states import Status
from ordering.store import Store

PAGE = 50
"""How many orders or notifications come at once, unless the request says another number."""

PAGE_LIMIT = 200

_log = logging.getLogger("ordering")


class Api:
    """The service, with a method for each operation.

    Attributes:
        store: Shared with other backends.
        draining: Whether the backend is about to stop; set by it, told by `ready`.
    """

    def __init__(self, store: Store, backend: str, clock: Callable[[], float] = time.time) -> None:
        """Serve a store.

        Args:
            store: Shared with other backends.
            backend: The name of this one.
            clock: Tells seconds since 1970.
        """
        self.draining = False
        self.store = store
        self._backend = backend
        self._clock = clock

    def run(self, operation: Callable[[Api, Call], Answer], call: Call) -> Answer:
        """Do an operation; whatever goes wrong becomes an answer."""
        try:
            if len(call.body) > BODY_LIMIT:
                raise BodyTooLarge(f"A body may have {BODY_LIMIT} bytes at most.")
            return operation(self, call)
        except Problem as problem:
            return refusal(problem, call)
        except Exception:
            _log.exception("%s %s failed", call.method, call.target)
            return refusal(Problem("Something went wrong here; the log has it."), call)

    def health(self, call: Call) -> Answer:
        """Whether the backend is alive; asks nobody else."""
        return answer(200, self._health("ok"))

    def ready(self, call: Call) -> Answer:
        """Whether the backend should get requests: it stays, and the store answers."""
        if self.draining:
            raise Draining("This backend is about to stop.", fields=[("Retry-After", "1")])
        self.store.check()
        return answer(200, self._health("ready"))

    def list_restaurants(self, call: Call) -> Answer:
        """All restaurants."""
        return answer(200, self.store.read(list_restaurants))

    def add_restaurant(self, call: Call) -> Answer:
        """A new restaurant."""
        new = call.body_as(NewRestaurant)
        return self._once(call, new, lambda connection, now: add_restaurant(connection, new))

    def get_restaurant(self, call: Call) -> Answer:
        """One restaurant."""
        wanted = call.restaurant_id
        return answer(200, self.store.read(lambda connection: get_restaurant(connection, wanted)))

    def get_menu(self, call: Call) -> Answer:
        """A restaurant's menu."""
        wanted = call.restaurant_id
        return answer(200, self.store.read(lambda connection: get_menu(connection, wanted)))

    def add_menu_item(self, call: Call) -> Answer:
        """A new dish on a menu."""
        wanted = call.restaurant_id
        new = call.body_as(NewMenuItem)
        return self._once(call, new, lambda connection, now: add_menu_item(connection, wanted, new))

    def place_order(self, call: Call) -> Answer:
        """A new order."""
        new = call.body_as(NewOrder)
        return self._once(call, new, lambda connection, now: place_order(connection, new, now))

    def list_orders(self, call: Call) -> Answer:
        """A page of orders, the newest first."""
        limit = call.number("limit", 1, PAGE_LIMIT) or PAGE
        after = call.parameter("after")
        status = _status(call.parameter("status"))
        return answer(
            200, self.store.read(lambda connection: list_orders(connection, limit, after, status))
        )

    def get_order(self, call: Call) -> Answer:
        """One order."""
        wanted = call.arguments["order_id"]
        return answer(200, self.store.read(lambda connection: get_order(connection, wanted)))

    def move_order(self, call: Call) -> Answer:
        """An order's next step."""
        wanted = call.arguments["order_id"]
        to = call.body_as(NewStatus).status
        now = self._now()
        return answer(
            200, self.store.write(lambda connection: move_order(connection, wanted, to, now))
        )

    def list_notifications(self, call: Call) -> Answer:
        """What happened to orders, after a number or lately."""
        limit = call.number("limit", 1, PAGE_LIMIT) or PAGE
        after = call.number("after", 0, 2**63 - 1)
        return answer(
            200, self.store.read(lambda connection: list_notifications(connection, limit, after))
        )

    def _once(self, call: Call, new: Struct, work: Callable[..., Struct]) -> Answer:
        now = self._now()

        def made(connection: object) -> Answer:
            value = work(connection, now)
            return answer(201, value, ("Location", f"{call.path}/{value.id}"))  # type: ignore[attr-defined]

        return self.store.write(
            lambda connection: once(connection, call, new, now, lambda: made(connection))
        )

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _health(self, status: str) -> Health:
        return Health(status, self._backend, StoreHealth(self.store.journal))


def _status(text: str | None) -> Status | None:
    try:
        return None if text is None else Status(text)
    except ValueError:
        words = ", ".join(status.value for status in Status)
        raise BadParameter.query("status", f"must be one of {words}") from None
