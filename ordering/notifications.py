"""What happened to orders, numbered, for those who ask what is new."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select

from ordering.model import Notification, NotificationPage, Order
from ordering.moments import written
from ordering.schema import notifications
from ordering.states import Status

_SAYS = {
    Status.PLACED: "placed at",
    Status.ACCEPTED: "accepted by",
    Status.PREPARING: "being prepared by",
    Status.READY: "ready at",
    Status.DELIVERED: "delivered from",
    Status.CANCELLED: "cancelled at",
}


def notify(connection: Connection, order: Order, now: int) -> None:
    """Tell the state an order has come to, in the transaction that brought it there."""
    message = f"Order {_SAYS[order.status]} {order.restaurant_name}"
    connection.execute(
        insert(notifications).values(
            order_id=order.id, status=order.status.value, message=message, created_at=now
        )
    )


def list_notifications(connection: Connection, limit: int, after: int | None) -> NotificationPage:
    """Those that follow a number, or the newest ones; either way the oldest of them first.

    With nothing to give, `last` is the number of the newest there is, so whoever asks on from it
    also goes on after the store was made anew.
    """
    query = select(notifications).limit(limit)
    if after is None:
        rows = connection.execute(query.order_by(notifications.c.seq.desc())).all()[::-1]
    else:
        query = query.where(notifications.c.seq > after)
        rows = connection.execute(query.order_by(notifications.c.seq)).all()
    page = [
        Notification(
            row.seq, row.order_id, Status(row.status), row.message, written(row.created_at)
        )
        for row in rows
    ]
    if page:
        return NotificationPage(page, page[-1].seq)
    newest = connection.execute(select(func.max(notifications.c.seq))).scalar()
    return NotificationPage([], newest or 0)
