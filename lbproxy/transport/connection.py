"""A connected socket that reads straight into its protocol and writes at once.

Twisted's transports queue each write and wait for the reactor to say that the socket is writable:
two `epoll_ctl` calls and a turn of the reactor for an answer that the kernel would have taken
immediately. Here `send` is tried first, and only what it leaves is queued. The rest of Twisted's
transport is here in as far as the data plane needs it, in slots: an idle client costs what is
listed below, and no more.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import attrs
from twisted.internet import address, main
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableDescriptor,
    IPushProducer,
    IReadWriteDescriptor,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

#: Bytes that are read at a time: twice the usual large piece, which comes with a head before it.
READ_SIZE = 131072

#: Bytes that may be queued before the protocol is told to pause.
HIGH_WATER = 65536

#: Bytes from which on the kernel takes several pieces sooner than they are copied into one
#: (64 KiB and a head: 15 us against 18).
JOINED = 16384

#: For `SO_LINGER`: a close is a reset, and what was queued in the kernel is dropped.
_RESET = struct.pack("ii", 1, 0)

_DONE = Failure(main.CONNECTION_DONE)


@attrs.define
class FileSpan:
    """A part of an open file that waits to be sent.

    Attributes:
        file: A descriptor, which whoever queued the span closes when the span is gone.
        offset: Of the first byte that has not been sent.
        length: How many bytes are left.
    """

    file: int
    offset: int
    length: int


@implementer(IReadWriteDescriptor, IHalfCloseableDescriptor, ITransport, IPushProducer)
class Connection:
    """A stream socket on a reactor that watches descriptors (`IReactorFDSet`).

    The protocol is told of back-pressure by its `pauseProducing` and `resumeProducing`, if it was
    registered as a producer. If it has `readConnectionLost`, it hears of a half-close by that
    (`IHalfCloseableProtocol`); else the other side's end is the connection's.

    Attributes:
        socket: Non-blocking; closed when the protocol hears of the loss.
        protocol: Gets what is read.
        disconnected: Whether the protocol has been told of the loss, or is about to be.
        queued: Bytes that wait for the socket to be writable.
        intake: Takes over the reading: its `pull` is called instead of `recv`.
        outlet: Takes over the writing, when all that is queued has been sent: its `push` is called.
            It has `held`, in bytes. Both are told by `stop` that the connection is lost.
        plain: Whether what is written goes out as it is, so that `splice` may move bytes past us.
    """

    plain = True

    __slots__ = (
        "__weakref__",
        "_announced",
        "_broken",
        "_closing",
        "_paused",
        "_peer",
        "_poll",
        "_producer",
        "_queue",
        "_reactor",
        "_read_closed",
        "_reading",
        "_send",
        "_write_closed",
        "disconnected",
        "fileno",
        "intake",
        "outlet",
        "protocol",
        "queued",
        "socket",
    )

    fileno: Callable[[], int]
    _send: Callable[[Any], int]

    def __init__(self, reactor: Any, skt: socket.socket, peer: Any = None) -> None:
        """Take over a connected socket; reading begins with `start`.

        Args:
            reactor: Provides `IReactorFDSet` and `IReactorTime`.
            skt: Connected and non-blocking.
            peer: What `accept` or `getpeername` gave.
        """
        self._reactor = reactor
        self._peer = peer
        self._announced: tuple[IAddress, IAddress] | None = None
        self.socket = skt
        self.fileno = skt.fileno
        self._send = skt.send
        self._poll: Any = None
        self._queue: list[Any] = []
        self._producer: Any = None
        self._paused = False
        self._broken = False
        self._closing = False
        self._reading = False
        self._read_closed = False
        self._write_closed = False
        self.queued = 0
        self.disconnected = False
        self.intake: Any = None
        self.outlet: Any = None
        self.protocol: Any = None

    def start(self, protocol: Any) -> None:
        """Connect the protocol, and read."""
        self.protocol = protocol
        self.resumeProducing()  # First, so that the protocol may pause at once.
        protocol.makeConnection(self)

    # Reading.

    # Reactors take an exception for a failure, and this is what Twisted's own transports give.
    def doRead(self) -> Any:
        """Read once; what is returned is why the connection has ended."""
        if not self._reading:
            return None  # Another event of the same turn has paused or closed us.
        if self.intake is not None:
            why = self.intake.pull()
            return main.CONNECTION_LOST if why is not None and self._broken else why
        try:
            data = self.socket.recv(READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            # The kernel tells of a reset once; if a write was told, the end looks clean here.
            return main.CONNECTION_LOST if self._broken else main.CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        if self._reading:
            self._reading = False
            self._reactor.removeReader(self)

    def resumeProducing(self) -> None:
        """Read on."""
        if not (self._reading or self._read_closed or self._closing or self.disconnected):
            self._reading = True
            self._reactor.addReader(self)

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def is_quiet(self) -> bool:
        """Whether nothing waits to be read: neither bytes nor the end of the connection."""
        poll = self._poll
        if poll is None:
            self._poll = poll = getattr(self._reactor, "make_poll", select.poll)()
            poll.register(self.fileno(), select.POLLIN)
        return not poll.poll(0)  # A look by `recv` costs an exception where nothing is there.

    # Writing.

    def write(self, data: bytes | memoryview[int]) -> None:
        """Send what the kernel takes now, queue the rest behind what is queued already.

        Args:
            data: A memoryview is only borrowed: what is queued of it is copied.
        """
        sent = 0
        if not self._queue and self.outlet is None:
            if self._write_closed or self._closing or self.disconnected:
                return
            send = self._send  # Called as an attribute, it would be looked up as a method first.
            try:
                sent = send(data)
                if sent == len(data):
                    return
            except BlockingIOError:
                pass
            except OSError:
                self._broken = True  # Inside its own write the protocol must not hear of it.
        if isinstance(data, memoryview):
            self._enqueue(bytes(data[sent:]), len(data) - sent)
        else:
            self._enqueue(memoryview(data)[sent:] if sent else data, len(data) - sent)

    def writeSequence(self, iovec: Iterable[bytes | memoryview]) -> None:
        """Send several pieces as one."""
        pieces = [*iovec]
        size = sum(map(len, pieces))
        if self._queue or self.outlet is not None or size < JOINED:
            self.write(b"".join(pieces))
            return
        if self._write_closed or self._closing or self.disconnected:
            return
        sent = 0
        try:
            sent = self.socket.sendmsg(pieces)
            if sent == size:
                return
        except BlockingIOError:
            pass
        except OSError:
            self._broken = True
        for piece in pieces:
            if sent >= len(piece):
                sent -= len(piece)
            else:
                self._enqueue(memoryview(piece)[sent:] if sent else piece, len(piece) - sent)
                sent = 0

    def hold(self, rest: memoryview) -> None:
        """Queue what a send of our `socket` has left, and let the producer pause at once."""
        self._enqueue(rest, len(rest))
        self._pause()

    def wait_for(self, outlet: Any) -> None:
        """Have `outlet.push` called when the socket is writable and nothing is queued.

        The producer is paused until the outlet has taken itself away.
        """
        if not self.disconnected:
            self.outlet = outlet
            self._reactor.addWriter(self)
            self._pause()

    def send_file(self, file: int, offset: int, length: int, before: bytes = b"") -> None:
        """Send a part of an open file, behind what is queued, without a copy of it in memory.

        Args:
            file: A descriptor; it stays the caller's, who closes it when nothing is queued any
                more or the connection is lost.
            offset: Of the first byte.
            length: How many bytes; a file that turns out to be shorter ends the connection.
            before: What goes out in front of it, in the same packet where it fits.
        """
        if self._write_closed or self._closing or self.disconnected:
            return
        at_once = not self._queue and self.outlet is None
        if before:
            self._queue.append(before)
        self._queue.append(FileSpan(file, offset, length))
        self.queued += len(before) + length
        if at_once:
            self._broken = self._flush() is not None  # Is met again when the socket is writable.
        if self._queue:
            self._reactor.addWriter(self)
            self._pause()

    def doWrite(self) -> Any:
        """Send what is queued; what is returned is why the connection has ended."""
        error = self._flush()
        if error is not None or self._queue:
            return error
        if self.outlet is not None:
            error = self.outlet.push()
            if error is not None or self.outlet is not None:
                return error
        self._reactor.removeWriter(self)
        if self._closing:
            return main.CONNECTION_DONE
        if self._write_closed:
            self._shutdown_write()
        elif self._paused:
            self._paused = False
            self._producer.resumeProducing()
        return None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Say who is to pause when more than `HIGH_WATER` bytes are queued."""
        assert streaming, "only push producers"
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Nobody is to pause any more."""
        self._producer = None
        self._paused = False

    # Ending.

    def loseConnection(self) -> None:
        """Close behind what is queued; the protocol hears of it in another turn."""
        if self.disconnected or self._closing:
            return
        self._closing = True
        self.pauseProducing()
        if not self._queue and self.outlet is None:
            # Not when the socket is writable: who does not read must not hold us up.
            self._reactor.callLater(0, self.connectionLost, _DONE)

    def loseWriteConnection(self) -> None:
        """Close our side behind what is queued, and read on (`ITCPTransport`)."""
        if self.disconnected or self._write_closed:
            return
        self._write_closed = True
        if not self._queue and self.outlet is None:
            self._shutdown_write()

    def abortConnection(self) -> None:
        """Reset the connection; the protocol hears of it in another turn."""
        if self.disconnected:
            return
        self.disconnected = True
        self._stop()
        self._reactor.callLater(0, self._lost, Failure(ConnectionAborted()), True)

    def readConnectionLost(self, reason: Failure) -> None:
        """The other side will send nothing more."""
        self._read_closed = True
        self.pauseProducing()
        half = getattr(self.protocol, "readConnectionLost", None)
        if half is None or self._closing:
            self.connectionLost(reason)
            return
        try:
            half()
        except BaseException:  # The reactor logs it, but watches us no more.
            self.connectionLost(Failure())
            raise
        if self._write_closed and not self._queue and self.outlet is None:
            self.connectionLost(reason)

    def writeConnectionLost(self, reason: Failure) -> None:
        """The other side takes nothing more."""
        self.connectionLost(reason)

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket, and tell the protocol: once."""
        if self.disconnected:
            return
        self.disconnected = True
        self._stop()
        self._lost(reason, False)

    # Who is there.

    def getPeer(self) -> IAddress:
        """The address at the other end, or the one that was announced."""
        if self._announced is not None:
            return self._announced[0]
        return _address(self.socket.family, self._peer)

    def getHost(self) -> IAddress:
        """The address at our end, or the one that was announced."""
        if self._announced is not None:
            return self._announced[1]
        return _address(self.socket.family, self.socket.getsockname())

    def announce(self, peer: IAddress, host: IAddress) -> None:
        """Say between whom this connection really is, as a proxy before us knows it."""
        self._announced = (peer, host)

    @property
    def waiting(self) -> int:
        """Bytes that the kernel has not taken yet: queued ones, and those that an outlet holds."""
        return self.queued if self.outlet is None else self.queued + int(self.outlet.held)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Whether small writes go out at once; a Unix socket has no such choice."""
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Whether the kernel asks a silent peer from time to time whether it is still there."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    def logPrefix(self) -> str:
        """For the log of a reactor that names who is at work."""
        return type(self.protocol).__name__

    # The rest is ours.

    def _enqueue(self, piece: Any, size: int) -> None:
        if self._write_closed or self._closing or self.disconnected:
            return
        self._queue.append(piece)
        self.queued += size
        self._reactor.addWriter(self)
        if self.queued > HIGH_WATER:
            self._pause()

    def _pause(self) -> None:
        if self._producer is not None and not self._paused:
            self._paused = True
            self._producer.pauseProducing()

    def _flush(self) -> Exception | None:
        queue = self._queue
        while queue:
            first = queue[0]
            try:
                if type(first) is FileSpan:
                    size = first.length
                    sent = os.sendfile(self.socket.fileno(), first.file, first.offset, size)
                    if not sent:
                        return main.CONNECTION_LOST  # The file has become shorter.
                    first.offset += sent
                    first.length -= sent
                else:
                    if len(queue) > 1:
                        first = self._joined()
                    size = len(first)
                    if len(queue) > 1:  # A file is next, and fills the packet up.
                        sent = self.socket.send(first, socket.MSG_MORE)
                    else:
                        sent = self._send(first)
                    if sent < size:
                        queue[0] = memoryview(first)[sent:]
            except BlockingIOError:
                return None
            except OSError:
                return main.CONNECTION_LOST
            self.queued -= sent
            if sent == size:
                del queue[0]
        return None

    def _joined(self) -> Any:
        """Make one piece of the first ones, up to a file: many small ones take one call."""
        queue = self._queue
        count = size = 0
        for piece in queue:
            if size >= HIGH_WATER or type(piece) is FileSpan:
                break
            count += 1
            size += len(piece)
        if count > 1:
            queue[:count] = (b"".join(queue[:count]),)
        return queue[0]

    def _shutdown_write(self) -> None:
        with suppress(OSError):  # It may be gone already; reading tells.
            self.socket.shutdown(socket.SHUT_WR)
        if self._read_closed:
            self._reactor.callLater(0, self.connectionLost, _DONE)

    def _stop(self) -> None:
        self.pauseProducing()
        self._reactor.removeWriter(self)
        self._queue.clear()
        self.queued = 0

    def _lost(self, reason: Failure, reset: bool) -> None:
        if reset:
            with suppress(OSError):  # A Unix socket knows no reset.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.socket.close()
        protocol, self.protocol = self.protocol, None
        producer, self._producer = self._producer, None
        intake, outlet = self.intake, self.outlet
        self.intake = self.outlet = None
        if intake is not None:
            intake.stop()
        if outlet is not None:
            outlet.stop()
        if producer is not None:
            producer.stopProducing()
        if protocol is not None:
            protocol.connectionLost(reason)


def _address(family: int, where: Any) -> IAddress:
    """A socket's address as Twisted has it."""
    if family == socket.AF_INET:
        return address.IPv4Address("TCP", *where)
    if family == socket.AF_INET6:
        return address.IPv6Address("TCP", *where)
    return address.UNIXAddress(where or None)
