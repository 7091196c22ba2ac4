"""Where the `Agent` of a probe connects to."""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.web.client import URI, HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from lbproxy.transport.connect import Dialled, connect
from lbproxy.transport.trust import Trust


class _QuietFactory(_HTTP11ClientFactory):
    noisy = False  # Its start and its end are two lines in the log for every probe.


class QuietPool(HTTPConnectionPool):
    """The connections of an `Agent` that does not log each of them."""

    _factory = _QuietFactory


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
@attrs.define
class AddressOf:
    """Connects to a backend's address, whatever the URL says.

    Attributes:
        reactor: Network and time.
        address: `host:port`, `[v6]:port` or `unix:/path`.
        timeout: Seconds until a connection under TLS, or to a Unix socket, is given up.
        trust: How to speak TLS, if at all.
        stood: Whether a connection has come about, its handshake included.
    """

    reactor: Any
    address: str
    timeout: float
    trust: Trust | None
    stood: bool = attrs.field(default=False, init=False)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._endpoint().connect(protocolFactory).addCallback(self._stands)

    def _stands(self, protocol: IProtocol) -> IProtocol:
        self.stood = True
        return protocol

    def _endpoint(self) -> IStreamClientEndpoint:
        if self.trust is not None or self.address.startswith("unix:"):
            return _OurEndpoint(self.reactor, self.address, self.timeout, self.trust)
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
class _OurEndpoint:
    """Connects as the exchanges do, with the same trust, and the same patience with a queue."""

    reactor: Any
    address: str
    timeout: float
    trust: Trust | None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        def build() -> _Standing:
            return _Standing(protocolFactory)

        def hand_over(standing: _Standing) -> IProtocol:
            return cast(IProtocol, standing.protocol)

        standing = connect(self.reactor, self.address, build, self.timeout, self.trust)
        return standing.addCallback(hand_over)
