"""How many retries a pool may make, so that a failure does not become a storm."""

from __future__ import annotations

from lbproxy.health.window import Window

#: Retries that are always allowed within the window, so that little traffic can fail over too.
FLOOR = 30


class RetryBudget(Window):
    """Allows retries up to a share of the requests of the last ten seconds.

    A limit on the retries that run at once, which is the other usual form, would fail just when a
    backend dies and all that it was serving moves over in one instant: see
    `docs/decisions/0003-retry-budget-over-a-window.md`.

    Attributes:
        share: Retries for each request.
    """

    def __init__(self, share: float, workers: int = 1, floor: int = FLOOR) -> None:
        """Allow `share` retries for each request, 0.0 to 1.0.

        Args:
            share: Retries for each request.
            workers: The processes among which `floor` is divided.
            floor: Retries that are always allowed within the window.
        """
        super().__init__()
        self.share = share
        self._floor = -(-floor // workers)

    def spend(self, now: float) -> bool:
        """Take a retry out of the budget; false if there is none left."""
        requests, retries = self.totals(now)
        if retries + 1 > self._floor + self.share * requests:
            return False
        self.mark(now)
        return True
