"""A balancer in memory: clients, backends and time are moved by the test."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer_only

from lbproxy.balance.pool import Pool
from lbproxy.balance.registry import balancer_for
from lbproxy.config import model
from lbproxy.forward.retry import PROCESS_LIMIT
from lbproxy.observe.accesslog import AccessLog, Line
from lbproxy.observe.metrics import Metrics
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.site import Site
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.transport.timer import RESOLUTION, CoarseTimer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@implementer_only(IReactorTCP, IReactorTime)
class Reactor(MemoryReactorClock):
    """Network and time without descriptors, so that its connections stay in memory."""


class Wire(StringTransport):
    """One end of a connection; the test is the other end.

    Attributes:
        waiting: Bytes that the other end has not taken, as the test says.
    """

    waiting = 0

    def __init__(self, reactor: Reactor, protocol: Protocol) -> None:
        super().__init__()
        self._reactor = reactor
        self.protocol: Any = protocol
        self.open = True
        protocol.makeConnection(self)

    def take(self) -> bytes:
        """What has been written since the last call."""
        written: bytes = self.value()
        self.clear()
        return written

    def give(self, data: bytes) -> None:
        """Let data come."""
        self.protocol.dataReceived(data)

    def close(self) -> None:
        """Close from the other end."""
        self._lose(ConnectionDone())

    def reset(self) -> None:
        """Reset from the other end."""
        self._lose(ConnectionLost())

    def loseConnection(self) -> None:
        super().loseConnection()
        self._reactor.callLater(0, self._lose, ConnectionDone())

    def abortConnection(self) -> None:
        super().abortConnection()
        self._reactor.callLater(0, self._lose, ConnectionLost())

    def _lose(self, reason: Exception) -> None:
        if self.open:
            self.open = False
            self.protocol.connectionLost(Failure(reason))


class Log(AccessLog):
    """Keeps the records."""

    def __init__(self, timer: CoarseTimer) -> None:
        super().__init__(timer, None)
        self.lines: list[dict[str, Any]] = []

    def write(self, record: Line, ended: float) -> None:
        self.lines.append(json.loads(record.line(ended)))


class BalancerCase(SynchronousTestCase):
    """A balancer with one pool behind one route."""

    #: Network and time.
    makes_reactor: type[Reactor] = Reactor

    def start(
        self,
        *names: str,
        route: model.Route | None = None,
        listener: model.Listener | None = None,
        backend: Mapping[str, Any] | None = None,
        **pool: Any,
    ) -> None:
        """Build it.

        Args:
            names: The backends; a and b by default.
            route: `/` to the pool by default.
            listener: One with all defaults by default.
            backend: More of each backend's keys; that it is Klein by default.
            pool: More of the pool's keys.
        """
        self.reactor = self.makes_reactor()
        self.reactor.advance(1000.0)
        self.timer = CoarseTimer(self.reactor)
        self.timer.startService()
        self.addCleanup(self.timer.stopService)
        more = {"server": "klein"} if backend is None else backend
        backends = tuple(model.Backend(name, f"{name}:80", **more) for name in names or ("a", "b"))
        shape = model.Pool("api", backends, health=None, **pool)
        policy = balancer_for(shape, random.Random(1))
        self.pool = Pool(shape, policy, self.reactor.seconds())
        self.upstreams = Upstreams(self.reactor, self.timer, self.pool)
        self.listener = listener or model.Listener("web", "tcp:0")
        config = model.Config((self.listener,), (route or model.Route("/", pool="api"),))
        self.log = Log(self.timer)
        self.site = Site(
            self.reactor,
            self.timer,
            config,
            {"api": self.upstreams},
            self.log,
            Metrics(),
            lambda: (200, b"{}\n"),
            random.Random(1),
        )
        self.wires: list[Wire] = []

    #: What an accepted connection is.
    wire: type[Wire] = Wire

    def client(self, data: bytes = b"") -> Wire:
        """A client that connects, and what it sends first."""
        wire = Wire(self.reactor, Downstream(self.site, self.listener))
        self.wires.append(wire)
        if data:
            wire.give(data)
        return wire

    @property
    def dialled(self) -> list[str]:
        """The hosts of the connections that are being made, in order."""
        return [client[0] for client in self.reactor.tcpClients]

    def accept(self) -> Wire:
        """The oldest connection that is being made stands; its backend's end."""
        factory: Any = self.reactor.tcpClients.pop(0)[2]
        wire = self.wire(self.reactor, factory.buildProtocol(None))
        self.wires.append(wire)
        return wire

    def refuse(self, error: Exception | None = None) -> None:
        """The oldest connection that is being made is refused, or fails otherwise."""
        factory: Any = self.reactor.tcpClients.pop(0)[2]
        factory.clientConnectionFailed(None, Failure(error or ConnectionRefusedError()))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and the timer notice it."""
        self.reactor.advance(0)
        for _ in range(round(seconds / RESOLUTION) + 1):
            self.reactor.advance(RESOLUTION)

    def assert_nothing_left(self) -> None:
        """Once all connections are closed nothing is held, counted or watched any more."""
        for wire in self.wires:
            wire.close()
        self.reactor.advance(0)
        for backend in self.pool.backends:
            self.upstreams.connections[backend].close()
        self.reactor.advance(0)
        self.assertEqual({backend.in_flight for backend in self.pool.backends}, {0})
        self.assertEqual(len(self.upstreams.waiting), 0)
        self.assertEqual(self.site.replay_memory.free, PROCESS_LIMIT)
        self.assertEqual(set(self.timer._timed), {self.upstreams.waiting})
