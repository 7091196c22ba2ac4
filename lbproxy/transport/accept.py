"""Accepting clients on a listening socket."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from lbproxy.transport.connection import Connection

#: Clients that are accepted in one turn of the reactor.
BATCH = 32

#: What the machine lacks for a while; clients wait in the kernel's queue meanwhile.
_SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

#: Seconds after which it is tried again.
PAUSE = 0.25


@implementer(IReadDescriptor)
class Acceptor:
    """Makes a `Connection` of each client that a listening socket has.

    The kernel hands what is set on a listening socket on to the connections that it accepts, so
    TCP's options cost nothing here.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        listening: socket.socket,
        build: Callable[[], Any],
        welcome: Callable[[socket.socket, Any], None] | None = None,
    ) -> None:
        """Prepare; clients wait until `startReading`.

        Args:
            reactor: Provides `IReactorFDSet` and `IReactorTime`.
            listening: It stays the caller's. Whoever passed it may have left it blocking.
            build: Makes a protocol.
            welcome: Takes over each socket, with its peer; by default it is connected to a protocol
                at once.
        """
        self._reactor = reactor
        self._listening = listening
        self.serve(build, welcome)
        self._reading = False
        self.fileno = listening.fileno
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if listening.family != socket.AF_UNIX:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def serve(
        self, build: Callable[[], Any], welcome: Callable[[socket.socket, Any], None] | None = None
    ) -> None:
        """Make of clients what these make of them, from now on; the arguments are as before."""
        self._build = build
        self._welcome = welcome or self._connect

    def startReading(self) -> None:
        """Accept from now on."""
        self._reading = True
        self._reactor.addReader(self)

    def stopReading(self) -> None:
        """Accept nobody more."""
        self._reading = False
        self._reactor.removeReader(self)

    def doRead(self) -> None:
        """Accept those who wait, `BATCH` at most."""
        for _ in range(BATCH):
            try:
                skt, peer = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SHORTAGES:
                    self._wait(error)
                return  # Else the client was gone before we came.
            skt.setblocking(False)
            try:
                self._welcome(skt, peer)
            except Exception:  # The reactor would give up the listening socket.
                self.log.failure("cannot serve a client")
                skt.close()

    def connectionLost(self, reason: Failure) -> None:
        """The listening socket is closed."""

    def logPrefix(self) -> str:
        """For the log of a reactor that names who is at work."""
        return "Acceptor"

    def _connect(self, skt: socket.socket, peer: Any) -> None:
        connection = Connection(self._reactor, skt, peer)
        try:
            connection.start(self._build())
        except Exception:
            self.log.failure("cannot serve a client")
            connection.abortConnection()

    def _wait(self, error: OSError) -> None:
        self.log.error("cannot accept clients, who wait: {error}", error=error)
        self._reactor.removeReader(self)
        self._reactor.callLater(PAUSE, self._go_on)

    def _go_on(self) -> None:
        if self._reading:
            self._reactor.addReader(self)
