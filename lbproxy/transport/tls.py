"""A connection under TLS, driven by OpenSSL on the socket itself.

What Twisted has for TLS encrypts between two buffers in memory and queues what comes out; here
OpenSSL reads and writes the socket, so that a request costs one call each way, as it does without
TLS (docs/decisions/0008-tls-by-the-socket.md).
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import main
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from lbproxy.transport.certificates import subject_of
from lbproxy.transport.connection import READ_SIZE, Connection, FileSpan

#: The most that one record brings (RFC 8446 section 5.1), and so what one read can give.
RECORD = 16384


class SecureConnection(Connection):
    """A `Connection` whose socket speaks TLS and has done its handshake.

    OpenSSL reads no more from the socket than the record that it needs, and each read takes all
    that a record can bring. So nothing is left in it that the reactor would not hear of.

    Whoever cuts the connection without TLS' own farewell has not closed it: the protocol hears of
    `CONNECTION_LOST`, since anybody on the way could have done that (RFC 8446 section 6.1).
    """

    __slots__ = ("_parted", "_read_blocked", "_recv", "_write_blocked", "on_lost")

    plain = False
    socket: ssl.SSLSocket

    _recv: Callable[[int], bytes]

    def __init__(self, reactor: Any, skt: ssl.SSLSocket, peer: Any = None) -> None:
        """Take over a socket.

        Args:
            reactor: Provides `IReactorFDSet` and `IReactorTime`.
            skt: Non-blocking, after its handshake; it must not suppress ragged ends.
            peer: What `accept` or `getpeername` gave.
        """
        super().__init__(reactor, skt, peer)
        # The methods of the same names in the socket only call these: 2 of 30 us an exchange
        # (benchmarks/micro/tls.py).
        engine: Any = getattr(skt, "_sslobj", None) or skt
        self._recv = engine.read
        self._send = engine.write
        self._parted = False
        # Each way OpenSSL may have to wait for the other one, for what it does by itself.
        self._read_blocked = False
        self._write_blocked = False
        self.on_lost: Callable[[ssl.SSLSocket], None] | None = None

    # Reading.

    def doRead(self) -> Any:
        """Read once; what is returned is why the connection has ended."""
        if self._write_blocked:
            self._unblock_write()
        if not self._reading:
            return None  # Another event of the same turn has paused or closed us.
        try:
            data = self._recv(RECORD)
        except OSError as error:
            return self._reading_stopped(error)
        if not data:
            return main.CONNECTION_DONE
        reason = None
        if len(data) >= RECORD:
            data, reason = self._read_on(data)
        self.protocol.dataReceived(data)
        if self._write_closed and not self._parted:
            self._reactor.addWriter(self)  # `_part` may have waited for this.
        return reason

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        super().pauseProducing()
        if self._write_blocked and not self.disconnected:
            self._reactor.addReader(self)

    # Writing.

    def writeSequence(self, iovec: Iterable[bytes | memoryview]) -> None:
        """Send several pieces, small ones as one: what fills records is worth no copy."""
        small: list[bytes | memoryview] = []
        for piece in iovec:
            if len(piece) < RECORD:
                small.append(piece)
                continue
            if small:
                self.write(b"".join(small))
                small = []
            self.write(piece)
        if small:
            self.write(b"".join(small))

    def doWrite(self) -> Any:
        """Send what is queued; what is returned is why the connection has ended."""
        if self._read_blocked:
            self._read_blocked = False
            reason = self.doRead()
            if reason is not None or self.disconnected:
                return reason
        error = self._flush()
        if error is not None:
            return error
        if not self._queue and (self._closing or self._write_closed) and not self._part():
            return None
        reason = super().doWrite()
        if self._read_blocked and not self.disconnected:
            self._reactor.addWriter(self)
        return reason

    # Who is there.

    def cipher(self) -> str:
        """The version and the cipher, such as `TLSv1.3/TLS_AES_128_GCM_SHA256`."""
        cipher = self.socket.cipher()
        return f"{self.socket.version()}/{cipher[0] if cipher else ''}"

    def client_subject(self) -> bytes:
        """Whom the other side's certificate is for; empty if it has shown none."""
        certificate = self.socket.getpeercert(binary_form=True)
        return b"" if certificate is None else subject_of(certificate)

    # The rest is ours.

    def _read_on(self, data: bytes) -> tuple[bytes, Any]:
        """Gather the records that are there already, so that the protocol hears of them once."""
        pieces, size = [data], len(data)
        reason = None
        while size <= READ_SIZE - RECORD:
            try:
                data = self._recv(RECORD)
            except OSError as error:
                reason = self._reading_stopped(error)
                break
            if not data:
                reason = main.CONNECTION_DONE
                break
            pieces.append(data)
            size += len(data)
        return b"".join(pieces), reason

    def _reading_stopped(self, error: OSError) -> Any:
        if isinstance(error, ssl.SSLWantReadError | BlockingIOError):
            return None
        if isinstance(error, ssl.SSLWantWriteError):
            self._read_blocked = True
            self._reactor.addWriter(self)
            return None
        if isinstance(error, ssl.SSLZeroReturnError):
            return main.CONNECTION_DONE
        return main.CONNECTION_LOST

    def _unblock_write(self) -> None:
        self._write_blocked = False
        self._reactor.addWriter(self)
        if not self._reading:
            self._reactor.removeReader(self)

    def _flush(self) -> Exception | None:
        queue = self._queue
        while queue:
            first = queue[0]
            try:
                if type(first) is FileSpan:
                    if not self._read_piece(first):
                        return main.CONNECTION_LOST  # The file has become shorter.
                    continue
                if len(queue) > 1:
                    first = self._joined()
                size = len(first)
                # What OpenSSL could not send it wants to be given again: these bytes, or more.
                sent = self._send(first)
            except (ssl.SSLWantWriteError, BlockingIOError):
                return None
            except ssl.SSLWantReadError:
                self._write_blocked = True
                self._reactor.removeWriter(self)
                self._reactor.addReader(self)
                return None
            except OSError:
                return main.CONNECTION_LOST
            self.queued -= sent
            if sent == size:
                del queue[0]
            else:
                queue[0] = memoryview(first)[sent:]
        return None

    def _read_piece(self, span: FileSpan) -> bool:
        """Put a piece of a file before the rest of it: what is to be encrypted must be read."""
        data = os.pread(span.file, min(span.length, READ_SIZE), span.offset)
        span.offset += len(data)
        span.length -= len(data)
        if span.length:
            self._queue.insert(0, data)
        else:
            self._queue[0] = data
        return bool(data)

    def _part(self) -> bool:
        """Say that we send nothing more (`close_notify`); false if it has to wait."""
        if self._parted:
            return True
        listens = not (self._closing or self._read_closed) and hasattr(
            self.protocol, "readConnectionLost"
        )
        try:
            if listens and not self._is_dry():
                # OpenSSL would drop what waits to be read: that first.
                self._reactor.removeWriter(self)
                return False
            self.socket.unwrap()
        except ssl.SSLWantWriteError:
            return False
        except (OSError, ValueError):
            pass  # It is said, and the other side has not said it yet; or nobody is there.
        self._parted = True
        if not listens:
            self._recv = self._discard
        return True

    def _is_dry(self) -> bool:
        """Whether no byte waits on the socket, be it TLS' own."""
        try:
            return not socket.socket.recv(self.socket, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True

    def _discard(self, size: int) -> bytes:
        """Read past what nobody listens to any more, up to the end."""
        if socket.socket.recv(self.socket, size):
            raise BlockingIOError
        return b""

    def _shutdown_write(self) -> None:
        if self._part():
            super()._shutdown_write()
        else:
            self._reactor.addWriter(self)

    def _lost(self, reason: Failure, reset: bool) -> None:
        if reason.check(ConnectionDone):
            self._part()  # Else the end is not to look orderly.
        if self.on_lost is not None:
            self.on_lost(self.socket)
        super()._lost(reason, reset)
