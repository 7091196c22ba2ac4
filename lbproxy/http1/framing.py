"""Where a body ends, by RFC 9112 section 6.3.

What two readers could read differently is refused, for that is how requests are smuggled (RFC 9112
section 11.2): the next reader may be one that takes the last of two lengths, or the first.
"""

from __future__ import annotations

from lbproxy.errors import MalformedMessage, UnsupportedCoding
from lbproxy.http1 import grammar
from lbproxy.http1.message import CHUNKED, LENGTH, NONE, UNTIL_CLOSE, Framing, Values

#: Lengths that fit a signed integer of 64 bits, as most readers have it.
LONGEST = 2**63 - 1


def request_framing(minor: int, values: Values) -> tuple[Framing, int]:
    """Decide how a request's body ends.

    Args:
        minor: The minor version.
        values: The fields by lower-case name.

    Returns:
        The framing, and the bytes of the body if it is `LENGTH`, else 0.

    Raises:
        MalformedMessage: If two readers could disagree on the end.
        UnsupportedCoding: If the body has a transfer coding besides `chunked`.
    """
    codings, lengths = values.get(b"transfer-encoding"), values.get(b"content-length")
    if codings is not None:
        _check_codings(codings, lengths, minor)
        return CHUNKED, 0
    if lengths is not None:
        return LENGTH, _length(lengths)
    return NONE, 0


def response_framing(method: bytes, status: int, minor: int, values: Values) -> tuple[Framing, int]:
    """Decide how an answer's body ends.

    Args:
        method: The request's; the answer to HEAD has no body.
        status: The answer's.
        minor: The minor version.
        values: The fields by lower-case name.

    Returns:
        The framing, and the bytes of the body if it is `LENGTH`, else 0.

    Raises:
        MalformedMessage: If two readers could disagree on the end.
        UnsupportedCoding: If the body has a transfer coding besides `chunked`.
    """
    codings, lengths = values.get(b"transfer-encoding"), values.get(b"content-length")
    length = 0
    if codings is not None:
        _check_codings(codings, lengths, minor)
    elif lengths is not None:
        length = _length(lengths)
    if status < 200 or status == 204:
        if codings is not None or length:
            raise MalformedMessage(f"An answer of {status} announces a body.")
        return NONE, 0
    if method == b"HEAD" or status == 304 or (method == b"CONNECT" and status < 300):
        return NONE, 0
    if codings is not None:
        return CHUNKED, 0
    if lengths is not None:
        return LENGTH, length
    return UNTIL_CLOSE, 0


def _check_codings(codings: list[bytes], lengths: list[bytes] | None, minor: int) -> None:
    if lengths is not None:
        raise MalformedMessage("Both Transfer-Encoding and Content-Length.")
    if not minor:
        raise MalformedMessage("Transfer-Encoding in a message of HTTP/1.0.")
    listed = [member.strip(b" \t").lower() for member in b",".join(codings).split(b",")]
    if listed == [b"chunked"]:
        return
    if listed[-1] != b"chunked" or listed.count(b"chunked") > 1 or b"" in listed:
        raise MalformedMessage("Transfer-Encoding does not end with one chunked.")
    raise UnsupportedCoding("Only the transfer coding chunked is supported.")


def _length(lengths: list[bytes]) -> int:
    if len(lengths) != 1:
        raise MalformedMessage("More than one Content-Length.")
    if grammar.LENGTH.fullmatch(lengths[0]) is None or (length := int(lengths[0])) > LONGEST:
        raise MalformedMessage("Content-Length is not one decimal number.")
    return length
