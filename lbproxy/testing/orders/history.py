"""What clients did and were told of orders, and what there is in the end: values only."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import inf

import attrs


class Outcome(Enum):
    """What a client knows of what it asked for."""

    OK = "ok"
    REFUSED = "refused"
    """It was not done, and will not be."""
    UNKNOWN = "unknown"
    """It may have been done, or may still be: there was no whole answer, or one of a proxy."""


@attrs.frozen
class Order:
    """An order as an answer shows it.

    Attributes:
        id: Its own, which the backends give it.
        token: Its client's name for it: what a client posts again has the same.
        status: How far it has come.
        lines: Price and quantity of each item, in the smallest coin.
        total: What is to be paid.
    """

    id: str
    token: str
    status: str
    lines: tuple[tuple[int, int], ...]
    total: int


@attrs.frozen
class Place:
    """Somebody posts an order.

    Attributes:
        token: The client's name for it.
        begin: When it was sent.
        end: When the answer was there; `inf` if there was none.
        outcome: What the client knows.
        order: What it was told.
    """

    token: str
    begin: float
    end: float = inf
    outcome: Outcome = Outcome.UNKNOWN
    order: Order | None = None


@attrs.frozen
class Move:
    """Somebody has an order take a step; the rest is as in `Place`.

    Attributes:
        id: The order's.
        to: The status that it is to have.
    """

    id: str
    to: str
    begin: float
    end: float = inf
    outcome: Outcome = Outcome.UNKNOWN
    order: Order | None = None


@attrs.frozen
class Read:
    """Somebody was shown orders.

    Attributes:
        begin: When it was asked for.
        end: When the answer was there.
        orders: What it showed.
    """

    begin: float
    end: float
    orders: tuple[Order, ...]


@attrs.frozen
class Event:
    """A change of an order, as the service tells it.

    Attributes:
        number: Its own; the next one has the next.
        id: The order's.
        status: The one that it has come to.
    """

    number: int
    id: str
    status: str


@attrs.frozen
class Follow:
    """What somebody saw who followed the events, and went on where he was whenever he was cut off.

    Attributes:
        after: The number behind which he began.
        events: What he was told, in order.
    """

    after: int
    events: tuple[Event, ...]


@attrs.frozen
class History:
    """All of it.

    Attributes:
        steps: Where an order may go from each status; it begins with the first one.
        places: Orders that were posted.
        moves: Steps that were asked for.
        reads: Orders that were shown.
        follows: Events that were told.
        stored: The orders that there are in the end.
        events: The events that there are in the end, from the first.
        shown: At rest, each backend's answer for each order, its bytes and its tag: by the name of
            the backend and the order's id.
    """

    steps: Mapping[str, tuple[str, ...]]
    places: tuple[Place, ...] = ()
    moves: tuple[Move, ...] = ()
    reads: tuple[Read, ...] = ()
    follows: tuple[Follow, ...] = ()
    stored: tuple[Order, ...] = ()
    events: tuple[Event, ...] = ()
    shown: Mapping[str, Mapping[str, tuple[bytes, str]]] = attrs.field(factory=dict)

    @property
    def first(self) -> str:
        """The status of an order that was just placed."""
        return next(iter(self.steps))

    @property
    def seen(self) -> list[Order]:
        """Every order that any answer had."""
        placed = [each.order for each in self.places if each.order is not None]
        moved = [each.order for each in self.moves if each.order is not None]
        return placed + moved + [order for read in self.reads for order in read.orders]
