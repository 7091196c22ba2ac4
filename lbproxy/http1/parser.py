"""Bytes to heads, pieces of bodies and ends: no I/O, and no memory but for one head.

A parser is fed what comes and asked for events until it has none. Pieces of a body are cut from
what was fed, and are never gathered. After an error a parser gives nothing more: what follows in
the stream cannot be known to be a message.
"""

from __future__ import annotations

from enum import Enum

import attrs

from lbproxy.errors import (
    HeadTooLarge,
    MalformedMessage,
    TargetTooLong,
    UnsupportedVersion,
)
from lbproxy.http1 import grammar
from lbproxy.http1.framing import LONGEST, request_framing, response_framing
from lbproxy.http1.message import End, Fields, Framing, RequestHead, ResponseHead

#: Empty lines before a request that are overlooked (RFC 9112 section 2.2).
EMPTY_LINES = 2

#: Bytes of a chunk's first line, and of all extensions in one body.
CHUNK_LINE, EXTENSIONS = 512, 16384


@attrs.frozen
class HeadLimits:
    """What a head may have at most.

    Attributes:
        head: Bytes, the empty line at its end included.
        fields: Field lines; those of trailers are counted apart.
        target: Bytes of the request-target.
    """

    head: int = 16384
    fields: int = 100
    target: int = 8192


#: For answers, since backends are trusted with more.
RESPONSE_LIMITS = HeadLimits(head=65536, fields=200)


class _State(Enum):
    IDLE = "idle"
    HEAD = "head"
    NONE = "none"
    LENGTH = "length"
    UNTIL_CLOSE = "until_close"
    CHUNK_LINE = "chunk_line"
    CHUNK_DATA = "chunk_data"
    CHUNK_END = "chunk_end"
    TRAILERS = "trailers"
    TUNNEL = "tunnel"
    FAILED = "failed"


_BODY_STATES = {
    Framing.NONE: _State.NONE,
    Framing.LENGTH: _State.LENGTH,
    Framing.CHUNKED: _State.CHUNK_LINE,
    Framing.UNTIL_CLOSE: _State.UNTIL_CLOSE,
}


class _Parser:
    """What requests and answers have in common: the buffer, field lines and bodies."""

    _after_end = _State.HEAD

    def __init__(self, limits: HeadLimits, state: _State) -> None:
        self._limits = limits
        self._state = state
        self._buffer: bytes | bytearray = b""
        self._at = 0
        self._scanned = 0
        self._left = 0
        self._extensions = 0
        self._eof = False

    @property
    def buffered(self) -> int:
        """Bytes that were fed and are in no event yet."""
        return len(self._buffer) - self._at

    @property
    def mid_message(self) -> bool:
        """Whether a message has begun and is not whole."""
        if self._state is _State.HEAD:
            return len(self._buffer) > self._at
        return self._state not in (_State.IDLE, _State.TUNNEL, _State.FAILED)

    def feed(self, data: bytes) -> None:
        """Take what came."""
        buffer = self._buffer
        if self._at == len(buffer):
            self._buffer = data
            self._at = self._scanned = 0
            return
        if isinstance(buffer, bytes):
            self._buffer = buffer = bytearray(memoryview(buffer)[self._at :])
        else:
            del buffer[: self._at]
        self._scanned = max(self._scanned - self._at, 0)
        self._at = 0
        buffer += data

    def feed_eof(self) -> None:
        """Nothing more comes: the next event is the end of a body that ends so, or an error."""
        self._eof = True

    def take_rest(self) -> bytes:
        """What was fed behind the last head; from here on it is not HTTP."""
        rest = bytes(memoryview(self._buffer)[self._at :])
        self._buffer, self._at = b"", 0
        self._state = _State.TUNNEL
        return rest

    def _body_event(self) -> bytes | End | None:
        """Go on in a body."""
        while True:
            state = self._state
            if state is _State.LENGTH or state is _State.CHUNK_DATA:
                if self._left:
                    return self._cut(self._left)
                if state is _State.LENGTH:
                    return self._end([])
                self._state = _State.CHUNK_END
            elif state is _State.CHUNK_END:
                if self.buffered < 2:
                    self._check_eof()
                    return None
                if self._buffer[self._at : self._at + 2] != b"\r\n":
                    raise MalformedMessage("A chunk is longer than its size.")
                self._at += 2
                self._state = _State.CHUNK_LINE
            elif state is _State.CHUNK_LINE:
                if not self._take_chunk_line():
                    self._check_eof()
                    return None
            elif state is _State.TRAILERS:
                return self._take_trailers()
            elif state is _State.UNTIL_CLOSE:
                if self._eof and not self.buffered:
                    return self._end([])
                return self._cut(self.buffered)
            elif state is _State.NONE:
                return self._end([])
            else:  # Idle, a tunnel, or failed.
                return None

    def _begin_body(self, framing: Framing, length: int) -> None:
        self._state = _BODY_STATES[framing]
        self._left = length
        self._extensions = 0

    def _end(self, trailers: Fields) -> End:
        self._state = self._after_end
        self._scanned = self._at
        return End(trailers)

    def _check_eof(self) -> None:
        if self._eof:
            raise MalformedMessage("The connection closed within a message.")

    def _cut(self, most: int) -> bytes | None:
        """A piece of the body: what is here, but not more than `most`."""
        buffer, at = self._buffer, self._at
        size = min(len(buffer) - at, most)
        if not size:
            self._check_eof()
            return None
        if size == len(buffer) and isinstance(buffer, bytes):
            piece, self._buffer, self._at = buffer, b"", 0
        else:
            piece = bytes(memoryview(buffer)[at : at + size])
            self._at = at + size
        if self._state is not _State.UNTIL_CLOSE:
            self._left -= size
        return piece

    def _take_chunk_line(self) -> bool:
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\r\n", at, at + CHUNK_LINE)
        if end < 0:
            if len(buffer) - at >= CHUNK_LINE or buffer.find(b"\n", at) >= 0:
                raise MalformedMessage("A chunk's first line is malformed or too long.")
            return False
        line = grammar.CHUNK_LINE.fullmatch(buffer, at, end)
        if line is None:
            raise MalformedMessage("A chunk's first line is malformed.")
        digits, extensions = line.groups()
        size = int(digits, 16)
        self._extensions += len(extensions)
        if size > LONGEST or self._extensions > EXTENSIONS:
            raise MalformedMessage("A chunk's size or its extensions are too long.")
        self._at = end + 2
        self._left = size
        self._state = _State.CHUNK_DATA if size else _State.TRAILERS
        self._scanned = self._at
        return True

    def _take_trailers(self) -> End | None:
        at = self._at
        if self._buffer[at : at + 2] == b"\r\n":
            self._at = at + 2
            return self._end([])
        lines = self._take_lines()
        if lines is None:
            self._check_eof()
            return None
        if grammar.TRAILERS.fullmatch(lines) is None:
            raise MalformedMessage("A trailer field is malformed.")
        return self._end(self._fields(lines, lines))

    def _take_lines(self) -> bytes | None:
        """The bytes before the next empty line, with the end of the last line."""
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\r\n\r\n", max(at, self._scanned - 3))
        size = (len(buffer) if end < 0 else end + 4) - at
        if size > self._limits.head:
            raise self._too_large(bytes(memoryview(buffer)[at : at + self._limits.head]))
        if end < 0:
            if grammar.NEVER_IN_HEAD.search(buffer, max(at, self._scanned - 1)) is not None:
                raise MalformedMessage("A line ends otherwise than by CR LF, or has a control.")
            self._scanned = len(buffer)
            return None
        self._at = end + 4
        return bytes(memoryview(buffer)[at : end + 2])

    def _too_large(self, begin: bytes) -> MalformedMessage:
        limit = self._limits.head
        return HeadTooLarge(f"The head is longer than {limit} bytes.", knob="limits.head")

    def _fields(self, lines: bytes, block: bytes) -> Fields:
        """The field lines of a block that follows the grammar.

        Args:
            lines: All lines.
            block: The field lines among them.
        """
        fields: Fields = grammar.FIELD.findall(block)
        limit = self._limits.fields
        if len(fields) > limit:
            raise HeadTooLarge(f"The head has more than {limit} fields.", knob="limits.fields")
        if b" \r\n" in lines or b"\t\r\n" in lines:
            return [(name, value.rstrip(b" \t")) for name, value in fields]
        return fields


