"""Everything an operation can refuse, and how RFC 9457 tells it.

A class gives what is always so (status, type, title); an instance says what was wrong this time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ordering.model import Fault


class Problem(Exception):
    """A request that gets no result; also what a framework's own errors become.

    Attributes:
        status: Of the answer.
        title: The same for each of its kind.
        kind: The last segment of its type; empty for what the status alone tells.
        detail: What was wrong this time, for a person.
        errors: What exactly, and where.
        fields: Header fields that belong to the answer.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal Server Error"
    kind: ClassVar[str] = ""

    def __init__(
        self,
        detail: str,
        errors: Sequence[Fault] = (),
        fields: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.fields = tuple(fields)


class BadParameter(Problem):
    """A query parameter or header field that says nothing we understand."""

    status = 400
    title = "Bad Request"

    @classmethod
    def query(cls, name: str, detail: str) -> BadParameter:
        """One about a parameter of the query."""
        return cls(f"The parameter {name} {detail}.", [Fault(detail, parameter=name)])

    @classmethod
    def header(cls, name: str, detail: str) -> BadParameter:
        """One about a header field."""
        return cls(f"The field {name} {detail}.", [Fault(detail, header=name)])


class MalformedBody(Problem):
    """A body that is no JSON."""

    status = 400
    title = "Bad Request"


class NotFound(Problem):
    """Nothing is here."""

    status = 404
    title = "Not Found"


class MethodNotAllowed(Problem):
    """Something is here, which does not answer to the method."""

    status = 405
    title = "Method Not Allowed"


class BodyTooLarge(Problem):
    """More bytes than any request of ours needs."""

    status = 413
    title = "Content Too Large"


class WrongContentType(Problem):
    """A body that does not claim to be JSON."""

    status = 415
    title = "Unsupported Media Type"


class Invalid(Problem):
    """JSON that does not say what the operation needs; `errors` has the places."""

    status = 422
    title = "The request is not valid"
    kind = "invalid"


class KeyReused(Problem):
    """An idempotency key that already stands for another request."""

    status = 422
    title = "The idempotency key belongs to another request"
    kind = "idempotency-key-reused"


class RestaurantClosed(Problem):
    """An order at a restaurant that takes none now."""

    status = 409
    title = "The restaurant is closed"
    kind = "restaurant-closed"


class ItemSoldOut(Problem):
    """An order of something that is not available."""

    status = 409
    title = "An item is sold out"
    kind = "item-sold-out"


class WrongStep(Problem):
    """A state that an order cannot go to from where it is."""

    status = 409
    title = "The order cannot take this step"
    kind = "wrong-step"


class StoreUnavailable(Problem):
    """The store does not answer; nothing of the request was done."""

    status = 503
    title = "Service Unavailable"


class Unexpected(Problem):
    """A fault of ours, which is in the log."""
