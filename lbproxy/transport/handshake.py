"""TLS handshakes: of clients that were accepted, and with backends."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from lbproxy.seldom import Seldom
from lbproxy.transport.certificates import in_words
from lbproxy.transport.identities import Identities
from lbproxy.transport.timer import FIRST, NEVER
from lbproxy.transport.tls import SecureConnection

#: Seconds for which a client may take to see why it was refused.
LINGER = 2.0

#: Seconds between two lines of the log about handshakes that failed.
QUIET = 10.0


@implementer(IReadWriteDescriptor)
class Handshake:
    """One handshake, which reads and writes the socket until it has ended."""

    def __init__(
        self, reactor: Any, skt: ssl.SSLSocket, ended: Callable[[OSError | None], None]
    ) -> None:
        """Prepare.

        Args:
            reactor: Provides `IReactorFDSet`.
            skt: Non-blocking; it stays the caller's.
            ended: Is told once how it ended: `None` is well.
        """
        self._reactor = reactor
        self._socket = skt
        self._ended = ended
        self._over = False
        self.fileno = skt.fileno

    def step(self) -> None:
        """Go on as far as the socket allows."""
        if self._over:
            return
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._reactor.removeWriter(self)
            self._reactor.addReader(self)
        except ssl.SSLWantWriteError:
            self._reactor.removeReader(self)
            self._reactor.addWriter(self)
        except OSError as error:
            self._end(error)
        else:
            self._end(None)

    doRead = doWrite = step

    def cancel(self) -> None:
        """Stop, and tell nobody."""
        self._over = True
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw the connection's end first."""
        if not self._over:
            self._end(ConnectionResetError(reason.getErrorMessage()))

    def logPrefix(self) -> str:
        """For the log of a reactor that names who is at work."""
        return "Handshake"

    def _end(self, error: OSError | None) -> None:
        self.cancel()
        self._ended(error)


class Doorway:
    """Lets clients in: a handshake first, then a `SecureConnection` for the protocol."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        joined: Callable[[Any], None],
        left: Callable[[Any], None],
        identities: Identities,
        build: Callable[[], Any],
        refuse_plain: Callable[[socket.socket, Any], None],
        timeout: float,
        endpoint: str,
    ) -> None:
        """Prepare.

        Args:
            reactor: Provides `IReactorFDSet` and `IReactorTime`.
            joined: Is told of each client whose handshake begins, which is a `Timed`, and knows how
                to `drain` and `abort`.
            left: Is told when it is over, behind what follows it.
            identities: Who we are to whom.
            build: Makes a protocol.
            refuse_plain: Takes over a socket whose client speaks HTTP without TLS, and its peer.
            timeout: Seconds for a handshake.
            endpoint: Where the clients are accepted.
        """
        self._reactor = reactor
        self._joined = joined
        self.left = left
        self._identities = identities
        self._build = build
        self._refuse_plain = refuse_plain
        self._timeout = timeout
        self.endpoint = endpoint
        self._failures = Seldom(QUIET)

    def welcome(self, skt: socket.socket, peer: Any) -> None:
        """Begin with a client that was accepted."""
        guest = _Guest(self, self._reactor, skt, peer)
        guest.deadline = self._reactor.seconds() + self._timeout
        self._joined(guest)
        self._reactor.addReader(guest)

    # What a guest tells and asks.

    def wrap(self, skt: socket.socket) -> ssl.SSLSocket:
        """The socket under TLS, its handshake to be done."""
        return self._identities.context.wrap_socket(
            skt, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )

    def speaks_plainly(self, skt: socket.socket, peer: Any) -> None:
        """Its first byte was that of an HTTP method."""
        self._refuse_plain(skt, peer)

    def enter(self, skt: ssl.SSLSocket, peer: Any) -> None:
        """Its handshake is done."""
        connection = SecureConnection(self._reactor, skt, peer)
        try:
            connection.start(self._build())
        except Exception:
            self.log.failure("cannot serve a client")
            connection.abortConnection()

    def failed(self, detail: str, peer: Any) -> float:
        """Its handshake failed; until when it may look at why.

        Anybody can make these fail at will, so only some are told.
        """
        now: float = self._reactor.seconds()
        untold = self._failures.tell(now)
        if untold is not None:
            more = f" ({untold} more before)" if untold else ""
            self.log.info("no TLS with {peer}: {detail}{more}", peer=peer, detail=detail, more=more)
        return now + LINGER


class _State(Enum):
    WAITING = "waiting"
    SHAKING = "shaking"
    LEAVING = "leaving"


@implementer(IReadWriteDescriptor)
class _Guest:
    """A client from its acceptance to the end of its handshake.

    Until its first byte is there it costs only this: OpenSSL's part is made when it is needed.
    """

    def __init__(self, doorway: Doorway, reactor: Any, skt: socket.socket, peer: Any) -> None:
        self._doorway = doorway
        self._reactor = reactor
        self._socket = skt
        self._peer = peer
        self._state = _State.WAITING
        self._handshake: Handshake | None = None
        self.fileno = skt.fileno
        self.deadline = NEVER

    def doRead(self) -> None:
        """Look at the first byte, or read past what comes behind a failure."""
        try:
            if self._state is _State.WAITING:
                self._begin(self._socket.recv(1, socket.MSG_PEEK))
            elif self._state is _State.LEAVING and not os.read(self.fileno(), 65536):
                self.close()
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def doWrite(self) -> None:
        """Nothing is written from here."""

    def expired(self, now: float) -> None:
        """It took too long."""
        self.close()

    @property
    def endpoint(self) -> str:
        """Where it was accepted."""
        return self._doorway.endpoint

    def drain(self) -> None:
        """What it wants will be known soon, or not at all."""
        self.deadline = min(self.deadline, self._reactor.seconds() + FIRST)

    def close(self) -> None:
        """Close, whatever it is doing."""
        if self._handshake is not None:
            self._handshake.cancel()
        self._reactor.removeReader(self)
        self._doorway.left(self)
        # An event of this turn may still name the descriptor: nobody else may have it before.
        self._reactor.callLater(0, self._socket.close)

    def abort(self, why: str) -> None:
        """Close; nothing runs that there would be anything to say of."""
        self.close()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw the connection's end first."""
        if self._state is not _State.SHAKING:
            self.close()

    def logPrefix(self) -> str:
        """For the log of a reactor that names who is at work."""
        return "Guest"

    def _begin(self, first: bytes) -> None:
        if not first:
            self.close()
        elif b"A" <= first <= b"Z":  # A method; a handshake begins with 22 (RFC 8446, 5.1).
            self._reactor.removeReader(self)
            self._doorway.speaks_plainly(self._socket, self._peer)
            self._doorway.left(self)
        else:
            self._reactor.removeReader(self)
            self._state = _State.SHAKING
            self._socket = secure = self._doorway.wrap(self._socket)
            self.fileno = secure.fileno
            self._handshake = Handshake(self._reactor, secure, self._shaken)
            self._handshake.step()

    def _shaken(self, error: OSError | None) -> None:
        self._handshake = None
        if error is None:
            self._reactor.removeReader(self)
            assert isinstance(self._socket, ssl.SSLSocket)
            self._doorway.enter(self._socket, self._peer)
            self._doorway.left(self)
            return
        self.deadline = self._doorway.failed(in_words(error), self._peer)
        try:
            # Closed at once, the reset could take OpenSSL's alert with it (RFC 9112 section 9.6).
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
        else:
            self._state = _State.LEAVING
            self._reactor.addReader(self)
