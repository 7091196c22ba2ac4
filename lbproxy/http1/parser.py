"""Bytes to heads, pieces of bodies and ends: no I/O, and no memory but for one head.

A parser is fed what comes and asked for events until it has none. Pieces of a body are cut from
what was fed, and are never gathered. After an error a parser gives nothing more: what follows in
the stream cannot be known to be a message.
"""

from __future__ import annotations

from lbproxy.errors import MalformedMessage, TargetTooLong, UnsupportedVersion
from lbproxy.http1 import grammar
from lbproxy.http1.cache import HeadCache
from lbproxy.http1.framing import request_framing, response_framing
from lbproxy.http1.message import NONE, End, RequestHead, ResponseHead
from lbproxy.http1.stream import FAILED, HEAD, IDLE, TUNNEL, HeadLimits, MessageStream

__all__ = ["HeadLimits", "RequestParser", "ResponseParser"]

#: Empty lines before a request that are overlooked (RFC 9112 section 2.2).
EMPTY_LINES = 2

#: Bytes from which on a copy costs more than a view.
COPIED = 4096

#: For answers, since backends are trusted with more.
RESPONSE_LIMITS = HeadLimits(head=65536, fields=200)


class RequestParser(MessageStream):
    """Parses the requests of one connection, one after another."""

    __slots__ = ("_cache", "_empty_lines")

    def __init__(self, limits: HeadLimits, cache: HeadCache[RequestHead] | None = None) -> None:
        """Begin before the first request.

        Args:
            limits: What a head may have.
            cache: Heads that were read before, within the same limits.
        """
        super().__init__(limits, HEAD)
        self._cache = HeadCache() if cache is None else cache
        self._empty_lines = 0

    def whole(self, data: bytes) -> RequestHead | None:
        """The request that `data` is, if that is all of one, without a body, and nothing more.

        Mostly it is: then nothing has to be fed, asked for or ended. Else nothing is taken.
        """
        if self._state is not HEAD or self._at != len(self._buffer):
            return None
        head = self._cache.heads.get(data)
        if head is None:
            size = len(data)
            if size > self._limits.head or data.find(b"\r\n\r\n") != size - 4:
                return None
            try:
                head = self._parse(data)
            except MalformedMessage:  # Whoever feeds it will be told.
                return None
            self._cache.put(data, head)
        if head.framing is not NONE:
            return None
        self._empty_lines = 0
        return head

    def next_event(self) -> RequestHead | bytes | End | None:
        """The next event, or `None` if it needs more bytes.

        Raises:
            MalformedMessage: If no message can be read from the bytes, now or later.
        """
        try:
            return self._take_head() if self._state is HEAD else self._body_event()
        except MalformedMessage:
            self._state = FAILED
            raise

    def _take_head(self) -> RequestHead | None:
        while self._buffer.startswith(b"\r\n", self._at):
            self._empty_lines += 1
            if self._empty_lines > EMPTY_LINES:
                raise MalformedMessage("Empty lines where a request was awaited.")
            self._at += 2
        if self._at == len(self._buffer):
            return None
        data = self._take_lines()
        if data is None:
            self._check_eof()
            return None
        self._empty_lines = 0
        head = self._cache.find(data)
        if head is None:
            head = self._parse(data)
            self._cache.put(data, head)
        self._begin_body(head)
        return head

    def _parse(self, data: bytes) -> RequestHead:
        match = grammar.REQUEST_HEAD.fullmatch(data)
        if match is None:
            raise MalformedMessage("The request line or a field is malformed.")
        method, target, major, minor_digit, block = match.groups()
        if major != b"1":
            raise UnsupportedVersion("Only HTTP/1.0 and HTTP/1.1 are spoken here.")
        if len(target) > self._limits.target:
            raise self._too_large(data)
        minor = 0 if minor_digit == b"0" else 1
        control, kept = self._split(block, grammar.REQUEST_CONTROL)
        _check_target(method, target, minor, control.get(b"host"))
        framing, length = request_framing(minor, control)
        return RequestHead(minor, block, control, kept, framing, length, method, target)

    def _too_large(self, begin: bytes) -> MalformedMessage:
        target = begin.partition(b"\r\n")[0].partition(b" ")[2].partition(b" ")[0]
        limit = self._limits.target
        if self._state is HEAD and len(target) > limit:
            return TargetTooLong(f"The target is longer than {limit} bytes.", knob="limits.target")
        return super()._too_large(begin)


