"""Two tiers of a pool: those that serve, and the backups behind them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lbproxy.balance.hashing import hash64

if TYPE_CHECKING:
    from lbproxy.balance.backend import Backend

#: How much of the first tier may be gone before the second one helps: with 1.4, 28 % (Envoy's
#: default `overprovisioning_factor`).
OVERPROVISIONING = 1.4


def spill(first: float, first_of: float, second: float, second_of: float) -> float:
    """The part of the requests that goes to the backups, from 0.0 to 1.0.

    The rule is that of Envoy's priority levels ("Priority levels" in its documentation). A tier
    can bear 1.4 times the part of its weight that is available, and all requests at most. The
    first tier gets what it can bear, the second one the rest, as far as it can bear that; if both
    together cannot bear all, each gets its part of the sum.

    Args:
        first: Weight that is available in the first tier.
        first_of: Weight of the whole tier.
        second: Weight of the backups that are available.
        second_of: Weight of all backups.
    """
    bears = _bears(first, first_of)
    backs = _bears(second, second_of)
    together = min(1.0, bears + backs)
    return 0.0 if together == 0.0 else max(0.0, 1.0 - bears / together)


def _bears(available: float, whole: float) -> float:
    return min(1.0, OVERPROVISIONING * available / whole) if whole else 0.0


class Tiers:
    """Who of a pool may be chosen at present, tier by tier.

    The lists are never changed but replaced, by which policies see that something is new.

    Attributes:
        first: Those that are chosen from; the backups if nobody else is available.
        second: The backups behind them.
        spill: The part of the requests that goes to those, as `spill` has it.
    """

    def __init__(self, backends: Iterable[Backend]) -> None:
        """Sort out the backends of a pool."""
        self._spilled = 0.0
        self.sort(backends)

    def sort(self, backends: Iterable[Backend]) -> None:
        """Do so again: one has come or gone, or has another weight or share."""
        tiers: tuple[list[Backend], list[Backend]] = ([], [])
        weights = [0, 0]
        for backend in backends:
            tier = backend.config.backup
            weights[tier] += backend.weight
            if backend.available:
                tiers[tier].append(backend)
        self.first, self.second = tiers
        able = [sum(backend.weight for backend in tier) for tier in tiers]
        self.spill = spill(able[0], weights[0], able[1], weights[1])
        if not self.first:
            self.first, self.second, self.spill = self.second, [], 0.0

    def spills(self, key: bytes | None) -> bool:
        """Whether a request goes to the second tier.

        Requests without a key do so in an even pattern; those of one key all do, or none.
        """
        if key:
            return hash64(b"tier " + key) < self.spill * 2.0**64
        self._spilled += self.spill
        if self._spilled < 1.0:
            return False
        self._spilled -= 1.0
        return True

    def beside(self, tier: list[Backend]) -> list[Backend]:
        """The other tier."""
        return self.first if tier is self.second else self.second
