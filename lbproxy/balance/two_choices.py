"""Two choices: draw two, take the one with less to do."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lbproxy.balance.lots import Lots

if TYPE_CHECKING:
    from lbproxy.balance.balancer import C


class TwoChoices:
    """The power of two choices (Mitzenmacher, "The Power of Two Choices in Randomized Load
    Balancing", IEEE TPDS 12(10), 2001).

    Of two candidates, drawn in proportion to their shares, the one with fewer attempts under way
    in proportion to its share is chosen; if they are level, the one that was drawn first. So an
    idle pool keeps its weights, and balancers that know nothing of each other do not all run to
    the backend that is least loaded now.
    """

    def __init__(self, chance: random.Random) -> None:
        """Build.

        Args:
            chance: The lots are drawn from it.
        """
        self._lots = Lots(chance)

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one."""
        if len(candidates) == 1:
            return candidates[0]
        places = self._lots.two(candidates)
        first, second = candidates[places[0]], candidates[places[1]]
        if second.in_flight * first.share < first.in_flight * second.share:
            return second
        return first
