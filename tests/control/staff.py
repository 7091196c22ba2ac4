"""A parent whose workers are the test."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from lbproxy.balance.standing import Standing
from lbproxy.config import model
from lbproxy.control.link import Load, Names, Whole
from lbproxy.control.parent import Parent
from lbproxy.control.seat import Occupant
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import NOTHING, Said
from lbproxy.observe.metrics import REQUESTS, Counts


class Hand:
    """A worker that notes what it is told."""

    def __init__(self, number: int, occupant: Occupant) -> None:
        self.pid = 1000 + number
        self.number = number
        self.occupant = occupant
        self.standings: dict[Names, Standing] = {}
        self.queues: list[int] = []
        self.whole = Whole()
        self.asked: list[str] = []
        self.counting: Deferred[Any] | None = None
        self.load = Load({("api", "a"): 1}, {"api": 2}, 3)

    def start(self) -> None:
        self.asked.append("start")

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


class Staff:
    """A parent with two backends and some workers, on a clock that the test moves.

    Attributes:
        hands: All workers that were made, in order.
        probes: Those under way, by the backend's name.
    """

    def __init__(self, workers: int = 2) -> None:
        self.clock = Clock()
        self.hands: list[Hand] = []
        self.probes: dict[str, Deferred[ProbeOutcome]] = {}
        backends = model.Backend("a", "127.0.0.1:1"), model.Backend("b", "127.0.0.1:2")
        config = model.Config(
            (model.Listener("web", "tcp:0"),),
            (model.Route("/", pool="api"),),
            (model.Pool("api", backends),),
            workers=workers,
        )
        self.parent = Parent(
            self.clock, config, lambda pool: self._check, random.Random(1), self._spawn
        )

    def start(self) -> None:
        """Start it; all workers are ready, and the probes have been answered."""
        self.parent.startService()
        for hand in list(self.hands):
            hand.occupant.ready(["web listens on http://x/"])
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

    def _check(self, backend: model.Backend, health: model.Health) -> Deferred[ProbeOutcome]:
        asking: Deferred[ProbeOutcome] = Deferred()
        self.probes[backend.name] = asking
        return asking

    def _spawn(self, number: int, occupant: Occupant) -> Hand:
        self.hands.append(Hand(number, occupant))
        return self.hands[-1]
