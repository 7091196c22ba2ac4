"""The workers of a world, if they are several: their processes, and what befalls those."""

from __future__ import annotations

from math import inf
from typing import Any, Protocol

from lbproxy.control.seat import SILENT
from lbproxy.testing.inside import Inside
from lbproxy.testing.processes import Process, Processes
from lbproxy.testing.reactor import SimReactor
from lbproxy.transport.timer import RESOLUTION

#: What can befall a worker's process.
KINDS = ("kill_worker", "end_worker", "hang_worker")

#: Seconds after which nobody may wait any more for a worker that hangs.
PATIENCE = SILENT + 2.0


class Surroundings(Protocol):
    """What it needs of its world."""

    reactor: SimReactor
    inside: Inside
    balancer: Any
    paused: float
    stopping_since: float | None

    def watch(self, worker: Any, pid: int) -> None:
        """Look into a worker from now on."""

    def violation(self, what: str) -> None:
        """Something must not be."""


class Staff:
    """All of them.

    Attributes:
        processes: Makes them.
        unserved: When there was nobody who serves: from when until when.
        killed: The numbers of those that were killed.
        hung: The numbers of those that hung.
        asked_to_end: Whether one was asked to end by somebody else than its parent.
    """

    def __init__(self, world: Surroundings, seed: int) -> None:
        """Prepare.

        Args:
            world: Has the parent.
            seed: Decides what is random in the processes.
        """
        self._world = world
        self.killed: set[int] = set()
        self.hung: set[int] = set()
        self.asked_to_end = False
        self.unserved: list[tuple[float, float]] = [(-inf, inf)]
        self.processes = Processes(world.reactor, seed, self._watch, self._unwatch, world.violation)

    @property
    def lag(self) -> float:
        """Seconds until all workers have heard of something: what was told before goes first."""
        return 8 * self.processes.latency + 0.001

    def strike(self, kind: str, number: int, seconds: float) -> bool:
        """Let something befall the process that has a worker's place.

        Args:
            kind: Of `KINDS`.
            number: Of the place.
            seconds: For how long it hangs.

        Returns:
            Whether there was one.
        """
        seats = self._world.balancer.control.seats
        occupant = seats[number % len(seats)].occupant
        process: Process | None = None if occupant is None else occupant.worker._process
        if process is None or not process.running or process.kernel.left_at < inf or process.hung:
            return False
        if kind == "kill_worker":
            process.signalProcess("KILL")
        elif kind == "hang_worker":
            self._hang(process, seconds)
        else:
            self.asked_to_end = True
            process.leave()
        return True

    def _hang(self, process: Process, seconds: float) -> None:
        world = self._world
        paused = world.paused = world.paused + min(seconds, PATIENCE) + RESOLUTION

        def over() -> None:
            ends = world.paused > paused or world.stopping_since is not None
            if seconds > PATIENCE and process.running and not ends:
                world.violation(f"worker {process.pid} hung for {seconds} s, and still runs")
            process.go_on()

        self.hung.add(process.pid)
        process.hang()
        world.reactor.call_at(world.reactor.now + seconds, over)

    @property
    def due(self) -> tuple[str, ...]:
        """What the parent has to say of workers that hang, if they do so for long enough."""
        return tuple(f"(process {pid}) has told nothing" for pid in self.hung)

    def moved(self) -> None:
        """The state of a worker has changed."""
        now, (since, until) = self._world.reactor.now, self.unserved[-1]
        if not self._world.inside.serving:
            if until < inf:
                self.unserved.append((now, inf))
        elif until == inf:
            self.unserved[-1] = (since, now)

    def _watch(self, worker: Any, process: Process) -> None:
        self._world.inside.workers.append(worker)
        self._world.watch(worker, process.pid)

    def _unwatch(self, process: Process) -> None:
        if process.kernel.killed:  # By its parent too, which waits for nobody for ever.
            self.killed.add(process.pid)
        if process.worker is not None:
            self._world.inside.workers.remove(process.worker)
