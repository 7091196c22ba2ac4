"""How fast a request's body has to come."""

from __future__ import annotations

#: Bytes a second that must come on average, looked at after this many seconds.
FLOOR, GRACE = 240, 10.0


class BodyPace:
    """Judges a body by the progress that it makes while it is read.

    A limit on the whole would cut off large bodies; a limit on each pause alone would let a client
    hold a connection for a byte at a time.
    """

    __slots__ = ("_began", "_pause", "_seen")

    def __init__(self, pause: float, now: float) -> None:
        """Begin with no byte.

        Args:
            pause: Seconds without any progress that are too many.
            now: The present time, in the clock's seconds.
        """
        self._pause = pause
        self.begin(now, 0)

    def begin(self, now: float, seen: int) -> None:
        """Count anew from here on, as after a time in which we did not read.

        Args:
            now: The present time, in the clock's seconds.
            seen: Bytes that have come until now.
        """
        self._began = now
        self._seen = seen

    def next_look(self, now: float) -> float:
        """When to ask for the `fault` next."""
        return now + min(GRACE, self._pause)

    def fault(self, now: float, seen: int) -> str | None:
        """What is wrong with the pace, in words, or `None`.

        Args:
            now: The present time, in the clock's seconds.
            seen: Bytes that have come until now.
        """
        seconds, came = now - self._began, seen - self._seen
        if seconds >= self._pause and not came:
            return f"No byte of the request's body came for {self._pause} s."
        if seconds >= GRACE and came < FLOOR * seconds:
            return f"The request's body came at less than {FLOOR} bytes a second."
        if came:
            self.begin(now, seen)
        return None
