"""The service that probes a pool's backends."""

from __future__ import annotations

import random
from functools import partial

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.balance.standing import State
from lbproxy.config.model import Health
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.probe.checks import Check, Unanswered

#: Seconds from one look at who is due to the next.
TICK = 0.25

#: Seconds from one probe to the next while a backend's verdict may be about to turn.
CHANGING = 0.5

#: The part of the interval by which it varies, so that probes of many balancers do not meet.
JITTER = 0.1

#: Seconds for which clients wait for the first verdicts.
FIRST_ROUND = 1.0


class Prober(Service):
    """Probes each backend of a pool, at most once at a time, and tells the pool."""

    log = Logger()

    def __init__(
        self, clock: IReactorTime, pool: Pool, check: Check, chance: random.Random
    ) -> None:
        """Prepare; nothing is probed yet.

        Args:
            clock: Provides the time.
            pool: Is told the outcomes.
            check: Probes one backend.
            chance: The intervals vary by it.
        """
        self._clock = clock
        self._pool = pool
        self._check = check
        self._chance = chance
        self._due: dict[Backend, float] = {}
        self._asking: dict[Backend, Deferred[None]] = {}
        self._complained: set[tuple[Backend, str]] = set()
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._first: Deferred[None] | None = None
        self._patience: IDelayedCall | None = None

    def startService(self) -> None:
        """Probe all backends now, and then by and by."""
        super().startService()
        if self._pool.config.health is None:
            return
        self._pool.on_suspect = self.probe_now
        self._due = dict.fromkeys(self._pool.backends, self._clock.seconds())
        self._loop.start(TICK).addErrback(self._broke)

    def reconfigure(self, check: Check) -> None:
        """Probe in another way, and by the pool's present config; at once who is new in it.

        Args:
            check: Probes one backend.
        """
        self._check = check
        now = self._clock.seconds()
        health = self._pool.config.health
        probed = health is not None
        self._due = {
            each: min(self._due.get(each, now), now + health.interval)
            for each in self._pool.backends
            if health is not None
        }
        self._complained = {said for said in self._complained if said[0] in self._due}
        for backend, asking in list(self._asking.items()):
            if backend not in self._due:
                asking.cancel()
        if probed and not self._loop.running:
            self._pool.on_suspect = self.probe_now
            self._loop.start(TICK).addErrback(self._broke)
        elif probed:
            self._look()
        elif self._loop.running:
            self._loop.stop()
            self._pool.on_suspect = None
        if self._first_is_over():
            self._end_first_round()

    def stopService(self) -> Deferred[None]:
        """Give up the probes under way. Fires when they have ended."""
        super().stopService()
        self._pool.on_suspect = None
        if self._loop.running:
            self._loop.stop()
        self._end_first_round()
        asking = list(self._asking.values())
        ended = DeferredList(asking)
        for probe in asking:
            probe.cancel()
        return ended.addCallback(lambda _: None)

    def first_round(self) -> Deferred[None]:
        """Fires when each backend has its first verdict, or after `FIRST_ROUND` seconds."""
        if self._first_is_over():
            return succeed(None)
        self._first = first = Deferred[None]()
        self._patience = self._clock.callLater(FIRST_ROUND, self._end_first_round)
        return first

    def probe_now(self, backend: Backend) -> None:
        """Probe a backend that live traffic speaks against, unless that is under way."""
        health = self._pool.config.health
        if health is None or backend in self._asking or backend not in self._due:
            return
        if self._due[backend] > self._clock.seconds() + CHANGING:
            self._ask(backend, health)

    # The rest is ours.

    def _look(self) -> None:
        now = self._clock.seconds()
        health = self._pool.config.health
        assert health is not None
        for backend, due in self._due.items():
            if now >= due and backend not in self._asking:
                self._ask(backend, health)

    def _ask(self, backend: Backend, health: Health) -> None:
        began = self._clock.seconds()
        self._due[backend] = began + health.interval
        asking = self._check(backend.config, health)
        asking.addTimeout(health.timeout, self._clock, partial(self._too_late, began))
        asking.addErrback(self._cancelled, began)
        # What the pool makes of it is not to end the probes.
        told = asking.addCallback(self._tell, backend, health)
        told.addErrback(lambda failure: self.log.failure("a probe failed", failure))
        if not told.called:
            self._asking[backend] = told
            told.addCallback(lambda _: self._ended(backend))

    def _ended(self, backend: Backend) -> None:
        del self._asking[backend]

    def _too_late(
        self, began: float, result: ProbeOutcome | Failure, timeout: float
    ) -> ProbeOutcome:
        """The outcome of a probe whose time was over, and that was cancelled for it."""
        if isinstance(result, ProbeOutcome):
            return result
        result.trap(CancelledError)
        now = self._clock.seconds()
        reached = result.check(Unanswered) is not None
        return ProbeOutcome(False, now - began, f"no answer in {timeout} s", reached, now)

    def _cancelled(self, failure: Failure, began: float) -> ProbeOutcome | None:
        failure.trap(CancelledError)
        if not self.running:
            return None
        now = self._clock.seconds()  # Somebody else's probe did that to itself.
        return ProbeOutcome(False, now - began, "was cancelled", False, now)

    def _tell(self, outcome: ProbeOutcome | None, backend: Backend, health: Health) -> None:
        if outcome is None or backend not in self._due:
            return
        now = self._clock.seconds()
        # Then it was: a report must not have a state begin after the probe that has shown it.
        self._pool.probed(backend, outcome, outcome.at)
        for what in outcome.ignored:
            self._complain(backend, what)
        interval = health.interval * (1.0 + self._chance.uniform(-JITTER, JITTER))
        # What is down is looked at more often too: it is about to come back.
        away = backend.state is State.EJECTED and backend.ejection.refused
        unsettled = backend.verdict.changing or not backend.verdict.up or away
        self._due[backend] = now + (min(CHANGING, interval) if unsettled else interval)
        if self._first_is_over():
            self._end_first_round()

    def _complain(self, backend: Backend, what: str) -> None:
        """Say once what a backend says in vain."""
        if (backend, what) not in self._complained:
            self._complained.add((backend, what))
            self.log.warn(
                "{pool}/{backend} is probed well, but {what}: that is ignored",
                pool=self._pool.name,
                backend=backend.name,
                what=what,
            )

    def _first_is_over(self) -> bool:
        return self._pool.config.health is None or all(
            backend.verdict.known for backend in self._pool.backends
        )

    def _end_first_round(self) -> None:
        first, self._first = self._first, None
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        if first is not None:
            first.callback(None)

    def _broke(self, failure: Failure) -> None:
        """A LoopingCall dies of an exception: begin anew."""
        self.log.failure("the prober failed", failure)
        if self.running:
            self._loop.start(TICK, now=False).addErrback(self._broke)
