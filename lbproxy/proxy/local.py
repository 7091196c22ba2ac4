"""Answers that the balancer gives itself, without a body to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy.forward.fields import VIA
from lbproxy.http1 import serialize
from lbproxy.http1.message import Fields, RequestHead

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream

#: What a request may carry that must not be shown again (RFC 9110 section 9.3.8).
_SECRETS = frozenset((b"authorization", b"cookie", b"proxy-authorization"))

#: The methods that the balancer itself knows how to answer, for `OPTIONS *`.
ALLOW = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"


def answer(
    downstream: Downstream, status: int, fields: Fields, body: bytes, date: bytes, now: float
) -> None:
    """Give a whole answer at once.

    Args:
        downstream: Who asked.
        status: 200 to 599.
        fields: The fields of the content; those of the message are added here.
        body: Is left out for HEAD and 204, with the fields as they would be for GET.
        date: For `Date`.
        now: The present time, in the clock's seconds.
    """
    request_id = downstream.record.request_id.encode()
    fields = [*fields, (b"Date", date), (b"X-Request-Id", request_id)]
    if status != 204:
        fields.append((b"Content-Length", b"%d" % len(body)))
    begin = serialize.response(status, serialize.reason_phrase(status), serialize.lines(fields))
    if status == 204 or downstream.head.method == b"HEAD":
        body = b""
    downstream.answer_whole(status, begin, body, now)


def is_last_hop(head: RequestHead) -> bool:
    """Whether `Max-Forwards` says that we are the one to answer (RFC 9110 section 7.6.2)."""
    return (
        head.method in (b"OPTIONS", b"TRACE")
        and head.control.get(b"max-forwards", [b""])[0] == b"0"
    )


def trace(head: RequestHead) -> tuple[Fields, bytes]:
    """The answer to TRACE: the request as it came, without what is secret."""
    shown = [line for line in head.fields if line[0].lower() not in _SECRETS]
    shown.append((b"Via", VIA))
    lines = serialize.lines(shown)
    request = serialize.request(head.method, head.target, lines)
    return [(b"Content-Type", b"message/http")], request + b"\r\n"
