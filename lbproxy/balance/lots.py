"""Lots drawn among candidates, in proportion to their shares."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbproxy.balance.balancer import Candidate


class Lots:
    """Draws candidates in the time of a binary search, however many there are.

    The running sums that this needs are made once for each sequence, which is the same object as
    long as nobody joins, leaves, or changes its share (`Balancer.choose`).

    Attributes:
        equal: Whether all shares of the sequence that was seen last are the same.
        mean: Their mean.
    """

    def __init__(self, chance: random.Random) -> None:
        self._random = chance.random
        self._seen: Sequence[Candidate] = ()
        self._bounds: list[float] = []
        self.equal = True
        self.mean = 1.0

    def see(self, candidates: Sequence[Candidate]) -> None:
        """Prepare to draw among these, if they are not those that were seen last."""
        if candidates is self._seen:
            return
        self._seen = candidates
        shares = [candidate.share for candidate in candidates]
        self._bounds = list(accumulate(shares))
        self.equal = min(shares) == max(shares)
        self.mean = self._bounds[-1] / len(shares)

    def one(self, candidates: Sequence[Candidate]) -> int:
        """Draw one; its place."""
        self.see(candidates)
        count = len(candidates)
        if self.equal:
            return int(self._random() * count)
        return bisect_right(self._bounds, self._random() * self._bounds[-1], 0, count - 1)

    def two(self, candidates: Sequence[Candidate]) -> tuple[int, int]:
        """Draw one, and then another one of the rest; their places.

        Args:
            candidates: At least two.
        """
        first = self.one(candidates)
        count = len(candidates)
        if count == 2:
            return first, 1 - first
        if self.equal:
            second = int(self._random() * (count - 1))
            return first, second + (second >= first)
        # On the line of all shares the first one's piece is stepped over.
        bounds, share = self._bounds, candidates[first].share
        drawn = self._random() * (bounds[-1] - share)
        if drawn >= bounds[first] - share:
            drawn += share
        second = bisect_right(bounds, drawn, 0, count - 1)
        if second == first:  # By rounding.
            second = first - 1 if first else 1
        return first, second
