"""Reading HTTP/1.1 as a client or a backend does: apart from the balancer's own parser."""

from __future__ import annotations

from typing import Protocol

import attrs


class Unreadable(Exception):
    """What came is no message of HTTP/1.1."""


@attrs.frozen
class Head:
    """A start line and its fields.

    Attributes:
        start: The start line's three parts.
        fields: Name in lower case, and value.
    """

    start: tuple[bytes, bytes, bytes]
    fields: dict[bytes, bytes]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.start[1])


class Reader(Protocol):
    """Who is told what was read."""

    def on_head(self, head: Head) -> bool:
        """A head; false if no body follows, whatever its fields say."""

    def on_body(self, data: bytes) -> None:
        """A piece of the body, its framing removed."""

    def on_whole(self) -> None:
        """The message is whole."""


class MessageReader:
    """Reads one message after another.

    Attributes:
        begun: Whether part of a message has been read, and not all of it.
    """

    def __init__(self, reader: Reader, until_close: bool) -> None:
        """Begin.

        Args:
            reader: Is told.
            until_close: Whether a message without framing lasts until the end, as answers do.
        """
        self._reader = reader
        self._until_close = until_close
        self._buffer = b""
        self._state = "head"
        self._left = 0
        self._chunked = False

    @property
    def begun(self) -> bool:
        return self._state != "head" or bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Read what has come.

        Raises:
            Unreadable: If that is no message.
        """
        self._buffer += data
        while self._step():
            pass

    def end(self) -> bool:
        """The connection has ended in order; whether that was between two messages."""
        if self._state == "until close":
            self._state = "head"
            self._reader.on_whole()
        return not self.begun

    def _step(self) -> bool:
        if self._state == "head":
            return self._read_head()
        if self._state == "body":
            return self._read_body()
        if self._state == "until close":
            data, self._buffer = self._buffer, b""
            if data:
                self._reader.on_body(data)
            return False
        return self._read_chunk_line()

    def _read_head(self) -> bool:
        text, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        self._buffer = rest
        first, *lines = text.split(b"\r\n")
        parts = first.split(b" ", 2)
        if len(parts) != 3:
            raise Unreadable(f"start line {first!r}")
        fields = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                raise Unreadable(f"field line {line!r}")
            fields[name.lower()] = value.strip()
        head = Head((parts[0], parts[1], parts[2]), fields)
        if not self._reader.on_head(head):
            if not (self._until_close and head.status < 200):
                self._reader.on_whole()
            return True
        self._begin_body(fields)
        return True

    def _begin_body(self, fields: dict[bytes, bytes]) -> None:
        if b"transfer-encoding" in fields:
            if fields[b"transfer-encoding"] != b"chunked" or b"content-length" in fields:
                raise Unreadable(f"framing {fields}")
            self._state = "chunk line"
        elif b"content-length" in fields:
            self._left = int(fields[b"content-length"])
            self._state = "body"
            if not self._left:
                self._finish()
        elif self._until_close:
            self._state = "until close"
        else:
            self._finish()

    def _read_body(self) -> bool:
        if not self._buffer:
            return False
        data = self._buffer[: self._left]
        self._buffer = self._buffer[self._left :]
        self._left -= len(data)
        self._reader.on_body(data)
        if not self._left:
            if self._chunked:
                self._state = "chunk end"
            else:
                self._finish()
        return True

    def _read_chunk_line(self) -> bool:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return False
        self._buffer = rest
        if self._state == "chunk end":
            if line:
                raise Unreadable(f"behind a chunk {line!r}")
            self._state = "chunk line"
        elif self._state == "trailers":
            if not line:
                self._finish()
        else:
            try:
                self._left = int(line.partition(b";")[0], 16)
            except ValueError:
                raise Unreadable(f"chunk line {line!r}") from None
            if self._left:
                self._state = "body"
                self._chunked = True
            else:
                self._state = "trailers"
        return True

    def _finish(self) -> None:
        self._state = "head"
        self._chunked = False
        self._reader.on_whole()
