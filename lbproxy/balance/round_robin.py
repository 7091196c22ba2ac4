"""Round robin, smooth where weights differ: a a b a, not a a a b."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import gcd
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lbproxy.balance.balancer import C

#: Choices that are made beforehand at most.
LONGEST = 4096


class RoundRobin:
    """Smooth weighted round robin, as nginx does it.

    Each candidate gains its share; the one with the most is chosen, and pays what all gained. So
    two backends of equal weight alternate strictly.

    That is a look at every candidate for each choice. But with whole shares all stand again as at
    first after a number of choices, so while nothing changes these are made once, and repeated.
    """

    def __init__(self) -> None:
        self._candidates: Sequence[Any] = ()
        self._turns: Sequence[Any] = ()
        self._place = 0

    def choose(self, candidates: Sequence[C]) -> C:
        """The next one."""
        if candidates is not self._candidates:
            self._settle()
            self._candidates = candidates
            return _smooth(candidates)
        turns, place = self._turns, self._place
        if not turns:
            turns = self._turns = _turns(candidates)
            if not turns:
                return _smooth(candidates)
        chosen: C = turns[place]
        place += 1
        self._place = place if place < len(turns) else 0
        return chosen

    def _settle(self) -> None:
        """Let those who have been chosen pay, as they would have done one by one."""
        turns, place = self._turns, self._place
        if place:
            paid = Counter(turns[:place])
            total = sum(each.share for each in self._candidates)
            for each in self._candidates:
                each.current += place * each.share - total * paid[each]
        self._turns, self._place = (), 0


def _smooth(candidates: Sequence[C]) -> C:
    chosen = candidates[0]
    total = 0.0
    for candidate in candidates:
        candidate.current += candidate.share
        total += candidate.share
        if candidate.current > chosen.current:
            chosen = candidate
    chosen.current -= total
    return chosen


def _turns(candidates: Sequence[C]) -> Sequence[C]:
    """The choices until all stand as they do now; none if that takes too long."""
    shares = [candidate.share for candidate in candidates]
    if not all(share.is_integer() for share in shares):
        return ()
    period = int(sum(shares)) // gcd(*map(int, shares))
    return [_smooth(candidates) for _ in range(period)] if period <= LONGEST else ()
