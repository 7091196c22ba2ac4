"""One probe of one backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs
import treq
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    Agent,
    HTTPConnectionPool,
    ResponseFailed,
    _HTTP11ClientFactory,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from lbproxy import __version__
from lbproxy.config.model import Backend, Health
from lbproxy.errors import ConnectFailed
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.transport.connect import Dialled, connect
from lbproxy.transport.trust import Trust

#: What is asked for if the config does not say.
DEFAULT_PATH = "/health"

#: Probes a backend. Cancelling gives up; else it never fails.
Check = Callable[[Backend, Health], Deferred[ProbeOutcome]]


class _QuietFactory(_HTTP11ClientFactory):
    noisy = False  # Its start and its end are two lines in the log for every probe.


class _QuietPool(HTTPConnectionPool):
    _factory = _QuietFactory


@implementer(IAgentEndpointFactory)
@attrs.frozen
class _AddressOf:
    """Connects to a backend's address, whatever the URL says."""

    reactor: Any
    address: str
    timeout: float
    trust: Trust | None

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        if self.trust is not None:
            return _SecureEndpoint(self.reactor, self.address, self.timeout, self.trust)
        if self.address.startswith("unix:"):
            return UNIXClientEndpoint(self.reactor, self.address[len("unix:") :])
        host, _, port = self.address.rpartition(":")
        return TCP4ClientEndpoint(self.reactor, host.strip("[]"), int(port))


class _Standing(Dialled):
    """Hands its connection on to the protocol of a factory."""

    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory
        self.protocol: Any = None

    def connectionMade(self) -> None:
        connection: Any = self.transport
        self.protocol = connection.protocol = self._factory.buildProtocol(connection.getPeer())
        self.protocol.makeConnection(connection)
        super().connectionMade()


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _SecureEndpoint:
    """Connects as the exchanges do, with the same trust."""

    reactor: Any
    address: str
    timeout: float
    trust: Trust

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        def build() -> _Standing:
            return _Standing(protocolFactory)

        def hand_over(standing: _Standing) -> IProtocol:
            return cast(IProtocol, standing.protocol)

        standing = connect(self.reactor, self.address, build, self.timeout, self.trust)
        return standing.addCallback(hand_over)


def http_check(reactor: Any, trusts: Mapping[str, Trust] | None = None) -> Check:
    """A probe with GET: 2xx is a pass, and redirects are not followed.

    Args:
        reactor: Network and time.
        trusts: Backends that speak TLS, by name; each probe looks at the certificate anew.
    """
    fresh = {name: trust.afresh() for name, trust in (trusts or {}).items()}
    clock = IReactorTime(reactor)
    # Each probe makes a connection, as a new client would.
    connections = _QuietPool(reactor, persistent=False)

    async def ask(backend: Backend, health: Health) -> ProbeOutcome:
        began = clock.seconds()
        unix = backend.address.startswith("unix:")
        trust = fresh.get(backend.name)
        authority = "localhost" if unix else backend.address
        if trust is not None and trust.name not in ("", backend.host):
            authority = trust.name  # Who is asked for by this name is also called by it.
        path = health.path or DEFAULT_PATH
        headers = {"User-Agent": [f"lbproxy/{__version__}"], "Host": [authority]}
        # For treq an IPv6 address is no host; where to connect the endpoint knows, not the URL.
        host = "localhost" if authority.startswith("[") else authority
        url = f"{'http' if trust is None else 'https'}://{host}{path}"
        endpoint = _AddressOf(reactor, backend.address, health.timeout, trust)
        agent = Agent.usingEndpointFactory(reactor, endpoint, pool=connections)
        try:
            response = await HTTPClient(agent).get(
                url,
                headers=Headers(headers),
                allow_redirects=False,
                unbuffered=True,
            )
            await treq.collect(response, lambda data: None)
        except CancelledError:
            raise
        except Exception as error:
            if _gave_up(error):
                raise CancelledError from error
            now = clock.seconds()
            reached = not isinstance(error, ConnectError | ConnectFailed)
            return ProbeOutcome(False, now - began, _in_words(error), reached, now)
        now = clock.seconds()
        passed = 200 <= response.code < 300
        return ProbeOutcome(passed, now - began, f"answered {response.code}", True, now)

    return lambda backend, health: Deferred.fromCoroutine(ask(backend, health))


class _Knock(Dialled):
    """A connection that says what it has to, and closes."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if self._words:
            transport.write(self._words)
        transport.loseConnection()
        super().connectionMade()


def tcp_check(reactor: Any, words: bytes = b"") -> Check:
    """A probe that only connects.

    Args:
        reactor: Network and time.
        words: Sent before the connection closes: what the backend awaits from every client.
    """
    clock = IReactorTime(reactor)

    async def ask(backend: Backend, health: Health) -> ProbeOutcome:
        began = clock.seconds()
        try:
            await connect(reactor, backend.address, lambda: _Knock(words), health.timeout)
        except ConnectFailed as error:
            now = clock.seconds()
            return ProbeOutcome(False, now - began, error.detail, False, now)
        now = clock.seconds()
        return ProbeOutcome(True, now - began, "accepted", True, now)

    return lambda backend, health: Deferred.fromCoroutine(ask(backend, health))


def _gave_up(error: Exception) -> bool:
    """Whether we cancelled: the client wraps that in what it was doing."""
    reasons: list[Failure] = getattr(error, "reasons", [])
    return any(reason.check(CancelledError) for reason in reasons)


def _in_words(error: Exception) -> str:
    if isinstance(error, ResponseFailed) and error.reasons:
        return str(error.reasons[0].getErrorMessage())
    return str(Failure(error).getErrorMessage())
