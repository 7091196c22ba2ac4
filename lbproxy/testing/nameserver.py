"""What the balancer asks for the addresses of a name, in the place of DNS."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from lbproxy.discovery.answer import Answer, Place, Question
from lbproxy.errors import Unresolved
from lbproxy.testing.zone import HALF, TROUBLES, NameChange, Zone, changed

#: Seconds until an answer is there.
_LATENCIES = (0.0005, 0.0005, 0.02, 0.3, 1.5)

#: Seconds until nobody waits any more: two tries of one second each. No look-up takes longer.
SLOWEST = 2.0


class Surroundings(Protocol):
    """What it needs of its world."""

    clock: Any

    def tell(self, *what: object) -> None:
        """Note something in the trace."""

    def happened(self, kind: str) -> None:
        """Count something that really happened."""


@attrs.define
class LookUp:
    """One question.

    Attributes:
        asked: When it was asked.
        ended: When it was answered; `None` while it is not, or if somebody has given it up.
        ttl: Seconds for which the answer holds by itself; `None` if there was none.
    """

    asked: float
    ended: float | None = None
    ttl: float | None = None


class NameServer:
    """Knows one name (`Resolver`).

    Attributes:
        zone: What it has of that.
        known: What somebody must know who got all its answers; `None` if they said nothing yet.
        look_ups: All questions, in order.
    """

    def __init__(
        self,
        world: Surroundings,
        zone: Zone,
        chance: random.Random,
        heard: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            world: What it is in.
            zone: What it has of the name at first.
            chance: Decides how long each answer takes.
            heard: Called before an answer that says something else than the one before is given.
        """
        self.zone = zone
        self.known: frozenset[Place] | None = None
        self.look_ups: list[LookUp] = []
        self._world = world
        self._chance = chance
        self._heard = heard
        self._troubles: list[NameChange] = []
        self._news: list[str] = []

    def start(self, changes: Iterable[NameChange]) -> None:
        """Let changes happen in their time; those of the beginning, before anybody asks."""
        for change in changes:
            if change.at > 0.0:
                self._world.clock.callLater(change.at, self.change, change)
            else:
                self.change(change)

    def change(self, change: NameChange) -> None:
        """Have something else, or say nothing for a while."""
        self._world.tell(change.kind, change.seconds)
        if change.kind != HALF and change.kind not in TROUBLES:
            self.zone = changed(self.zone, change)
            self._news.append(change.kind)
            return
        self._troubles.append(change)
        self._world.clock.callLater(change.seconds, self._troubles.remove, change)

    def resolve(self, question: Question) -> Deferred[Answer]:
        """Look the name up: what holds when it is asked is what is answered."""
        asked: LookUp = LookUp(self._world.clock.seconds())
        self.look_ups.append(asked)
        trouble = self._troubles[-1] if self._troubles else None
        news: list[str] = []
        if trouble is None or trouble.kind == HALF:
            news, self._news = self._news, []
        seconds = self._chance.choice(_LATENCIES)
        if trouble is not None and trouble.kind == "dns_silent":
            seconds = SLOWEST
        answer = self._answer(trouble)
        due: IDelayedCall

        def give_up(_: Deferred[Answer]) -> None:
            due.cancel()
            self._news = [*news, *self._news]

        def tell() -> None:
            asked.ended = self._world.clock.seconds()
            for kind in news:
                self._world.happened(kind)
            if trouble is not None and (answer is None or answer.unanswered):
                self._world.happened(trouble.kind)
                if answer is None and self.known is None:
                    self._world.happened("dns_unknown")
            if answer is None:
                assert trouble is not None
                self._world.tell("unresolved", trouble.kind)
                told.errback(Unresolved(TROUBLES[trouble.kind]))
                return
            asked.ttl = answer.ttl
            self._learn(answer)
            told.callback(answer)

        told: Deferred[Answer] = Deferred(give_up)
        due = self._world.clock.callLater(seconds, tell)
        return told

    def _answer(self, trouble: NameChange | None) -> Answer | None:
        """What is said now; `None` is nothing."""
        places = self.zone.places
        if trouble is None or (trouble.kind == HALF and len(places) == 1):
            return Answer(frozenset(places), self.zone.ttl)
        if trouble.kind != HALF:
            return None
        lost = places[trouble.which % len(places)]
        found = frozenset(place for place in places if place.target != lost.target)
        return Answer(found, self.zone.ttl, frozenset({lost.family}))

    def _learn(self, answer: Answer) -> None:
        """Note what is known by an answer; of a target that it lacks, what was known before."""
        unanswered = {target for target, _ in answer.unanswered}
        kept = {place for place in self.known or () if place.target in unanswered}
        known = answer.places | kept
        if known != self.known:
            self.known = known
            self._world.tell("resolved", sorted(place.address for place in known))
            self._heard()
