"""What may happen again and again, and is to be in the log now and then."""

from __future__ import annotations

from math import inf


class Seldom:
    """Says when something is to be told: once, then not for a while, however often it happens."""

    __slots__ = ("_due", "_quiet", "_untold")

    def __init__(self, quiet: float) -> None:
        """Begin.

        Args:
            quiet: Seconds from one time that it is told to the next.
        """
        self._quiet = quiet
        self._due = -inf
        self._untold = 0

    def tell(self, now: float) -> int | None:
        """It has happened.

        Args:
            now: The present time, in the clock's seconds.

        Returns:
            How often it had happened untold before, if it is to be told now; else `None`.
        """
        if now < self._due:
            self._untold += 1
            return None
        self._due = now + self._quiet
        untold, self._untold = self._untold, 0
        return untold


def since(untold: int) -> str:
    """How often it was, this time included, to stand behind what is told; empty if only now."""
    return f"; {untold + 1} times since that was last said" if untold else ""
