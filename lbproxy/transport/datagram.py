"""A datagram and the answer to it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from lbproxy.errors import ConnectFailed

#: The longest datagram, in bytes.
LONGEST = 65535


@implementer(IReadDescriptor)
class _Exchange:
    """A socket for one answer: its port is a new one, which who would forge one has to guess.

    It is connected, so that the kernel takes datagrams from nobody else, and tells at once when
    nobody is there.
    """

    def __init__(self, reactor: Any, host: str, fits: Callable[[bytes], bool]) -> None:
        self._reactor = reactor
        self._fits = fits
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.fileno = self._socket.fileno
        self.answer: Deferred[bytes] = Deferred(lambda _: self._end())

    def send(self, host: str, port: int, data: bytes) -> None:
        try:
            self._socket.connect((host, port))
            self._socket.send(data)
        except OSError as error:
            self._socket.close()
            self.answer.errback(ConnectFailed(error.strerror or str(error)))
        else:
            self._reactor.addReader(self)

    def doRead(self) -> None:
        """Something has come, or there is an error to read."""
        try:
            data = self._socket.recv(LONGEST)
        except BlockingIOError:  # Its checksum was wrong.
            return
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        if self._fits(data):
            self._end()
            self.answer.callback(data)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw an error before there was something to read, or it stops."""
        if not self.answer.called:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._fail(os.strerror(code) if code else reason.getErrorMessage())

    def logPrefix(self) -> str:
        """For the log of a reactor that names who is at work."""
        return "asking"

    def _fail(self, detail: str) -> None:
        self._end()
        self.answer.errback(ConnectFailed(detail))

    def _end(self) -> None:
        self._reactor.removeReader(self)
        # An event of this turn may still name the descriptor: nobody else may have it before.
        self._reactor.callLater(0, self._socket.close)


def ask(
    reactor: Any, host: str, port: int, data: bytes, fits: Callable[[bytes], bool]
) -> Deferred[bytes]:
    """Send a datagram, and wait for an answer.

    Args:
        reactor: Watches file descriptors.
        host: An IP address.
        port: Where.
        data: What is sent, once.
        fits: Whether something that has come is the answer; what is not goes unheard.

    Returns:
        The answer; or it fails with `ConnectFailed`. Cancelling gives up, which is what the caller
        does when it has waited long enough.
    """
    try:
        exchange = _Exchange(reactor, host, fits)
    except OSError as error:
        return fail(ConnectFailed(error.strerror or str(error)))
    exchange.send(host, port, data)
    return exchange.answer
