"""Every exception of lbproxy, in one tree.

A class says who broke the exchange, what the client is told, and how far the attempt got, which is
the row of the retry table (`forward/retry.py` reads the class, never the text)::

    ProxyError                      what goes wrong with an exchange; has a status and a reason code
    ├── MalformedMessage            bytes that do not follow RFC 9110 or 9112
    │   ├── HeadTooLarge            431, names the limit
    │   ├── TargetTooLong           414, names the limit
    │   ├── UnsupportedVersion      505
    │   └── UnsupportedCoding       501
    ├── DownstreamError             the client broke the exchange; no backend is blamed
    │   ├── ClientGone
    │   ├── HeadTimeout             408
    │   ├── BodyTimeout             408
    │   ├── BodyTooLarge            413
    │   └── BadPreface              no PROXY header where one must be, or no TLS
    ├── RefusedRequest              we will not forward it
    │   ├── NoRoute                 404
    │   ├── MisdirectedHost         400
    │   ├── MethodNotAllowed        405
    │   ├── PlainHTTP               400, on a port that speaks TLS
    │   └── ConnectRefused          501
    ├── UpstreamError               a backend broke the attempt; its health hears of it
    │   ├── ConnectFailed           nothing was sent
    │   │   └── HandshakeFailed     no TLS with it
    │   ├── ReusedConnectionClosed  the keep-alive race
    │   ├── UpstreamClosed          after sending, before the answer's head
    │   ├── FirstByteTimeout        504
    │   │   └── TryTimeout          the time of one try, where another one follows
    │   ├── BadAnswer               not HTTP, or framing that two readers could disagree on
    │   ├── GatewayStatus           502, 503 or 504, where the route says to try elsewhere
    │   └── AnswerCut               after the answer's head
    ├── Stopped                     we end, and it was still running
    └── Unavailable                 503, with Retry-After
        ├── NoBackend
        │   └── Drained             somebody could answer, and is drained
        ├── QueueFull
        ├── HoldFull
        ├── HoldExpired
        ├── PoisonRequest           two backends broke while they had it
        └── BreakerOpen             so many of the pool failed that few are let through, or none
    ConfigError                     a mistake in the config or on the command line
    Unresolved                      a name of which DNS knows nothing, or tells nothing now
    AdminError                      what is asked of the admin listener is not done
    ├── BadQuestion                 400, 404, 405, 413 or 415: it cannot be read, or is not known
    ├── ForeignQuestion             403, it may be a browser's that was sent here by another site
    ├── UnknownBackend              404
    ├── AmbiguousBackend            409, several pools have one of that name
    ├── NotPossible                 409
    └── ReloadRefused               409, nothing was changed
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

#: How many names people are told of, at most.
FEW = 20


class Stage(Enum):
    """How far an attempt got before it broke."""

    NOTHING_SENT = "nothing_sent"
    REUSED_AND_CLOSED = "reused_and_closed"
    SENT = "sent"
    TIMED_OUT = "timed_out"
    GATEWAY_STATUS = "gateway_status"
    ANSWERED = "answered"


class ProxyError(Exception):
    """Something that ends an exchange other than with a backend's answer.

    Attributes:
        status: What the client is told, if it can still be told something.
        reason: A code for logs and problem documents, in `snake_case`.
        knob: The config key whose value was exceeded, if one was.
    """

    status = 500
    reason = "internal"
    knob: str | None = None

    def __init__(self, detail: str = "", *, knob: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if knob is not None:
            self.knob = knob


class MalformedMessage(ProxyError):
    """Bytes that do not follow RFC 9110 or 9112, or that two readers could read differently."""

    status = 400
    reason = "malformed"


class HeadTooLarge(MalformedMessage):
    """A head with more bytes or fields than the limit (RFC 6585 section 5)."""

    status = 431
    reason = "head_too_large"


class TargetTooLong(MalformedMessage):
    """A request-target longer than the limit (RFC 9110 section 15.5.15)."""

    status = 414
    reason = "target_too_long"


class UnsupportedVersion(MalformedMessage):
    """A major version other than 1 (RFC 9110 section 15.6.6)."""

    status = 505
    reason = "unsupported_version"


class UnsupportedCoding(MalformedMessage):
    """A transfer coding that we do not know (RFC 9112 section 6.1)."""

    status = 501
    reason = "unsupported_coding"


class DownstreamError(ProxyError):
    """The client broke the exchange; it never counts against a backend."""

    status = 400
    reason = "client_error"


class ClientGone(DownstreamError):
    """The client closed its connection before the answer's end; 499 stands in the log only."""

    status = 499
    reason = "client_gone"


