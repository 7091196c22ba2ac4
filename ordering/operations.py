"""What can be asked: the one table from which both backends make their routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import frozen

from ordering.answers import Answer
from ordering.api import Api
from ordering.calls import Call
from ordering.problems import MethodNotAllowed, NotFound, Problem


@frozen
class Operation:
    """A route.

    Attributes:
        name: Of the method of `Api`.
        method: `GET` answers `HEAD` as well.
        path: With `<name>` for each argument, in the notation of both frameworks.
        run: The method of `Api`.
    """

    name: str
    method: str
    path: str
    run: Callable[[Api, Call], Answer]


OPERATIONS = tuple(
    Operation(run.__name__, method, path, run)
    for method, path, run in (
        ("GET", "/health", Api.health),
        ("GET", "/ready", Api.ready),
        ("GET", "/api/restaurants", Api.list_restaurants),
        ("POST", "/api/restaurants", Api.add_restaurant),
        ("GET", "/api/restaurants/<restaurant_id>", Api.get_restaurant),
        ("GET", "/api/restaurants/<restaurant_id>/menu", Api.get_menu),
        ("POST", "/api/restaurants/<restaurant_id>/menu/items", Api.add_menu_item),
        ("POST", "/api/orders", Api.place_order),
        ("GET", "/api/orders", Api.list_orders),
        ("GET", "/api/orders/<order_id>", Api.get_order),
        ("PATCH", "/api/orders/<order_id>/status", Api.move_order),
        ("GET", "/api/notifications", Api.list_notifications),
    )
)


def unrouted(status: int | None, allowed: Iterable[str] | None, call: Call) -> Problem:
    """What a framework refused before any operation had it, in our words.

    Args:
        status: That it would answer with.
        allowed: The methods that it would name in `Allow`.
        call: The request.
    """
    if status == MethodNotAllowed.status:
        methods = ", ".join(sorted(allowed or ()))
        detail = f"{call.method} is not allowed here, only {methods}."
        return MethodNotAllowed(detail, fields=[("Allow", methods)])
    return NotFound(f"There is nothing at {call.path}.")
