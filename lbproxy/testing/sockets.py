"""A socket as Linux has it, without Linux."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from lbproxy.testing.backlog import Backlog
    from lbproxy.testing.flow import Flow
    from lbproxy.testing.kernel import Kernel
    from lbproxy.testing.link import Link

#: What `SO_LINGER` is set to for a reset.
_ABORT = struct.pack("ii", 1, 0)

_IN, _OUT, _ERR, _HUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR, select.EPOLLHUP


class Routes(Protocol):
    """Where sockets lead to; the network."""

    def connect(self, skt: FakeSocket, where: tuple[str, int]) -> int:
        """Begin to connect; what `connect_ex` gives."""

    def bind(self, family: int, where: tuple[str, int], shared: bool) -> Backlog:
        """Take a port.

        Raises:
            OSError: If it is taken.
        """

    def unbind(self, backlog: Backlog) -> None:
        """Give the port back."""


class FakeSocket:
    """A stream socket of the balancer: what `socket.socket` offers of which the balancer makes use.

    Attributes:
        family: As given.
        address: Its own, once it has one.
        peer: Where it leads to.
        kernel: Has its descriptor.
        link: The connection, once there is one.
        backlog: Of a socket that is bound: who waits there.
    """

    __slots__ = (
        "_closed",
        "_connecting",
        "_error",
        "_fd",
        "_linger",
        "_reset",
        "_shares",
        "_shut",
        "address",
        "backlog",
        "family",
        "incoming",
        "kernel",
        "link",
        "outgoing",
        "peer",
    )

    incoming: Flow
    outgoing: Flow

    def __init__(self, kernel: Kernel, family: int, fd: int) -> None:
        self.family = family
        self.address: Any = ("0.0.0.0", 0)
        self.peer: Any = None
        self.link: Link | None = None
        self.backlog: Backlog | None = None
        self.kernel = kernel
        self._fd = fd
        self._error = 0
        self._connecting = self._reset = self._shut = self._linger = self._closed = False
        self._shares = False

    # What the balancer calls.

    def fileno(self) -> int:
        return -1 if self._closed else self._fd

    def setblocking(self, flag: bool) -> None:
        assert not flag, "the balancer never blocks"

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        self._check()
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self._linger = value == _ABORT
        elif (level, option) == (socket.SOL_SOCKET, socket.SO_REUSEPORT):
            self._shares = bool(value)
            if self.backlog is not None:
                self.backlog.shared = self._shares

    def getsockopt(self, level: int, option: int) -> int:
        self._check()
        if (level, option) != (socket.SOL_SOCKET, socket.SO_ERROR):
            return 0
        error, self._error = self._error, 0
        return error

    def getsockname(self) -> Any:
        self._check()
        return self.address

    def getpeername(self) -> Any:
        self._check()
        if self.link is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self.peer

    def bind(self, where: tuple[str, int]) -> None:
        self.backlog = self.kernel.routes.bind(self.family, where, self._shares)
        self.backlog.holders[self] = None
        self.address = (where[0] or "0.0.0.0", self.backlog.port)

    def listen(self, backlog: int) -> None:
        assert self.backlog is not None
        self.backlog.open = True

    def accept(self) -> tuple[FakeSocket, Any]:
        self._check()
        assert self.backlog is not None
        if not self.backlog.waiting:
            raise BlockingIOError(errno.EAGAIN, "nobody waits")
        accepted = self.backlog.accept(self.kernel.reactor.now)
        accepted.move_to(self.kernel)
        return accepted, accepted.peer

    def connect_ex(self, where: tuple[str, int]) -> int:
        if self.link is not None:
            return errno.EISCONN
        if self._error:
            error, self._error = self._error, 0
            return error
        if self._connecting:
            return errno.EALREADY
        self.peer = where
        code = self.kernel.routes.connect(self, where)
        self._connecting = code == errno.EINPROGRESS
        return code

    def recv(self, size: int, flags: int = 0) -> bytes:
        self._check()
        # What came before a reset can still be read (`tcp_recvmsg` in Linux).
        if self.link is not None and self.incoming.arrived:
            return self.incoming.take(size)
        if self._error:
            raise self._take_error()
        if self.link is None or self._reset or self.incoming.over:
            return b""
        raise BlockingIOError(errno.EAGAIN, "nothing is there")

    def recv_into(self, buffer: memoryview) -> int:
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes | memoryview, flags: int = 0) -> int:
        self._check()
        if self._error:
            raise self._take_error()
        if self.link is None or self._reset or self._shut:
            raise BrokenPipeError(errno.EPIPE, "nobody is there any more")
        count = self.outgoing.push_some(data, finely=True)
        if not count and len(data):
            raise BlockingIOError(errno.EAGAIN, "there is no room")
        return count

    def sendmsg(self, pieces: list[bytes]) -> int:
        return self.send(b"".join(pieces))

    def shutdown(self, how: int) -> None:
        self._check()
        if self.backlog is not None:
            if how != socket.SHUT_WR:
                self.backlog.stop()  # For all who hold it.
            return
        if self.link is None or self._reset:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        if how != socket.SHUT_RD and not self._shut:
            self._shut = True
            self.outgoing.end()
            self.stir()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.kernel.closed(self._fd)
        if self.backlog is not None and self.backlog.release(self):
            self.kernel.routes.unbind(self.backlog)
        link = self.link
        if link is None or self._reset:
            return
        # With bytes that nobody has read a close is a reset (RFC 2525 section 2.17).
        if self._linger or self.incoming.arrived:
            link.reset_by_balancer()
        else:
            if not self._shut:
                self.outgoing.end()
            link.closed_by_balancer()

    # What the kernel does with it.

    def begin(self, fd: int) -> None:
        """Have a descriptor."""
        self._fd = fd

    def move_to(self, kernel: Kernel) -> None:
        """Become a descriptor of a process: it has accepted the connection."""
        self.kernel.closed(self._fd)
        self._fd = kernel.take(self)
        self.kernel = kernel
        self.stir()

    def abort(self) -> None:
        """Reset the connection."""
        self._linger = True
        self.close()

    def inherited_by(self, kernel: Kernel) -> FakeSocket:
        """The same listening socket, in another process."""
        assert self.backlog is not None
        copy = FakeSocket(kernel, self.family, -1)
        copy.begin(kernel.take(copy))
        copy.address, copy.backlog = self.address, self.backlog
        self.backlog.holders[copy] = None
        return copy

    # What the network tells.

    @property
    def closed(self) -> bool:
        """Whether the balancer has closed it."""
        return self._closed

    def stand(self, link: Link, incoming: Flow, outgoing: Flow) -> None:
        """The connection stands."""
        self._connecting = False
        self.link = link
        self.incoming = incoming
        self.outgoing = outgoing
        self.stir()

    def fail(self, error: int) -> None:
        """The connection could not be made."""
        self._connecting = False
        self._error = error
        self._reset = True
        self.stir()

    def be_reset(self) -> None:
        """The other side has reset the connection."""
        self._reset = True
        self._error = errno.ECONNRESET
        self.stir()

    def stir(self) -> None:
        """Something has changed for those who watch."""
        self.kernel.stirred[self._fd] = None

    def events(self) -> int:
        """What epoll says of it (`tcp_poll` in Linux)."""
        if self.backlog is not None:
            return _IN if self.backlog.waiting else 0
        if self._reset:
            return _IN | _OUT | _HUP | (_ERR if self._error else 0)
        if self.link is None:
            return 0 if self._connecting else _OUT | _HUP
        events = 0
        if self.incoming.arrived:
            events = _IN
        if self.incoming.over:
            events |= _IN | (_HUP if self._shut else 0)
        if self._shut or self.outgoing.room > 0:
            events |= _OUT
        return events

    def _check(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _take_error(self) -> OSError:
        error, self._error = self._error, 0
        return OSError(error, os.strerror(error))
