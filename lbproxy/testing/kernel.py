"""Descriptors and epoll as Linux has them, without Linux."""

from __future__ import annotations

import errno
import random
import select
from collections.abc import Mapping
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from lbproxy.testing.sockets import FakeSocket, Routes

if TYPE_CHECKING:
    from lbproxy.testing.reactor import SimReactor

#: The first descriptor: far above any real one, so that a mix-up is an error and no accident.
FIRST = 1_000_000

_IN, _OUT, _ERR, _HUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR, select.EPOLLHUP


class FakeEpoll:
    """`select.epoll` over the sockets of a kernel, with the kernel's own objections."""

    def __init__(self, kernel: Kernel, chance: random.Random) -> None:
        self._kernel = kernel
        self._chance = chance
        self._masks: dict[int, int] = {}

    def register(self, fd: int, mask: int) -> None:
        self._known(fd)
        if fd in self._masks:
            raise FileExistsError(errno.EEXIST, f"{fd} is watched already")
        self._masks[fd] = mask
        self._kernel.stirred[fd] = None

    def modify(self, fd: int, mask: int) -> None:
        self._known(fd)
        if fd not in self._masks:
            raise FileNotFoundError(errno.ENOENT, f"{fd} is not watched")
        self._masks[fd] = mask
        self._kernel.stirred[fd] = None

    def unregister(self, fd: int) -> None:
        self._known(fd)
        if self._masks.pop(fd, None) is None:
            raise FileNotFoundError(errno.ENOENT, f"{fd} is not watched")

    def forget(self, fd: int) -> None:
        """A descriptor is closed, and so not watched any more."""
        self._masks.pop(fd, None)

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """What is ready now, in any order; a call for one of them may change the others."""
        stirred, sockets, masks = self._kernel.stirred, self._kernel.sockets, self._masks
        ready = []
        for fd in list(stirred):
            mask = masks.get(fd)
            if mask is not None and (event := sockets[fd].events() & (mask | _ERR | _HUP)):
                ready.append((fd, event))
            else:
                del stirred[fd]
        if len(ready) > 1:
            self._chance.shuffle(ready)
        return ready[:most]

    def _known(self, fd: int) -> None:
        if fd not in self._kernel.sockets:
            raise OSError(errno.EBADF, f"{fd} is no descriptor")


class FakePoll:
    """`select.poll` for a single socket."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._fd = -1

    def register(self, fd: int, mask: int) -> None:
        self._fd = fd

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """Whether there is something to read, or its end."""
        skt = self._kernel.sockets.get(self._fd)
        if skt is None:
            return [(self._fd, select.POLLNVAL)]
        events = skt.events() & (_IN | _ERR | _HUP)
        return [(self._fd, events)] if events else []


class Kernel:
    """The descriptors of one process.

    Attributes:
        sockets: Those that are open, by descriptor.
        stirred: Descriptors for which something may have changed, in the order in which it did.
        killed: Whether its process was.
        left_at: When somebody else than its parent asked its process to end; `inf` if nobody did.
        passed: Listening sockets of whoever started its process, by the numbers that it is told.
        routes: The network.
        reactor: Who is told.
    """

    routes: Routes
    reactor: SimReactor

    def __init__(self) -> None:
        self.sockets: dict[int, FakeSocket] = {}
        self.stirred: dict[int, None] = {}
        self.killed = False
        self.left_at = inf
        self.passed: dict[int, FakeSocket] = {}
        self._numbers: dict[int, int] = {}
        self._free: list[int] = []
        self._made = 0
        self._epolls: list[FakeEpoll] = []

    def make_socket(self, family: int) -> FakeSocket:
        """A socket of ours."""
        skt = FakeSocket(self, family, -1)
        skt.begin(self.take(skt))
        return skt

    def take(self, skt: FakeSocket) -> int:
        """Give a socket a descriptor: the lowest one that is free, as POSIX wants it."""
        if self._free:
            fd = heappop(self._free)
        else:
            fd = FIRST + self._made
            self._made += 1
        self.sockets[fd] = skt
        return fd

    def fork(self, descriptors: Mapping[int, int]) -> Kernel:
        """The descriptors of a new process.

        Args:
            descriptors: Those of ours that it inherits, by the numbers that it is told of.
        """
        child = Kernel()
        child.routes = self.routes
        for number, fd in descriptors.items():
            if fd in self.sockets:
                child._numbers[number] = self.sockets[fd].inherited_by(child).fileno()
        return child

    def inherited(self, number: int) -> FakeSocket:
        """What was inherited under a number."""
        return self.sockets[self._numbers[number]]

    def close(self) -> None:
        """The process has ended: close what it had."""
        for skt in list(self.sockets.values()):
            skt.close()

    def make_epoll(self, chance: random.Random) -> FakeEpoll:
        """An epoll whose events come in an order that chance decides."""
        epoll = FakeEpoll(self, chance)
        self._epolls.append(epoll)
        return epoll

    def make_poll(self) -> FakePoll:
        """A poll for one socket."""
        return FakePoll(self)

    def closed(self, fd: int) -> None:
        """A descriptor is closed."""
        del self.sockets[fd]
        self.stirred.pop(fd, None)
        heappush(self._free, fd)
        for epoll in self._epolls:
            epoll.forget(fd)
