"""Backends that take their time, have so many hands, and can be struck by events."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from lbproxy.testing.link import Wire
from lbproxy.testing.machine import Machine
from lbproxy.testing.network import Door
from lbproxy.testing.scenario.acts import Act
from lbproxy.testing.scenario.connections import Connection, Work
from lbproxy.testing.scenario.model import Behaviour

#: Seconds that a probe takes when the backend gets to it.
PROBE = 0.001


class SimulatedBackend(Machine):
    """One backend.

    Attributes:
        label: Its name.
        behaviour: How it is while it is well.
        ending: Whether it finishes what runs, to end then.
    """

    def __init__(
        self,
        label: str,
        behaviour: Behaviour,
        clock: Any,
        chance: random.Random,
        worked: Callable[[int, str], None],
    ) -> None:
        """Prepare.

        Args:
            label: Its name.
            behaviour: How it is while it is well; its `keep_alive` is a number.
            clock: Provides the time.
            chance: Decides what each request takes, and which ones fail.
            worked: Hears of each request that is begun, by its number, and of who begins it.
        """
        super().__init__(self._welcome)
        self.label = label
        self.behaviour = behaviour
        self.ending = False
        self._clock = clock
        self._chance = chance
        self._worked = worked
        self._slow = self._share = 0.0
        self._status = 503
        self._draining = False
        self._busy = 0
        self._waiting: deque[Work] = deque()
        self._process = 0
        self._connections: dict[Connection, None] = {}

    # What befalls it.

    def befall(self, act: Act) -> None:
        """Let something happen to it now."""
        match act.verb:
            case "kill":
                self.kill()
            case "stop":
                self._stop()
            case "hang":
                self.freeze()
            case "refuse":
                self.host.door = Door.REFUSING
            case "unplug":
                self.unplug()
            case "slow":
                self._slow = act.by
            case "errors":
                self._share, self._status = act.share, act.status
            case "drain":
                self._draining = True
            case "back":
                self._back(act.ends)

    def kill(self) -> None:
        super().kill()
        self._process += 1  # What that one had begun is never finished.
        self._busy = 0
        self._waiting.clear()
        self._connections.clear()

    def _stop(self) -> None:
        """Take nothing new, and finish what runs: what a server does when it is told to end."""
        self.host.door = Door.REFUSING
        self.ending = True
        for connection in list(self._connections):
            connection.close_if_idle()

    def _back(self, ends: str | None) -> None:
        if ends in (None, "hang"):
            self.thaw()
        if ends in (None, "slow"):
            self._slow = 0.0
        if ends in (None, "errors"):
            self._share = 0.0
        if ends in (None, "drain"):
            self._draining = False
        if ends in (None, "unplug"):
            self.plug_in()
        if ends in (None, "kill", "stop", "refuse"):
            self.ending = False
            self.start()

    # What its connections bring.

    def take(self, work: Work) -> None:
        """Work at a request, or have it wait until somebody has time for it."""
        if self._busy < self.behaviour.capacity:
            self._begin(work)
        else:
            self._waiting.append(work)

    def left(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.pop(connection, None)

    # The rest is ours.

    def _welcome(self, wire: Wire) -> None:
        self._connections[Connection(wire, self, self._clock)] = None

    def _begin(self, work: Work) -> None:
        self._busy += 1
        seconds = PROBE
        if work.number:
            self._worked(work.number, self.label)
            seconds = self._draw()
        self._clock.callLater(
            seconds + self._slow, self.do, lambda process=self._process: self._end(work, process)
        )

    def _draw(self) -> float:
        """Seconds that the next request takes."""
        latency = self.behaviour.latency
        return latency.median * self._chance.lognormvariate(0.0, latency.sigma)

    def _end(self, work: Work, process: int) -> None:
        if process != self._process:
            return
        self._busy -= 1
        status = 200
        if not work.number:
            status = 503 if self._draining else 200
        elif self._share and self._chance.random() < self._share:
            status = self._status
        work.connection.answer(work, status, self._chance.randint(*self.behaviour.size))
        if self._waiting:
            self._begin(self._waiting.popleft())
