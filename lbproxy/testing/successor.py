"""Another balancer takes the place of the first one, on the same listening sockets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from lbproxy.config.model import Config
from lbproxy.testing.guests import Guest, Street, guests_are_served
from lbproxy.testing.inside import Inside
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.nameserver import NameServer
from lbproxy.testing.peace import keeps_alive
from lbproxy.testing.plan import Takeover, Visit
from lbproxy.testing.processes import Process, Processes
from lbproxy.testing.streams.client import Follower
from lbproxy.testing.waiting import Watch
from lbproxy.testing.world import World

#: Seconds in which all who come are answered, whoever answers them.
PATIENCE = 60.0

#: Seconds in which a name is looked up before clients are accepted, whoever waits.
IN_TIME = 0.8

#: Seconds in which a balancer without clients ends.
PROMPT = 1.0


class Successor:
    """The second balancer, in processes of its own.

    Attributes:
        reactor: Its own, on the clock of all.
        inside: A look into it.
        names: What it asks for names, if its first pool has one.
        records: What its access log would have.
        kernels: Those of its processes.
    """

    def __init__(self, world: World, config: Config) -> None:
        """Start it."""
        from lbproxy.service import Balancer

        assert world.holder is not None
        seed = world.plan.seed
        self._violation = world.violation
        self.records: list[Any] = []
        kernel = Kernel()
        kernel.routes = world.network
        world.holder.pass_to(kernel)
        self.kernels = [kernel]
        self.reactor = world.reactor.fork(kernel, random.Random(f"successor's order {seed}"))
        self.names: NameServer | None = None
        if world.names is not None:
            chance = random.Random(f"successor's dns {seed}")
            self.names = NameServer(world, world.names.zone, chance, lambda: None)
        names: Any = self.names
        if config.workers > 1:
            Processes(self.reactor, ~seed, self._watch_process, self._unwatch, world.violation)
        self._balancer = Balancer(
            self.reactor,
            config,
            random.Random(f"successor {seed}"),
            resolver_of=lambda _: names,
        )
        self.inside = Inside(self._balancer)
        self._workers = config.workers
        self._drain = config.stop.drain
        for worker in self.inside.workers:
            self._watch(worker)
        self._balancer.privilegedStartService()
        self._balancer.startService()

    @property
    def serves(self) -> bool:
        """Whether all of it accepts clients."""
        return self.inside.accepting and self.inside.serving == self._workers

    @property
    def in_time(self) -> bool:
        """Whether it knew all names when it accepted clients."""
        asked = () if self.names is None else self.names.look_ups[:1]
        return all(each.ended is not None and each.ended - each.asked < IN_TIME for each in asked)

    def end(self, world: World) -> Iterator[str]:
        """Have it end, which it does at once, since there is no client; and leave nothing."""
        told = world.reactor.now
        ended: list[float] = []
        self._balancer.stopService().addCallback(lambda _: ended.append(self.reactor.now))
        world.reactor.run_until(told + self._drain + 2 * PROMPT, lambda: ended)
        if not ended or ended[0] > told + PROMPT:
            yield f"the successor had not ended {PROMPT} s after it was told to"
        world.reactor.run_until(told + PATIENCE, lambda: not self.reactor.pending())
        for left in self.inside.left():
            yield f"after the end of the successor there is {left}"
        for pending in self.reactor.pending():
            yield f"after the end of the successor there waits {pending}"
        sockets = sum(len(kernel.sockets) for kernel in self.kernels)
        if sockets:
            yield f"after the end of the successor {sockets} sockets are open"
        watched = [*self.reactor.getReaders(), *self.reactor.getWriters()]
        if watched:
            yield f"after the end of the successor there is watched {watched}"
        world.reactor.reap(self.reactor)

    def _watch(self, worker: Any) -> None:
        def record(record: Any, ended: float) -> None:
            record.line(ended)
            self.records.append(record)

        self.inside.on_record(record, worker)
        Watch(worker, self._violation)

    def _watch_process(self, worker: Any, process: Process) -> None:
        self.kernels.append(process.kernel)
        self.inside.workers.append(worker)
        self._watch(worker)

    def _unwatch(self, process: Process) -> None:
        if process.worker is not None:
            self.inside.workers.remove(process.worker)


def takes_over(world: World) -> Iterator[str]:
    """It does so in the planned order, and then ends as well."""
    takeover = world.plan.takeover
    config = world.operator.config
    if takeover is None or not any(each.weight for each in config.pools[0].backends):
        return
    reactor, clock = world.reactor, world.clock
    street = Street(world, len(takeover.visits))
    successors: list[Successor] = []

    def come(visit: Visit) -> None:
        kind = Follower if visit.manner == "follows" else Guest
        guest = kind(street, visit)
        world.guests.append(guest)
        guest.begin()

    def start() -> None:
        world.tell("the successor starts")
        successors.append(Successor(world, config))

    for visit in takeover.visits:
        world.asks |= {ask.number: ask for ask in visit.asks}
        clock.callLater(visit.start, come, visit)
    _schedule(world, takeover, start)
    reactor.run_until(
        reactor.now + PATIENCE,
        lambda: (
            not street.absent and successors and successors[0].serves and world.ended_at is not None
        ),
    )
    for successor in successors:
        if not successor.serves:
            yield f"the successor does not serve after {PATIENCE} s"
        yield from successor.end(world)
        sure = keeps_alive(world) and successor.in_time
        yield from guests_are_served(world, successor.records, successor.kernels, sure)
        world.happened(takeover.kind)


def _schedule(world: World, takeover: Takeover, start: Callable[[], None]) -> None:
    """Have the one started and the other told to end, in the planned order."""
    later = world.clock.callLater

    def end() -> None:
        world.drain()
        if takeover.kind == "taken_over_behind":
            assert world.stopped is not None
            world.stopped.addCallback(lambda _: later(takeover.between, start) and None)

    if takeover.kind != "taken_over_behind":
        later(takeover.begin, start)
    if takeover.pause:
        later(max(0.0, takeover.told - takeover.pause), world.pause, takeover.pause)
    later(takeover.told, end)
