"""A probe that asks by HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import (
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    ResponseDone,
    ResponseFailed,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from lbproxy import __version__
from lbproxy.config.model import Backend, Health
from lbproxy.errors import ConnectFailed
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.pattern import Pattern
from lbproxy.health.said import MOST_BYTES, heard
from lbproxy.probe.checks import Check, Unanswered, address_of
from lbproxy.probe.endpoint import AddressOf, QuietPool
from lbproxy.transport.trust import Trust

#: What is asked for if the config does not say.
DEFAULT_PATH = "/health"


class _Body(Protocol):
    """Takes an answer's body to its end, and keeps the beginning.

    Attributes:
        kept: A byte more than `MOST_BYTES` of it at most, by which one sees that it goes on.
        ended: Fires when it was whole. Cancelling closes the connection.
    """

    def __init__(self) -> None:
        self.kept = b""
        self.ended: Deferred[None] = Deferred(self._close)

    def dataReceived(self, data: bytes) -> None:
        self.kept += data[: MOST_BYTES + 1 - len(self.kept)]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.ended.called:  # It was cancelled.
            return
        # The latter is a body that ends with its connection.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.ended.callback(None)
        else:
            self.ended.errback(reason)

    def _close(self, _: Deferred[None]) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


def http_check(reactor: Any, health: Health, trusts: Mapping[str, Trust] | None = None) -> Check:
    """A probe that asks by HTTP, as a new client would.

    It passes if the answer has one of `health.statuses`, is whole in time, and has what
    `health.body` looks for. Redirects are not followed, and nothing is decompressed.

    Args:
        reactor: Network and time.
        health: As it will be given with each backend.
        trusts: Backends that speak TLS, by name; each probe looks at the certificate anew.
    """
    fresh = {name: trust.afresh() for name, trust in (trusts or {}).items()}
    clock = IReactorTime(reactor)
    connections = QuietPool(reactor, persistent=False)
    wanted = None if health.body is None else Pattern(health.body)
    headers = Headers({"User-Agent": [f"lbproxy/{__version__}"]})
    for name, value in health.headers:
        headers.setRawHeaders(name, [value])

    async def ask(backend: Backend, health: Health) -> ProbeOutcome:
        began = clock.seconds()
        address = address_of(backend, health)
        trust = fresh.get(backend.name)
        url = _url(address, trust, backend, health)
        endpoint = AddressOf(reactor, address, health.timeout, trust)
        agent = Agent.usingEndpointFactory(reactor, endpoint, pool=connections)
        try:
            response = await agent.request(health.method.encode(), url, headers.copy())
            body = _Body()
            response.deliverBody(body)
            await body.ended
        except Exception as error:
            if _gave_up(error):
                raise Unanswered if endpoint.stood else CancelledError from error
            now = clock.seconds()
            reached = not isinstance(error, ConnectError | ConnectFailed)
            return ProbeOutcome(False, now - began, _in_words(error), reached, now)
        now = clock.seconds()
        return _judged(response, body.kept, health, wanted, now - began, now)

    return lambda backend, health: Deferred.fromCoroutine(ask(backend, health))


def _url(address: str, trust: Trust | None, backend: Backend, health: Health) -> bytes:
    authority = "localhost" if address.startswith("unix:") else address
    if trust is not None and trust.name not in ("", backend.host):
        authority = trust.name  # Who is asked for by this name is also called by it.
    scheme = "http" if trust is None else "https"
    return f"{scheme}://{authority}{health.path or DEFAULT_PATH}".encode()


def _judged(
    response: IResponse,
    body: bytes,
    health: Health,
    wanted: Pattern | None,
    latency: float,
    now: float,
) -> ProbeOutcome:
    """What a whole answer means."""
    detail = f"answered {response.code}"
    if response.code not in health.statuses:
        return ProbeOutcome(False, latency, detail, True, now)
    if wanted is not None:
        text = body[:MOST_BYTES].decode(errors="replace")
        if not wanted.found_in(text, whole=len(body) <= MOST_BYTES):
            detail += f" without {health.body} in its body"
            return ProbeOutcome(False, latency, detail, True, now)
    if not health.json or not _is_json(response.headers):
        return ProbeOutcome(True, latency, detail, True, now)
    said, ignored = heard(body)
    return ProbeOutcome(True, latency, detail, True, now, said, ignored)


def _is_json(headers: Headers) -> bool:
    """Whether an answer says that it is JSON (RFC 8259), or of a kind of it (RFC 6839)."""
    (kind,) = headers.getRawHeaders("Content-Type", [""])[-1:]
    kind = kind.partition(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _gave_up(error: Exception) -> bool:
    """Whether we cancelled: the client wraps that in what it was doing, if it was anything yet."""
    reasons = getattr(error, "reasons", None) or [Failure(error)]
    return any(reason.check(CancelledError, ConnectingCancelledError) for reason in reasons)


def _in_words(error: Exception) -> str:
    if isinstance(error, ResponseFailed) and error.reasons:
        return str(error.reasons[0].getErrorMessage())
    return str(Failure(error).getErrorMessage())
