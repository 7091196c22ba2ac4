"""The states of an order and the steps between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class Status(Enum):
    """How far an order has come."""

    PLACED = "placed"
    ACCEPTED = "accepted"
    PREPARING = "preparing"
    READY = "ready"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


STEPS: Mapping[Status, tuple[Status, ...]] = MappingProxyType(
    {
        Status.PLACED: (Status.ACCEPTED, Status.CANCELLED),
        Status.ACCEPTED: (Status.PREPARING, Status.CANCELLED),
        Status.PREPARING: (Status.READY,),
        Status.READY: (Status.DELIVERED,),
        Status.DELIVERED: (),
        Status.CANCELLED: (),
    }
)
"""Where an order may go from each state: the only place that says so."""
