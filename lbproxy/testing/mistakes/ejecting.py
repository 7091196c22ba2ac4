"""Mistakes about who is put out for what live traffic shows, and for how long."""

from __future__ import annotations

from typing import Any

from lbproxy.balance.pool import Pool
from lbproxy.health import ejection
from lbproxy.health.alike import Alike
from lbproxy.health.ejection import Ejection
from lbproxy.testing.mistakes.registry import Put, mutation, nothing


@mutation
def nobody_is_ever_put_out(put: Put) -> None:
    put(Pool, "eject", nothing)


@mutation
def one_failure_more_is_borne(put: Put) -> None:
    put(ejection, "IN_ROW", ejection.IN_ROW + 1)


@mutation
def two_failures_put_out(put: Put) -> None:
    put(ejection, "IN_ROW", 2)


@mutation
def a_fifth_of_failures_puts_out(put: Put) -> None:
    put(ejection, "SHARE", 0.2)


@mutation
def who_is_put_out_again_is_back_as_soon(put: Put) -> None:
    right = Ejection.eject

    def wrong(self: Any, now: float) -> float:
        self._times = 0
        return right(self, now)

    put(Ejection, "eject", wrong)


@mutation
def the_first_time_out_is_too_short(put: Put) -> None:
    put(ejection, "FIRST", 5.0)


@mutation
def who_fails_like_all_is_put_out(put: Put) -> None:
    put(Alike, "shares", lambda self, backend, others, now: False)
