"""Round robin, smooth where weights differ: a a b a, not a a a b."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbproxy.balance.balancer import C


class RoundRobin:
    """Smooth weighted round robin, as nginx does it.

    Each candidate gains its share; the one with the most is chosen, and pays what all gained. So
    two backends of equal weight alternate strictly.
    """

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one."""
        chosen = candidates[0]
        total = 0.0
        for candidate in candidates:
            candidate.current += candidate.share
            total += candidate.share
            if candidate.current > chosen.current:
                chosen = candidate
        chosen.current -= total
        return chosen
