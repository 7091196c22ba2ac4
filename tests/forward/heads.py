"""Heads as the parser gives them."""

from __future__ import annotations

from lbproxy.http1.message import RequestHead, ResponseHead
from lbproxy.http1.parser import RequestParser, ResponseParser
from lbproxy.http1.stream import HeadLimits


def request(lines: bytes = b"", start: bytes = b"GET / HTTP/1.1") -> RequestHead:
    """A request's head: a start line, `Host`, and more lines, each with its CR LF."""
    parser = RequestParser(HeadLimits())
    parser.feed(start + b"\r\nHost: shop\r\n" + lines + b"\r\n")
    head = parser.next_event()
    assert isinstance(head, RequestHead)
    return head


def response(
    lines: bytes = b"", start: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET"
) -> ResponseHead:
    """An answer's head to a method: a status line, and more lines, each with its CR LF."""
    parser = ResponseParser()
    parser.expect(method)
    parser.feed(start + b"\r\n" + lines + b"\r\n")
    head = parser.next_event()
    assert isinstance(head, ResponseHead)
    return head