class ResponseHeads:
    """Heads of answers that were read before.

    The answer to HEAD is framed otherwise than that to GET with the same bytes.

    Attributes:
        to_head: The answers to HEAD.
        to_others: Those to other methods, but for CONNECT, which would be a third kind.
    """

    __slots__ = ("to_head", "to_others")

    def __init__(self) -> None:
        self.to_head: HeadCache[ResponseHead] = HeadCache()
        self.to_others: HeadCache[ResponseHead] = HeadCache()


class ResponseParser(MessageStream):
    """Parses the answers of one connection; `expect` comes before each."""

    __slots__ = ("_cache", "_heads", "_method")

    def __init__(self, heads: ResponseHeads | None = None) -> None:
        """Begin with no answer expected.

        Args:
            heads: Those that were read before.
        """
        super().__init__(RESPONSE_LIMITS, IDLE)
        self._heads = ResponseHeads() if heads is None else heads
        self._cache = self._heads.to_others
        self._method = b""

    def expect(self, method: bytes) -> None:
        """Say which request the next answer is for, since the answer to HEAD has no body."""
        if method != self._method:
            self._method = method
            heads = self._heads
            self._cache = heads.to_head if method == b"HEAD" else heads.to_others
            if method == b"CONNECT":
                self._cache = HeadCache()
        self._state = HEAD
        self._scanned = self._at

    def whole(self, data: bytes) -> tuple[ResponseHead, bytes | memoryview] | None:
        """The answer that `data` is, and its body, if that is all of one and nothing more.

        Mostly a short answer is: then it is over, and nothing has to be fed or asked for. Else
        nothing is taken.
        """
        if self._state is not HEAD or self._at != len(self._buffer):
            return None
        end = data.find(b"\r\n\r\n") + 4
        begin = data[:end]
        head = self._cache.heads.get(begin)
        if head is None:
            if end < 4:
                return None
            try:
                head = self._parse(begin)
            except MalformedMessage:  # Whoever feeds it will be told.
                return None
            self._cache.put(begin, head)
        if len(data) - end != head.length or not head.sized:
            return None
        self._state = IDLE
        return head, data[end:] if len(data) < COPIED else memoryview(data)[end:]

    def next_event(self) -> ResponseHead | bytes | End | None:
        """The next event, or `None` if it needs more bytes or no answer is expected.

        Heads with `informational` come before the answer's own, and have no `End`. After 101
        only `take_rest` gives what follows.

        Raises:
            MalformedMessage: If no message can be read from the bytes, now or later.
        """
        try:
            return self._take_head() if self._state is HEAD else self._body_event()
        except MalformedMessage:
            self._state = FAILED
            raise

    def _take_head(self) -> ResponseHead | None:
        data = self._take_lines()
        if data is None:
            self._check_eof()
            return None
        cache = self._cache
        head = cache.find(data)
        if head is None:
            head = self._parse(data)
            cache.put(data, head)
        if head.status >= 200:
            self._begin_body(head)
        elif head.status == 101:
            self._state = TUNNEL
        else:
            self._scanned = self._at
        return head

    def _parse(self, data: bytes) -> ResponseHead:
        match = grammar.RESPONSE_HEAD.fullmatch(data)
        if match is None:
            data = grammar.SPACE_BEFORE_COLON.sub(rb"\1", data)
            match = grammar.RESPONSE_HEAD.fullmatch(data)
        if match is None:
            raise MalformedMessage("The status line or a field is malformed.")
        major, minor_digit, digits, reason, block = match.groups()
        if major != b"1":
            raise UnsupportedVersion("The answer is not of HTTP/1.0 or HTTP/1.1.")
        control, kept = self._split(block, grammar.RESPONSE_CONTROL)
        status = int(digits)
        minor = 0 if minor_digit == b"0" else 1
        framing, length = response_framing(self._method, status, minor, control)
        return ResponseHead(minor, block, control, kept, framing, length, status, reason or b"")


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
