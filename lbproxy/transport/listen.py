"""Listening sockets that one process makes and others accept from."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from typing import Any

import attrs
from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from lbproxy.errors import ConfigError
from lbproxy.transport.holder import OURSELVES, holder_of
from lbproxy.transport.passed import PassedEndpoint

_server_from_string: Any = serverFromString  # Untyped in Twisted.


#: Clients that may wait to be accepted, unless the endpoint says how many. Twisted's 50 are few
#: when all come back at once; the kernel has a limit of its own (`listen(2)`).
BACKLOG = 1024

#: Endpoints that have a backlog, as the third of their arguments or by its name.
_WITH_BACKLOG = ("tcp", "tcp6", "unix")


def server_endpoint(reactor: Any, description: str) -> Any:
    """The endpoint of a description, with our backlog if it has none.

    Args:
        reactor: It listens with that.
        description: As Twisted reads it.
    """
    if description.startswith("systemd:"):
        return PassedEndpoint(reactor, description)
    if description.startswith("unix:"):
        return _FileEndpoint(reactor, _with_backlog(description))
    return _server_from_string(reactor, _with_backlog(description))


def _with_backlog(description: str) -> str:
    kind, *arguments = re.split(r"(?<!\\):", description)
    positional = [each for each in arguments if "=" not in each]
    said = len(positional) > 2 or any(each.startswith("backlog=") for each in arguments)
    if kind in _WITH_BACKLOG and not said:
        description = f"{description}:backlog={BACKLOG}"
    return description


@implementer(IStreamServerEndpoint)
@attrs.frozen
class _FileEndpoint:
    """A Unix socket. What keeps it from its place is found before Twisted locks that."""

    reactor: Any
    description: str

    def listen(self, protocolFactory: Any) -> Deferred[IListeningPort]:
        return maybeDeferred(self._listen, protocolFactory)

    def _listen(self, factory: Any) -> Any:
        _, *arguments = re.split(r"(?<!\\):", self.description)
        by_name = [each for each in arguments if each.startswith("address=")]
        path = re.sub(r"\\(.)", r"\1", (by_name or arguments)[0].removeprefix("address="))
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise ConfigError(f"there is no folder {folder}")
        if os.path.lexists(path) and not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ConfigError("something that is no socket is there; choose another path")
        return _server_from_string(self.reactor, self.description).listen(factory)


class Sockets:
    """The listening sockets of one endpoint, which accept nobody here.

    To Twisted's endpoints this is the reactor that they listen with, so it reads the same
    descriptions. Of a TCP port there is a socket for each process, among which the kernel spreads
    the clients (SO_REUSEPORT, `socket(7)`); anything else has one socket that all share.

    Attributes:
        sockets: One, or one for each process.
    """

    def __init__(self, reactor: Any, knob: str, description: str, count: int) -> None:
        """Bind.

        Args:
            reactor: Listens where there is only one socket.
            knob: Where the config names the endpoint.
            description: The endpoint.
            count: How many processes there are.

        Raises:
            ConfigError: If that is not possible, with the address, who holds it, and the knob.
        """
        self._reactor = reactor
        self._count = count
        self._port: Any = None
        self.sockets: list[socket.socket] = []
        factory = Factory()
        factory.noisy = False
        failures: list[Failure] = []
        description = description.removeprefix("haproxy:")  # It is for who accepts.
        listening = server_endpoint(self, description).listen(factory)
        listening.addErrback(failures.append)
        for failure in failures:
            self.close()
            raise ConfigError(cannot_listen(knob, description, failure))

    def close(self) -> None:
        """Close them here."""
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
        for each in self.sockets:
            each.close()
        self.sockets.clear()

    # What an endpoint takes us for.

    def listenTCP(self, port: int, factory: object, backlog: int = 50, interface: str = "") -> None:
        """Make a socket for each process (`IReactorTCP`)."""
        family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
        make_socket = getattr(self._reactor, "make_socket", socket.socket)
        try:
            for number in range(self._count):
                each = make_socket(family, socket.SOCK_STREAM)
                self.sockets.append(each)
                each.setblocking(False)
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if number:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                each.bind((interface, port))
                # The first one was bound alone: so another program on this port is noticed.
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                port = each.getsockname()[1]
            for each in self.sockets:
                each.listen(backlog)
        except OSError as error:
            raise CannotListenError(interface, port, error) from None

    def listenUNIX(self, address: str, factory: object, *args: object, **more: object) -> None:
        """Make one socket; the path goes when it is closed here (`IReactorUNIX`)."""
        self._hold(self._reactor.listenUNIX(address, factory, *args, **more))

    def adoptStreamPort(self, descriptor: int, family: int, factory: object) -> None:
        """Take over the one socket that whoever started us made (`IReactorSocket`)."""
        duplicate = getattr(self._reactor, "passed_socket", _duplicate_of)
        self.sockets.append(duplicate(descriptor))
        self.sockets[-1].setblocking(False)

    def _hold(self, port: Any) -> None:
        port.stopReading()
        self._port = port
        self.sockets.append(port.socket.dup())


@implementer(IListeningPort)
class Inherited:
    """A listening socket that another process has bound.

    Attributes:
        socket: It.
        factory: Whose connections are accepted.
    """

    def __init__(self, reactor: Any, descriptor: int, factory: Any) -> None:
        inherit = getattr(reactor, "inherited_socket", _socket_of)
        self.socket: socket.socket = inherit(descriptor)
        self.socket.setblocking(False)
        self.factory = factory

    def getHost(self) -> IAddress:
        """Its address."""
        where = self.socket.getsockname()
        if self.socket.family == socket.AF_INET:
            return IPv4Address("TCP", *where)
        if self.socket.family == socket.AF_INET6:
            return IPv6Address("TCP", *where)
        return UNIXAddress(where or None)

    def startListening(self) -> None:
        """It has done so from the first."""

    def stopListening(self) -> None:
        """Close it in this process."""
        self.socket.close()


def _socket_of(descriptor: int) -> socket.socket:
    return socket.socket(fileno=descriptor)


def _duplicate_of(descriptor: int) -> socket.socket:
    return socket.socket(fileno=os.dup(descriptor))


@implementer(IStreamServerEndpoint)
@attrs.frozen
class _InheritedEndpoint:
    reactor: Any
    descriptor: int

    def listen(self, protocolFactory: Any) -> Deferred[IListeningPort]:
        return succeed(Inherited(self.reactor, self.descriptor, protocolFactory))


def inherited(reactor: Any, descriptor: int) -> Any:
    """An endpoint that listens on a socket which another process has bound.

    Args:
        reactor: May bring its own sockets.
        descriptor: The socket, which becomes the endpoint's.
    """
    return _InheritedEndpoint(reactor, descriptor)


def cannot_listen(knob: str, endpoint: str, failure: Failure) -> str:
    """Why an endpoint cannot be listened on, in one line.

    Args:
        knob: Where the config names it.
        endpoint: Its description.
        failure: What came of it.
    """
    error = failure.value
    if not isinstance(error, CannotListenError):
        reason = getattr(error, "strerror", None) or failure.getErrorMessage()
        return f"{knob}: cannot listen on {endpoint}: {reason}"
    cause = error.socketError
    reason = getattr(cause, "strerror", None) or cause
    if not isinstance(error.port, int):
        what = f"{knob}: cannot listen on {os.fsdecode(error.port)}: {reason}"
        return f"{what}; end who listens there, or choose another path"
    if getattr(cause, "errno", None) == errno.EADDRNOTAVAIL:
        return f"{knob}: cannot listen on {endpoint}: this machine has no such address"
    holder = holder_of(error.port)
    held = f" (held by {holder})" if holder is not None else ""
    advice = "end it, or choose another port"
    if holder == OURSELVES:
        advice = "choose another port, or restart it if an endpoint of before is what has it"
    return f"{knob}: cannot listen on port {error.port}: {reason}{held}; {advice}"
