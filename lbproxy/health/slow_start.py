"""A backend that came back gets its share by and by, while its caches and its pools fill."""

from __future__ import annotations

#: The share with which it begins.
FLOOR = 0.1


def share(since: float, now: float, seconds: float) -> float:
    """The part of its weight that a backend gets: from 10 % to 1.0, in a straight line.

    Args:
        since: When it came back, in the clock's seconds.
        now: The present time.
        seconds: How long its start takes; 0.0 turns this off.
    """
    if seconds <= 0.0 or now - since >= seconds:
        return 1.0
    return max(FLOOR, FLOOR + (1.0 - FLOOR) * (now - since) / seconds)
