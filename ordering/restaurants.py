"""Restaurants and their menus."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, insert, select

from ordering.model import (
    Menu,
    MenuItem,
    NewMenuItem,
    NewRestaurant,
    Restaurant,
    RestaurantList,
)
from ordering.problems import NotFound
from ordering.schema import menu_items, restaurants

_ITEM = [menu_items.c[name] for name in MenuItem.__struct_fields__]


def list_restaurants(connection: Connection) -> RestaurantList:
    """All of them, in the order in which they came."""
    rows = connection.execute(select(restaurants).order_by(restaurants.c.id))
    return RestaurantList([_restaurant(row) for row in rows])


def get_restaurant(connection: Connection, restaurant_id: int) -> Restaurant:
    """One of them.

    Raises:
        NotFound: If there is none with this id.
    """
    row = connection.execute(
        select(restaurants).where(restaurants.c.id == restaurant_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no restaurant {restaurant_id}.")
    return _restaurant(row)


def add_restaurant(connection: Connection, new: NewRestaurant) -> Restaurant:
    """Open one more."""
    values = msgspec.structs.asdict(new)
    return Restaurant(id=_insert(connection, restaurants, values), **values)


def get_menu(connection: Connection, restaurant_id: int) -> Menu:
    """What a restaurant offers, in the order in which it was put on the menu.

    Raises:
        NotFound: If there is no such restaurant.
    """
    get_restaurant(connection, restaurant_id)
    rows = connection.execute(
        select(*_ITEM).where(menu_items.c.restaurant_id == restaurant_id).order_by(menu_items.c.id)
    )
    return Menu(restaurant_id, [MenuItem(**row._mapping) for row in rows])


def add_menu_item(connection: Connection, restaurant_id: int, new: NewMenuItem) -> MenuItem:
    """Put one more dish on a menu.

    Raises:
        NotFound: If there is no such restaurant.
    """
    get_restaurant(connection, restaurant_id)
    values = msgspec.structs.asdict(new)
    item_id = _insert(connection, menu_items, {"restaurant_id": restaurant_id, **values})
    return MenuItem(id=item_id, **values)


def _restaurant(row: Row[Any]) -> Restaurant:
    return Restaurant(**row._mapping)


def _insert(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    key = connection.execute(insert(table).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])
