"""Mistakes about policies, and the tiers that they choose from."""

from __future__ import annotations

from typing import Any

from lbproxy.balance.consistent_hash import ConsistentHash
from lbproxy.balance.tiers import Tiers
from lbproxy.balance.two_choices import TwoChoices
from lbproxy.testing.mistakes.registry import Put, mutation
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
