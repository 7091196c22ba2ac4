"""Connecting to an address that the config names."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError, UserError
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IReactorFDSet,
    IReactorTCP,
    IReactorUNIX,
    IWriteDescriptor,
)
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from lbproxy.errors import ConnectFailed, HandshakeFailed
from lbproxy.transport.certificates import in_words
from lbproxy.transport.connection import Connection
from lbproxy.transport.handshake import Handshake
from lbproxy.transport.names import LookUp
from lbproxy.transport.tls import SecureConnection
from lbproxy.transport.trust import Trust

#: Seconds until a Unix socket is tried again whose queue is full. For TCP the kernel does that by
#: itself, after a second (RFC 6298 section 2).
AGAIN = 0.05


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
    """One connection attempt through Twisted, as a Deferred of the connected protocol."""

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
            detail = _too_late(self._timeout)
        elif reason.check(UserError):  # We cancelled; the Deferred has failed already.
            return
        else:
            detail = reason.getErrorMessage()
        self.connected.errback(
            ConnectFailed(detail, refused=reason.check(ConnectionRefusedError) is not None)
        )


@implementer(IWriteDescriptor)
class _Connecting(Generic[P]):
    """One connection attempt of a socket, as a Deferred of the connected protocol."""

    def __init__(
        self, reactor: Any, family: int, build: Callable[[], P], timeout: float, tls: Trust | None
    ) -> None:
        self._reactor = reactor
        self._build = build
        self._timeout = timeout
        self._tls = tls
        self._handshake: Handshake | None = None
        self._next: IDelayedCall | None = None
        self._crowded = False
        self.connected: Deferred[P] = Deferred(lambda _: self._end())
        self._patience = reactor.callLater(timeout, self._last_look)
        # The simulator's reactor has sockets of its own.
        make_socket = getattr(reactor, "make_socket", socket.socket)
        try:
            self._socket = make_socket(family, socket.SOCK_STREAM)
        except OSError:
            self._patience.cancel()
            raise
        self._socket.setblocking(False)
        self._where: Any = None
        self.fileno = self._socket.fileno

    def connect(self, where: Any) -> Deferred[P]:
        """Begin; `where` is as the socket's family has it."""
        self._where = where
        try:
            self._begin()
        except OSError:  # What is no address of this family.
            self._end()
            raise
        return self.connected

    def _begin(self) -> None:
        code = self._socket.connect_ex(self._where)
        self._crowded = code == errno.EAGAIN
        if code == errno.EINPROGRESS:
            self._reactor.addWriter(self)
        elif self._crowded:
            self._next = self._reactor.callLater(AGAIN, self._begin)
        elif code:
            self._next = self._reactor.callLater(0, self._ended, code)
        else:
            self._ended(0)

    def doWrite(self) -> None:
        """The attempt has ended, well or not."""
        self._ended(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw the end before it saw that one may write: there is an error to read."""
        if not self.connected.called:  # Else it only saw that the socket is closed.
            self._ended(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def logPrefix(self) -> str:
        """For the log of a reactor that names who is at work."""
        return "connecting"

    def _ended(self, code: int) -> None:
        if self.connected.called:
            return
        if code:
            self._end()
            refused = code == errno.ECONNREFUSED
            self.connected.errback(ConnectFailed(os.strerror(code), refused=refused))
            return
        self._reactor.removeWriter(self)
        if self._tls is None:
            self._stands(Connection(self._reactor, self._socket, self._where))
        else:
            self._shake(self._tls)

    def _shake(self, tls: Trust) -> None:
        try:
            self._socket = secure = tls.wrap(self._socket)
        except OSError as error:  # It is closed again already.
            self._end()
            self.connected.errback(HandshakeFailed(f"TLS: {in_words(error)}"))
            return
        self.fileno = secure.fileno

        def shaken(error: OSError | None) -> None:
            self._handshake = None
            if error is not None:
                self._end()
                self.connected.errback(HandshakeFailed(f"TLS: {in_words(error)}"))
                return
            tls.stands(secure)
            connection = SecureConnection(self._reactor, secure, self._where)
            connection.on_lost = tls.lost
            self._stands(connection)

        self._handshake = Handshake(self._reactor, secure, shaken)
        self._handshake.step()

    def _stands(self, connection: Connection) -> None:
        self._patience.cancel()
        protocol = self._build()
        protocol.connected_by = self.connected
        connection.setTcpNoDelay(True)
        connection.setTcpKeepAlive(True)
        connection.start(protocol)

    def _last_look(self) -> None:
        # Timers are called before the sockets are looked at. If we were held up, the connection
        # may stand long since; then the next look at the sockets says so before this call.
        self._patience = self._reactor.callLater(0, self._give_up)

    def _give_up(self) -> None:
        late = _too_late(self._timeout)
        failed = ConnectFailed(late)
        if self._crowded:
            failed = ConnectFailed(f"{late}: its queue of connections is full")
        elif self._handshake is not None:
            failed = HandshakeFailed(f"TLS: {late}")
        self._end()
        self.connected.errback(failed)

    def _end(self) -> None:
        if self._patience.active():
            self._patience.cancel()
        if self._next is not None and self._next.active():
            self._next.cancel()
        if self._handshake is not None:
            self._handshake.cancel()
        self._reactor.removeWriter(self)
        # An event of this turn may still name the descriptor: nobody else may have it before.
        self._reactor.callLater(0, self._socket.close)


def connect(
    reactor: Any,
    address: str,
    build: Callable[[], P],
    timeout: float,
    tls: Trust | None = None,
) -> Deferred[P]:
    """Connect to `host:port`, `[v6]:port` or `unix:/path`; nothing is known of a `srv:` name here.

    Args:
        reactor: Provides `IReactorTCP`, and `IReactorUNIX` for a `unix:` address. On one that
            watches file descriptors the transport is a `Connection`.
        address: As `lbproxy.config` has checked it.
        build: Makes the protocol.
        timeout: Seconds until the attempt is given up, a handshake included.
        tls: How to speak TLS, if at all. On a reactor that watches no descriptors nothing is: its
            connections are in memory.

    Returns:
        The protocol, connected; or it fails with `ConnectFailed`. Cancelling gives the attempt up.
        It may be there at once, and it never fails at once: whoever gives room to the next one when
        an attempt has failed would go down a step of the stack for each of those who wait.
    """
    watches = IReactorFDSet.providedBy(reactor)
    path = address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    dial = _Dial(build, timeout)
    if address.startswith("srv:"):
        return _failed(reactor, f"{address}: its places are not known")
    if path != address:
        if watches:
            return _dial(reactor, socket.AF_UNIX, path, build, timeout, tls)
        IReactorUNIX(reactor).connectUNIX(path, dial, timeout=timeout)
        return dial.connected
    if watches and isIPAddress(host):
        return _dial(reactor, socket.AF_INET, (host, int(port)), build, timeout, tls)
    if watches and isIPv6Address(host):
        return _dial(reactor, socket.AF_INET6, (host, int(port)), build, timeout, tls)
    if watches:
        return Deferred.fromCoroutine(_by_name(reactor, host, int(port), build, timeout, tls))
    IReactorTCP(reactor).connectTCP(host, int(port), dial, timeout=timeout)
    return dial.connected


def _dial(
    reactor: Any,
    family: int,
    where: Any,
    build: Callable[[], P],
    timeout: float,
    tls: Trust | None,
) -> Deferred[P]:
    try:
        return _Connecting(reactor, family, build, timeout, tls).connect(where)
    except OSError as error:  # No descriptor, or a path that is no address.
        return _failed(reactor, error.strerror or str(error))


def _failed(reactor: Any, detail: str) -> Deferred[Any]:
    failed: Deferred[Any] = Deferred()
    reactor.callLater(0, failed.errback, ConnectFailed(detail))
    return failed


async def _by_name(
    reactor: Any,
    host: str,
    port: int,
    build: Callable[[], P],
    timeout: float,
    tls: Trust | None,
) -> P:
    """Look the name up, and try its addresses one after the other, all in the same time.

    Each gets its share of what is left.
    """
    until = reactor.seconds() + timeout
    addresses = await LookUp(reactor, host, port, timeout).found
    while True:
        family, where = addresses.pop(0)
        share = max(until - reactor.seconds(), 0.0) / (len(addresses) + 1)
        try:
            return await _dial(reactor, family, where, build, share, tls)
        except ConnectFailed:
            if not addresses:
                raise


def _too_late(timeout: float) -> str:
    return f"no connection within {round(timeout, 3)} s"
