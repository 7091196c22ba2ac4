"""How the tests read messages: all at once, or in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lbproxy.errors import MalformedMessage
from lbproxy.http1.cache import HeadCache
from lbproxy.http1.message import END, End, RequestHead, ResponseHead
from lbproxy.http1.parser import HeadLimits, RequestParser, ResponseHeads, ResponseParser

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
    """The events of requests that come in these pieces, which are the same in all ways to read."""
    cache: HeadCache[RequestHead] = HeadCache()

    def read(whole: bool) -> list[Event]:
        parser = RequestParser(limits or HeadLimits(), cache)
        events: list[Event] = []
        for piece in pieces:
            head = parser.whole(piece) if whole else None
            if head is not None:
                events += [head, END]
            else:
                parser.feed(piece)
                events += drained(parser)
        return joined(events)

    return _same(read)


def answer(*pieces: bytes, method: bytes = b"GET", closed: bool = False) -> list[Event]:
    """The events of the answer to one request that comes in these pieces, likewise."""
    heads = ResponseHeads()

    def read(whole: bool) -> list[Event]:
        parser = ResponseParser(heads)
        parser.expect(method)
        events: list[Event] = []
        for piece in pieces:
            message = parser.whole(piece) if whole else None
            if message is not None:
                head, body = message
                events += [head, bytes(body), END] if body else [head, END]
            else:
                parser.feed(piece)
                events += drained(parser)
        if closed:
            parser.feed_eof()
            events += drained(parser)
        return joined(events)

    return _same(read)


def _same(read: Callable[[bool], list[Event]]) -> list[Event]:
    """Read with a new cache, and again when that knows the heads, as whole messages and fed."""
    events, error = _outcome(read, False)
    for whole in (True, True, True, False):
        other, refused = _outcome(read, whole)
        assert other == events, (whole, other, events)
        assert str(refused) == str(error), (whole, refused, error)
    if error is not None:
        raise error
    return events


def _outcome(
    read: Callable[[bool], list[Event]], whole: bool
) -> tuple[list[Event], MalformedMessage | None]:
    try:
        return read(whole), None
    except MalformedMessage as error:
        return [], error


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
