"""Mistakes about policies, and the tiers that they choose from."""

from __future__ import annotations

from math import inf
from typing import Any

from lbproxy.balance import slowness, tiers
from lbproxy.balance.consistent_hash import ConsistentHash
from lbproxy.balance.least_loaded import LeastLoaded
from lbproxy.balance.peak_ewma import PeakEwma
from lbproxy.balance.round_robin import _Course
from lbproxy.balance.slowness import Slowness
from lbproxy.balance.tiers import Tiers
from lbproxy.balance.two_choices import TwoChoices
from lbproxy.testing.mistakes.registry import Put, mutation, nothing
from lbproxy.worker import serve


def _sorted_otherwise(change: Any) -> Any:
    right = Tiers.sort

    def sort(self: Any, backends: Any) -> None:
        right(self, backends)
        change(self, backends)

    return sort


@mutation
def backups_are_like_all_others(put: Put) -> None:
    def change(self: Any, backends: Any) -> None:
        self.first, self.second, self.spill = [each for each in backends if each.available], [], 0.0

    put(Tiers, "sort", _sorted_otherwise(change))


@mutation
def backups_never_help(put: Put) -> None:
    def change(self: Any, backends: Any) -> None:
        self.first, self.second, self.spill = (
            [each for each in self.first if not each.config.backup],
            [],
            0.0,
        )

    put(Tiers, "sort", _sorted_otherwise(change))


@mutation
def a_key_is_nothing(put: Put) -> None:
    right = ConsistentHash.choose
    put(ConsistentHash, "choose", lambda self, those, now, key: right(self, those, now, None))


@mutation
def a_key_keeps_its_old_order(put: Put) -> None:
    right = ConsistentHash._see

    def wrong(self: Any, candidates: Any) -> None:
        orders = dict(self._orders)
        right(self, candidates)
        self._orders.update(orders)

    put(ConsistentHash, "_see", wrong)


@mutation
def always_the_second_of_two(put: Put) -> None:
    put(TwoChoices, "choose", lambda self, candidates, *_: candidates[-1])


@mutation
def a_reload_leaves_the_policy(put: Put) -> None:
    put(serve, "same_policy", lambda before, after: True)


@mutation
def backups_help_too_soon(put: Put) -> None:
    put(tiers, "OVERPROVISIONING", 1.0)


@mutation
def what_spills_is_rounded_down(put: Put) -> None:
    def wrong(self: Any, key: bytes | None) -> bool:
        spills = right(self, key)
        self._spilled = 0.0 if spills else self._spilled
        return spills

    right = Tiers.spills
    put(Tiers, "spills", wrong)


@mutation
def a_key_spills_now_and_then(put: Put) -> None:
    right = Tiers.spills
    put(Tiers, "spills", lambda self, key: right(self, None))


@mutation
def the_bound_on_the_load_is_ignored(put: Put) -> None:
    put(ConsistentHash, "_allowance", lambda self: inf)


@mutation
def shares_are_nothing_to_the_least_loaded(put: Put) -> None:
    def wrong(self: Any, candidates: Any, now: float, key: bytes | None) -> Any:
        return min(candidates, key=lambda each: each.in_flight)

    put(LeastLoaded, "choose", wrong)


@mutation
def nobody_is_slow(put: Put) -> None:
    put(Slowness, "_judge", nothing)


@mutation
def who_fails_is_fast(put: Put) -> None:
    put(slowness, "PENALTY", 1.0)


@mutation
def what_is_usual_is_never_found_anew(put: Put) -> None:
    put(slowness, "PERIOD", inf)


@mutation
def the_cost_forgets_the_queue(put: Put) -> None:
    put(PeakEwma, "_cost", lambda self, candidate, now: self.latency(candidate, now))


@mutation
def a_slow_answer_counts_by_and_by(put: Put) -> None:
    right = PeakEwma.observe

    def wrong(self: Any, candidate: Any, seconds: float, failed: bool, now: float) -> None:
        known = self._known.get(candidate)
        mean = seconds if known is None else (seconds + known.seconds) / 2
        right(self, candidate, mean, failed, now)

    put(PeakEwma, "observe", wrong)


@mutation
def the_fuller_one_of_two(put: Put) -> None:
    right = TwoChoices.choose

    def wrong(self: Any, candidates: Any, now: float, key: bytes | None) -> Any:
        chosen = right(self, candidates, now, key)
        if len(candidates) != 2:
            return chosen
        return max(candidates, key=lambda each: each.in_flight / each.share)

    put(TwoChoices, "choose", wrong)


@mutation
def turns_that_are_not_taken_are_paid(put: Put) -> None:
    right = _Course.leave
    put(_Course, "leave", lambda self, rest: right(self, ()))
