"""What has been counted in the last seconds."""

from __future__ import annotations

#: Seconds over which is counted, in slots of one second.
WINDOW = 10


class Window:
    """Counts requests, and what there was for some of them, over the last ten seconds."""

    def __init__(self) -> None:
        self._requests = [0] * WINDOW
        self._marks = [0] * WINDOW
        self._second = 0
        self._present = 0

    def request(self, now: float) -> None:
        """Count a request."""
        if int(now) != self._second:
            self._turn(int(now))
        self._present += 1

    def mark(self, now: float) -> None:
        """Count one of what there is for some requests."""
        if int(now) != self._second:
            self._turn(int(now))
        self._marks[self._second % WINDOW] += 1

    def totals(self, now: float) -> tuple[int, int]:
        """How many requests there were, and how many marks."""
        if int(now) != self._second:
            self._turn(int(now))
        return sum(self._requests) + self._present, sum(self._marks)

    def _turn(self, second: int) -> None:
        """Empty the slots that the clock has passed since."""
        self._requests[self._second % WINDOW] += self._present
        self._present = 0
        for passed in range(max(self._second, second - WINDOW) + 1, second + 1):
            self._requests[passed % WINDOW] = self._marks[passed % WINDOW] = 0
        self._second = second
