"""The service that keeps the backends of a config as DNS has them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, TimeoutError, gatherResults
from twisted.internet.interfaces import IReactorTime

from lbproxy.config.model import DNS, Backend, Config, Health, Pool
from lbproxy.discovery.answer import Answer, Question, Resolver
from lbproxy.discovery.members import expanded, question_of
from lbproxy.discovery.watch import Watch
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.probe.checks import Check

#: Seconds for which clients wait for the first answers.
FIRST_ROUND = 1.0

#: The part of the time of a probe for which it waits for an answer: it is to be told before.
NEARLY = 0.9


class Discovery(Service):
    """Watches the names of a config.

    Attributes:
        changed: Called when DNS says something else of the backends than before: `take` has it.
        unresolved: Called with the names of a pool without probes and of a backend in it of which
            no address is known, and with the outcome that a probe would have.
    """

    def __init__(
        self, clock: IReactorTime, resolver_of: Callable[[DNS], Resolver], chance: random.Random
    ) -> None:
        """Prepare; nothing is watched yet.

        Args:
            clock: Provides the time.
            resolver_of: Makes what looks names up.
            chance: The times between two look-ups vary by it.
        """
        self.changed: Callable[[], None] = lambda: None
        self.unresolved: Callable[[str, str, ProbeOutcome], None] = lambda *_: None
        self._clock = clock
        self._resolver_of = resolver_of
        self._chance = chance
        self._dns = DNS()
        self._resolver = resolver_of(self._dns)
        self._pools: tuple[Pool, ...] = ()
        self._given: tuple[Pool, ...] = ()
        self._watches: dict[Question, Watch] = {}
        self._begun = False

    def take(self, config: Config) -> Config:
        """Watch the names of this config from now on, and no others.

        Returns:
            The config with members in the place of the backends whose names are known.
        """
        before, self._watches = self._watches, {}
        # What is found at once, as in the hosts file, is in what is returned.
        self._pools = self._given = ()
        asked_anew = config.dns != self._dns
        if asked_anew:
            self._dns, self._resolver = config.dns, self._resolver_of(config.dns)
        for question in dict.fromkeys(_questions(config)):
            watch = before.get(question)
            if watch is None or asked_anew:
                known = None if watch is None else watch.answer
                self._watches[question] = self._watch(question, known)
            else:
                self._watches[question] = before.pop(question)
        for watch in before.values():
            watch.stop()
        self._pools = config.pools
        self._given = self._expanded()
        return attrs.evolve(config, pools=self._given)

    def startService(self) -> None:
        """Look all names up now, and then by and by."""
        super().startService()
        for watch in list(self._watches.values()):
            watch.start()

    def stopService(self) -> Deferred[None]:
        """Give up. Fires when nothing is under way any more."""
        super().stopService()
        ended = gatherResults([watch.stop() for watch in self._watches.values()])
        return ended.addCallback(lambda _: None)

    def first_round(self) -> Deferred[None]:
        """Fires when each name has been looked up, or after `FIRST_ROUND` seconds.

        It is asked for once, before any client is accepted.
        """
        asked = [watch.first() for watch in self._watches.values()]
        first = DeferredList(asked, consumeErrors=True)
        first.addTimeout(FIRST_ROUND, self._clock)
        return first.addBoth(self._begin)

    def checked(self, check: Check) -> Check:
        """A pool's probe that knows what becomes of a backend while its name does not resolve.

        It is down if there is no answer, or none in time, and is never connected to: what the
        system may know of the name beside DNS is not what its members will come from.
        """

        def ask(backend: Backend, health: Health) -> Deferred[ProbeOutcome]:
            watch = self._watch_of(backend)
            if watch is None:
                return check(backend, health)
            # The prober would say of its own patience only that somebody did not answer.
            patience = NEARLY * min(health.timeout, FIRST_ROUND)
            asked = watch.first().addTimeout(patience, self._clock)
            asked.addErrback(lambda failure: failure.trap(TimeoutError) and None)
            return asked.addCallback(lambda _: self._outcome(watch))

        return ask

    # The rest is ours.

    def _begin(self, _: object) -> None:
        self._begun = True

    def _watch(self, question: Question, known: Answer | None) -> Watch:
        watch = Watch(
            self._clock, self._resolver, question, self._dns, self._chance, self._heard, known
        )
        if self.running:
            watch.start()
        return watch

    def _outcome(self, watch: Watch) -> ProbeOutcome:
        now, name = self._clock.seconds(), watch.question.name
        if watch.answer is not None:
            # Its members are about to take its place: at the start before it could be chosen.
            return ProbeOutcome(not self._begun, 0.0, f"{name} resolves", not self._begun, now)
        why = watch.trouble or "no answer yet"
        return ProbeOutcome(False, 0.0, f"{name} does not resolve: {why}", False, now)

    def _watch_of(self, backend: Backend) -> Watch | None:
        question = question_of(backend.address)
        return None if question is None else self._watches.get(question)

    def _expanded(self) -> tuple[Pool, ...]:
        answers = {
            question: watch.answer
            for question, watch in self._watches.items()
            if watch.answer is not None
        }
        return tuple(expanded(pool, answers) for pool in self._pools)

    def _heard(self) -> None:
        now = self._expanded()
        if now != self._given:
            self._given = now
            self.changed()
        for pool in now:
            for backend in pool.backends if pool.health is None else ():
                watch = self._watch_of(backend)
                if watch is not None and watch.trouble:
                    self.unresolved(pool.name, backend.name, self._outcome(watch))


def _questions(config: Config) -> Iterator[Question]:
    for pool in config.pools:
        for backend in pool.backends:
            question = question_of(backend.address)
            if question is not None:
                yield question
