"""What can be asked: the one table from which both backends make their routes."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod
from werkzeug.exceptions import RequestEntityTooLarge

from ordering.answers import Answer
from ordering.api import Api
from ordering.calls import Call, too_large
from ordering.problems import MethodNotAllowed, NotFound, Problem


@frozen
class Operation:
    """A route.

    Attributes:
        name: Of the method of `Api`.
        method: `GET` answers `HEAD` as well.
        path: With `<name>` for each argument, in the notation of Werkzeug.
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


def problem_of(error: HTTPException, call: Call) -> Problem:
    """What Werkzeug found wrong, which both frameworks route with, in our words."""
    if isinstance(error, WrongMethod):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"{call.method} is not allowed here, only {allowed}."
        return MethodNotAllowed(detail, fields=[("Allow", allowed)])
    if isinstance(error, RequestEntityTooLarge):
        return too_large()
    return NotFound(f"There is nothing at {call.path}.")
