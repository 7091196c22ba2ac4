"""What requests and answers look like: msgspec checks the one and writes the other."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from ordering.states import Status

# No control characters: a name is one line, and PostgreSQL takes no NUL in any text.
Name = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*\Z")
]
Line = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Text = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*\Z")]
Price = Annotated[int, Meta(ge=0, le=10_000_000)]
"""In minor units, cents."""
Quantity = Annotated[int, Meta(ge=1, le=99)]
Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class NewRestaurant(Struct, frozen=True, forbid_unknown_fields=True):
    """A restaurant to be added."""

    name: Name
    cuisine: Line = ""
    address: Line = ""
    open: bool = True


class Restaurant(Struct, frozen=True):
    """A restaurant as it is listed."""

    id: int
    name: str
    cuisine: str
    address: str
    open: bool


class RestaurantList(Struct, frozen=True):
    """All restaurants."""

    restaurants: list[Restaurant]


class NewMenuItem(Struct, frozen=True, forbid_unknown_fields=True):
    """A dish to be put on a menu."""

    name: Name
    price: Price
    category: Line = ""
    description: Text = ""
    available: bool = True


class MenuItem(Struct, frozen=True):
    """A dish on a menu; not available means sold out."""

    id: int
    name: str
    category: str
    description: str
    price: int
    available: bool


class Menu(Struct, frozen=True):
    """What a restaurant offers."""

    restaurant_id: int
    items: list[MenuItem]


class NewOrderItem(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of an order to be placed."""

    item_id: Id
    quantity: Quantity


class NewOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """An order to be placed."""

    restaurant_id: Id
    items: Annotated[list[NewOrderItem], Meta(min_length=1, max_length=100)]
    customer_name: Line = ""
    note: Text = ""


class OrderItem(Struct, frozen=True):
    """A line of an order, with the name and price of the moment it was placed."""

    item_id: int
    name: str
    price: int
    quantity: int


class Order(Struct, frozen=True):
    """An order with its lines; times are RFC 3339 in UTC."""

    id: str
    restaurant_id: int
    restaurant_name: str
    status: Status
    items: list[OrderItem]
    total: int
    customer_name: str
    note: str
    created_at: str
    updated_at: str


class OrderPage(Struct, frozen=True):
    """Some orders, the newest first, and the cursor of the page after them, if there is one."""

    orders: list[Order]
    next: str | None


class NewStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """The step that an order is to take."""

    status: Status


class Notification(Struct, frozen=True):
    """One change of one order; `seq` grows with each."""

    seq: int
    order_id: str
    status: Status
    message: str
    created_at: str


class NotificationPage(Struct, frozen=True):
    """Some notifications in their order, and the `seq` to ask on from."""

    notifications: list[Notification]
    last: int


class StoreHealth(Struct, frozen=True):
    """How the store keeps its promises."""

    journal: str


class Health(Struct, frozen=True):
    """A backend that is alive, or ready."""

    status: str
    backend: str
    store: StoreHealth


class Fault(Struct, frozen=True, omit_defaults=True):
    """One thing wrong with a request, and where: in its body, or which of its parameters."""

    detail: str
    pointer: str | UnsetType = UNSET
    parameter: str | UnsetType = UNSET
    header: str | UnsetType = UNSET


class ProblemDocument(Struct, frozen=True, omit_defaults=True):
    """An error, by RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    instance: str
    errors: list[Fault] | UnsetType = UNSET
    request_id: str | UnsetType = field(name="requestId", default=UNSET)
