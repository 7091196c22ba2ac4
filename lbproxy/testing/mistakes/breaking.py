"""Mistakes about the breaker of a pool."""

from __future__ import annotations

from typing import Any

from lbproxy.health.breaker import Admission, Breaker, State
from lbproxy.proxy.attempts import Attempts
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.testing.mistakes.registry import Put, mutation, nothing


@mutation
def a_breaker_never_opens(put: Put) -> None:
    put(Breaker, "_open", nothing)


@mutation
def a_breaker_never_closes(put: Put) -> None:
    right = Breaker.answered

    def wrong(self: Any, now: float) -> None:
        if self.state is State.CLOSED:
            right(self, now)
        else:
            self._trials -= 1

    put(Breaker, "answered", wrong)


@mutation
def a_breaker_opens_for_one(put: Put) -> None:
    right = Breaker.failed

    def wrong(self: Any, now: float, **more: Any) -> None:
        self._enough = 1
        right(self, now, **more)

    put(Breaker, "failed", wrong)


@mutation
def what_clients_do_opens_a_breaker(put: Put) -> None:
    def wrong(self: Any) -> None:
        if self.holds and not self._over:
            self._over = True
            self.breaker.failed(self.breaker._window._second)

    put(Admission, "left", wrong)


@mutation
def a_trial_that_says_nothing_is_forgotten(put: Put) -> None:
    put(Breaker, "left", nothing)


@mutation
def a_breaker_is_open_for_too_long(put: Put) -> None:
    right = Breaker._open

    def wrong(self: Any, why: str, now: float) -> None:
        self._seconds *= 4.0
        right(self, why, now)
        self._seconds /= 4.0

    put(Breaker, "_open", wrong)


@mutation
def all_are_let_through_while_a_breaker_is_open(put: Put) -> None:
    right = Breaker.admit

    def wrong(self: Any, now: float) -> Any:
        return Admission(self, -1) if self.state is State.OPEN else right(self, now)

    put(Breaker, "admit", wrong)


@mutation
def who_waits_passes_a_breaker_that_is_open(put: Put) -> None:
    put(Attempts, "_go_on", Attempts._attempt)


@mutation
def a_reload_closes_a_breaker(put: Put) -> None:
    right = Upstreams.reconfigure

    def wrong(self: Any, config: Any, *rest: Any) -> None:
        right(self, config, *rest)
        self.breaker = self._new_breaker(config.breaker)

    put(Upstreams, "reconfigure", wrong)
