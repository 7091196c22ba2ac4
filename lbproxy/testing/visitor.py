"""Clients that do one thing after the other, each over a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lbproxy.testing.link import Wire
from lbproxy.testing.plan import Ask, Visit
from lbproxy.testing.results import Result


class Surroundings(Protocol):
    """What such a client needs of its world."""

    clock: Any

    def tell(self, *what: object) -> None:
        """Note something in the trace."""

    def happened(self, kind: str) -> None:
        """Count something that really happened."""

    def violation(self, what: str) -> None:
        """Something must not be."""

    def dial(self, visit: Visit, receiver: Any, refused: Callable[[], None]) -> None:
        """Connect to the balancer."""

    def visited(self, client: object) -> None:
        """A client has nothing more to do."""


class Visitor:
    """One visit.

    Attributes:
        visit: Its plan.
        results: What became of all that it asked so far.
        wires: Its connections so far.
    """

    _world: Surroundings

    def __init__(self, world: Surroundings, visit: Visit) -> None:
        self.visit = visit
        self.results: list[Result] = []
        self.wires: list[Wire] = []
        self._world = world
        self._left = list(visit.asks)
        self._wire: Wire | None = None

    @property
    def wire(self) -> Wire | None:
        """Its connection, if there is one."""
        return self._wire

    def begin(self) -> None:
        """Ask what comes next."""
        if not self._left:
            self._world.visited(self)
            return
        self.results.append(Result(self._left.pop(0), self._world.clock.seconds()))
        self._dial()

    def on_connected(self, wire: Wire) -> None:
        """Say what is to be said."""
        self._wire = wire
        self.wires.append(wire)
        self._speak(wire, self._ask)

    # What differs.

    def _dial(self) -> None:
        """Connect, and be ready for what comes of that."""
        raise NotImplementedError

    def _speak(self, wire: Wire, ask: Ask) -> None:
        """Ask, now that the connection stands."""
        raise NotImplementedError

    # What all have.

    @property
    def _result(self) -> Result:
        """Of what is asked at present."""
        return self.results[-1]

    @property
    def _ask(self) -> Ask:
        return self._result.ask

    def _close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
