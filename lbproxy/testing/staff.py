"""The workers of a world, if they are several: their processes, and what befalls those."""

from __future__ import annotations

from math import inf
from typing import Any, Protocol

from lbproxy.testing.inside import Inside
from lbproxy.testing.processes import Process, Processes
from lbproxy.testing.reactor import SimReactor

#: What can befall a worker's process.
KINDS = ("kill_worker", "end_worker")


class Surroundings(Protocol):
    """What it needs of its world."""

    reactor: SimReactor
    inside: Inside
    balancer: Any

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
        self.asked_to_end = False
        self.unserved: list[tuple[float, float]] = [(-inf, inf)]
        self.processes = Processes(world.reactor, seed, self._watch, self._unwatch, world.violation)

    @property
    def lag(self) -> float:
        """Seconds until all workers have heard of something: what was told before goes first."""
        return 8 * self.processes.latency + 0.001

    def strike(self, kind: str, number: int) -> bool:
        """Let something befall the process that has a worker's place; false if none has."""
        seats = self._world.balancer.control.seats
        occupant = seats[number % len(seats)].occupant
        process: Process | None = None if occupant is None else occupant.worker._process
        if process is None or not process.running or process.kernel.left_at < inf:
            return False
        if kind == "kill_worker":
            process.signalProcess("KILL")
        else:
            self.asked_to_end = True
            process.leave()
        return True

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