class RequestParser(_Parser):
    """Parses the requests of one connection, one after another."""

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits, _State.HEAD)
        self._empty_lines = 0

    def next_event(self) -> RequestHead | bytes | End | None:
        """The next event, or `None` if it needs more bytes.

        Raises:
            MalformedMessage: If no message can be read from the bytes, now or later.
        """
        try:
            return self._take_head() if self._state is _State.HEAD else self._body_event()
        except MalformedMessage:
            self._state = _State.FAILED
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
        if self._state is _State.HEAD and len(target) > limit:
            return TargetTooLong(f"The target is longer than {limit} bytes.", knob="limits.target")
        return super()._too_large(begin)


class ResponseParser(_Parser):
    """Parses the answers of one connection; `expect` comes before each."""

    _after_end = _State.IDLE

    def __init__(self) -> None:
        super().__init__(RESPONSE_LIMITS, _State.IDLE)
        self._method = b""

    def expect(self, method: bytes) -> None:
        """Say which request the next answer is for, since the answer to HEAD has no body."""
        self._method = method
        self._state = _State.HEAD
        self._scanned = self._at

    def next_event(self) -> ResponseHead | bytes | End | None:
        """The next event, or `None` if it needs more bytes or no answer is expected.

        Heads with `informational` come before the answer's own, and have no `End`. After 101
        only `take_rest` gives what follows.

        Raises:
            MalformedMessage: If no message can be read from the bytes, now or later.
        """
        try:
            return self._take_head() if self._state is _State.HEAD else self._body_event()
        except MalformedMessage:
            self._state = _State.FAILED
            raise

    def _take_head(self) -> ResponseHead | None:
        lines = self._take_lines()
        if lines is None:
            self._check_eof()
            return None
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
            self._state = _State.TUNNEL
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
    authority = None
    if method == b"CONNECT":
        good = grammar.AUTHORITY_FORM.fullmatch(target) is not None
    elif grammar.ORIGIN_FORM.fullmatch(target) is not None:
        good = True
    elif absolute := grammar.ABSOLUTE_FORM.fullmatch(target):
        good, authority = True, absolute[1]
    else:
        good = target == b"*" and method == b"OPTIONS"
    if not good:
        raise MalformedMessage("The request-target is malformed.")
    if hosts is None:
        if minor:
            raise MalformedMessage("Host is missing.")
    elif len(hosts) != 1 or grammar.HOST.fullmatch(hosts[0]) is None:
        raise MalformedMessage("Host is doubled, or is not one host and port.")
    elif authority is not None and authority.lower() != hosts[0].lower():
        raise MalformedMessage("Host is another than that of the request-target.")
