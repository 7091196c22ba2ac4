"""What becomes of each request of a scenario."""

from __future__ import annotations

import attrs

from lbproxy.observe.accesslog import Attempt

#: Methods that may be sent twice (RFC 9110 section 9.2).
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


@attrs.define(eq=False)
class Request:
    """One request.

    Attributes:
        number: Its own, from 1.
        sent: When a client wanted it, in seconds from the beginning.
        method: As on the wire.
        target: The request-target.
        body: Bytes of its body.
        keyed: Whether it has an `Idempotency-Key`.
        ended: When its fate was known; `None` while it is not.
        status: Of its answer, if there was one.
        how: `answered` (by a backend), `told` (by the balancer), `cut`, `refused` (nobody listens),
            or `gave_up` (the client did).
        reason: A code for what went wrong; empty if nothing did.
        backend: Who answered, if a backend did.
        worked: The backends that began to work at it, in order.
        attempts: The tries of the balancer, as the access log has them.
    """

    number: int
    sent: float
    method: str
    target: str
    body: int
    keyed: bool
    ended: float | None = None
    status: int = 0
    how: str = ""
    reason: str = ""
    backend: str = ""
    worked: list[str] = attrs.field(factory=list)
    attempts: list[Attempt] = attrs.field(factory=list)

    @property
    def failed(self) -> bool:
        """Whether it got no whole answer of a backend, or one that tells of an error there."""
        return self.how != "answered" or self.status >= 500

    @property
    def seconds(self) -> float:
        """How long it took."""
        return 0.0 if self.ended is None else self.ended - self.sent

    @property
    def unsafe(self) -> bool:
        """Whether it must not be worked at twice."""
        return self.method not in _REPEATABLE and not self.keyed

    @property
    def doubled(self) -> bool:
        """Whether it was, although it must not."""
        return self.unsafe and len(self.worked) > 1

    @property
    def retries(self) -> int:
        """Attempts beyond the first."""
        return max(len(self.attempts) - 1, 0)
