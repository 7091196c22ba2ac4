"""What backends write, byte for byte, and what can be wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lbproxy.testing.payload import body
from lbproxy.testing.plan import Ask

#: What can be wrong with an answer.
AILMENTS = (
    "close_unanswered",
    "reset_unanswered",
    "close_half_read",
    "silent",
    "garbage_head",
    "two_lengths",
    "cut_head",
    "head_then_cut",
    "truncate",
    "reset_body",
    "stall_body",
    "bad_chunk",
    "extra",
    "gateway",
    "early",
    "early_close",
    "late_close",
    "unasked_upgrade",
    "trickle",
    "reads_late",
)

#: What nobody asked for: a whole answer, which must reach nobody.
UNASKED = b"HTTP/1.1 200 OK\r\nX-Ask: 0\r\nContent-Length: 7\r\n\r\nunasked"


def message(ask: Ask, kind: str) -> tuple[bytes, bytes, str]:
    """Head, body, and how that is framed.

    Args:
        ask: What it answers.
        kind: What is to be wrong with it, if anything.
    """
    size, framing, status = ask.size, ask.framing, b"200 OK"
    if kind == "gateway":
        size, framing, status = 0, "length", b"503 Service Unavailable"
    elif kind == "unasked_upgrade":
        return b"HTTP/1.1 101 X\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n", b"", "close"
    content = body("answer", ask.number, 0, size)
    lines = [b"HTTP/1.1 " + status, b"X-Ask: %d" % ask.number]
    if framing == "length":
        lines.append(b"Content-Length: %d" % size)
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
    if kind == "two_lengths":
        lines.append(b"Content-Length: %d" % (size + 1))
    if ask.closes or kind == "early_close":
        lines.append(b"Connection: close")
    if ask.method == "HEAD":
        content, framing = b"", "head"
    return b"\r\n".join(lines) + b"\r\n\r\n", content, framing


def health(status: int, says: Mapping[str, Any]) -> bytes:
    """The answer to a probe, with what the backend says of itself."""
    words = json.dumps(says).encode()
    fields = b"Content-Type: application/json\r\nContent-Length: %d" % len(words)
    return b"HTTP/1.1 %d X\r\n%b\r\n\r\n%b" % (status, fields, words)
