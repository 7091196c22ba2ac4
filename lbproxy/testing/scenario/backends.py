"""Backends that take their time, have so many hands, and can be struck by events."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs

from lbproxy.testing.link import Wire
from lbproxy.testing.machine import Machine
from lbproxy.testing.network import Door
from lbproxy.testing.reading import Head, MessageReader, Unreadable
from lbproxy.testing.scenario.acts import Act
from lbproxy.testing.scenario.asking import NUMBER
from lbproxy.testing.scenario.model import Behaviour

#: Seconds that a probe takes when the backend gets to it.
PROBE = 0.001


@attrs.frozen(eq=False)
class Work:
    """A request that has come whole.

    Attributes:
        connection: Where it came.
        number: Which one; 0 is a probe.
        method: As on the wire.
        closes: Whether whoever asked wants the connection to end with the answer.
    """

    connection: Connection
    number: int
    method: str
    closes: bool


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


class Connection:
    """One connection at a backend."""

    def __init__(self, wire: Wire, backend: SimulatedBackend, clock: Any) -> None:
        self._wire = wire
        self._backend = backend
        self._clock = clock
        self._reader = MessageReader(self, until_close=False)
        self._head: Head | None = None
        self._at_work = False
        self._idle: Any = None
        wire.receiver = self

    def close_if_idle(self) -> None:
        """Close it unless something is asked here."""
        if not (self._at_work or self._reader.begun):
            self._close()

    def answer(self, work: Work, status: int, size: int) -> None:
        """Give an answer, if anybody still waits for it."""
        self._at_work = False
        if not self._wire.writable:
            return
        keep_alive = self._backend.behaviour.keep_alive or 0.0
        closes = work.closes or self._backend.ending or keep_alive == 0.0
        lines = [
            f"HTTP/1.1 {status} Simulated",
            f"Content-Length: {size}",
            f"X-Simulated: {work.number}",
            f"X-Simulated-By: {self._backend.label}",
        ]
        if closes:
            lines.append("Connection: close")
        head = "\r\n".join(lines) + "\r\n\r\n"
        self._wire.write(head.encode() + (b"" if work.method == "HEAD" else b"x" * size))
        if closes:
            self._close()
        else:
            self._idle = self._clock.callLater(keep_alive, self._backend.do, self._idled)

    # What the network tells.

    def on_data(self, data: bytes) -> None:
        self._backend.do(lambda: self._feed(data))

    def on_end(self) -> None:
        self._backend.do(self._close)

    def on_reset(self) -> None:
        self._stop_idling()
        self._backend.left(self)

    # What is read.

    def on_head(self, head: Head) -> bool:
        self._head = head
        return True

    def on_body(self, data: bytes) -> None:
        """It is only counted, by its length."""

    def on_whole(self) -> None:
        head, self._head = self._head, None
        assert head is not None
        self._at_work = True
        closes = head.fields.get(b"connection", b"").lower() == b"close"
        number = int(head.fields.get(NUMBER, b"0"))
        self._backend.take(Work(self, number, head.start[0].decode(), closes))

    def _feed(self, data: bytes) -> None:
        if self._wire.closed:
            return
        self._stop_idling()
        try:
            self._reader.feed(data)
        except Unreadable:  # A session of TCP mode, or a probe of one.
            self._close()

    def _idled(self) -> None:
        self._idle = None
        self.close_if_idle()

    def _stop_idling(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None and idle.active():
            idle.cancel()

    def _close(self) -> None:
        self._stop_idling()
        self._wire.close()
        self._backend.left(self)
