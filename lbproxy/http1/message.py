"""Heads of requests and responses, and the events that a parser gives."""

from __future__ import annotations

from enum import Enum
from typing import Any

import attrs

from lbproxy.http1 import grammar

#: Field lines in order, names as they came.
Fields = list[tuple[bytes, bytes]]

#: Values by lower-case name, in order.
Values = dict[bytes, list[bytes]]


class Framing(Enum):
    """How a body ends (RFC 9112 section 6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until_close"


# Python 3.11 takes six times as long to find a member through its class.
NONE, LENGTH, CHUNKED, UNTIL_CLOSE = Framing


@attrs.define
class Head:
    """What requests' heads and answers' have in common.

    Most fields only pass through, so a head is not taken apart further than its way asks for:
    `control` and `kept` are there, the rest is made when it is looked at.

    Attributes:
        minor: The minor version: 1 for HTTP/1.1 and anything later in the major version 1.
        block: The field lines as they came, from the LF before the first to the last CR LF.
        control: The values of those that an intermediary has to look at
            (`grammar.REQUEST_CONTROL`, `RESPONSE_CONTROL`).
        kept: The block without these.
        framing: How the body ends; never `UNTIL_CLOSE` for a request.
        length: Bytes of the body when the framing is `LENGTH`, else 0.
        memo: What its reader has worked out of it; the same head may come again (`HeadCache`).
        closes: Whether the sender ends the connection after this message (RFC 9112 section 9.3).
    """

    minor: int
    block: bytes
    control: Values
    kept: bytes
    framing: Framing
    length: int
    memo: Any = attrs.field(default=None, init=False)
    closes: bool = attrs.field(init=False)
    _fields: Fields | None = attrs.field(default=None, init=False, repr=False, eq=False)
    _values: Values | None = attrs.field(default=None, init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Work out what is asked of each message."""
        lines = self.control.get(b"connection")
        if lines is None:
            self.closes = not self.minor
        elif lines == [b"keep-alive"]:
            self.closes = False
        else:
            options = members(self.control, b"connection")
            self.closes = b"close" in options or not (self.minor or b"keep-alive" in options)

    # Not cached properties: with one of these in a class with slots, Python 3.11 takes seven times
    # as long to find any of its attributes.

    @property
    def fields(self) -> Fields:
        """All field lines, white space around the values removed."""
        fields = self._fields
        if fields is None:
            fields = self._fields = split_block(self.block)
        return fields

    @property
    def values(self) -> Values:
        """All values by lower-case name."""
        values = self._values
        if values is None:
            values = self._values = {}
            for name, value in self.fields:
                values.setdefault(name.lower(), []).append(value)
        return values


@attrs.define
class RequestHead(Head):
    """A request line and its fields (RFC 9112 sections 3 and 5).

    Attributes:
        method: As it came; methods are case-sensitive.
        target: The request-target as it came, in any of its four forms.
    """

    method: bytes
    target: bytes


@attrs.define
class ResponseHead(Head):
    """A status line and its fields (RFC 9112 sections 4 and 5).

    Attributes:
        status: 100 to 599.
        reason: As it came, perhaps empty.
        sized: Whether the message ends `length` bytes behind the head.
    """

    status: int
    reason: bytes
    sized: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Work out what is asked of each answer."""
        super().__attrs_post_init__()
        framed = self.framing is LENGTH or self.framing is NONE
        self.sized = framed and self.status >= 200

    @property
    def informational(self) -> bool:
        """Whether another head follows for the same request (RFC 9110 section 15.2)."""
        return self.status < 200 and self.status != 101


@attrs.frozen
class End:
    """The end of a message.

    Attributes:
        trailers: The fields of a chunked body's trailer section, mostly none.
    """

    trailers: Fields


#: The end of most messages.
NO_TRAILERS: Fields = []
END = End(NO_TRAILERS)


def members(values: Values, name: bytes) -> list[bytes]:
    """The members of a list-valued field over all its lines, in lower case (RFC 9110, 5.6.1)."""
    lines = values.get(name)
    if lines is None:
        return []
    listed = (member.strip(b" \t").lower() for line in lines for member in line.split(b","))
    return [member for member in listed if member]


def announced_keep_alive(head: ResponseHead) -> int | None:
    """Seconds for which a server says that it keeps an idle connection, if it says so.

    `Keep-Alive: timeout=5, max=100` is no standard's field, but many servers send it (RFC 2068
    section 19.7.1.1, and what came of it).
    """
    for member in members(head.control, b"keep-alive"):
        name, _, value = member.partition(b"=")
        if name.strip() == b"timeout" and grammar.SECONDS.fullmatch(value.strip()):
            return int(value)
    return None


def split_block(block: bytes) -> Fields:
    """The lines of a block that follows the grammar, white space around the values removed."""
    fields: Fields = grammar.FIELD.findall(block)
    if b" \r\n" in block or b"\t\r\n" in block:
        return [(name, value.rstrip(b" \t")) for name, value in fields]
    return fields
