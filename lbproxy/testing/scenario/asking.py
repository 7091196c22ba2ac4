"""What the clients of a scenario write."""

from __future__ import annotations

from collections.abc import Sequence

#: Whom they ask, unless the scenario says otherwise.
HOST = "localhost"

#: The field by which a backend knows which request it got, and a client which answer.
NUMBER = b"x-simulated"

#: The field by which a client knows who answered.
SERVED = b"x-simulated-by"

#: Fields that they set by themselves, in lower case.
OWN = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "idempotency-key", "x-simulated"}
)

#: Methods that have a body.
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def request_head(
    method: str,
    target: str,
    host: str,
    headers: Sequence[tuple[str, str]],
    number: int,
    body: int,
    *,
    keyed: bool,
) -> bytes:
    """The head of a request.

    Args:
        method: As on the wire.
        target: The request-target.
        host: The value of `Host`.
        headers: More fields.
        number: Which request it is.
        body: Bytes of its body.
        keyed: Whether it has an `Idempotency-Key`.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", f"X-Simulated: {number}"]
    if keyed:
        lines.append(f"Idempotency-Key: {number}")
    lines += [f"{name}: {value}" for name, value in headers]
    if method in WITH_BODY:
        lines.append(f"Content-Length: {body}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def announcement(source: str) -> bytes:
    """A PROXY header for a client's address, as a proxy before the balancer would write it."""
    return f"PROXY TCP4 {source} 198.51.100.1 50000 80\r\n".encode()
