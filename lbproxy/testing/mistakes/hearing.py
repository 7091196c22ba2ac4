"""Mistakes about what policies hear, and about who starts slowly."""

from __future__ import annotations

from typing import Any

import attrs

from lbproxy.balance import pool as pool_module
from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.health import slow_start
from lbproxy.proxy.exchange import Exchange
from lbproxy.testing.mistakes.registry import Put, mutation


@mutation
def an_attempt_is_heard_twice(put: Put) -> None:
    right = Pool.took

    def wrong(self: Any, *told: Any) -> None:
        right(self, *told)
        right(self, *told)

    put(Pool, "took", wrong)


@mutation
def who_breaks_is_not_heard(put: Put) -> None:
    right = Pool.failed

    def wrong(self: Any, *told: Any) -> None:
        timed, self.timed = self.timed, False
        right(self, *told)
        self.timed = timed

    put(Pool, "failed", wrong)


@mutation
def a_gateway_error_is_heard_as_well(put: Put) -> None:
    right = Pool.took

    def wrong(self: Any, backend: Backend, seconds: float, failed: bool, now: float) -> None:
        right(self, backend, seconds, failed and not seconds, now)

    put(Pool, "took", wrong)


@mutation
def who_is_outrun_is_heard_twice(put: Put) -> None:
    right = Exchange.outrun

    def wrong(self: Any, now: float) -> None:
        if self._pool.timed:
            self._pool.took(self._backend, now - self._current.started, False, now)
        right(self, now)

    put(Exchange, "outrun", wrong)


@mutation
def the_time_of_the_connection_is_not_heard(put: Put) -> None:
    right = Exchange._accept

    def wrong(self: Any, head: Any, now: float) -> Any:
        self._whole_at = self._current.started + (self._current.connected or 0.0)
        return right(self, head, now)

    put(Exchange, "_accept", wrong)


@mutation
def nobody_starts_slowly(put: Put) -> None:
    put(pool_module, "share", lambda since, now, seconds: 1.0)


@mutation
def all_start_slowly_together(put: Put) -> None:
    put(Pool, "_is_late", lambda self, backend, now: True)


@mutation
def a_slow_start_is_twice_as_long(put: Put) -> None:
    right = slow_start.share
    put(pool_module, "share", lambda since, now, seconds: right(since, now, 2 * seconds))


@mutation
def a_slow_start_takes_long_steps(put: Put) -> None:
    put(pool_module, "STEPS", 4)


@mutation
def who_is_drained_no_more_starts_at_once(put: Put) -> None:
    right = Pool._reweigh

    def wrong(self: Any, backend: Backend, now: float) -> None:
        starting = backend.starting
        right(self, backend, now)
        backend.starting = starting
        self._grow(backend, now)

    put(Pool, "_reweigh", wrong)


@mutation
def workers_do_not_hear_who_starts(put: Put) -> None:
    right = Pool.learn

    def wrong(self: Any, backend: Backend, standing: Any, now: float) -> None:
        right(self, backend, attrs.evolve(standing, starting=False), now)

    put(Pool, "learn", wrong)
