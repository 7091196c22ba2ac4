"""Least loaded: the one with the fewest attempts under way."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from lbproxy.balance.lots import Lots
from lbproxy.balance.slowness import Slowness

if TYPE_CHECKING:
    from lbproxy.balance.balancer import C


class LeastLoaded:
    """Weighted least attempts in flight.

    The load of a candidate is its attempts under way in proportion to its share, as nginx's
    `least_conn` has it. One that has nothing to do ends the search, so this looks at every
    candidate only when all are busy.

    Where shares are equal the search begins behind the one that was chosen last, so that those
    that are level take turns. Else it begins at a lot drawn by share, so that in an idle pool the
    weights are kept.
    """

    def __init__(self, chance: random.Random) -> None:
        """Build.

        Args:
            chance: Where shares differ, the lots are drawn from it.
        """
        self._lots = Lots(chance)
        self._slowness = Slowness()
        self.observe = self._slowness.observe
        self._behind_last = 0

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one."""
        count = len(candidates)
        self._lots.see(candidates)
        if now >= self._slowness.due:
            self._slowness.settle(now)
        slow = self._slowness.factors
        begin = self._behind_last % count if self._lots.equal else self._lots.one(candidates)
        best, least = begin, float("inf")
        for place in chain(range(begin, count), range(begin)):
            candidate = candidates[place]
            load = candidate.in_flight
            if slow and candidate in slow:
                load = (load + 1) * slow[candidate] - 1.0
            elif not load:
                best = place
                break
            load /= candidate.share
            if load < least:
                best, least = place, load
        self._behind_last = best + 1
        return candidates[best]
