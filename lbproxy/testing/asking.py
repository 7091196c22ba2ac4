"""What clients write, byte for byte."""

from __future__ import annotations

from lbproxy.testing.plan import Ask

#: What must be refused: to two readers it could mean different things, or nothing to any.
_BAD = (
    b"GET /r/%d HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST /r/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET  /r/%d HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /r/%d HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    b"GET /r/%d HTTP/2.0\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01 %d\r\n\r\n",
)


def request_head(ask: Ask, manner: str) -> bytes:
    """The head of a request.

    Args:
        ask: The request.
        manner: Its client's, of `results.MANNERS`.
    """
    if ask.method == "BAD":
        return _BAD[ask.number % len(_BAD)] % ask.number
    if ask.local:
        return b"GET /health HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    if ask.method == "WS":
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
        return b"GET /r/%d HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (ask.number, upgrade)
    version = 0 if manner.startswith("old") else 1
    lines = [f"{ask.method} /r/{ask.number} HTTP/1.{version}", "Host: shop.example"]
    if manner == "old_keeps":
        lines.append("Connection: keep-alive")
    if ask.keyed:
        lines.append(f"Idempotency-Key: {ask.number}")
    if ask.chunked and ask.upload:
        lines.append("Transfer-Encoding: chunked")
    elif ask.upload or ask.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {ask.upload}")
    if ask.expect and ask.upload:
        lines.append("Expect: 100-continue")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def announcement(number: int) -> bytes:
    """A PROXY header, of either version."""
    if number % 2:
        return b"PROXY TCP4 192.0.2.%d 198.51.100.1 5%03d 80\r\n" % (number % 250 + 1, number)
    addresses = bytes((192, 0, 2, number % 250 + 1, 198, 51, 100, 1, 200, number % 256, 0, 80))
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + addresses
