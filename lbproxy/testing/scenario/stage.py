"""The balancer of a user's config with all that a scenario puts around it, on one clock."""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import attrs

from lbproxy.balance import backend as balance
from lbproxy.config.model import Config
from lbproxy.observe.accesslog import Record
from lbproxy.proxy.listener import ANNOUNCED
from lbproxy.service import Balancer
from lbproxy.testing.flow import Shape
from lbproxy.testing.inside import Inside
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.network import FakeNetwork
from lbproxy.testing.reactor import SimReactor
from lbproxy.testing.scenario.acts import acts_of
from lbproxy.testing.scenario.arrivals import Arrivals
from lbproxy.testing.scenario.backends import SimulatedBackend
from lbproxy.testing.scenario.cast import Cast
from lbproxy.testing.scenario.clients import Client
from lbproxy.testing.scenario.model import Load, Scenario
from lbproxy.testing.scenario.reachable import reachable
from lbproxy.testing.scenario.requests import Request
from lbproxy.testing.sessions import NARROW

#: Seconds that the balancer gets for its first look at the backends, before the beginning.
WARM_UP = 60.0

#: Seconds beyond `stop.drain` that it gets for its end.
GRACE = 10.0

_CLIENT = re.compile('"client":"([^"]*)"')


@attrs.frozen
class Turn:
    """A backend's state, as the balancer judges it from some moment on.

    Attributes:
        at: When, in seconds from the beginning.
        backend: Its label.
        state: A value of `State`.
    """

    at: float
    backend: str
    state: str


class Stage:
    """All of it.

    Attributes:
        clock: The time of all.
        cast: The backends.
        acts: What befalls them.
        notes: What is different from production.
        requests: All requests so far.
        turns: States of the backends so far.
        wrongs: What the balancer did and must never do.
    """

    def __init__(self, config: Config, scenario: Scenario) -> None:
        """Build all; nothing starts yet.

        Raises:
            ConfigError: If a folder of the config cannot be served.
        """
        seed = scenario.seed
        ready = reachable(config)
        self.cast = Cast(config)
        self.acts = acts_of(scenario, self.cast)
        self.notes = ready.notes
        self.requests: list[Request] = []
        self.turns: list[Turn] = []
        self.wrongs: list[str] = []
        self._scenario = scenario
        self._drain = config.stop.drain
        self._began: float | None = None
        self._clients = self._running = 0
        self._asked: dict[str, tuple[list[float], list[Request]]] = {}
        kernel = Kernel()
        self.clock = self._reactor = SimReactor(kernel, random.Random(f"order {seed}"))
        self._network = FakeNetwork(
            kernel,
            random.Random(f"cuts {seed}"),
            lambda: Shape(scenario.network.backends, NARROW),
            lambda *what: None,
        )
        self._balancer = Balancer(self._reactor, ready.config, random.Random(f"balancer {seed}"))
        self._inside = Inside(self._balancer)
        self._inside.on_record(self._recorded)
        self._inside.on_turn(self._turned, lambda backend: None)
        self._ports = ready.ports
        self._announced = {
            each.name for each in config.listeners if each.endpoint.startswith(ANNOUNCED)
        }
        self._labels = {
            (pool.name, backend.name): role.label
            for pool in config.pools
            for backend in pool.backends
            for role in self.cast.roles
            if role.address == backend.address
        }
        self._backends: dict[str, SimulatedBackend] = {}
        for role in self.cast.roles:
            backend = self._backends[role.label] = SimulatedBackend(
                role.label,
                self.cast.behaviour(scenario, role),
                self.clock,
                random.Random(f"backend {role.label} {seed}"),
                self._worked,
            )
            host, _, port = ready.addresses[role.address].rpartition(":")
            self._network.hosts[host.strip("[]"), int(port)] = backend.host

    def play(self) -> None:
        """Let all of it happen, from the start of the balancer to its end."""
        reactor = self._reactor
        self._balancer.privilegedStartService()
        self._balancer.startService()
        reactor.run_until(reactor.now + WARM_UP, lambda: self._inside.accepting)
        self._began = began = reactor.now
        for pool in self._inside.judged:
            for backend in pool.backends:
                self._note(pool.name, backend)
        for act in self.acts:
            reactor.callLater(act.at, self._backends[act.backend].befall, act)
        for place, load in enumerate(self._scenario.load):
            Arrivals(self, load, random.Random(f"load {place} {self._scenario.seed}")).start()
        reactor.run_until(began + self._scenario.duration)
        patience = max(load.patience for load in self._scenario.load)
        reactor.run_until(reactor.now + patience + 1.0, lambda: not self._running)
        stopped = self._balancer.stopService()
        if not reactor.run_until(reactor.now + self._drain + GRACE, lambda: stopped.called):
            self.wrong("it was told to end, and did not")

    # What its inhabitants need.

    @property
    def duration(self) -> float:
        """Seconds for which requests come."""
        return self._scenario.duration

    def elapsed(self) -> float:
        """Seconds from the beginning; before it they are negative."""
        return 0.0 if self._began is None else self._reactor.now - self._began

    def wrong(self, what: str) -> None:
        """The balancer did what it must never do."""
        self.wrongs.append(f"{self.elapsed():.3f} s: {what}")

    def announced(self, load: Load) -> bool:
        """Whether each connection there begins with a PROXY header."""
        return self._listener(load) in self._announced

    def dial(self, load: Load, address: str, receiver: Any, refused: Callable[[], None]) -> None:
        """Connect to the balancer."""
        shape = Shape(self._scenario.network.clients, NARROW)
        self._network.dial(self._ports[self._listener(load)], address, shape, receiver, refused)

    def client(self, load: Load, done: Callable[[Client], None]) -> Client:
        """One more client."""
        self._clients += 1
        number = self._clients
        # Of the network for carriers (RFC 6598): nobody trusts that, or has backends there.
        address = f"100.{64 + (number >> 16) % 64}.{number >> 8 & 255}.{number & 255}"
        return Client(self, load, address, done)

    def ask(self, client: Client, request: Request) -> None:
        """Have a client ask for something."""
        self._running += 1
        self.requests.append(request)
        times, requests = self._asked.setdefault(client.address, ([], []))
        times.append(self._reactor.now)
        requests.append(request)
        client.ask(request)

    def ended(self) -> None:
        """A request has ended."""
        self._running -= 1

    # The rest is ours.

    def _listener(self, load: Load) -> str:
        return load.listener or next(iter(self._ports))

    def _worked(self, number: int, label: str) -> None:
        self.requests[number - 1].worked.append(label)

    def _recorded(self, record: Any, ended: float) -> None:
        """The access log tells of an exchange: it is of the client's last request before it."""
        if not isinstance(record, Record):
            return
        found = _CLIENT.search(record.caller)
        times, requests = self._asked.get(found[1] if found else "", ([], []))
        place = bisect_right(times, record.started) - 1
        if place >= 0:
            requests[place].attempts += record.attempts
            if requests[place].how in ("", "cut") and record.reason != "answered":
                requests[place].reason = record.reason

    def _turned(self, backend: balance.Backend) -> None:
        for pool in self._inside.judged:
            if self._began is not None and backend in pool.backends:
                self._note(pool.name, backend)

    def _note(self, pool: str, backend: balance.Backend) -> None:
        label = self._labels[pool, backend.name]
        self.turns.append(Turn(self.elapsed(), label, backend.state.value))
