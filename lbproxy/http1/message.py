"""Heads of requests and responses, and the events that a parser gives."""

from __future__ import annotations

from enum import Enum

import attrs

#: Field lines in order, names as they came.
Fields = list[tuple[bytes, bytes]]


class Framing(Enum):
    """How a body ends (RFC 9112 section 6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until_close"


@attrs.define
class RequestHead:
    """A request line and its fields (RFC 9112 sections 3 and 5).

    Attributes:
        method: As it came; methods are case-sensitive.
        target: The request-target as it came, in any of its four forms.
        minor: The minor version: 1 for HTTP/1.1 and anything later in the major version 1.
        fields: Field lines as they came, white space around the values removed.
        values: Values by lower-case name, in order, for look-up.
        framing: How the body ends; never `UNTIL_CLOSE`.
        length: Bytes of the body when the framing is `LENGTH`, else 0.
    """

    method: bytes
    target: bytes
    minor: int
    fields: Fields
    values: dict[bytes, list[bytes]]
    framing: Framing
    length: int


@attrs.define
class ResponseHead:
    """A status line and its fields (RFC 9112 sections 4 and 5).

    Attributes:
        status: 100 to 599.
        reason: As it came, perhaps empty.
        minor: The minor version: 1 for HTTP/1.1 and anything later in the major version 1.
        fields: Field lines as they came, white space around the values removed.
        values: Values by lower-case name, in order, for look-up.
        framing: How the body ends.
        length: Bytes of the body when the framing is `LENGTH`, else 0.
    """

    status: int
    reason: bytes
    minor: int
    fields: Fields
    values: dict[bytes, list[bytes]]
    framing: Framing
    length: int

    @property
    def informational(self) -> bool:
        """Whether another head follows for the same request (RFC 9110 section 15.2)."""
        return self.status < 200 and self.status != 101


@attrs.define
class End:
    """The end of a message.

    Attributes:
        trailers: The fields of a chunked body's trailer section, mostly none.
    """

    trailers: Fields
