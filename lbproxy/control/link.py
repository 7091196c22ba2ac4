"""What the parent and its workers tell each other, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred

from lbproxy.balance.standing import Standing
from lbproxy.config.model import Config, Pool
from lbproxy.observe.metrics import Counts

#: A pool and one of its backends, by name: so what is said of them outlives the objects.
Names = tuple[str, str]

#: The descriptors of a worker's process that are always there; the log and the sockets follow.
STDIN, STDOUT, STDERR, LINK, DUTY, FREE = range(6)


@attrs.frozen
class Duty:
    """What a worker is to do; the same for each of them.

    Attributes:
        config: What to serve: with the worker's share of what is limited.
        workers: How many there are.
        started: When the balancer started, in the clock's seconds.
        queues: For each listener the descriptors of its listening sockets, in the order of the
            config: one for each worker, or one that all share. Empty if the worker is to bind.
        access_log: The descriptor of the access log, or `None` to open it.
    """

    config: Config
    workers: int = 1
    started: float = 0.0
    queues: tuple[tuple[int, ...], ...] = ()
    access_log: int | None = None


@attrs.frozen
class Load:
    """What a worker has to do at present.

    Attributes:
        in_flight: Attempts under way at each backend that has any.
        waiting: Requests that wait in each pool's queue, by its name.
        clients: Open connections.
        alike: In which way all backends of each pool fail, as `Pool.alike` has it; by its name.
        breakers: The state of the breaker of each pool that has one, by its name.
    """

    in_flight: Mapping[Names, int] = attrs.field(factory=dict)
    waiting: Mapping[str, int] = attrs.field(factory=dict)
    clients: int = 0
    alike: Mapping[str, str] = attrs.field(factory=dict)
    breakers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class WorkerReport:
    """How a worker is, for people.

    Attributes:
        worker: Its number, from 1.
        pid: Of its process; `None` while there is none.
        state: The state of its life.
        since: When that changed last, in the clock's seconds.
        restarts: How often another process has taken its place.
    """

    worker: int
    pid: int | None
    state: str
    since: float
    restarts: int


@attrs.frozen
class Whole:
    """What a worker is told of the others, so that it can report on all of them.

    Attributes:
        workers: All of them.
        elsewhere: Attempts that are under way in other workers, as in `Load.in_flight`.
    """

    workers: tuple[WorkerReport, ...] = ()
    elsewhere: Mapping[Names, int] = attrs.field(factory=dict)


class WorkerEnd(Protocol):
    """A worker, as its parent sees it: itself, or the other end of a channel.

    Attributes:
        pid: Of its process.
    """

    pid: int

    def start(self) -> None:
        """Begin; the parent hears when it could serve."""

    def serve(self, config: Config, standings: Mapping[Names, Standing]) -> None:
        """Serve by another config from now on; and how all of its backends stand."""

    def reopen(self) -> None:
        """Write the access log to a new file, if there is one."""

    def learn(self, names: Names, standing: Standing) -> None:
        """A backend's standing has changed."""

    def accept(self, queues: frozenset[int]) -> None:
        """Accept clients from the queues of these workers, and from no others."""

    def hear(self, whole: Whole) -> None:
        """What there is to report of the others."""

    def count(self) -> Deferred[Any]:
        """Tell what has been counted now. Fires when that is done."""

    def drain(self) -> None:
        """Finish what runs, then end."""

    def end(self) -> None:
        """End what runs now, whole or not, and then itself."""

    def kill(self) -> None:
        """End, even if it does not listen any more."""


class Workers(Protocol):
    """Who makes workers."""

    def prepare(self, config: Config) -> None:
        """Open the listeners that are new in a config.

        Raises:
            ConfigError: If that is not possible; then none is opened.
        """

    def give_up(self) -> None:
        """Close what `prepare` has opened."""

    def reopen(self) -> None:
        """Open the access log anew.

        Raises:
            OSError: If it cannot be written; then the one before is gone on with.
        """

    def adopt(self, config: Config) -> None:
        """Make workers for this config from now on; close what is not in it.

        All workers that there are hear of it now, before anything else.
        """

    def spawn(self, number: int, occupant: Any) -> WorkerEnd:
        """Make a worker, given its number, from 0, and its parent's end; it is to be started."""


class ParentEnd(Protocol):
    """The parent, as one of its workers sees it: itself, or the other end of a channel."""

    def ready(self, addresses: Mapping[str, str]) -> None:
        """The worker could accept clients; and where each listener does, for people."""

    def listening(self, addresses: Mapping[str, str]) -> None:
        """The same, of other listeners than before."""

    def suspect(self, names: Names) -> None:
        """A backend has refused a connection of live traffic."""

    def outlier(self, names: Names) -> None:
        """Live traffic speaks against a backend."""

    def counted(self, counts: Counts, load: Load) -> Deferred[Any]:
        """What has been counted since the last time. Fires when the parent has it."""

    def leaving(self) -> None:
        """The worker was asked by somebody else to end, and drains."""


def share(config: Config, workers: int) -> Config:
    """The config of one of several workers, each of which has its part of what is limited.

    A part is rounded up, so that nobody's is nothing.
    """

    def part(number: int) -> int:
        return -(-number // workers)

    def of(pool: Pool) -> Pool:
        queue = attrs.evolve(pool.queue, length=part(pool.queue.length))
        hold = pool.hold_when_down
        if hold is not None:
            hold = attrs.evolve(hold, requests=part(hold.requests))
        limit = part(pool.max_in_flight)
        return attrs.evolve(pool, max_in_flight=limit, queue=queue, hold_when_down=hold)

    return attrs.evolve(config, pools=tuple(of(pool) for pool in config.pools))
