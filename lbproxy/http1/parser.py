"""Bytes to heads, pieces of bodies and ends: no I/O, and no memory but for one head.

A parser is fed what comes and asked for events until it has none. Pieces of a body are cut from
what was fed, and are never gathered. After an error a parser gives nothing more: what follows in
the stream cannot be known to be a message.
"""

from __future__ import annotations

from lbproxy.errors import MalformedMessage, TargetTooLong, UnsupportedVersion
from lbproxy.http1 import grammar
from lbproxy.http1.framing import request_framing, response_framing
from lbproxy.http1.message import End, Fields, RequestHead, ResponseHead
from lbproxy.http1.stream import HeadLimits, MessageStream, State

__all__ = ["HeadLimits", "RequestParser", "ResponseParser"]

#: Empty lines before a request that are overlooked (RFC 9112 section 2.2).
EMPTY_LINES = 2

#: For answers, since backends are trusted with more.
RESPONSE_LIMITS = HeadLimits(head=65536, fields=200)


class RequestParser(MessageStream):
    """Parses the requests of one connection, one after another."""

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits, State.HEAD)
        self._empty_lines = 0

    def next_event(self) -> RequestHead | bytes | End | None:
        """The next event, or `None` if it needs more bytes.

        Raises:
            MalformedMessage: If no message can be read from the bytes, now or later.
        """
        try:
            return self._take_head() if self._state is State.HEAD else self._body_event()
        except MalformedMessage:
            self._state = State.FAILED
            raise

    def _take_head(self) -> RequestHead | None:
        while self._buffer[self._at : self._at + 2] == b"\r\n":
            self._empty_lines += 1
            if self._empty_lines > EMPTY_LINES:
                raise MalformedMessage("Empty lines where a request was awaited.")
            self._at += 2
        if self._at == len(self._buffer):
            return None
        lines = self._take_lines()
        if lines is None:
            self._check_eof()
            return None
        self._empty_lines = 0
        match = grammar.REQUEST_HEAD.fullmatch(lines)
        if match is None:
            raise MalformedMessage("The request line or a field is malformed.")
        method, target, major, minor_digit, block = match.groups()
        if major != b"1":
            raise UnsupportedVersion("Only HTTP/1.0 and HTTP/1.1 are spoken here.")
        if len(target) > self._limits.target:
            raise self._too_large(lines)
        fields = self._fields(lines, block)
        values = _by_name(fields)
        minor = 0 if minor_digit == b"0" else 1
        _check_target(method, target, minor, values.get(b"host"))
        framing, length = request_framing(minor, values)
        self._begin_body(framing, length)
        return RequestHead(method, target, minor, fields, values, framing, length)

    def _too_large(self, begin: bytes) -> MalformedMessage:
        target = begin.partition(b"\r\n")[0].partition(b" ")[2].partition(b" ")[0]
        limit = self._limits.target
        if self._state is State.HEAD and len(target) > limit:
            return TargetTooLong(f"The target is longer than {limit} bytes.", knob="limits.target")
        return super()._too_large(begin)


class ResponseParser(MessageStream):
    """Parses the answers of one connection; `expect` comes before each."""

    _after_end = State.IDLE

    def __init__(self) -> None:
        super().__init__(RESPONSE_LIMITS, State.IDLE)
        self._method = b""

    def expect(self, method: bytes) -> None:
        """Say which request the next answer is for, since the answer to HEAD has no body."""
        self._method = method
        self._state = State.HEAD
        self._scanned = self._at

    def next_event(self) -> ResponseHead | bytes | End | None:
        """The next event, or `None` if it needs more bytes or no answer is expected.

        Heads with `informational` come before the answer's own, and have no `End`. After 101
        only `take_rest` gives what follows.

        Raises:
            MalformedMessage: If no message can be read from the bytes, now or later.
        """
        try:
            return self._take_head() if self._state is State.HEAD else self._body_event()
        except MalformedMessage:
            self._state = State.FAILED
            raise

    def _take_head(self) -> ResponseHead | None:
        lines = self._take_lines()
        if lines is None:
            self._check_eof()
            return None
        match = grammar.RESPONSE_HEAD.fullmatch(lines)
        if match is None:
            lines = grammar.SPACE_BEFORE_COLON.sub(rb"\1", lines)
            match = grammar.RESPONSE_HEAD.fullmatch(lines)
        if match is None:
            raise MalformedMessage("The status line or a field is malformed.")
        major, minor_digit, digits, reason, block = match.groups()
        if major != b"1":
            raise UnsupportedVersion("The answer is not of HTTP/1.0 or HTTP/1.1.")
        fields = self._fields(lines, block)
        values = _by_name(fields)
        status = int(digits)
        minor = 0 if minor_digit == b"0" else 1
        framing, length = response_framing(self._method, status, minor, values)
        head = ResponseHead(status, reason or b"", minor, fields, values, framing, length)
        if status == 101:
            self._state = State.TUNNEL
        elif head.informational:
            self._scanned = self._at
        else:
            self._begin_body(framing, length)
        return head


def _by_name(fields: Fields) -> dict[bytes, list[bytes]]:
    values: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        name = name.lower()
        if name in values:
            values[name].append(value)
        else:
            values[name] = [value]
    return values


def _check_target(method: bytes, target: bytes, minor: int, hosts: list[bytes] | None) -> None:
    """Check the target's form and `Host` (RFC 9112 section 3.2)."""
    if method == b"CONNECT":
        good = grammar.AUTHORITY_FORM.fullmatch(target) is not None
    elif grammar.ORIGIN_FORM.fullmatch(target) or grammar.ABSOLUTE_FORM.fullmatch(target):
        good = True
    else:
        good = target == b"*" and method == b"OPTIONS"
    if not good:
        raise MalformedMessage("The request-target is malformed.")
    if hosts is None:
        if minor:
            raise MalformedMessage("Host is missing.")
    elif len(hosts) != 1 or grammar.HOST.fullmatch(hosts[0]) is None:
        raise MalformedMessage("Host is doubled, or is not one host and port.")
