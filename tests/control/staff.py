"""A parent whose workers are the test."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from lbproxy.balance.standing import Standing
from lbproxy.config import model
from lbproxy.control.link import Load, Names, Whole
from lbproxy.control.parent import Parent
from lbproxy.control.reload import Reloader
from lbproxy.control.seat import Occupant
from lbproxy.errors import ConfigError
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import NOTHING, Said
from lbproxy.observe.metrics import REQUESTS, Counts
from lbproxy.probe.checks import Check


class Hand:
    """A worker that notes what it is told."""

    def __init__(self, number: int, occupant: Occupant) -> None:
        self.pid = 1000 + number
        self.number = number
        self.occupant = occupant
        self.standings: dict[Names, Standing] = {}
        self.configs: list[model.Config] = []
        self.queues: list[int] = []
        self.whole = Whole()
        self.asked: list[str] = []
        self.counting: Deferred[Any] | None = None
        self.load = Load({("api", "a"): 1}, {"api": 2}, 3)

    def start(self) -> None:
        self.asked.append("start")

    def serve(self, config: model.Config, standings: Mapping[Names, Standing]) -> None:
        self.configs.append(config)
        self.standings = dict(standings)

    def reopen(self) -> None:
        self.asked.append("reopen")

    def learn(self, names: Names, standing: Standing) -> None:
        self.standings[names] = standing

    def accept(self, queues: frozenset[int]) -> None:
        self.queues = sorted(queues)

    def hear(self, whole: Whole) -> None:
        self.whole = whole

    def count(self) -> Deferred[Any]:
        if self.counting is not None:
            if self.counting.called:  # Who asked has given up.
                self.counting = Deferred()
            return self.counting
        counts = Counts()
        counts.of((REQUESTS, "/", "api", "a", 2, "answered"))[0] += 1
        return self.occupant.counted(counts, self.load)

    def drain(self) -> None:
        self.asked.append("drain")

    def end(self) -> None:
        self.asked.append("end")

    def kill(self) -> None:
        self.asked.append("kill")

    @property
    def states(self) -> list[str]:
        """The backends' states, as it was told."""
        return [self.standings["api", name].state.value for name in "ab"]

    @property
    def weights(self) -> list[int]:
        """The backends' weights, as it was told."""
        told = [self.standings["api", name] for name in "ab"]
        return [each.said.weight_of(each.given) for each in told]


@attrs.frozen
class Supervisor:
    """Starts any backend anew in the way of a test."""

    start_anew: Callable[[model.Backend], Deferred[None]]

    def supervises(self, backend: model.Backend) -> bool:
        """All are ours but who is at a strange port."""
        return not backend.address.endswith(":9")


class Staff:
    """A parent with two backends and some workers, on a clock that the test moves.

    Attributes:
        hands: All workers that were made, in order.
        prepared: What was to be opened.
        adopted: What workers were to be made for.
        reopened: How often the log was opened anew.
        written: The config that is read at the next reload.
        mistakes: What is wrong with it, if anything.
        held: What of it cannot be opened, if anything.
        full: Whether the log cannot be opened anew.
        checked: The pools for which probes were made.
        probes: Those under way, by the backend's name.
        known: Fires when names have been looked up.
        members: What is known of each name: backends in place of the one that has it.
    """

    def __init__(self, workers: int = 2) -> None:
        self.clock = Clock()
        self.hands: list[Hand] = []
        self.prepared: list[model.Config] = []
        self.adopted: list[model.Config] = []
        self.reopened = 0
        self.probes: dict[str, Deferred[ProbeOutcome]] = {}
        self.checked: list[model.Pool] = []
        backends = model.Backend("a", "127.0.0.1:1"), model.Backend("b", "127.0.0.1:2")
        config = model.Config(
            (model.Listener("web", "tcp:0"),),
            (model.Route("/", pool="api"),),
            (model.Pool("api", backends),),
            workers=workers,
        )
        self.known: Deferred[None] = succeed(None)
        self.members: dict[str, tuple[model.Backend, ...]] = {}
        self.parent = Parent(
            self.clock, config, self.check_of, random.Random(1), self, lambda: self.known
        )
        self.written = config
        self.mistakes = self.held = ""
        self.full = False
        self.reloader = Reloader(config, self._read, self._expand, self.parent, self)

    def start(self) -> None:
        """Start it; all workers are ready, and the probes have been answered."""
        self.parent.startService()
        for hand in list(self.hands):
            hand.occupant.ready({"web": "http://x/"})
        self.answer(a=True, b=True)

    def answer(self, **passed: bool) -> None:
        """End the probes of these backends so."""
        for name, well in passed.items():
            self.answers(name, NOTHING, passed=well)

    def answers(self, name: str, said: Said, *, passed: bool = True) -> None:
        """End the probe of a backend with what it says of itself."""
        outcome = ProbeOutcome(passed, 0.01, "answered", True, self.clock.seconds(), said)
        self.probes.pop(name).callback(outcome)

    def pass_time(self, seconds: float) -> None:
        """Let time pass in small steps."""
        self.clock.pump([0.05] * round(seconds / 0.05))

    def _read(self) -> model.Config:
        if self.mistakes:
            raise ConfigError(self.mistakes)
        return self.written

    def _expand(self, config: model.Config) -> model.Config:
        pools = []
        for pool in config.pools:
            members = [self.members.get(each.name, (each,)) for each in pool.backends]
            pools.append(attrs.evolve(pool, backends=tuple(chain.from_iterable(members))))
        return attrs.evolve(config, pools=tuple(pools))

    def check_of(self, config: model.Config, pool: model.Pool) -> Check:
        """What probes a pool's backends: the test answers."""
        self.checked.append(pool)
        return self._check

    def _check(self, backend: model.Backend, health: model.Health) -> Deferred[ProbeOutcome]:
        asking: Deferred[ProbeOutcome] = Deferred()
        self.probes[backend.name] = asking
        return asking

    # Those who make workers (`Workers`).

    def prepare(self, config: model.Config) -> None:
        if self.held:
            raise ConfigError(self.held)
        self.prepared.append(config)

    def give_up(self) -> None:
        self.prepared.clear()

    def reopen(self) -> None:
        if self.full:
            raise OSError("the disk is full")
        self.reopened += 1

    def adopt(self, config: model.Config) -> None:
        self.adopted.append(config)

    def spawn(self, number: int, occupant: Occupant) -> Hand:
        self.hands.append(Hand(number, occupant))
        return self.hands[-1]