class HeadTimeout(DownstreamError):
    """The request's head did not come in time (RFC 9110 section 15.5.9)."""

    status = 408
    reason = "head_timeout"


class BodyTimeout(DownstreamError):
    """The request's body made no progress, or too little."""

    status = 408
    reason = "body_timeout"


class BodyTooLarge(DownstreamError):
    """The request's body is longer than the route allows (RFC 9110 section 15.5.14)."""

    status = 413
    reason = "body_too_large"


class BadPreface(DownstreamError):
    """What stands before a connection's own bytes is malformed or missing; nothing is answered."""

    reason = "bad_preface"


class RefusedRequest(ProxyError):
    """A well-formed request that is not forwarded."""

    status = 400
    reason = "refused"


class NoRoute(RefusedRequest):
    """No route matches."""

    status = 404
    reason = "no_route"


class MisdirectedHost(RefusedRequest):
    """`Host` is missing, doubled or no authority (RFC 9112 section 3.2)."""

    status = 400
    reason = "bad_host"


class MethodNotAllowed(RefusedRequest):
    """The target knows only other methods; `allow` lists them."""

    status = 405
    reason = "method_not_allowed"

    def __init__(self, detail: str, allow: str) -> None:
        super().__init__(detail)
        self.allow = allow


class ConnectRefused(RefusedRequest):
    """`CONNECT`: a gateway opens no tunnels for clients."""

    status = 501
    reason = "connect_refused"


class PlainHTTP(RefusedRequest):
    """HTTP without TLS, on a port that speaks TLS."""

    status = 400
    reason = "plain_http"


class UpstreamError(ProxyError):
    """A backend broke the attempt; its health hears of it."""

    status = 502
    reason = "upstream_error"
    reached = Stage.SENT


class ConnectFailed(UpstreamError):
    """No connection could be made, so any method may go elsewhere.

    Attributes:
        refused: The port answered that nobody listens, which triggers a probe at once.
    """

    reason = "connect_failed"
    reached = Stage.NOTHING_SENT

    def __init__(self, detail: str = "", *, refused: bool = False) -> None:
        super().__init__(detail)
        self.refused = refused


class HandshakeFailed(ConnectFailed):
    """The backend is there, but TLS with it failed, or its certificate is not to be trusted."""

    reason = "tls_failed"


class ReusedConnectionClosed(UpstreamError):
    """A kept-alive connection closed soon, with no byte of answer: the keep-alive race."""

    reason = "reused_connection_closed"
    reached = Stage.REUSED_AND_CLOSED


class UpstreamClosed(UpstreamError):
    """The backend closed or reset after we sent, before the answer's head was whole."""

    reason = "upstream_closed"


class FirstByteTimeout(UpstreamError):
    """No answer's head within the pool's `timeouts.first_byte`."""

    status = 504
    reason = "first_byte_timeout"
    reached = Stage.TIMED_OUT


class TryTimeout(FirstByteTimeout):
    """No answer's head within the pool's `retry.timeout`; another attempt follows."""

    reason = "try_timeout"


class BadAnswer(UpstreamError):
    """The backend's answer is not HTTP, or two readers could disagree on its end."""

    reason = "bad_answer"


