"""The life of a worker: from one process to the next, until all is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import attrs
from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

#: A process that served for this many seconds was well: what went wrong before is forgotten.
STABLE = 10.0

#: Seconds until the next try, after two ends in a row; twice as many after each further one. The
#: first end is not waited for at all.
FIRST, MOST = 1.0, 30.0

#: Seconds in which a process has to become ready.
PATIENCE = 30.0


class WorkerLife(Protocol):
    """What happens to a worker."""

    def start(self) -> None:
        """Make its first process."""

    def ready(self) -> None:
        """The process can serve."""

    def leaving(self) -> None:
        """The process was asked to end by somebody else, and drains: another takes its place."""

    def exited(self, how: str) -> None:
        """The process has ended."""

    def due(self) -> None:
        """The time for the next try has come."""

    def drain(self) -> None:
        """All ends: finish what runs."""


@attrs.define(eq=False)
class WorkerCore:
    """What the machine acts on.

    Attributes:
        number: The worker's, from 1.
        clock: Provides the time.
        spawn: Makes a process.
        stop: Asks the process to finish what runs.
        kill: Ends the process.
        moved: Is called when the state has changed.
        state: Of the machine, for people.
        since: When that changed last, in the clock's seconds.
        restarts: Processes made after the first one.
    """

    log = Logger()

    number: int
    clock: IReactorTime
    spawn: Callable[[], None]
    stop: Callable[[], None]
    kill: Callable[[], None]
    moved: Callable[[], None]
    state: str = "idle"
    since: float = 0.0
    restarts: int = -1
    _ends: deque[float] = attrs.field(factory=lambda: deque(maxlen=1000), init=False)

    def enter(self, state: str) -> None:
        """Note the state."""
        self.state, self.since = state, self.clock.seconds()
        self.moved()

    def ended(self, how: str) -> float:
        """Note the end of a process.

        Returns:
            Seconds until the next try.
        """
        now = self.clock.seconds()
        if self.state == "serving" and now - self.since >= STABLE:
            self._ends.clear()
        self._ends.append(now)
        times = len(self._ends)
        if times == 1:
            self.log.warn("worker {n} ended {how}; another one starts", n=self.number, how=how)
            return 0.0
        delay = min(FIRST * 2.0 ** min(times - 2, 10), MOST)
        self.log.error(
            "worker {n} ended {times} times within {within:.0f} s, {how}; next try in {delay:g} s",
            n=self.number,
            times=times,
            within=max(now - self._ends[0], 1.0),
            how=how,
            delay=delay,
        )
        return delay


def _give_up_later(life: WorkerLife, core: WorkerCore) -> IDelayedCall:
    """A process is made, and has to become ready in time."""
    core.restarts += 1
    patience = core.clock.callLater(PATIENCE, core.kill)
    core.spawn()
    core.enter("starting")
    return patience


def _respawn_later(life: WorkerLife, core: WorkerCore, how: str) -> IDelayedCall:
    """There is no process for now."""
    delay = core.ended(how)
    core.enter("backing off")
    return core.clock.callLater(delay, life.due)


def _stop_waiting(patience: IDelayedCall) -> None:
    """Wait no longer; if that was over, the process is killed, and may not have ended yet."""
    if patience.active():
        patience.cancel()


builder = TypeMachineBuilder(WorkerLife, WorkerCore)

idle = builder.state("idle")
starting = builder.state("starting", _give_up_later)
serving = builder.state("serving")
draining = builder.state("draining")
backing_off = builder.state("backing off", _respawn_later)
gone = builder.state("gone")

idle.upon(WorkerLife.start).to(starting).returns(None)
idle.upon(WorkerLife.drain).to(gone).returns(None)

backing_off.upon(WorkerLife.due, nodata=True).to(starting).returns(None)


@starting.upon(WorkerLife.ready).to(serving)
def serve(life: WorkerLife, core: WorkerCore, patience: IDelayedCall) -> None:
    """It is ready."""
    _stop_waiting(patience)
    core.enter("serving")


@starting.upon(WorkerLife.exited).to(backing_off)
def fail(life: WorkerLife, core: WorkerCore, patience: IDelayedCall, how: str) -> None:
    """It was never ready."""
    _stop_waiting(patience)


serving.upon(WorkerLife.exited).to(backing_off).returns(None)
serving.upon(WorkerLife.leaving).to(starting).returns(None)


@starting.upon(WorkerLife.drain).to(draining)
def stop_early(life: WorkerLife, core: WorkerCore, patience: IDelayedCall) -> None:
    """It will find the request when it is ready."""
    _stop_waiting(patience)
    core.enter("draining")
    core.stop()


@serving.upon(WorkerLife.drain).to(draining)
def stop(life: WorkerLife, core: WorkerCore) -> None:
    """It finishes what runs."""
    core.enter("draining")
    core.stop()


@draining.upon(WorkerLife.exited).to(gone)
def finish(life: WorkerLife, core: WorkerCore, how: str) -> None:
    """Nothing of it is left."""
    core.enter("gone")


@backing_off.upon(WorkerLife.drain).to(gone)
def give_up(life: WorkerLife, core: WorkerCore, due: IDelayedCall) -> None:
    """There is no process to wait for."""
    due.cancel()
    core.enter("gone")


for _ends in (draining, gone):
    _ends.upon(WorkerLife.drain).loop().returns(None)
    _ends.upon(WorkerLife.ready).loop().returns(None)
    _ends.upon(WorkerLife.leaving).loop().returns(None)

life_of = builder.build()
