"""Streams, which have no end of their own, and when each of them is ended.

A client whose stream ends comes back at once. If all ended together, all would come together, to
whoever takes our place and to the backends behind that.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Stream(Protocol):
    """What goes on until it is told to end."""

    def depart(self) -> None:
        """End as soon as that breaks nothing, which may be never."""


class Spread:
    """The streams under way, in the order in which they began, which is that of their ends."""

    def __init__(self, clock: IReactorTime) -> None:
        """Prepare.

        Args:
            clock: Provides the time.
        """
        self._clock = clock
        # Not a set, which would not keep the order.
        self._streams: dict[Stream, None] = {}
        self._begun = False
        self._step = self._due = self._last = 0.0
        self._call: IDelayedCall | None = None

    def __len__(self) -> int:
        """How many have not been told yet."""
        return len(self._streams)

    def join(self, stream: Stream) -> None:
        """A stream has begun; while others are ended it has its turn after these, and in time."""
        self._streams[stream] = None
        if self._begun and self._call is None:
            self._wait()

    def leave(self, stream: Stream) -> None:
        """It has ended, by whatever cause."""
        self._streams.pop(stream, None)
        if self._call is not None and not self._streams:
            self._call.cancel()
            self._call = None

    def begin(self, seconds: float) -> None:
        """Tell all to end, the first one now, the others evenly over so many seconds."""
        self._begun = True
        self._due = self._clock.seconds()
        self._last = self._due + seconds
        self._step = seconds / max(len(self._streams), 1)
        self._go_on()

    def _go_on(self) -> None:
        self._call = None
        now = self._clock.seconds()
        while self._streams and self._due <= now:
            stream = next(iter(self._streams))
            del self._streams[stream]
            # Those that begin meanwhile are not counted in the step: no turn is behind the last.
            self._due = min(self._due + self._step, self._last)
            stream.depart()
        if self._streams and self._call is None:
            self._wait()

    def _wait(self) -> None:
        delay = max(self._due - self._clock.seconds(), 0.0)
        self._call = self._clock.callLater(delay, self._go_on)
