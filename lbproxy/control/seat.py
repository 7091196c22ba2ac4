"""A worker's place, and the processes that take it one after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from lbproxy.control.life import WorkerCore, WorkerLife, life_of
from lbproxy.control.link import Load, Names, WorkerEnd, WorkerReport, Workers
from lbproxy.observe.metrics import Counts

#: Looks in a row, one a second, between which a worker tells nothing before it counts as hung. They
#: are counted, not timed: a machine that has stood still for a minute makes one look behind it.
SILENT = 10


class Judge(Protocol):
    """What the workers tell is for; the parent."""

    def welcome(self, occupant: Occupant) -> None:
        """A worker could serve: tell it all."""

    def suspect(self, names: Names) -> None:
        """A backend has refused a connection of live traffic."""

    def outlier(self, names: Names) -> None:
        """Live traffic speaks against a backend."""

    def counted(self, counts: Counts) -> None:
        """Something was counted; the loads may have changed."""

    def moved(self) -> None:
        """The state of a worker has changed."""


class Occupant:
    """One worker, from its start to its end: what it tells goes through here (`ParentEnd`).

    Attributes:
        worker: It, once it is made.
        load: What it has to do.
        queues: Those that it accepts clients from.
        silent: For how many looks it has told nothing; `None` until it could serve.
    """

    worker: WorkerEnd

    def __init__(self, seat: Seat, judge: Judge) -> None:
        self._seat = seat
        self._judge = judge
        self.load = Load()
        self.queues: frozenset[int] = frozenset()
        self.addresses: Mapping[str, str] = {}
        self.silent: int | None = None

    @property
    def serving(self) -> bool:
        """Whether it holds its seat and is well."""
        return self._seat.occupant is self and self._seat.state == "serving"

    def ready(self, addresses: Mapping[str, str]) -> None:
        """It could accept clients."""
        self.addresses, self.silent = addresses, 0
        self._judge.welcome(self)
        if self._seat.occupant is self:
            self._seat.life.ready()

    def listening(self, addresses: Mapping[str, str]) -> None:
        """It accepts clients elsewhere than before."""
        self.addresses = addresses
        self._judge.moved()

    def suspect(self, names: Names) -> None:
        """A backend has refused a connection of live traffic."""
        self._judge.suspect(names)

    def outlier(self, names: Names) -> None:
        """Live traffic speaks against a backend."""
        self._judge.outlier(names)

    def counted(self, counts: Counts, load: Load) -> Deferred[Any]:
        """What it has counted since the last time, and what it has to do."""
        self.load, self.silent = load, 0
        self._judge.counted(counts)
        return succeed(None)

    def leaving(self) -> None:
        """Somebody else has asked it to end."""
        if self.serving:
            self._seat.life.leaving()

    def exited(self, how: str) -> None:
        """It has ended."""
        self.load, self.queues = Load(), frozenset()
        self._seat.exited(self, how)


class Seat:
    """A worker's place.

    Attributes:
        number: From 0.
        life: Its machine.
        occupant: Who has it; `None` while nobody does.
        leavers: Those that had it, and still finish what they have begun.
    """

    log = Logger()

    def __init__(self, number: int, clock: IReactorTime, judge: Judge, workers: Workers) -> None:
        self.number = number
        self.occupant: Occupant | None = None
        self.leavers: list[Occupant] = []
        self._judge = judge
        self._workers = workers
        self._core = WorkerCore(
            number + 1,
            clock,
            self._take,
            self._stop,
            self._kill,
            judge.moved,
            since=clock.seconds(),
        )
        self.life: WorkerLife = life_of(self._core)

    @property
    def state(self) -> str:
        """Of its life."""
        return self._core.state

    @property
    def occupants(self) -> list[Occupant]:
        """All that run."""
        return self.leavers if self.occupant is None else [self.occupant, *self.leavers]

    @property
    def empty(self) -> bool:
        """Whether nothing runs here, and nothing will."""
        return self.state in ("idle", "gone") and not self.occupants

    def report(self) -> WorkerReport:
        """How it is, for people."""
        core, occupant = self._core, self.occupant
        pid = None if occupant is None else occupant.worker.pid
        return WorkerReport(core.number, pid, core.state, core.since, max(core.restarts, 0))

    def look(self) -> None:
        """Kill who tells nothing any more, though each tells every second what it has counted."""
        for occupant in self.occupants:
            if occupant.silent is None:
                continue
            occupant.silent += 1
            if occupant.silent == SILENT:
                self.log.error(
                    "worker {n} (process {pid}) has told nothing for {seconds} s, and is killed",
                    n=self.number + 1,
                    pid=occupant.worker.pid,
                    seconds=SILENT,
                )
                occupant.worker.kill()

    def exited(self, occupant: Occupant, how: str) -> None:
        """One of those that had the seat has ended."""
        if occupant in self.leavers:
            self.leavers.remove(occupant)
            self._judge.moved()
        elif occupant is self.occupant:
            self.occupant = None
            self.life.exited(how)

    def _take(self) -> None:
        if self.occupant is not None:  # It leaves, and is waited for.
            self.leavers.append(self.occupant)
        self.occupant = occupant = Occupant(self, self._judge)
        occupant.worker = self._workers.spawn(self.number, occupant)
        occupant.worker.start()

    def _stop(self) -> None:
        if self.occupant is not None:
            self.occupant.worker.drain()

    def _kill(self) -> None:
        if self.occupant is not None:
            self.occupant.worker.kill()
