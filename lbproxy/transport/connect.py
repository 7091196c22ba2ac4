"""Connecting to an address that the config names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError, UserError
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IReactorFDSet,
    IReactorTCP,
    IReactorUNIX,
)
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure

from lbproxy.errors import ConnectFailed
from lbproxy.transport.optimistic import OptimisticConnector


class Dialled(Protocol):
    """A protocol for `connect`: it says when its connection stands.

    Attributes:
        connected_by: What `connect` gave, until it fires.
    """

    connected_by: Deferred[Any]

    def connectionMade(self) -> None:
        """Fire what `connect` gave."""
        self.connected_by.callback(self)


P = TypeVar("P", bound=Dialled)


class _Dial(ClientFactory, Generic[P]):
    """One connection attempt, as a Deferred of the connected protocol."""

    noisy = False

    def __init__(self, build: Callable[[], P], timeout: float) -> None:
        self._build = build
        self._timeout = timeout
        self._connector: IConnector | None = None
        self.connected: Deferred[P] = Deferred(self._cancel)

    def _cancel(self, _: Deferred[P]) -> None:
        if self._connector is not None:
            self._connector.stopConnecting()

    def startedConnecting(self, connector: IConnector) -> None:
        self._connector = connector

    def buildProtocol(self, addr: IAddress | None) -> P:
        self._connector = None
        protocol = self._build()
        protocol.connected_by = self.connected
        return protocol

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._connector = None
        if reason.check(TimeoutError):
            detail = f"no connection within {self._timeout} s"
        elif reason.check(UserError):  # We cancelled; the Deferred has failed already.
            return
        else:
            detail = reason.getErrorMessage()
        self.connected.errback(
            ConnectFailed(detail, refused=reason.check(ConnectionRefusedError) is not None)
        )


def connect(reactor: Any, address: str, build: Callable[[], P], timeout: float) -> Deferred[P]:
    """Connect to `host:port`, `[v6]:port` or `unix:/path`.

    Args:
        reactor: Provides `IReactorTCP`, and `IReactorUNIX` for a `unix:` address. On one that
            watches file descriptors the transport writes at once.
        address: As `lbproxy.config` has checked it.
        build: Makes the protocol.
        timeout: Seconds until the attempt is given up.

    Returns:
        The protocol, connected; or it fails with `ConnectFailed`. Cancelling gives the attempt up.
    """
    dial = _Dial(build, timeout)
    if address.startswith("unix:"):
        IReactorUNIX(reactor).connectUNIX(address[len("unix:") :], dial, timeout=timeout)
        return dial.connected
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if IReactorFDSet.providedBy(reactor):
        OptimisticConnector(host, int(port), dial, timeout, None, reactor).connect()
    else:
        IReactorTCP(reactor).connectTCP(host, int(port), dial, timeout=timeout)
    return dial.connected
