"""The tables of the store, in SQL that SQLite and PostgreSQL both take."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = 1
"""Grows with each change of the tables; a store that says more was written by a newer program."""

# Only a plain INTEGER numbers the rows of an SQLite table.
_ID = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

restaurants = Table(
    "restaurants",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("cuisine", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("open", Boolean, nullable=False),
)

menu_items = Table(
    "menu_items",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("restaurant_id", _ID, ForeignKey("restaurants.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("available", Boolean, nullable=False),
)

# Times are milliseconds since 1970 in UTC. `seq` gives the orders their sequence; clients only see
# `id`, which does not tell how many orders there are.
orders = Table(
    "orders",
    metadata,
    Column("seq", _ID, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("restaurant_id", _ID, ForeignKey("restaurants.id"), nullable=False),
    Column("restaurant_name", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("customer_name", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_orders_status_seq", "status", "seq"),
    sqlite_autoincrement=True,
)

order_items = Table(
    "order_items",
    metadata,
    Column("order_seq", _ID, ForeignKey("orders.seq"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("item_id", _ID, ForeignKey("menu_items.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("quantity", Integer, nullable=False),
)

notifications = Table(
    "notifications",
    metadata,
    Column("seq", _ID, primary_key=True),
    Column("order_id", String(36), ForeignKey("orders.id"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("location", Text),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
)
