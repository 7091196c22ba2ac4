"""A balancer with its clients and backends, on one clock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from socket import AF_INET
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from lbproxy.balance import backend as balance
from lbproxy.balance.standing import State
from lbproxy.control.link import share
from lbproxy.health.breaker import Breaker
from lbproxy.health.breaker import State as BreakerState
from lbproxy.testing import deciding, faults, refusals
from lbproxy.testing.backends import Backend, Delivery
from lbproxy.testing.clients import Client
from lbproxy.testing.configs import PORTS
from lbproxy.testing.hearing import Heard
from lbproxy.testing.inside import Inside
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.nameserver import NameServer
from lbproxy.testing.network import FakeNetwork
from lbproxy.testing.orders.desk import Desk
from lbproxy.testing.orders.shopper import Book, Shopper
from lbproxy.testing.passed import Holder, wants_passed
from lbproxy.testing.people import MOMENT, Operator
from lbproxy.testing.plan import Ask, Fault, Plan, Visit
from lbproxy.testing.reactor import EPOCH, SimReactor
from lbproxy.testing.reloads import loosest
from lbproxy.testing.results import Result
from lbproxy.testing.seen import Begun, BreakerTurn, Probed, Turn
from lbproxy.testing.serving import Service
from lbproxy.testing.sessions import NARROW, SessionClient, SessionService
from lbproxy.testing.spilling import Keys
from lbproxy.testing.staff import Staff
from lbproxy.testing.starting import Starts
from lbproxy.testing.streams.client import Follower, StreamClient, Talker
from lbproxy.testing.waiting import Watch
from lbproxy.transport.connection import HIGH_WATER
from lbproxy.transport.timer import RESOLUTION
from lbproxy.transport.transfer import PIECE

#: Violations that are kept: what follows the first ones is mostly their consequence.
ENOUGH = 20


#: Bytes that may wait for one who does not read: what makes its source pause, and one read more.
MOST_HELD = HIGH_WATER + PIECE


#: How the turns of a breaker are counted.
BREAKER_KINDS = {
    BreakerState.OPEN: "breaker_opened",
    BreakerState.HALF_OPEN: "breaker_half_open",
    BreakerState.CLOSED: "breaker_closed",
}

#: Clients that are no `Client`, by their manner.
_KINDS: dict[str, Any] = {
    "session": SessionClient,
    "shops": Shopper,
    "follows": Follower,
    "talks": Talker,
}

#: Whoever comes.
AnyClient = Client | SessionClient | Shopper | StreamClient


class World:
    """The whole of the balancer, unchanged, and all that it meets.

    Attributes:
        plan: What is to happen.
        reactor: Time.
        network: What lies between.
        holder: Who has made the listening sockets, if it is not the balancer.
        balancer: The service, as `twistd` would run it.
        inside: A look into it.
        backends: Those of its first pool, which is asked by HTTP.
        struck: All that something can befall: those of its second pool too, which has sessions.
        asks: All requests, by number.
        clients: Those that have come.
        guests: Those that come while another balancer takes over: they are judged there.
        desk: Where all backends keep orders.
        book: What shoppers did and were told of those.
        deliveries: For each request those that reached a backend.
        records: What the access log would have, and when each of it ended.
        recorded: The same, by the worker's process.
        breaker_turns: Changes of the state of the first pool's breaker, by the worker's process.
        operator: Who changes weights and configs.
        names: What the balancer asks for names, if its first pool has one.
        pools: All that there are, with all backends that are in them at some time.
        pool: The first one, with the greatest of its limits.
        served: The config as each worker has it, with its part of what is limited.
        staff: The workers' processes, if they have some.
        roller: Who rolls the first pool, if somebody does.
        turns: Changes of state.
        stopped: What the service gave when it was told to end.
        stopping_since: When that was.
        ended_at: When it had ended.
        paused: Seconds for which its process, or a worker's, stood still, and then first read what
            had come.
        probed: Probes that have ended.
        begun: Attempts that have begun.
        heard: How attempts ended, as policies of workers were told.
        keys: Where keys go.
        starts: Who has come back, by pool.
        weights: Those that the backends of the first pool have to have.
        most_held: Requests that were held at a time while no backend could take anything.
        counts: How often each kind of fault happened.
        violations: What must not have happened, and did.
        trace: What happened: when, in which turn, and what.
    """

    def __init__(self, plan: Plan) -> None:
        """Build all; nothing starts yet."""
        from lbproxy.service import Balancer  # It imports the reactor, and so does who rolls.
        from lbproxy.testing.roller import Roller

        self.plan = plan
        self.names: NameServer | None = None
        self.operator = Operator(self, plan.config)
        self.weights = self.operator.weights
        self.pool = loosest(plan.configs)
        raw = plan.config.pools[1]
        self.pools = (attrs.evolve(self.pool, backends=plan.ever), raw)
        self.served = share(attrs.evolve(plan.config, pools=self.pools), plan.config.workers)
        self.chance = random.Random(f"world {plan.seed}")
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.trace: list[tuple[Any, ...]] = []
        self.asks = {ask.number: ask for visit in plan.visits for ask in visit.asks}
        self.clients: list[AnyClient] = []
        self.guests: list[Client | Follower] = []
        self.desk, self.book = Desk(), Book()
        self.deliveries: dict[int, list[Delivery]] = {}
        self.records: list[tuple[Any, float]] = []
        self.turns: list[Turn] = []
        self.probed: list[Probed] = []
        self.begun: list[Begun] = []
        self.heard: list[Heard] = []
        self.keys: Keys = Keys()
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
        self.network.bind(AF_INET, ("", refusals.TAKEN), shared=False)
        self.holder: Holder | None = None
        if wants_passed(plan.config):
            self.holder = Holder(self.network)
            self.holder.pass_to(kernel)
        self.clock: Any = self.reactor
        self.staff = Staff(self, plan.seed) if plan.config.workers > 1 else None
        names: Any = None
        if plan.zone is not None:
            chance = random.Random(f"dns {plan.seed}")
            self.names = names = NameServer(self, plan.zone, chance, self.operator.heard)
        self.balancer = Balancer(
            self.reactor,
            plan.config,
            random.Random(f"balancer {plan.seed}"),
            read=self.operator.read,
            resolver_of=lambda _: names,
        )
        self.inside = Inside(self.balancer)
        self.inside.on_serve(self.operator.serves)
        self.recorded: dict[int, list[tuple[Any, float]]] = {}
        self.breaker_turns: dict[int, list[BreakerTurn]] = {}
        self.starts: dict[str, Starts] = {
            pool.name: Starts(self, pool) for pool in self.inside.judged
        }
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
        self.roller = None if plan.rolling is None else Roller(self, plan.rolling)
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
        self.network.dial(PORTS[name], visit.source, visit.shape, receiver, refused)

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
            here = each.running and each.wire.link.skt.kernel is kernel
            running += here and not self._has_left(each.ask)
            if running > limit:
                break
        if running > limit:
            self.violation(f"{name} has more than {limit} requests at a time")
        return len(all_of_it)

    def _has_left(self, ask: Ask) -> bool:
        """Whether the client of a tunnel has gone: what it sent may still be on its way."""
        return ask.method == "WS" and any(
            result.ask is ask and result.ended is not None for result in self.results
        )

    def pause(self, seconds: float) -> None:
        """Have the balancer's process stand still: then much is due, and has come, at once."""
        self.paused += seconds + RESOLUTION
        self.reactor.stand_still(seconds)

    def strike(self, fault: Fault) -> bool:
        """Let something befall the process of a worker; false if there is none."""
        staff = self.staff
        return staff is not None and staff.strike(fault.kind, fault.backend, fault.seconds)

    def drain(self) -> None:
        """Have the balancer finish what runs, and end."""
        if self.stopped is None:
            self.stopping_since = self.reactor.now
            self.stopped = self.balancer.stopService().addCallback(self._ended)

    def end_now(self) -> None:
        """Have the balancer end what runs."""
        self.balancer.end_now()

    # Letting it live.

    @property
    def deserted(self) -> bool:
        """Whether all clients have come and gone."""
        return self._absent == 0

    @property
    def ending(self) -> bool:
        """Whether the balancer, or a worker, has been asked to end."""
        asked = self.staff is not None and self.staff.asked_to_end
        return asked or self.stopping_since is not None

    def was_killed(self, pid: int) -> bool:
        """Whether the process of a worker was killed."""
        return self.staff is not None and pid in self.staff.killed

    @property
    def due(self) -> tuple[str, ...]:
        """What the balancer had to complain of, or a part of that each."""
        refused = {refusals.REASONS[each.kind] for each in self.plan.refusals}
        hung = () if self.staff is None else self.staff.due
        return (*(f"reload refused: {why}" for why in refused), *hung)

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
        if self.names is not None:
            self.names.start(self.plan.renamings)
        self.balancer.privilegedStartService()
        self.balancer.startService()
        self.happened(self.plan.config.pools[0].balancer)
        for visit in self.plan.visits:
            self.clock.callLater(visit.start, self._visit, visit)
        for fault in self.plan.faults:
            self.clock.callLater(fault.at, faults.begin, self, fault)
        for change in self.plan.changes:
            self.clock.callLater(change.at, self.operator.change, change)
        for reload in self.plan.reloads:
            self.clock.callLater(reload.at, self.operator.reload, reload)
        for refusal in self.plan.refusals:
            self.clock.callLater(refusal.at, self.operator.refuse, refusal)
        if self.roller is not None:
            self.roller.start()

    def visit(self, visit: Visit) -> AnyClient:
        """Let one more client come, now."""
        self.asks |= {ask.number: ask for ask in visit.asks}
        self._absent += 1
        return self._visit(visit)

    def open_sockets(self) -> int:
        """How many the balancer has."""
        living = () if self.staff is None else self.staff.processes.living
        kernels = [self.reactor.kernel, *(process.kernel for process in living)]
        return sum(len(kernel.sockets) for kernel in kernels)

    def _visit(self, visit: Visit) -> AnyClient:
        client: AnyClient = _KINDS.get(visit.manner, Client)(self, visit)
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
        self.inside.on_acquire(self._has_begun, worker)
        Watch(worker, self.violation)
        deciding.watch(self, worker, pid)
        turns = self.breaker_turns[pid] = []

        def turned(breaker: Breaker) -> None:
            state = breaker.state
            turns.append(BreakerTurn(self.reactor.now, state, breaker.until))
            self.tell("breaker", pid, state.value)
            self.happened(BREAKER_KINDS[state])

        self.inside.on_breaker(turned, worker)

    def _has_begun(self, backend: balance.Backend) -> None:
        self.begun.append(Begun(self.reactor.now, backend.name, backend.in_flight))

    def _held(self, number: int) -> None:
        self.most_held = max(self.most_held, number)

    def _ended(self, _: None) -> None:
        self.ended_at = self.reactor.now

    def _turned(self, backend: balance.Backend) -> None:
        now = self.reactor.now
        self.turns.append(Turn(now, backend.name, backend.state, backend.ejection.until))
        self.tell("turned", backend.name, backend.state.value)
        if backend.state is State.UP and self.inside.accepting:
            self.operator.up(backend.name)
        self.happened(f"turned_{backend.state.value}")

    def _ended_probe(self, backend: balance.Backend) -> None:
        assert backend.last_probe is not None
        passed, up = backend.last_probe.passed, backend.verdict.up
        probed = Probed(self.reactor.now, backend.name, passed, up, backend.reached)
        self.probed.append(probed)
