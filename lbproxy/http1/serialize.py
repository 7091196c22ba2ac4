"""Messages to bytes. What is given has been checked: by the parser, or by being ours."""

from __future__ import annotations

from http import HTTPStatus

from lbproxy.http1.message import Fields

# As RFC 9110 names them, where the standard library has older names or other ones.
_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus} | {
    413: b"Content Too Large",
    414: b"URI Too Long",
    416: b"Range Not Satisfiable",
    422: b"Unprocessable Content",
}


def reason_phrase(status: int) -> bytes:
    """The phrase for a status (RFC 9110 section 15), empty for one that is not registered."""
    return _REASONS.get(status, b"")


def lines(fields: Fields) -> bytes:
    """Field lines, each with its end."""
    return b"".join([b"%b: %b\r\n" % line for line in fields])


def request(method: bytes, target: bytes, lines: bytes) -> bytes:
    """A request's head but for its empty line, of HTTP/1.1 as all that we send (RFC 9112, 2.3)."""
    return b"%b %b HTTP/1.1\r\n%b" % (method, target, lines)


def response(status: int, reason: bytes, lines: bytes) -> bytes:
    """An answer's head but for its empty line; the space stays if the reason is empty."""
    return b"HTTP/1.1 %d %b\r\n%b" % (status, reason, lines)


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body; nothing for no data, since a chunk of 0 would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: Fields) -> bytes:
    """The end of a chunked body."""
    return b"0\r\n%b\r\n" % lines(trailers)
