"""When the requests of a load come, what they ask for, and which client asks."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from lbproxy.testing.scenario.asking import WITH_BODY
from lbproxy.testing.scenario.clients import Client
from lbproxy.testing.scenario.model import Load
from lbproxy.testing.scenario.requests import Request


class Surroundings(Protocol):
    """What arrivals need of the stage."""

    clock: Any
    requests: list[Request]

    @property
    def duration(self) -> float:
        """Seconds for which requests come."""

    def elapsed(self) -> float:
        """Seconds from the beginning."""

    def client(self, load: Load, done: Callable[[Client], None]) -> Client:
        """One more client."""

    def ask(self, client: Client, request: Request) -> None:
        """Have a client ask for something."""

    def ended(self) -> None:
        """A request has ended."""


class Arrivals:
    """The requests of one load: they come, whatever becomes of those before them."""

    def __init__(self, stage: Surroundings, load: Load, chance: random.Random) -> None:
        self._stage = stage
        self._load = load
        self._chance = chance
        self._idle = [stage.client(load, self._free) for _ in range(load.clients)]
        self._end = min(load.end or stage.duration, stage.duration)
        self._next = load.start
        self._count = 0

    def start(self) -> None:
        """Wait for the next one, if one still comes."""
        load = self._load
        if load.arrivals == "random":
            self._next += self._chance.expovariate(load.rate)
        else:
            self._next = load.start + self._count / load.rate
        if self._next < self._end:
            wait = max(self._next - self._stage.elapsed(), 0.0)
            self._stage.clock.callLater(wait, self._come)

    def _come(self) -> None:
        if self._idle:
            client = self._idle.pop(self._chance.randrange(len(self._idle)))
        else:
            client = self._stage.client(self._load, self._passed)
        self._count += 1
        self._stage.ask(client, self._draw())
        self.start()

    def _draw(self) -> Request:
        load, chance = self._load, self._chance
        methods = [method for method, _ in load.methods]
        method = chance.choices(methods, [share for _, share in load.methods])[0]
        return Request(
            number=len(self._stage.requests) + 1,
            sent=self._stage.elapsed(),
            method=method,
            target=chance.choice(load.paths),
            body=chance.randint(*load.body) if method in WITH_BODY else 0,
            keyed=method in ("POST", "PATCH") and chance.random() < load.keyed,
        )

    def _free(self, client: Client) -> None:
        """A client that keeps its connection can ask again."""
        self._stage.ended()
        self._idle.append(client)

    def _passed(self, client: Client) -> None:
        """One that came for a single request goes."""
        self._stage.ended()
        client.leave()
