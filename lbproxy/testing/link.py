"""One connection between the balancer and somebody: its two directions and its two ends."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from lbproxy.testing.flow import Flow, Shape

if TYPE_CHECKING:
    from lbproxy.testing.sockets import FakeSocket


class Receiver(Protocol):
    """An end of a connection that is not the balancer's."""

    def on_data(self, data: bytes) -> None:
        """Bytes have come."""

    def on_end(self) -> None:
        """The balancer has closed its side."""

    def on_reset(self) -> None:
        """The connection is broken."""


class Link:
    """A connection: the balancer has a socket, the other one a `Wire`.

    Attributes:
        skt: The balancer's end.
        wire: The other one.
        latency: Seconds each way.
        to_balancer: The bytes that way.
        from_balancer: The bytes this way.
        broken: Whether it was reset, or both ends are closed.
        stood_at: Since when it stands.
    """

    def __init__(self, clock: Any, chance: random.Random, shape: Shape, skt: FakeSocket) -> None:
        self._clock = clock
        self.latency = shape.latency
        self.skt = skt
        self.broken = False
        self._balancer_closed = False
        self.wire = Wire(self)
        self.to_balancer = Flow(clock, chance, shape, self._came_to_balancer, self.wire.pump)
        self.from_balancer = Flow(clock, chance, shape, self.wire.came, skt.stir)

    def stand(self) -> None:
        """Both ends are connected."""
        self.stood_at: float = self._clock.now
        self.skt.stand(self, self.to_balancer, self.from_balancer)

    # What the balancer's socket does.

    def closed_by_balancer(self) -> None:
        """What still comes finds nobody."""
        self._balancer_closed = True
        if self.to_balancer.over:
            return  # Both have closed in order.
        if self.to_balancer.arrived:
            self.reset_by_balancer()

    def reset_by_balancer(self) -> None:
        """The other one hears of it when the reset is there."""
        self._balancer_closed = True
        if not self.broken:
            self.broken = True
            self.to_balancer.drop()
            self.from_balancer.drop()
            self._clock.call_at(self._clock.now + self.latency, self.wire.be_reset)

    def reset_by_network(self) -> None:
        """Something between the two has given the connection up, and tells both."""
        self.reset_by_wire()
        self._clock.call_at(self._clock.now + self.latency, self.wire.be_reset)

    # What the wire does.

    def reset_by_wire(self) -> None:
        """The balancer hears of it when the reset is there."""
        if not self.broken:
            self.broken = True
            self.to_balancer.drop()
            self.from_balancer.drop()
            self._clock.call_at(self._clock.now + self.latency, self._reset_arrives)

    def _reset_arrives(self) -> None:
        if not self._balancer_closed:
            self.skt.be_reset()

    def _came_to_balancer(self) -> None:
        if not self._balancer_closed:
            self.skt.stir()
        elif self.to_balancer.arrived:
            self.to_balancer.arrived.clear()
            self.reset_by_balancer()


class Wire:
    """The end of a connection that is not the balancer's.

    Attributes:
        link: The connection.
        receiver: Is told what comes.
        closed: Whether this end is closed, by either side.
        ends_body: Whether its end is that of a body, so that an early one would look like it.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.receiver: Receiver | None = None
        self.closed = self.ends_body = False
        self._out: deque[bytes] = deque()
        self._ending = False
        self._paused = False
        self._told_end = False

    @property
    def writable(self) -> bool:
        """Whether what is written goes anywhere."""
        return not self.closed and not self._ending

    def write(self, data: bytes) -> None:
        """Send, as soon as there is room."""
        if self.writable and data:
            self._out.append(data)
            self.pump()

    def end(self) -> None:
        """Close this side behind what was written."""
        self._ending = True
        self.pump()

    def close(self) -> None:
        """Close both sides: what still comes is answered with a reset."""
        if self.closed:
            return
        if self.link.from_balancer.arrived:  # With bytes that nobody has read.
            self.reset()
            return
        self.end()
        self.closed = True

    def reset(self) -> None:
        """Break the connection."""
        if not self.closed:
            self.closed = True
            self._out.clear()
            self.link.reset_by_wire()

    def pause(self) -> None:
        """Read nothing."""
        self._paused = True

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        self.came()

    # What the link tells.

    def pump(self) -> None:
        """There may be room for what waits."""
        flow = self.link.to_balancer
        out = self._out
        while out:
            first = out[0]
            count = flow.push_some(first)
            if not count:
                return
            if count == len(first):
                out.popleft()
            else:
                out[0] = first[count:]
        if self._ending and not flow.ended:
            flow.end()

    def came(self) -> None:
        """Something has arrived here."""
        flow = self.link.from_balancer
        if self.closed:
            if flow.arrived:
                flow.arrived.clear()
                self.link.reset_by_wire()
            return
        if self._paused:
            return
        if flow.arrived:
            data = bytes(flow.arrived)
            flow.arrived.clear()
            self.link.skt.stir()
            if self.receiver is not None:
                self.receiver.on_data(data)
        if flow.over and not self._told_end and not self.closed:
            self._told_end = True
            if self.receiver is not None:
                self.receiver.on_end()

    def be_reset(self) -> None:
        """The balancer has broken the connection."""
        if not self.closed:
            self.closed = True
            if self.receiver is not None:
                self.receiver.on_reset()
