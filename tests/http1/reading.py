"""How the tests read messages: all at once, or in pieces."""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.errors import MalformedMessage
from lbproxy.http1.message import End, RequestHead, ResponseHead
from lbproxy.http1.parser import HeadLimits, RequestParser, ResponseParser

Event = RequestHead | ResponseHead | bytes | End


def joined(events: Iterable[Event]) -> list[Event]:
    """Events with neighbouring pieces of a body made one."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += event
        else:
            result.append(event)
    return result


def drained(parser: RequestParser | ResponseParser) -> list[Event]:
    """All events that a parser has now."""
    events: list[Event] = []
    while (event := parser.next_event()) is not None:
        events.append(event)
    return events


def requests(*pieces: bytes, limits: HeadLimits | None = None) -> list[Event]:
    """The events of requests that come in these pieces."""
    parser = RequestParser(limits or HeadLimits())
    events: list[Event] = []
    for piece in pieces:
        parser.feed(piece)
        events += drained(parser)
    return joined(events)


def answer(*pieces: bytes, method: bytes = b"GET", closed: bool = False) -> list[Event]:
    """The events of the answer to one request that comes in these pieces."""
    parser = ResponseParser()
    parser.expect(method)
    events: list[Event] = []
    for piece in pieces:
        parser.feed(piece)
        events += drained(parser)
    if closed:
        parser.feed_eof()
        events += drained(parser)
    return joined(events)


def refusal(data: bytes, limits: HeadLimits | None = None) -> MalformedMessage | None:
    """The error that requests end with, if they do."""
    try:
        requests(data, limits=limits)
    except MalformedMessage as error:
        return error
    return None


def answer_refusal(data: bytes, method: bytes = b"GET") -> MalformedMessage | None:
    """The error that an answer ends with, if it does."""
    try:
        answer(data, method=method)
    except MalformedMessage as error:
        return error
    return None
