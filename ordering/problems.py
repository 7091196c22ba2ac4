"""Everything an operation can refuse, and how RFC 9457 tells it.

A class gives what is always so (status, reason, title); an instance says what was wrong this time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ordering.model import Fault


class Problem(Exception):
    """A request that gets no result; also what a framework's own errors become.

    Attributes:
        status: Of the answer.
        reason: A code for programs, in `snake_case`; its type ends in the same words.
        title: The same for each of its kind.
        detail: What was wrong this time, for a person.
        errors: What exactly, and where.
        fields: Header fields that belong to the answer.
    """

    status: ClassVar[int] = 500
    reason: ClassVar[str] = "unexpected"
    title: ClassVar[str] = "Internal Server Error"

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
    reason = "bad_parameter"
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
    reason = "malformed_body"
    title = "Bad Request"


class NotFound(Problem):
    """Nothing is here."""

    status = 404
    reason = "not_found"
    title = "Not Found"


class MethodNotAllowed(Problem):
    """Something is here, which does not answer to the method."""

    status = 405
    reason = "method_not_allowed"
    title = "Method Not Allowed"


class BodyTooLarge(Problem):
    """More bytes than any request of ours needs."""

    status = 413
    reason = "body_too_large"
    title = "Content Too Large"


class WrongContentType(Problem):
    """A body that does not claim to be JSON."""

    status = 415
    reason = "wrong_content_type"
    title = "Unsupported Media Type"


class Invalid(Problem):
    """JSON that does not say what the operation needs; `errors` has the places."""

    status = 422
    reason = "invalid"
    title = "The request is not valid"


class KeyReused(Problem):
    """An idempotency key that already stands for another request."""

    status = 422
    reason = "idempotency_key_reused"
    title = "The idempotency key belongs to another request"


class RestaurantClosed(Problem):
    """An order at a restaurant that takes none now."""

    status = 409
    reason = "restaurant_closed"
    title = "The restaurant is closed"


class ItemSoldOut(Problem):
    """An order of something that is not available."""

    status = 409
    reason = "item_sold_out"
    title = "An item is sold out"


class WrongStep(Problem):
    """A state that an order cannot go to from where it is."""

    status = 409
    reason = "wrong_step"
    title = "The order cannot take this step"


class StoreUnavailable(Problem):
    """The store does not answer; nothing of the request was done."""

    status = 503
    reason = "store_unavailable"
    title = "Service Unavailable"


class Draining(Problem):
    """The backend is about to stop, and wants no new work."""

    status = 503
    reason = "draining"
    title = "Service Unavailable"
