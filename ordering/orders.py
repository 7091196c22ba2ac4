"""Orders: placed, read, and moved along the table of their states."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from ordering.model import Fault, MenuItem, NewOrder, Order, OrderItem, OrderPage
from ordering.moments import new_id, written
from ordering.notifications import notify
from ordering.problems import (
    BadParameter,
    Invalid,
    ItemSoldOut,
    NotFound,
    RestaurantClosed,
    WrongStep,
)
from ordering.restaurants import get_menu, get_restaurant
from ordering.schema import order_items, orders
from ordering.states import STEPS, Status

_CURSOR = "orders-before-"


def place_order(connection: Connection, new: NewOrder, now: int) -> Order:
    """Take an order, at the prices of this moment.

    Raises:
        Invalid: If the restaurant or an item is unknown.
        RestaurantClosed: If the restaurant takes no orders.
        ItemSoldOut: If something is not available.
    """
    try:
        restaurant = get_restaurant(connection, new.restaurant_id)
    except NotFound as unknown:
        raise Invalid(unknown.detail, [Fault(unknown.detail, pointer="#/restaurant_id")]) from None
    if not restaurant.open:
        raise RestaurantClosed(f"{restaurant.name} takes no orders at the moment.")
    items = _chosen(new, {item.id: item for item in get_menu(connection, restaurant.id).items})
    order_id = new_id(now)
    values = {
        "id": order_id,
        "restaurant_id": restaurant.id,
        "restaurant_name": restaurant.name,
        "status": Status.PLACED.value,
        "total": sum(item.price * item.quantity for item in items),
        "customer_name": new.customer_name,
        "note": new.note,
        "created_at": now,
        "updated_at": now,
    }
    key = connection.execute(insert(orders).values(values)).inserted_primary_key
    assert key is not None
    connection.execute(
        insert(order_items),
        [
            {
                "order_seq": key[0],
                "position": position,
                "item_id": item.item_id,
                "name": item.name,
                "price": item.price,
                "quantity": item.quantity,
            }
            for position, item in enumerate(items)
        ],
    )
    order = get_order(connection, order_id)
    notify(connection, order, now)
    return order


def get_order(connection: Connection, order_id: str) -> Order:
    """One order.

    Raises:
        NotFound: If there is none with this id.
    """
    found = _read(connection, select(orders).where(orders.c.id == order_id))
    if not found:
        raise NotFound(f"There is no order {order_id}.")
    return found[0]


def list_orders(
    connection: Connection, limit: int, after: str | None, status: Status | None
) -> OrderPage:
    """A page of orders, the newest first.

    Args:
        limit: How many at most.
        after: The cursor that the page before gave; None starts with the newest order.
        status: Only those in this state.

    Raises:
        BadParameter: If the cursor is none of ours.
    """
    query = select(orders).order_by(orders.c.seq.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(orders.c.seq < _seq_of(after))
    if status is not None:
        query = query.where(orders.c.status == status.value)
    rows = connection.execute(query).all()
    page = rows[:limit]
    more = len(rows) > limit
    return OrderPage(_with_items(connection, page), _cursor(page[-1].seq) if more else None)


def move_order(connection: Connection, order_id: str, to: Status, now: int) -> Order:
    """Take an order one step further.

    Raises:
        NotFound: If there is no such order.
        WrongStep: If its state has no such step.
    """
    order = get_order(connection, order_id)
    steps = STEPS[order.status]
    if to not in steps:
        allowed = " or ".join(step.value for step in steps) or "nothing: this is its end"
        detail = f"From {order.status.value} an order goes to {allowed}, not to {to.value}."
        raise WrongStep(detail, [Fault(detail, pointer="#/status")])
    connection.execute(
        update(orders).where(orders.c.id == order_id).values(status=to.value, updated_at=now)
    )
    moved = get_order(connection, order_id)
    notify(connection, moved, now)
    return moved


def _chosen(new: NewOrder, menu: dict[int, MenuItem]) -> list[OrderItem]:
    """The lines of an order with the names and prices of the menu."""
    unknown = [
        Fault(f"There is no item {line.item_id} on the menu.", pointer=f"#/items/{place}/item_id")
        for place, line in enumerate(new.items)
        if line.item_id not in menu
    ]
    if unknown:
        raise Invalid("The order has items that are not on the menu.", unknown)
    sold_out = [
        Fault(f"{menu[line.item_id].name} is sold out.", pointer=f"#/items/{place}/item_id")
        for place, line in enumerate(new.items)
        if not menu[line.item_id].available
    ]
    if sold_out:
        raise ItemSoldOut("The order has items that are sold out.", sold_out)
    return [
        OrderItem(line.item_id, menu[line.item_id].name, menu[line.item_id].price, line.quantity)
        for line in new.items
    ]


def _read(connection: Connection, query: Select[Any]) -> list[Order]:
    return _with_items(connection, connection.execute(query).all())


def _with_items(connection: Connection, rows: Sequence[Row[Any]]) -> list[Order]:
    items: defaultdict[int, list[OrderItem]] = defaultdict(list)
    for item in connection.execute(
        select(order_items)
        .where(order_items.c.order_seq.in_([row.seq for row in rows]))
        .order_by(order_items.c.order_seq, order_items.c.position)
    ):
        line = OrderItem(item.item_id, item.name, item.price, item.quantity)
        items[item.order_seq].append(line)
    return [
        Order(
            id=row.id,
            restaurant_id=row.restaurant_id,
            restaurant_name=row.restaurant_name,
            status=Status(row.status),
            items=items[row.seq],
            total=row.total,
            customer_name=row.customer_name,
            note=row.note,
            created_at=written(row.created_at),
            updated_at=written(row.updated_at),
        )
        for row in rows
    ]


def _cursor(seq: int) -> str:
    return base64.urlsafe_b64encode(f"{_CURSOR}{seq}".encode()).decode().rstrip("=")


def _seq_of(cursor: str) -> int:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    digits = text.removeprefix(_CURSOR)
    if digits == text or not digits.isdecimal() or len(digits) > 18:
        raise BadParameter.query("after", "is no cursor that a page of orders gave")
    return int(digits)
