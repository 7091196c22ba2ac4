"""What requests and answers have in common: the buffer, field lines, bodies and ends."""

from __future__ import annotations

import re
from enum import Enum

import attrs

from lbproxy.errors import HeadTooLarge, MalformedMessage
from lbproxy.http1 import grammar
from lbproxy.http1.framing import LONGEST
from lbproxy.http1.message import END, NONE, End, Fields, Framing, Head, Values, split_block

#: Bytes of a chunk's first line, and of all extensions in one body.
LINE_LIMIT, EXTENSIONS_LIMIT = 512, 16384


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


class State(Enum):
    """What is read next."""

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


# Python 3.11 takes six times as long to find a member through its class.
(
    IDLE,
    HEAD,
    NO_BODY,
    LENGTH,
    UNTIL_CLOSE,
    CHUNK_LINE,
    CHUNK_DATA,
    CHUNK_END,
    TRAILERS,
    TUNNEL,
    FAILED,
) = State

KNOWN_LENGTH = Framing.LENGTH

_BODY_STATES = {
    Framing.LENGTH: LENGTH,
    Framing.CHUNKED: CHUNK_LINE,
    Framing.UNTIL_CLOSE: UNTIL_CLOSE,
}


class MessageStream:
    """A stream of messages of either kind; the subclasses read the heads."""

    __slots__ = (
        "_after_end",
        "_at",
        "_buffer",
        "_eof",
        "_extensions",
        "_left",
        "_limits",
        "_scanned",
        "_state",
    )

    def __init__(self, limits: HeadLimits, state: State) -> None:
        self._limits = limits
        self._state = self._after_end = state
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
        if self._state is HEAD:
            return len(self._buffer) > self._at
        return self._state not in (IDLE, TUNNEL, FAILED)

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
        self._state = TUNNEL
        return rest

    def _body_event(self) -> bytes | End | None:
        """Go on in a body."""
        while True:
            state = self._state
            if state is NO_BODY:
                return self._end()
            if state is LENGTH or state is CHUNK_DATA:
                if self._left:
                    return self._cut(self._left)
                if state is LENGTH:
                    return self._end()
                self._state = CHUNK_END
            elif state is CHUNK_END:
                if self.buffered < 2:
                    self._check_eof()
                    return None
                if self._buffer[self._at : self._at + 2] != b"\r\n":
                    raise MalformedMessage("A chunk is longer than its size.")
                self._at += 2
                self._state = CHUNK_LINE
            elif state is CHUNK_LINE:
                if not self._take_chunk_line():
                    self._check_eof()
                    return None
            elif state is TRAILERS:
                return self._take_trailers()
            elif state is UNTIL_CLOSE:
                if self._eof and not self.buffered:
                    return self._end()
                return self._cut(self.buffered)
            else:  # Idle, a tunnel, or failed.
                return None

    @property
    def rest(self) -> int:
        """Bytes that are still to come of a body of known length; else 0."""
        return self._left if self._state is LENGTH and self._at == len(self._buffer) else 0

    def skip(self, count: int) -> None:
        """So many bytes of `rest` have gone another way."""
        assert 0 < count <= self.rest, (count, self.rest)
        self._left -= count

    def skip_end(self) -> None:
        """Instead of asking for the end of a message that has no body."""
        assert self._state is NO_BODY, self._state
        self._state = self._after_end
        self._scanned = self._at

    def take_whole_body(self) -> bytes | None:
        """All of a body of known length, if it is here with nothing behind it.

        With it the message has ended. Else nothing is taken.
        """
        buffer, at = self._buffer, self._at
        if self._state is not LENGTH or len(buffer) - at != self._left:
            return None
        self._buffer, self._at, self._scanned = b"", 0, 0
        self._state = self._after_end
        return buffer[at:] if isinstance(buffer, bytes) else bytes(memoryview(buffer)[at:])

    def _begin_body(self, head: Head) -> None:
        framing = head.framing
        if framing is NONE:
            self._state = NO_BODY
        elif framing is KNOWN_LENGTH:
            self._state = LENGTH
        else:  # An Enum is slow to hash.
            self._state = _BODY_STATES[framing]
        self._left = head.length
        self._extensions = 0

    def _end(self, trailers: Fields | None = None) -> End:
        self._state = self._after_end
        self._scanned = self._at
        return END if trailers is None else End(trailers)

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
        if self._state is not UNTIL_CLOSE:
            self._left -= size
        return piece

    def _take_chunk_line(self) -> bool:
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\r\n", at, at + LINE_LIMIT)
        if end < 0:
            if len(buffer) - at >= LINE_LIMIT or buffer.find(b"\n", at) >= 0:
                raise MalformedMessage("A chunk's first line is malformed or too long.")
            return False
        line = grammar.CHUNK_LINE.fullmatch(buffer, at, end)
        if line is None:
            raise MalformedMessage("A chunk's first line is malformed.")
        digits, extensions = line.groups()
        size = int(digits, 16)
        self._extensions += len(extensions)
        if size > LONGEST or self._extensions > EXTENSIONS_LIMIT:
            raise MalformedMessage("A chunk's size or its extensions are too long.")
        self._at = end + 2
        self._left = size
        self._state = CHUNK_DATA if size else TRAILERS
        self._scanned = self._at
        return True

    def _take_trailers(self) -> End | None:
        at = self._at
        if self._buffer.startswith(b"\r\n", at):
            self._at = at + 2
            return self._end()
        lines = self._take_lines()
        if lines is None:
            self._check_eof()
            return None
        if grammar.TRAILERS.fullmatch(lines) is None:
            raise MalformedMessage("A trailer field is malformed.")
        block = b"\n" + lines[:-2]
        self._check_count(block)
        return self._end(split_block(block))

    def _take_lines(self) -> bytes | None:
        """The bytes to the next empty line, and that line."""
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
        lines = buffer[at : end + 4]
        return lines if isinstance(lines, bytes) else bytes(lines)

    def _too_large(self, begin: bytes) -> MalformedMessage:
        limit = self._limits.head
        return HeadTooLarge(f"The head is longer than {limit} bytes.", knob="limits.head")

    def _check_count(self, block: bytes) -> None:
        limit = self._limits.fields
        if block.count(b"\n") > limit + 1:
            raise HeadTooLarge(f"The head has more than {limit} fields.", knob="limits.fields")

    def _split(self, block: bytes, pattern: re.Pattern[bytes]) -> tuple[Values, bytes]:
        """What of a block has to be looked at, by lower-case name, and the block without it."""
        self._check_count(block)
        parts = pattern.split(block)
        control: Values = {}
        for name, value in zip(parts[1::3], parts[2::3], strict=True):
            name, value = name.lower(), value.rstrip(b" \t")
            if name in control:
                control[name].append(value)
            else:
                control[name] = [value]
        return control, b"".join(parts[::3])
