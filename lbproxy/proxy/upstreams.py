"""A pool at work: its backends' connections, its queue, its retry budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from lbproxy.balance.backend import Backend
from lbproxy.balance.balancer import Balancer
from lbproxy.balance.outage import is_shut, takes_held
from lbproxy.balance.pool import Pool
from lbproxy.config import model
from lbproxy.errors import BreakerOpen, Drained, NoBackend
from lbproxy.forward.budget import RetryBudget
from lbproxy.forward.poison import Suspects
from lbproxy.health.breaker import Breaker, State
from lbproxy.proxy.hedging import Hedging
from lbproxy.proxy.idle import Connections
from lbproxy.proxy.queue import WaitingRoom
from lbproxy.transport.connect import Dialled, connect
from lbproxy.transport.timer import CoarseTimer
from lbproxy.transport.trust import Trust

#: Seconds from one look at those who are held to the next, while some backend is there.
LOOK = 0.1

P = TypeVar("P", bound=Dialled)


class Upstreams:
    """What the exchanges of one pool share.

    Attributes:
        pool: Decides which backend is next.
        waiting: Requests for which no backend has room.
        budget: How many retries there may be.
        hedging: When a second backend is asked as well; `None` is never.
        hedges: How many second attempts are under way.
        suspects: Requests during which backends broke.
        breaker: Whether requests are let through; `None` is all of them.
        on_open: Called when the breaker opens.
        wary: Whether a request has to be looked at before it is sent, and its answer before it is
            given, since some wait, some are suspected or refused, or any may be hedged or has to be
            counted: one question instead of four.
        can_hold: Whether requests are held while no backend can take anything.
        connections: Those of each backend.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        timer: CoarseTimer,
        pool: Pool,
        trusts: Mapping[str, Trust] | None = None,
        workers: int = 1,
    ) -> None:
        """Build; nothing is connected yet.

        Args:
            reactor: Network and time.
            timer: Watches the deadlines.
            pool: Decides which backend is next.
            trusts: How those of its backends that speak TLS do that, by name.
            workers: Among how many processes the retries of small traffic are divided.
        """
        config = pool.config
        self.pool = pool
        pool.on_turn = self._turned
        pool.on_weigh = self._weighed
        pool.on_said = self._returned
        pool.on_reached = self._reached
        self._reactor = reactor
        self._timer = timer
        self._trusts = trusts or {}
        self._clock = IReactorTime(reactor)
        self.waiting = WaitingRoom(self._clock, timer, config)
        self.budget = RetryBudget(config.retry.budget, workers)
        self.hedging = None if config.hedge is None else Hedging(self._clock, config.hedge)
        self.hedges = 0
        self.suspects = Suspects()
        self.on_open: Callable[[], None] | None = None
        self.breaker = self._new_breaker(config.breaker)
        self.wary = self.hedging is not None or self.breaker is not None
        self.can_hold = config.hold_when_down is not None
        self._again: IDelayedCall | None = None
        self._soon: IDelayedCall | None = None
        self.connections = {backend: self._connections(backend) for backend in pool.backends}

    def reconfigure(
        self,
        config: model.Pool,
        balancer: Balancer | None,
        trusts: Mapping[str, Trust],
        now: float,
    ) -> None:
        """Take another config, as `Pool.reconfigure` does. Connections that still suit are kept.

        Args:
            config: As in `[pools.NAME]`.
            balancer: The policy, if it is to be another one.
            trusts: How those of its backends that speak TLS do that, by name.
            now: The present time, in the clock's seconds.
        """
        hedge, breaker = self.pool.config.hedge, self.pool.config.breaker
        self.pool.reconfigure(config, balancer, now)
        self._trusts = trusts
        self.waiting.reconfigure(config)
        self.budget.share = config.retry.budget
        if config.hedge != hedge:
            if self.hedging is not None:
                self.hedging.close()
            self.hedging = None if config.hedge is None else Hedging(self._clock, config.hedge)
        if config.breaker != breaker:
            if self.breaker is not None:  # Some that it has let through may still fail.
                self.breaker.on_turn = None
            self.breaker = self._new_breaker(config.breaker)
        self.can_hold = config.hold_when_down is not None
        self.relax(now)
        before, self.connections = self.connections, {}
        for backend in self.pool.backends:
            kept, trust = before.get(backend), trusts.get(backend.name)
            if kept is not None and kept.suits(backend.config, config.timeouts, trust):
                self.connections[backend] = before.pop(backend)
            else:
                self.connections[backend] = self._connections(backend)
        for connections in before.values():
            connections.close()
        self._admit_soon()  # There may be more room, or somebody new.

    def dial(self, backend: Backend, build: Callable[[], P]) -> Deferred[P]:
        """A connection to a backend that is not kept for others, or `ConnectFailed`."""
        timeout = self.pool.config.timeouts.connect
        trust = self._trusts.get(backend.name)
        return connect(self._reactor, backend.config.address, build, timeout, trust)

    def nobody(self) -> NoBackend:
        """What a client is told if no backend can answer."""
        name = self.pool.name
        if self.pool.drained():
            return Drained(f'What could answer of pool "{name}" is drained.')
        return NoBackend(f'No backend of pool "{name}" can answer now.')

    def broken(self, now: float) -> BreakerOpen:
        """What a client is told whom the breaker does not let through."""
        assert self.breaker is not None
        name, seconds = self.pool.name, 1
        detail = f'Pool "{name}" is tried with a few requests at a time.'
        if self.breaker.state is State.OPEN:
            seconds = max(1, ceil(self.breaker.until - now))
            detail = f'Too many requests to pool "{name}" failed; it gets none for {seconds} s.'
        return BreakerOpen(detail, knob=f"pools.{name}.breaker", retry_after=seconds)

    def release(self, backend: Backend) -> None:
        """An exchange is done with a backend; the first that can make use of it goes there."""
        self.pool.release(backend)
        if self.waiting:
            if self.waiting.held:
                self._let_go()
            # Mostly it is one. But who is admitted since nobody is left for him takes no room.
            while backend.in_flight < backend.limit:
                if not self.waiting.admit_next(self.pool.saturated):
                    break

    def make_way(self, now: float) -> None:
        """Before one who comes is sent anywhere: whoever waits goes first, if there is room now.

        Args:
            now: The present time, in the clock's seconds.
        """
        self.pool.settle(now)
        if self._soon is not None:
            self._soon.cancel()
            self._admit()

    def relax(self, now: float) -> None:
        """Have new requests not be looked at any more, if nothing asks for it."""
        self.suspects.forget(now)
        counted = self.hedging is not None or self.hedges > 0 or self.breaker is not None
        self.wary = counted or bool(self.suspects) or bool(self.waiting)

    def close(self) -> None:
        """Close the idle connections."""
        self.waiting.close()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self.hedging is not None:
            self.hedging.close()
        for connections in self.connections.values():
            connections.close()

    def _new_breaker(self, config: model.Breaker | None) -> Breaker | None:
        self.pool.breaker = ""
        if config is None:
            return None
        breaker = Breaker(config.share, config.requests, config.open)
        breaker.on_turn = self._breaker_turned
        self.pool.breaker = breaker.state.value
        return breaker

    def _breaker_turned(self, state: State, why: str) -> None:
        self.pool.breaker = state.value
        self.log.warn("the breaker of {pool} {why}", pool=self.pool.name, why=why)
        if state is State.OPEN and self.on_open is not None:
            self.on_open()

    def _connections(self, backend: Backend) -> Connections:
        config, trust = self.pool.config, self._trusts.get(backend.name)
        connections = Connections(
            self._reactor, self._timer, backend.config, config.timeouts, trust
        )
        connections.keep(not backend.draining)
        return connections

    def _turned(self, backend: Backend, detail: str) -> None:
        self._returned(backend)

    def _weighed(self, backend: Backend) -> None:
        self.connections[backend].keep(not backend.draining)
        self._returned(backend)

    def _returned(self, backend: Backend) -> None:
        if backend.available:
            self._admit_soon()

    def _reached(self, backend: Backend) -> None:
        if self.waiting.held:
            self._admit_soon()

    def _admit_soon(self) -> None:
        # Not at once: it may be a choice, under way, that has let the backend back.
        if self.waiting and self._soon is None:
            self._soon = self._clock.callLater(0.0, self._admit)

    def _admit(self) -> None:
        self._soon = None
        self._let_go()
        while self.waiting.admit_next(self.pool.saturated):
            pass

    def _let_go(self) -> None:
        """Let those who are held go to whoever has come back, at his pace."""
        self.waiting.let_go(lambda: takes_held(self.pool, self._clock.seconds()))
        if self.waiting.held and self._again is None and not is_shut(self.pool):
            # Most go on when another one is done, but that may take long, and the pace grows.
            self._again = self._clock.callLater(LOOK, self._look_again)

    def _look_again(self) -> None:
        self._again = None
        self._let_go()
