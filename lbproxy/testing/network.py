"""Where connections lead: the balancer's ports, its backends, and what lies between."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from enum import Enum
from typing import Any

import attrs

from lbproxy.testing.backlog import Backlog
from lbproxy.testing.flow import Shape
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.link import Link, Receiver, Wire
from lbproxy.testing.sockets import FakeSocket

#: The first port that the balancer's own ends get.
EPHEMERAL = 40000


class Door(Enum):
    """What happens to a connection attempt at an address."""

    OPEN = "open"
    REFUSING = "refusing"
    DARK = "dark"
    NO_WAY = "no way"


class Host:
    """An address that the balancer can connect to.

    Attributes:
        door: What happens to who knocks.
        error: What `connect` gives at once while there is no way.
        delay: Seconds until a connection stands, besides the latency.
        links: Its connections that stand.
        most: Bytes each way that are under way on any of them at most, if that is limited.
    """

    def __init__(self, welcome: Callable[[Wire], object], most: int | None = None) -> None:
        """Prepare.

        Args:
            welcome: Gets each new connection.
            most: Limits what they carry.
        """
        self.most = most
        self.door = Door.OPEN
        self.error = errno.ENETUNREACH
        self.delay = 0.0
        self.links: dict[Link, None] = {}
        self.welcome = welcome

    def prune(self) -> list[Link]:
        """The connections whose end on this side is still open."""
        self.links = {link: None for link in self.links if not link.wire.closed}
        return list(self.links)


class FakeNetwork:
    """Carries the bytes of every connection of the balancer.

    Attributes:
        hosts: The addresses that the balancer can connect to.
        waits: From when until when each client waited to be accepted.
    """

    def __init__(
        self,
        kernel: Kernel,
        chance: random.Random,
        shape: Callable[[], Shape],
        tell: Callable[..., None],
    ) -> None:
        """Prepare.

        Args:
            kernel: Has the sockets of the balancer's first process.
            chance: Decides where pieces are cut.
            shape: The shape of the next connection to a host.
            tell: Is told what happens, for the trace.
        """
        self.hosts: dict[tuple[str, int], Host] = {}
        self._kernel = kernel
        self._chance = chance
        self._shape = shape
        self._tell = tell
        self._ports: dict[int, list[Backlog]] = {}
        self._lobby = Kernel()
        self.waits: list[tuple[float, float]] = []
        self._ephemeral = EPHEMERAL
        kernel.routes = self

    # What the balancer's sockets ask for.

    def bind(self, family: int, where: tuple[str, int], shared: bool) -> Backlog:
        """Take a port."""
        port = where[1] or self._next_port()
        others = self._ports.setdefault(port, [])
        if not all(shared and other.shared for other in others):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        backlog = Backlog(family, port, self.waits)
        others.append(backlog)
        return backlog

    def is_bound(self, port: int) -> bool:
        """Whether anybody has a port."""
        return bool(self._ports.get(port))

    def unbind(self, backlog: Backlog) -> None:
        """Give a port back."""
        self._ports[backlog.port].remove(backlog)

    def connect(self, skt: FakeSocket, where: tuple[str, int]) -> int:
        """Begin to connect to a host."""
        clock = self._kernel.reactor
        host = self.hosts.get((where[0], where[1]))
        shape = self._shape()
        if host is not None and host.most is not None:
            shape = attrs.evolve(shape, capacity=min(shape.capacity, host.most))
        skt.address = ("10.0.0.1", self._next_port())
        if host is not None and host.door is Door.DARK:
            return errno.EINPROGRESS
        if host is not None and host.door is Door.NO_WAY:
            self._tell("no way", where)
            return host.error

        def arrive() -> None:
            if skt.closed:
                return
            if host is None or host.door is not Door.OPEN:
                self._tell("refused", where)
                skt.fail(errno.ECONNREFUSED)
                return
            link = Link(clock, self._chance, shape, skt)
            host.links[link] = None
            link.stand()
            host.welcome(link.wire)

        delay = 0.0 if host is None else host.delay
        clock.call_at(clock.now + shape.latency + delay, arrive)
        return errno.EINPROGRESS

    # What clients ask for.

    def dial(
        self, port: int, source: str, shape: Shape, receiver: Receiver, refused: Callable[[], None]
    ) -> None:
        """Connect to a port of the balancer.

        Args:
            port: Its number.
            source: The client's IP address.
            shape: How the connection carries bytes.
            receiver: Gets the connection by `on_connected`, and what comes.
            refused: Is called if nobody listens.
        """
        clock = self._kernel.reactor

        def arrive() -> None:
            open_ones = [each for each in self._ports.get(port, ()) if each.open]
            if not open_ones:
                refused()
                return
            # Among several the kernel chooses by a hash of the addresses (`socket(7)`).
            several = len(open_ones) > 1
            backlog = self._chance.choice(open_ones) if several else open_ones[0]
            skt = self._lobby.make_socket(backlog.family)
            skt.address = ("127.0.0.1", port)
            skt.peer = (source, self._next_port())
            link = Link(clock, self._chance, shape, skt)
            link.wire.receiver = receiver
            link.stand()
            backlog.come(skt, clock.now)
            connected: Any = receiver
            connected.on_connected(link.wire)

        clock.call_at(clock.now + shape.latency, arrive)

    def _next_port(self) -> int:
        self._ephemeral += 1
        return self._ephemeral
