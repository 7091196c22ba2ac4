"""Two tiers of a pool: those that serve, and the backups behind them."""

from __future__ import annotations

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
