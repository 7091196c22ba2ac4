"""How many retries a pool may make, so that a failure does not become a storm."""

from __future__ import annotations

#: Seconds over which requests and retries are counted, in slots of one second.
WINDOW = 10

#: Retries that are always allowed within the window, so that little traffic can fail over too.
FLOOR = 30


class RetryBudget:
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
        self.share = share
        self._floor = -(-floor // workers)
        self._requests = [0] * WINDOW
        self._retries = [0] * WINDOW
        self._second = 0
        self._present = 0

    def request(self, now: float) -> None:
        """Count a request."""
        if int(now) != self._second:
            self._turn(int(now))
        self._present += 1

    def spend(self, now: float) -> bool:
        """Take a retry out of the budget; false if there is none left."""
        if int(now) != self._second:
            self._turn(int(now))
        requests = sum(self._requests) + self._present
        if sum(self._retries) + 1 > self._floor + self.share * requests:
            return False
        self._retries[self._second % WINDOW] += 1
        return True

    def _turn(self, second: int) -> None:
        """Empty the slots that the clock has passed since."""
        self._requests[self._second % WINDOW] += self._present
        self._present = 0
        for passed in range(max(self._second, second - WINDOW) + 1, second + 1):
            self._requests[passed % WINDOW] = self._retries[passed % WINDOW] = 0
        self._second = second
