"""A pool as the parent judges it: its probes, and when those return that were put out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from lbproxy.balance.backend import Backend
from lbproxy.balance.balancer import Balancer
from lbproxy.balance.pool import Pool
from lbproxy.balance.standing import Standing, State
from lbproxy.config import model
from lbproxy.control.link import Names
from lbproxy.discovery.members import question_of
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.probe.checks import Check
from lbproxy.probe.prober import Prober

#: Tells all workers how a backend stands.
Tell = Callable[[Names, Standing], None]


class Judged:
    """One pool. No request is served from it; the workers hear how its backends stand.

    Attributes:
        pool: It, and what is known of its backends.
        alike: In which way all of them fail, as far as it has been said; empty if they do not.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        config: model.Pool,
        balancer: Balancer,
        check: Check,
        chance: random.Random,
        tell: Tell,
        ejected: Callable[[Names], None],
    ) -> None:
        """Prepare; nothing is probed yet.

        Args:
            clock: Provides the time.
            config: Of the pool.
            balancer: Its policy, which nobody asks here.
            check: Probes one of its backends.
            chance: All chance is drawn from it.
            tell: Hears of each change.
            ejected: Hears of each backend that is put out.
        """
        self._clock = IReactorTime(clock)
        self._told = tell
        self._ejected = ejected
        self.pool = Pool(config, balancer, self._clock.seconds())
        self._judge_names()  # Nobody is told: to begin without addresses is nothing unusual.
        self.pool.on_turn = self._turned
        self.pool.on_probe = self.tell
        self.pool.on_said = self._said
        self._prober = Prober(clock, self.pool, check, chance)
        self._returns: dict[Backend, IDelayedCall] = {}
        self.alike = ""

    def start(self) -> None:
        """Probe."""
        self._prober.startService()

    def stop(self) -> Deferred[None]:
        """Give up the probes. Fires when they have ended."""
        for due in self._returns.values():
            due.cancel()
        self._returns.clear()
        return self._prober.stopService()

    def reconfigure(self, config: model.Pool, balancer: Balancer | None, check: Check) -> None:
        """Judge by another config, whose backends may be others. Who stays is judged as before.

        Args:
            config: Of the pool; of the same name.
            balancer: The policy, if it is to be another one.
            check: Probes one of its backends.
        """
        for gone in self.pool.reconfigure(config, balancer, self._clock.seconds()):
            due = self._returns.pop(gone, None)
            if due is not None:
                due.cancel()
        self._judge_names()
        self._prober.reconfigure(check)

    def first_round(self) -> Deferred[None]:
        """Fires when each backend has its first verdict, or after a while."""
        return self._prober.first_round()

    def names(self, backend: Backend) -> Names:
        """A backend's."""
        return self.pool.name, backend.name

    def standings(self) -> dict[Names, Standing]:
        """How all backends stand."""
        return {self.names(each): self.pool.standing(each) for each in self.pool.backends}

    def tell(self, backend: Backend, detail: str = "") -> None:
        """Have the workers hear how a backend stands."""
        self._told(self.names(backend), self.pool.standing(backend, detail))

    def weigh(self, backend: Backend, weight: int) -> None:
        """Give a backend another weight; it is the caller's to have that told."""
        self.pool.weigh(backend, weight, self._clock.seconds())

    def hear_alike(self, told: Iterable[str]) -> None:
        """Take what workers say of it, and say when all begin to fail alike, or cease to."""
        self.pool.hear_alike(next(filter(None, told), ""))
        how, before = self.pool.alike(self._clock.seconds()), self.alike
        if how == before:
            return
        self.alike = how
        if how:
            self.log.warn(
                "all backends of {pool} fail alike ({how}): what they share is at fault",
                pool=self.pool.name,
                how=how,
            )
        else:
            self.log.info("not all backends of {pool} fail alike any more", pool=self.pool.name)

    # The rest is ours.

    def _judge_names(self) -> None:
        """Where nobody probes, who only stands for a name is down until there is an address."""
        if self.pool.config.health is not None:
            return
        now = self._clock.seconds()
        for backend in self.pool.backends:
            if backend.last_probe is None and question_of(backend.config.address) is not None:
                outcome = ProbeOutcome(False, 0.0, "no address is known of it yet", False, now)
                self.pool.probed(backend, outcome, now)

    def _turned(self, backend: Backend, detail: str) -> None:
        self.log.info(
            "{pool}/{backend} is {state}: {detail}",
            pool=self.pool.name,
            backend=backend.name,
            state=backend.state.value,
            detail=detail,
        )
        due = self._returns.pop(backend, None)
        if due is not None and due.active():
            due.cancel()
        if backend.state is State.EJECTED:
            self._ejected(self.names(backend))
            seconds = backend.ejection.until - self._clock.seconds()
            self._returns[backend] = self._clock.callLater(seconds, self._return, backend)
        self.tell(backend, detail)

    def _return(self, backend: Backend) -> None:
        # The clock that wakes us may be ahead of the one that tells the time.
        del self._returns[backend]
        self.pool.reinstate(backend, max(self._clock.seconds(), backend.ejection.until))

    def _said(self, backend: Backend) -> None:
        """Say so; the workers are told with the probe that has brought it."""
        self.log.info(
            "{pool}/{backend} says {said}",
            pool=self.pool.name,
            backend=backend.name,
            said=backend.said,
        )
