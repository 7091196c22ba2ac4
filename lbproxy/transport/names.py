"""Looking up the addresses of a name."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from lbproxy.errors import ConnectFailed

#: Addresses of a name that are heeded.
ADDRESSES = 8

#: A socket's family, and what its `connect` is given.
SocketAddress = tuple[int, Any]


@implementer(IResolutionReceiver)
class LookUp:
    """One question for a name.

    Attributes:
        found: Fires with the addresses, those of IPv4 first: most servers that have a name for both
            listen there. It fails with `ConnectFailed` if that takes too long or there are none.
    """

    def __init__(self, reactor: Any, host: str, port: int, timeout: float) -> None:
        """Ask.

        Args:
            reactor: Provides `IReactorPluggableNameResolver` and `IReactorTime`.
            host: The name.
            port: Becomes part of the addresses.
            timeout: Seconds until nobody waits any more. The question itself cannot be taken back.
        """
        self._host = host
        self._timeout = timeout
        self._addresses: list[SocketAddress] = []
        self.found: Deferred[list[SocketAddress]] = Deferred(lambda _: self._patience.cancel())
        self._patience = reactor.callLater(timeout, self._give_up)
        reactor.nameResolver.resolveHostName(self, host, port, (IPv4Address, IPv6Address))

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """It cannot be stopped: it runs in a thread."""

    def addressResolved(self, address: IAddress) -> None:
        """One more."""
        if len(self._addresses) == ADDRESSES:
            return
        if isinstance(address, IPv6Address):
            where: Any = (address.host, address.port, address.flowInfo, address.scopeID)
            self._addresses.append((socket.AF_INET6, where))
        elif isinstance(address, IPv4Address):
            self._addresses.append((socket.AF_INET, (address.host, address.port)))

    def resolutionComplete(self) -> None:
        """That was all."""
        if self.found.called:
            return  # Nobody waits for it any more.
        self._patience.cancel()
        if self._addresses:
            self._addresses.sort(key=lambda address: address[0] != socket.AF_INET)
            self.found.callback(self._addresses)
        else:
            self.found.errback(ConnectFailed(f"{self._host}: no address is known"))

    def _give_up(self) -> None:
        detail = f"no address of {self._host} within {round(self._timeout, 3)} s"
        self.found.errback(ConnectFailed(detail))
