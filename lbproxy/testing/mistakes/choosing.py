"""Mistakes about who is chosen, and what probes say."""

from __future__ import annotations

from typing import Any

from lbproxy.balance import backend as backend_module
from lbproxy.balance import pool as pool_module
from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.standing import State
from lbproxy.health import verdict
from lbproxy.health.ejection import IN_ROW
from lbproxy.health.said import Said
from lbproxy.probe.prober import Prober
from lbproxy.testing.mistakes.registry import Put, mutation, nothing


@mutation
def the_last_one_is_put_out(put: Put) -> None:
    right = Pool._judge

    def judge(self: Any, backend: Backend, *told: Any, **more: Any) -> None:
        right(self, backend, *told, **more)
        if backend.ejection._streak >= IN_ROW:
            self.on_outlier(backend, told[1])

    def eject(self: Any, backend: Backend, now: float) -> None:
        if backend.available:
            backend.ejection.eject(now)
            self._turn(backend, State.EJECTED, "", now)

    put(Pool, "_judge", judge)
    put(Pool, "eject", eject)


@mutation
def the_ejected_are_never_let_back(put: Put) -> None:
    put(Pool, "reinstate", nothing)


@mutation
def the_ejected_are_chosen(put: Put) -> None:
    put(backend_module, "AVAILABLE", frozenset({State.UNKNOWN, State.UP, State.EJECTED}))


@mutation
def the_down_are_chosen(put: Put) -> None:
    put(backend_module, "AVAILABLE", frozenset({State.UNKNOWN, State.UP, State.DOWN}))


@mutation
def weight_nought_is_one(put: Put) -> None:
    put(Backend, "available", property(lambda self: self.state in backend_module.AVAILABLE))


@mutation
def always_the_first(put: Put) -> None:
    put(RoundRobin, "choose", lambda self, candidates, now, key: candidates[0])


@mutation
def slow_start_never_ends(put: Put) -> None:
    put(pool_module, "share", lambda since, now, seconds: 0.1)


@mutation
def the_limit_in_flight_is_ignored(put: Put) -> None:
    def acquire(self: Any, backend: Backend) -> None:
        backend.in_flight += 1

    def release(self: Any, backend: Backend) -> None:
        backend.in_flight -= 1

    put(Pool, "acquire", acquire)
    put(Pool, "release", release)


@mutation
def in_flight_is_not_released(put: Put) -> None:
    put(Pool, "release", nothing)


def _observe_with(rise: int, fall: int) -> Any:
    right = verdict.Verdict.observe

    def wrong(self: Any, passed: bool) -> bool:
        self.rise, self.fall = self.rise + rise, self.fall + fall
        try:
            return right(self, passed)
        finally:
            self.rise, self.fall = self.rise - rise, self.fall - fall

    return wrong


@mutation
def one_pass_too_few(put: Put) -> None:
    put(verdict.Verdict, "observe", _observe_with(-1, 0))


@mutation
def one_failure_too_many(put: Put) -> None:
    put(verdict.Verdict, "observe", _observe_with(0, 1))


@mutation
def a_probe_never_ends(put: Put) -> None:
    put(Prober, "_ended", nothing)


@mutation
def every_probe_passes(put: Put) -> None:
    right = Pool.probed

    def wrong(self: Any, backend: Backend, outcome: Any, now: float) -> None:
        right(self, backend, type(outcome)(True, 0.0, "", True, now), now)

    put(Pool, "probed", wrong)


@mutation
def a_drain_is_not_heard(put: Put) -> None:
    put(Said, "weight_of", lambda self, given: given)


@mutation
def a_drain_never_ends(put: Put) -> None:
    right = Pool.hear

    def wrong(self: Any, backend: Backend, said: Said, now: float) -> None:
        if not backend.said.drain:
            right(self, backend, said, now)

    put(Pool, "hear", wrong)


@mutation
def nobody_is_the_last_resort(put: Put) -> None:
    put(Pool, "_last_resort", lambda self, tried: [])


@mutation
def a_refusal_brings_no_probe(put: Put) -> None:
    put(Pool, "suspect", nothing)


@mutation
def a_capacity_is_not_heard(put: Put) -> None:
    put(Said, "limit_of", lambda self, most, parts: most)
