"""Backends, and what befalls them as a whole; what they answer is in `serving.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from lbproxy.testing.link import Wire
from lbproxy.testing.machine import Machine
from lbproxy.testing.orders.desk import Desk
from lbproxy.testing.plan import Ailment, Ask
from lbproxy.testing.streams.course import Speaker
from lbproxy.testing.streams.talk import Talk


class Surroundings(Protocol):
    """What a backend needs of its world."""

    clock: Any
    asks: dict[int, Ask]
    deliveries: dict[int, list[Delivery]]
    desk: Desk

    @property
    def ending(self) -> bool:
        """Whether the balancer, or a worker, has been asked to end."""

    def tell(self, *what: object) -> None:
        """Note something in the trace."""

    def delivered(self, delivery: Delivery) -> int:
        """Note a delivery; how often its request has been delivered, this time included."""

    def happened(self, kind: str) -> None:
        """Count a fault that really happened."""

    def violation(self, what: str) -> None:
        """Something must not be."""


@attrs.define(eq=False)
class Delivery:
    """A request that has reached a backend, whole or not.

    Attributes:
        ask: Which one.
        backend: The name of the one that it reached.
        at: When its head was there.
        wire: Its connection.
        ailment: What will be wrong with its answer, if anything.
        received: Bytes of its body so far.
        whole: Whether all of it came.
        begun: Whether its answer has begun.
        answered: When its answer had been given, or broken off; `None` while it runs.
        speaker: Says that, if it is a stream.
        talk: Does so if it is a WebSocket.
    """

    ask: Ask
    backend: str
    at: float
    wire: Wire
    ailment: Ailment | None = None
    received: int = 0
    whole: bool = False
    begun: bool = False
    answered: float | None = None
    speaker: Speaker | None = None
    talk: Talk | None = None

    @property
    def running(self) -> bool:
        """Whether the balancer still waits for something of it."""
        return self.answered is None and not self.wire.link.skt.closed


class Backend(Machine):
    """One of them.

    Attributes:
        name: As in the config.
        deliveries: All that reached it, in order.
        probes: The status that each of its probes was answered with, and when.
        slow: Seconds by which each answer is late.
        probe_answer: Gives the status of the next probe; 200 by default.
        says: What it says of itself in those answers, of weight, drain and capacity.
        said: When it has answered with 200, and what it has said.
        sour: Whether all but probes is answered with 503.
        keep_alive: Seconds for which it keeps an idle connection; 0.0 is for ever.
    """

    def __init__(
        self,
        name: str,
        world: Surroundings,
        keep_alive: float,
        serve: Callable[[Wire, Backend, Surroundings], object],
    ) -> None:
        """Prepare.

        Args:
            name: As in the config.
            world: What it is in.
            keep_alive: Seconds for which it keeps an idle connection; 0.0 is for ever.
            serve: Takes each connection over.
        """
        super().__init__(lambda wire: serve(wire, self, world))
        self.name = name
        self.deliveries: list[Delivery] = []
        self.probes: list[tuple[float, int]] = []
        self.slow = 0.0
        self.probe_answer: Callable[[], int] = lambda: 200
        self.says: dict[str, Any] = {}
        self.said: list[tuple[float, dict[str, Any]]] = []
        self.sour = False
        self.keep_alive = keep_alive

    @property
    def has_wanted_less(self) -> bool:
        """Whether it has ever said so: it may have had no room, or no weight, for others."""
        return any(words for _, words in self.said)
