"""Least loaded: the one with the fewest attempts under way, where slow ones count for more."""

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
    """Weighted least attempts in flight, as nginx's `least_conn` has it, which sees who is slow.

    The load of a candidate is its attempts under way in proportion to its share. One that has
    nothing to do ends the search, so this looks at every candidate only when all are busy.

    What is under way at a candidate that is clearly slower than the others counts by that
    (`Slowness`), and one attempt more than there is, so that it is not chosen for being idle::

        load = ((in_flight + 1) * factor - 1) / share

    With a factor of 1.0 that is the load of all others.

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
        self.observe, self.forget = self._slowness.observe, self._slowness.forget
        self._behind_last = 0

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one."""
        slowness = self._slowness
        if now >= slowness.due:
            slowness.settle(now)
        slow = slowness.factors
        count = len(candidates)
        self._lots.see(candidates)
        begin = self._behind_last % count if self._lots.equal else self._lots.one(candidates)
        best, least = begin, float("inf")
        for place in chain(range(begin, count), range(begin)):
            candidate = candidates[place]
            if slow and candidate in slow:
                load = ((candidate.in_flight + 1) * slow[candidate] - 1.0) / candidate.share
            elif candidate.in_flight:
                load = candidate.in_flight / candidate.share
            else:
                best = place
                break
            if load < least:
                best, least = place, load
        self._behind_last = best + 1
        return candidates[best]
