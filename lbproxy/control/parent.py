"""The control plane: probes and judges the backends, tells the workers, adds up what they count."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.balance.backend import Backend
from lbproxy.balance.balancer import Balancer
from lbproxy.balance.pool import Pool
from lbproxy.balance.registry import balancer_for, same_policy
from lbproxy.balance.standing import Standing
from lbproxy.config import model
from lbproxy.config.model import Config
from lbproxy.control import lookup, report
from lbproxy.control.judged import Judged
from lbproxy.control.link import Names, Whole, Workers, share
from lbproxy.control.overrides import Overrides
from lbproxy.control.seat import Occupant, Seat
from lbproxy.discovery.members import configured_name, goes_by
from lbproxy.errors import UnknownBackend
from lbproxy.health.breaker import worst
from lbproxy.observe.metrics import EJECTIONS, Counts
from lbproxy.plugins import balancer_maker
from lbproxy.probe.checks import Check

#: Seconds from one word to the workers about the others to the next.
TICK = 1.0

#: Seconds that workers get to tell what they have counted, when somebody asks.
PATIENCE = 0.5

#: Seconds beyond `stop.drain` after which a worker that has not ended is killed.
GRACE = 5.0


class Parent(Service):
    """Knows the whole, and has the workers know it.

    Attributes:
        config: What is served.
        started: When the balancer started, in the clock's seconds.
        overrides: What people have changed since.
        counts: What all workers have counted.
        draining: Whether all ends.
        seats: The workers' places.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        config: Config,
        check_of: Callable[[Config, model.Pool], Check],
        chance: random.Random,
        workers: Workers,
        known: Callable[[], Deferred[None]],
    ) -> None:
        """Prepare; nothing is probed yet and no worker is made.

        Args:
            clock: Provides the time.
            config: What is served.
            check_of: What probes a pool's backends.
            chance: All chance is drawn from it.
            workers: Makes them.
            known: Fires when the names of backends have been looked up, or after a while.

        Raises:
            ConfigError: If a user's own policy or probe cannot be made.
        """
        self._clock = IReactorTime(clock)
        self.config = config
        self.started = self._clock.seconds()
        self._check_of = check_of
        self._chance = chance
        self._workers = workers
        self._known = known
        policies = self._policies(config, {})
        self._judged = {
            pool.name: self._judge(pool, policies[pool.name], check_of(config, pool))
            for pool in config.pools
        }
        self._unserved: frozenset[Names] = frozenset()
        self._turn = DeferredLock()
        self.counts = Counts()
        self.draining = False
        self.seats = [Seat(number, clock, self, workers) for number in range(config.workers)]
        self.overrides = Overrides(self._clock, self._weigh)
        self._accepting = False
        self._announced: dict[str, str] = {}
        self._tick = LoopingCall(self._look_round)
        self._tick.clock = clock
        self._emptied: Deferred[None] | None = None
        self._hard_stop: IDelayedCall | None = None

    # The service.

    def startService(self) -> None:
        """Probe, and make the workers; they accept when each backend has its first verdict."""
        super().startService()
        for judged in self._judged.values():
            judged.start()
        self._tick.start(TICK, now=False).addErrback(self._broke)
        for seat in self.seats:
            seat.life.start()
        first = self._turn.run(self._first_rounds)
        first.addCallback(lambda _: self._known())
        # What has become known is served before: whoever had to wait for that has the turn first.
        first.addCallback(lambda _: self._turn.run(self._accept))
        first.addErrback(lambda failure: self.log.failure("cannot accept", failure))

    def check(self, config: Config) -> None:
        """See whether a config can be served, before anything is done for it.

        Args:
            config: As it was read: its names may stand for more than one backend each.

        Raises:
            ConfigError: As `serve` would.
        """
        self._policies(config, {})
        for pool in config.pools:
            self._check_of(config, pool)

    def serve(self, config: Config) -> Deferred[None]:
        """Have another config served from now on, one after the other.

        It is probed who is new before any worker hears of him. What people have changed holds on.
        Once all ends, no config is served any more.

        Args:
            config: All of it can be had: see `Workers.prepare`.

        Raises:
            ConfigError: If a file that probes need cannot be read, or a user's own policy or probe
                not be made; then nothing has changed.
        """
        return self._turn.run(lambda: Deferred.fromCoroutine(self._serve(config)))

    def reopen(self) -> None:
        """Have the access log opened anew."""
        for occupant in self._occupants():
            occupant.worker.reopen()

    def drain(self) -> Deferred[None]:
        """Have the workers finish what runs. Fires when the last one has ended."""
        self.draining = True
        self._emptied = emptied = Deferred[None]()
        patience = self.config.stop.drain + GRACE
        self._hard_stop = self._clock.callLater(patience, self._kill_all)
        for seat in self.seats:
            seat.life.drain()
        self._look_for_the_last()
        return emptied

    def end_now(self) -> None:
        """Have the workers end what runs, whole or not."""
        for occupant in self._occupants():
            occupant.worker.end()

    def stopService(self) -> Deferred[None]:
        """Give up the probes. Fires when they have ended."""
        super().stopService()
        if self._tick.running:
            self._tick.stop()
        self.overrides.close()
        stopped = gatherResults([judged.stop() for judged in self._judged.values()])
        return stopped.addCallback(lambda _: None)

    # What the workers tell, each through its `Occupant`.

    def welcome(self, occupant: Occupant) -> None:
        """A worker could serve: tell it all."""
        for judged in self._judged.values():
            for names, standing in judged.standings().items():
                if names not in self._unserved:
                    occupant.worker.learn(names, standing)

    def suspect(self, names: Names) -> None:
        """A backend has refused a connection of live traffic."""
        with suppress(UnknownBackend):
            pool, backend = self.find(names[1], names[0])
            pool.suspect(backend)

    def outlier(self, names: Names) -> None:
        """Live traffic speaks against a backend."""
        with suppress(UnknownBackend):
            pool, backend = self.find(names[1], names[0])
            pool.eject(backend, self._clock.seconds())

    def counted(self, counts: Counts) -> None:
        """A worker has counted something, and told its load."""
        self.counts.add(counts)
        in_flight = _in_flight(self._occupants())
        for judged in self._judged.values():
            for backend in judged.pool.backends:
                backend.in_flight = in_flight.get(judged.names(backend), 0)
        self._hear_of_pools()

    def moved(self) -> None:
        """The state of a worker has changed: all hear of it, and queues get who serves them."""
        self._share_queues()
        self._tell_whole()
        self._look_for_the_last()

    # What is asked from outside.

    def fresh(self) -> Deferred[bool]:
        """Have the workers tell what they have counted. Fires when they have, or after a while.

        Those who tell have heard before of all that was decided here until now.

        Returns:
            Whether all have told.
        """

        def ask(occupant: Occupant) -> Deferred[Any]:
            return occupant.worker.count().addTimeout(PATIENCE, self._clock)

        asked = DeferredList([ask(each) for each in self._occupants()], consumeErrors=True)
        return asked.addCallback(lambda told: all(succeeded for succeeded, _ in told))

    def find(self, backend: str, pool: str | None = None) -> tuple[Pool, Backend]:
        """A backend by its name, and by its pool's name where several pools have one.

        Raises:
            UnknownBackend: If there is none.
            AmbiguousBackend: If the pool is not told, and there are several.
        """
        among, found = lookup.found(self.pools, backend, pool, lambda each: each == backend)
        return among, found[0]

    def named(self, name: str, pool: str | None = None) -> tuple[Pool, list[Backend]]:
        """All backends that a name means: one, or the members of one in the config.

        Raises:
            UnknownBackend: If there is none.
            AmbiguousBackend: If the pool is not told, and there are several.
        """
        return lookup.found(self.pools, name, pool, lambda each: goes_by(each, name))

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where the workers accept clients, by the listener's name, as they have told."""
        told = (occupant.addresses for occupant in self._occupants())
        return next(filter(None, told), {})

    def document(self) -> dict[str, Any]:
        """What the health report says."""
        workers = [seat.report() for seat in self.seats]
        return report.document(self.pools, self.started, self.now, self.draining, workers)

    def health(self) -> tuple[int, bytes]:
        """The health report: status and document."""
        return report.health(self.document())

    @property
    def now(self) -> float:
        """The present time, in the clock's seconds."""
        return self._clock.seconds()

    @property
    def pools(self) -> list[Pool]:
        """As judged here, in the order of the config: no request is served from them."""
        return [judged.pool for judged in self._judged.values()]

    def alike(self, pool: Pool) -> str:
        """In which way all backends of a pool fail; empty if they do not."""
        return self._judged[pool.name].alike

    # The rest is ours.

    def _judge(self, pool: model.Pool, balancer: Balancer, check: Check) -> Judged:
        return Judged(self._clock, pool, balancer, check, self._chance, self._tell, self._ejected)

    def _policies(self, config: Config, before: Mapping[str, model.Pool]) -> dict[str, Balancer]:
        """The policies that are to be other ones than before, made of what a worker makes them of.

        So what keeps a user's own from being made is known before any worker hears of the config.
        """
        return {
            pool.name: balancer_for(pool, self._chance, balancer_maker)
            for pool in share(config, config.workers).pools
            if pool.name not in before or not same_policy(before[pool.name], pool)
        }

    async def _serve(self, config: Config) -> None:
        if not self.draining:
            self._judge_by(config)
            await self._first_rounds()
        if self.draining:
            return
        self._unserved = frozenset()
        there = _addresses(config)
        # Where addresses come and go there would be no end of their series.
        self.counts.keep(lambda names: names in there or configured_name(names[1]) == names[1])
        self.overrides.keep(there)
        standings: dict[Names, Standing] = {}
        for judged in self._judged.values():
            for backend in judged.pool.backends:
                self._give_weight(judged, backend)
            standings |= judged.standings()
        self._workers.adopt(config)
        for occupant in self._occupants():
            occupant.worker.serve(config, standings)

    def _judge_by(self, config: Config) -> None:
        """Probe by another config, of which the workers do not know yet."""
        before = self._judged
        pools = share(self.config, config.workers).pools
        policies = self._policies(config, {pool.name: pool for pool in pools})
        checks = {pool.name: self._check_of(config, pool) for pool in config.pools}
        self._judged = {
            pool.name: before.get(pool.name)
            or self._judge(pool, policies[pool.name], checks[pool.name])
            for pool in config.pools
        }
        served, there = _addresses(self.config), _addresses(config)
        self._unserved = frozenset(
            names for names, where in there.items() if served.get(names) != where
        )
        self.overrides.follow(served, there)
        self.config = config
        for pool in config.pools:
            if pool.name in before:
                judged = before.pop(pool.name)
                judged.reconfigure(pool, policies.get(pool.name), checks[pool.name])
            else:
                self._judged[pool.name].start()
        for gone in before.values():
            gone.stop()
        for judged in self._judged.values():  # Who joins a name that is drained is so at once.
            for backend in judged.pool.backends:
                if judged.names(backend) in self._unserved:
                    self._give_weight(judged, backend)

    def _first_rounds(self) -> Deferred[Any]:
        return gatherResults([judged.first_round() for judged in self._judged.values()])

    def _accept(self) -> None:
        self._accepting = True
        self._share_queues()

    def _share_queues(self) -> None:
        """Give each worker its queue; that of a worker which does not serve goes to another one."""
        serving = [seat.occupant for seat in self.seats if seat.occupant and seat.occupant.serving]
        if not (self._accepting and serving) or self.draining:
            return
        wanted: dict[Occupant, set[int]] = {occupant: set() for occupant in self._occupants()}
        for seat in self.seats:
            own = seat.occupant
            takes = own if own in serving else serving[seat.number % len(serving)]
            assert takes is not None
            wanted[takes].add(seat.number)
        for occupant, queues in wanted.items():
            if occupant.queues != queues:
                occupant.queues = frozenset(queues)
                occupant.worker.accept(occupant.queues)
        for name, address in serving[0].addresses.items():
            if self._announced.get(name) != address:
                self.log.info("{name} listens on {address}", name=name, address=address)
        self._announced = dict(serving[0].addresses)

    def _hear_of_pools(self) -> None:
        """What only workers know of a pool as a whole."""
        loads = [occupant.load for occupant in self._occupants()]
        for name, judged in self._judged.items():
            judged.hear_alike(load.alike.get(name, "") for load in loads)
            judged.pool.breaker = worst({load.breakers.get(name, "") for load in loads} - {""})

    def _tell(self, names: Names, standing: Standing) -> None:
        if names in self._unserved:  # Workers may have somebody else of that name.
            return
        for occupant in self._occupants():
            occupant.worker.learn(names, standing)

    def _ejected(self, names: Names) -> None:
        self.counts.of((EJECTIONS, *names))[0] += 1

    def _weigh(self, names: Names) -> None:
        with suppress(UnknownBackend):  # It may be gone from a config that is not served yet.
            _, backends = self.named(names[1], names[0])
            judged = self._judged[names[0]]
            for backend in backends:
                self._give_weight(judged, backend)
                judged.tell(backend)

    def _give_weight(self, judged: Judged, backend: Backend) -> None:
        config = backend.config
        names = judged.names(backend)
        weight = self.overrides.weight(names, config.weight, config.record_weight)
        judged.weigh(backend, weight)

    def _look_round(self) -> None:
        for seat in self.seats:
            seat.look()
        self._tell_whole()

    def _tell_whole(self) -> None:
        workers = tuple(seat.report() for seat in self.seats)
        for occupant in self._occupants():
            others = [each for each in self._occupants() if each is not occupant]
            occupant.worker.hear(Whole(workers, _in_flight(others)))

    def _occupants(self) -> Iterable[Occupant]:
        return [occupant for seat in self.seats for occupant in seat.occupants]

    def _kill_all(self) -> None:
        for occupant in self._occupants():
            occupant.worker.kill()

    def _look_for_the_last(self) -> None:
        if self._emptied is None or not all(seat.empty for seat in self.seats):
            return
        emptied, self._emptied = self._emptied, None
        if self._hard_stop is not None and self._hard_stop.active():
            self._hard_stop.cancel()
        emptied.callback(None)

    def _broke(self, failure: Failure) -> None:
        """A LoopingCall dies of an exception: begin anew."""
        self.log.failure("telling the workers failed", failure)
        if self.running:
            self._tick.start(TICK, now=False).addErrback(self._broke)


def _in_flight(occupants: Iterable[Occupant]) -> Counter[Names]:
    """What all of them together have under way at each backend."""
    together: Counter[Names] = Counter()
    for occupant in occupants:
        together.update(occupant.load.in_flight)
    return together


def _addresses(config: Config) -> dict[Names, str]:
    """Where each backend is."""
    return {(pool.name, each.name): each.address for pool in config.pools for each in pool.backends}
