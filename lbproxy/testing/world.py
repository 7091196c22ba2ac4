"""A balancer with its clients and backends, on one clock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

from lbproxy.balance import pool as balance
from lbproxy.balance.standing import State
from lbproxy.config import model
from lbproxy.config.model import Config
from lbproxy.control.link import share
from lbproxy.testing import changes, faults
from lbproxy.testing.backends import Backend, Delivery
from lbproxy.testing.changes import Change, Weights
from lbproxy.testing.clients import Client, Result
from lbproxy.testing.inside import Inside
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.network import FakeNetwork
from lbproxy.testing.orders.desk import Desk
from lbproxy.testing.orders.shopper import Book, Shopper
from lbproxy.testing.plan import Plan, Visit
from lbproxy.testing.reactor import EPOCH, SimReactor
from lbproxy.testing.reloads import Reload, loosest
from lbproxy.testing.serving import Service
from lbproxy.testing.sessions import NARROW, SessionClient, SessionService
from lbproxy.testing.staff import Staff
from lbproxy.transport.connection import HIGH_WATER
from lbproxy.transport.transfer import PIECE

#: Violations that are kept: what follows the first ones is mostly their consequence.
ENOUGH = 20


#: Seconds in which what was done at an instant has been heard: in any order with what else is due.
MOMENT = 1e-6

#: Bytes that may wait for one who does not read: what makes its source pause, and one read more.
MOST_HELD = HIGH_WATER + PIECE


def weights_of(config: Config) -> dict[str, int]:
    """The weights of the first pool, by the names of its backends."""
    return {each.name: each.weight for each in config.pools[0].backends}


def _ever(configs: tuple[Config, ...]) -> tuple[model.Backend, ...]:
    """All backends that the first pool has at some time."""
    found = {each.name: each for config in configs for each in config.pools[0].backends}
    return tuple(found.values())


#: Clients that are no `Client`, by their manner.
_KINDS: dict[str, Any] = {"session": SessionClient, "shops": Shopper}


@attrs.frozen
class Turn:
    """A change of a backend's state, as the balancer judged it.

    Attributes:
        at: When.
        backend: Its name.
        state: The new one.
        until: When it is to be let back, if it is ejected.
    """

    at: float
    backend: str
    state: State
    until: float


@attrs.frozen
class Probed:
    """The end of a probe, as the balancer judged it.

    Attributes:
        at: When.
        backend: Its name.
        passed: Whether it is well.
        up: The verdict then.
    """

    at: float
    backend: str
    passed: bool
    up: bool


class World:
    """The whole of the balancer, unchanged, and all that it meets.

    Attributes:
        plan: What is to happen.
        reactor: Time.
        network: What lies between.
        balancer: The service, as `twistd` would run it.
        inside: A look into it.
        backends: Those of its first pool, which is asked by HTTP.
        struck: All that something can befall: those of its second pool too, which has sessions.
        asks: All requests, by number.
        clients: Those that have come.
        desk: Where all backends keep orders.
        book: What shoppers did and were told of those.
        deliveries: For each request those that reached a backend.
        records: What the access log would have, and when each of it ended.
        recorded: The same, by the worker's process.
        config: What is to be served at present.
        pools: All that there are, with all backends that are in them at some time.
        pool: The first one, with the greatest of its limits.
        served: The config as each worker has it, with its part of what is limited.
        staff: The workers' processes, if they have some.
        turns: Changes of state.
        stopped: What the service gave when it was told to end.
        stopping_since: When that was.
        ended_at: When it had ended.
        paused: Seconds for which its process stood still, together.
        probed: Probes that have ended.
        weights: Those that the backends of the first pool have to have.
        most_held: Requests that were held at a time while no backend could take anything.
        counts: How often each kind of fault happened.
        violations: What must not have happened, and did.
        trace: What happened: when, in which turn, and what.
    """

    def __init__(self, plan: Plan) -> None:
        """Build all; nothing starts yet."""
        from lbproxy.service import Balancer

        self.plan = plan
        self.config = plan.config
        self.pool = loosest(plan.configs)
        raw = plan.config.pools[1]
        self.pools = (attrs.evolve(self.pool, backends=_ever(plan.configs)), raw)
        self.served = share(attrs.evolve(plan.config, pools=self.pools), plan.config.workers)
        self.chance = random.Random(f"world {plan.seed}")
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.trace: list[tuple[Any, ...]] = []
        self.asks = {ask.number: ask for visit in plan.visits for ask in visit.asks}
        self.clients: list[Client | SessionClient | Shopper] = []
        self.desk, self.book = Desk(), Book()
        self.deliveries: dict[int, list[Delivery]] = {}
        self.records: list[tuple[Any, float]] = []
        self.turns: list[Turn] = []
        self.probed: list[Probed] = []
        self.weights = Weights(weights_of(plan.config))
        self.most_held = 0
        self.stopped: Deferred[None] | None = None
        self.stopping_since: float | None = None
        self.ended_at: float | None = None
        self.paused = 0.0
        self._absent = len(plan.visits)
        kernel = Kernel()
        self.reactor = SimReactor(kernel, random.Random(f"order {plan.seed}"))
        cuts = random.Random(f"cuts {plan.seed}")
        self.network = FakeNetwork(kernel, cuts, lambda: cuts.choice(plan.shapes), self.tell)
        self.clock: Any = self.reactor
        self.staff = Staff(self, plan.seed) if plan.config.workers > 1 else None
        self.balancer = Balancer(
            self.reactor,
            plan.config,
            random.Random(f"balancer {plan.seed}"),
            read=lambda: self.config,
        )
        self.inside = Inside(self.balancer)
        self.recorded: dict[int, list[tuple[Any, float]]] = {}
        for worker in self.inside.workers:
            self.watch(worker, 0)
        if self.staff is not None:
            self.inside.on_staff(self.staff.moved)
        self.inside.on_turn(self._turned, self._ended_probe)
        self.backends = [
            Backend(each.name, self, plan.keep_alive, Service) for each in self.pools[0].backends
        ]
        self.struck = list(self.backends)
        for config in raw.backends:
            backend = Backend(config.name, self, 0.0, SessionService)
            backend.host.most = NARROW
            self.struck.append(backend)
        addresses = [each.address for pool in self.pools for each in pool.backends]
        for address, backend in zip(addresses, self.struck, strict=True):
            host, _, port = address.rpartition(":")
            self.network.hosts[host, int(port)] = backend.host

    # What its inhabitants need.

    def tell(self, *what: object) -> None:
        """Note something in the trace."""
        self.trace.append((round(self.reactor.now - EPOCH, 6), self.reactor.turns, *what))

    def happened(self, kind: str) -> None:
        """Count a fault that really happened."""
        self.counts[kind] += 1
        if kind in ("slow_reader", "reads_late"):
            for held in self.inside.held():
                if held > MOST_HELD:
                    self.violation(f"{held} bytes wait for one who does not read")

    def violation(self, what: str) -> None:
        """Something must not be."""
        if len(self.violations) < ENOUGH:
            self.violations.append(f"{self.reactor.now - EPOCH:.6f} {what}")
        self.tell("VIOLATION", what)

    def dial(self, visit: Visit, receiver: Any, refused: Callable[[], None]) -> None:
        """Connect a client to the balancer."""
        name = "raw" if visit.manner == "session" else "announced" if visit.announced else "web"
        endpoints = {each.name: each.endpoint for each in self.plan.config.listeners}
        port = int(endpoints[name].rpartition(":")[2])
        source = f"10.0.2.{visit.number % 250 + 1}"
        self.network.dial(port, source, visit.shape, receiver, refused)

    def visited(self, client: object) -> None:
        """A client has nothing more to do."""
        self._absent -= 1

    def delivered(self, delivery: Delivery) -> int:
        """Note a delivery, and look at once at what is only true now."""
        name, number = delivery.backend, delivery.ask.number
        self.tell("delivered", name, number)
        all_of_it = self.deliveries.setdefault(number, [])
        all_of_it.append(delivery)
        if delivery.ask.method == "RAW":
            return len(all_of_it)
        backend = next(each for each in self.backends if each.name == name)
        limit, kernel = self.served.pools[0].max_in_flight, delivery.wire.link.skt.kernel
        running = 1
        for each in reversed(backend.deliveries):
            running += each.running and each.wire.link.skt.kernel is kernel
            if running > limit:
                break
        if running > limit:
            self.violation(f"{name} has more than {limit} requests at a time")
        return len(all_of_it)

    def pause(self, seconds: float) -> None:
        """Have the balancer's process stand still: then much is due, and has come, at once."""
        self.paused += seconds
        self.reactor.stand_still(seconds)

    def strike(self, kind: str, number: int) -> bool:
        """Let something befall the process of a worker; false if there is none."""
        return self.staff is not None and self.staff.strike(kind, number)

    def drain(self) -> None:
        """Have the balancer finish what runs, and end."""
        if self.stopped is None:
            self.stopping_since = self.reactor.now
            self.stopped = self.balancer.stopService().addCallback(self._ended)

    def end_now(self) -> None:
        """Have the balancer end what runs."""
        self.balancer.end_now()

    def change(self, change: Change) -> None:
        """Have somebody change what a backend gets."""
        if self.stopped is not None:
            return
        backends = self.config.pools[0].backends
        name = backends[change.backend % len(backends)].name
        self.tell(change.kind, name, change.weight, change.seconds)
        now, overrides = self.reactor.now, self.balancer.control.overrides
        made = changes.make(overrides, ("api", name), change)
        # What ends by itself in this very instant may have ended, or not yet.
        unclear = self.weights.ended(name, now - self.paused - MOMENT, now)
        if made is not self.weights.note(name, change, now) and not unclear:
            self.violation(f"{name} is {change.kind}, which changes {'something' if made else ''}")
        if made:
            self.happened(change.kind)

    def reload(self, reload: Reload) -> None:
        """Have another config read, and served."""
        if self.stopped is not None:
            return
        self.tell("reload", reload.kind)
        self.happened(reload.kind)
        self.config = reload.config
        self.weights.begin(weights_of(self.config), self.reactor.now)
        served = self.balancer.reloader.reload()
        served.addCallbacks(
            lambda _: self.weights.told(self.reactor.now),
            lambda failure: self.violation(f"a reload failed: {failure.getErrorMessage()}"),
        )

    # Letting it live.

    @property
    def deserted(self) -> bool:
        """Whether all clients have come and gone."""
        return self._absent == 0

    def is_there(self, name: str) -> bool:
        """Whether the config has a backend of a name."""
        return any(each.name == name for pool in self.config.pools for each in pool.backends)

    def was_killed(self, pid: int) -> bool:
        """Whether the process of a worker was killed."""
        return self.staff is not None and pid in self.staff.killed

    @property
    def lag(self) -> float:
        """Seconds until all workers have heard of something that was decided."""
        return MOMENT if self.staff is None else self.staff.lag + self.paused

    @property
    def results(self) -> list[Result]:
        """What became of all requests."""
        return [result for client in self.clients for result in client.results]

    def start(self) -> None:
        """Start the balancer, and let the plan begin."""
        self.balancer.privilegedStartService()
        self.balancer.startService()
        for visit in self.plan.visits:
            self.clock.callLater(visit.start, self._visit, visit)
        for fault in self.plan.faults:
            self.clock.callLater(fault.at, faults.begin, self, fault)
        for change in self.plan.changes:
            self.clock.callLater(change.at, self.change, change)
        for reload in self.plan.reloads:
            self.clock.callLater(reload.at, self.reload, reload)

    def visit(self, visit: Visit) -> Client | SessionClient | Shopper:
        """Let one more client come, now."""
        self.asks |= {ask.number: ask for ask in visit.asks}
        self._absent += 1
        return self._visit(visit)

    def weight(self, backend: model.Backend, moment: float) -> int:
        """Which weight a backend of any pool has to have at a moment."""
        known = backend.name in self.weights.names
        return self.weights.at(backend.name, moment) if known else backend.weight

    def open_sockets(self) -> int:
        """How many the balancer has."""
        living = () if self.staff is None else self.staff.processes.living
        kernels = [self.reactor.kernel, *(process.kernel for process in living)]
        return sum(len(kernel.sockets) for kernel in kernels)

    def _visit(self, visit: Visit) -> Client | SessionClient | Shopper:
        client: Client | SessionClient | Shopper
        client = _KINDS.get(visit.manner, Client)(self, visit)
        self.clients.append(client)
        client.begin()
        return client

    def watch(self, worker: Any, pid: int) -> None:
        """Look into a worker from now on."""
        records = self.recorded[pid] = []

        def record(record: Any, ended: float) -> None:
            record.line(ended)
            self.records.append((record, ended))
            records.append((record, ended))

        self.inside.on_record(record, worker)
        self.inside.on_hold(self._held, worker)

    def _held(self, number: int) -> None:
        self.most_held = max(self.most_held, number)

    def _ended(self, _: None) -> None:
        self.ended_at = self.reactor.now

    def _turned(self, backend: balance.Backend) -> None:
        now = self.reactor.now
        self.turns.append(Turn(now, backend.name, backend.state, backend.ejection.until))
        self.tell("turned", backend.name, backend.state.value)
        self.happened(f"turned_{backend.state.value}")

    def _ended_probe(self, backend: balance.Backend) -> None:
        assert backend.last_probe is not None
        passed, up = backend.last_probe.passed, backend.verdict.up
        self.probed.append(Probed(self.reactor.now, backend.name, passed, up))


@implementer(ILogObserver)
class Complaints:
    """What is logged as an error while it is open: none is expected.

    Attributes:
        said: The complaints.
    """

    def __init__(self) -> None:
        self.said: list[str] = []

    def __enter__(self) -> Complaints:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """Heed what is logged (`ILogObserver`)."""
        failure = event.get("log_failure")
        if failure is not None or event.get("log_level") in (LogLevel.error, LogLevel.critical):
            said = formatEvent(event)
            if failure is not None:
                said = f"{said}: {failure.getBriefTraceback()}"
            self.said.append(said)
