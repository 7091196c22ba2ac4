"""Where connections lead: the balancer's ports, its backends, and what lies between."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from enum import Enum
from typing import Any

import attrs

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


class Host:
    """An address that the balancer can connect to.

    Attributes:
        door: What happens to who knocks.
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
            kernel: Has the balancer's sockets.
            chance: Decides where pieces are cut.
            shape: The shape of the next connection to a host.
            tell: Is told what happens, for the trace.
        """
        self.hosts: dict[tuple[str, int], Host] = {}
        self._kernel = kernel
        self._chance = chance
        self._shape = shape
        self._tell = tell
        self._ports: dict[int, FakeSocket] = {}
        self._ephemeral = EPHEMERAL
        kernel.routes = self

    # What the balancer's sockets ask for.

    def bind(self, skt: FakeSocket, where: tuple[str, int]) -> int:
        """Take a port."""
        port = where[1] or self._next_port()
        if port in self._ports:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self._ports[port] = skt
        return port

    def unbind(self, skt: FakeSocket) -> None:
        """Give a port back."""
        del self._ports[skt.address[1]]

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
            listening = self._ports.get(port)
            if listening is None or not listening.listening:
                refused()
                return
            skt = self._kernel.make_socket(listening.family)
            skt.address = ("127.0.0.1", port)
            skt.peer = (source, self._next_port())
            link = Link(clock, self._chance, shape, skt)
            link.wire.receiver = receiver
            link.stand()
            listening.queue.append(skt)
            listening.stir()
            connected: Any = receiver
            connected.on_connected(link.wire)

        clock.call_at(clock.now + shape.latency, arrive)

    def _next_port(self) -> int:
        self._ephemeral += 1
        return self._ephemeral
