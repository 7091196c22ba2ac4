"""Answers that the balancer gives itself, without a body to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy.forward.fields import VIA
from lbproxy.http1 import serialize
from lbproxy.http1.message import Fields, Framing, RequestHead

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream

#: What a request may carry that must not be shown again (RFC 9110 section 9.3.8).
_SECRETS = frozenset((b"authorization", b"cookie", b"proxy-authorization"))

#: The methods that the balancer itself knows how to answer, for `OPTIONS *`.
ALLOW = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"


def answer(downstream: Downstream, status: int, fields: Fields, body: bytes, date: bytes) -> None:
    """Give a whole answer at once.

    Args:
        downstream: Who asked.
        status: 200 to 599.
        fields: The fields of the content; those of the message are added here.
        body: Is left out for HEAD and 204, with the fields as they would be for GET.
        date: For `Date`.
    """
    request_id = downstream.record.request_id.encode()
    fields = [*fields, (b"Date", date), (b"X-Request-Id", request_id)]
    framing, length = Framing.LENGTH, len(body)
    if status == 204 or downstream.head.method == b"HEAD":
        if status != 204:
            fields.append((b"Content-Length", b"%d" % length))
        framing, body = Framing.NONE, b""
    downstream.answer(status, serialize.reason_phrase(status), fields, framing, length)
    if body:
        downstream.answer_data(body)
    downstream.answer_end([])


def is_last_hop(head: RequestHead) -> bool:
    """Whether `Max-Forwards` says that we are the one to answer (RFC 9110 section 7.6.2)."""
    return (
        head.method in (b"OPTIONS", b"TRACE") and head.values.get(b"max-forwards", [b""])[0] == b"0"
    )


def trace(head: RequestHead) -> tuple[Fields, bytes]:
    """The answer to TRACE: the request as it came, without what is secret."""
    shown = [line for line in head.fields if line[0].lower() not in _SECRETS]
    shown.append((b"Via", VIA))
    return [(b"Content-Type", b"message/http")], serialize.request(head.method, head.target, shown)