class GatewayStatus(UpstreamError):
    """The backend answered 502, 503 or 504 on a route that says to try elsewhere."""

    reason = "gateway_status"
    reached = Stage.GATEWAY_STATUS


class AnswerCut(UpstreamError):
    """The answer broke off after its head; the client's connection is closed to show the cut."""

    reason = "answer_cut"
    reached = Stage.ANSWERED


class Stopped(ProxyError):
    """We end, and do not wait for it any longer. Nothing can be said to the client but that."""

    status = 0
    reason = "stopped"


class Unavailable(ProxyError):
    """Nobody can answer now.

    Attributes:
        retry_after: Seconds after which it is worth to ask again.
    """

    status = 503
    reason = "unavailable"

    def __init__(self, detail: str = "", *, knob: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, knob=knob)
        self.retry_after = retry_after


class NoBackend(Unavailable):
    """Every backend of the pool is down or failed the same way."""

    reason = "no_backend"


class Drained(NoBackend):
    """Of the backends that are not drained none can answer; one that could answer is drained."""

    reason = "drained"


class QueueFull(Unavailable):
    """Every backend is at `max_in_flight`, and the queue is full or its time is over."""

    reason = "queue_full"


class HoldFull(Unavailable):
    """No backend can take anything, and as many requests wait for one as may."""

    reason = "hold_full"


class HoldExpired(Unavailable):
    """No backend came back within the time for which a request is held."""

    reason = "hold_expired"


class PoisonRequest(Unavailable):
    """Two backends broke while they had this request; it is not sent to another one for a while."""

    reason = "poison_request"


class BreakerOpen(Unavailable):
    """So many requests of the pool failed that no others are sent, or only a few."""

    reason = "breaker_open"


class ConfigError(Exception):
    """A mistake in the config or on the command line; its text is for the user as it stands."""


def not_made(knob: str, name: str, error: Exception) -> ConfigError:
    """What is said of a part that a user has written, and that could not be made.

    Args:
        knob: The key that names it.
        name: What stands there.
        error: What was raised.
    """
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ConfigError(f'{knob}: "{name}" cannot be made, it raised {told}')


class Unresolved(Exception):
    """A name was looked up and nothing was found; its text says why, for people."""


def listed(names: Sequence[str]) -> str:
    """Names for people: the first of them, if they are many."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return (", ".join(names[:FEW]) or "none") + more


class AdminError(Exception):
    """What is asked of the admin listener is not done; its text is for people as it stands.

    Attributes:
        status: Of the answer.
        reason: A code for programs, in `snake_case`.
    """

    status = 400
    reason = "refused"


class BadQuestion(AdminError):
    """A request that cannot be read, or that nothing here answers."""

    reason = "bad_request"

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


class ForeignQuestion(AdminError):
    """A request that a browser may have been made to send by somebody else's page."""

    status = 403
    reason = "foreign"


class UnknownBackend(AdminError):
    """There is no such backend."""

    status = 404
    reason = "unknown_backend"

    def __init__(self, backend: str, pool: str | None, pools: list[str], there: list[str]) -> None:
        if pool is not None and pool not in pools:
            super().__init__(f'there is no pool "{pool}"; there are {listed(pools)}')
        else:
            where = "" if pool is None else f' in pool "{pool}"'
            super().__init__(f'there is no backend "{backend}"{where}; there are {listed(there)}')


class AmbiguousBackend(AdminError):
    """Several pools have a backend of this name."""

    status = 409
    reason = "ambiguous_backend"

    def __init__(self, backend: str, pools: list[str]) -> None:
        super().__init__(f'"{backend}" is in the pools {", ".join(pools)}; say which')


class NotPossible(AdminError):
    """It is understood, and cannot be done as things are."""

    status = 409
    reason = "not_possible"


class Broken(AdminError):
    """Whatever was asked has met a mistake of ours."""

    status = 500
    reason = "broken"


class ReloadRefused(AdminError):
    """The config that was read cannot be served; the one before still is."""

    status = 409
    reason = "reload_refused"
