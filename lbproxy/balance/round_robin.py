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
        self._shares: Sequence[float] = ()
        self._place = 0
        self._repeats = False

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one."""
        if candidates is not self._candidates:
            self._take_back()
            self._candidates = candidates
            return _smooth(candidates)
        place = self._place
        if place == len(self._turns):
            place = 0
            if not self._repeats:
                self._make()
                if not self._turns:
                    return _smooth(candidates)
        self._place = place + 1
        chosen: C = self._turns[place]
        return chosen

    def _make(self) -> None:
        """Make choices until all stand as they do now; none if that takes too long."""
        candidates = self._candidates
        self._shares = shares = [each.share for each in candidates]
        self._turns, self._repeats = (), False
        if all(share.is_integer() for share in shares):
            period = int(sum(shares)) // gcd(*map(int, shares))
            if period <= LONGEST:
                before = [each.current for each in candidates]
                self._turns = [_smooth(candidates) for _ in range(period)]
                # Not if some had to catch up from before, when there were others as well.
                self._repeats = before == [each.current for each in candidates]

    def _take_back(self) -> None:
        """Let all stand as if the choices to come had not been made."""
        rest = self._turns[self._place :]
        if rest:
            paid = Counter(rest)
            total = sum(self._shares)  # Of then: there may be other weights by now.
            for each, share in zip(self._candidates, self._shares, strict=True):
                each.current += total * paid[each] - len(rest) * share
        self._turns, self._place, self._repeats = (), 0, False


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
