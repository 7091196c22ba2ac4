"""One direction of a connection, byte by byte."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import attrs

#: Bytes of a smallest piece.
_SMALL = (1, 1, 2, 3, 7, 20)


@attrs.frozen
class Shape:
    """How a connection carries bytes.

    Attributes:
        latency: Seconds from one end to the other; above 0.0.
        capacity: Bytes each way that are under way, or have arrived and were not taken.
        fine: Bytes each way, from the first on, that come and go in the smallest pieces.
    """

    latency: float = 0.001
    capacity: int = 65536
    fine: int = 0


class Flow:
    """The bytes of one direction: under way, or arrived and not taken yet.

    Attributes:
        arrived: What can be taken.
        over: Whether its end has arrived.
        ended: Whether its end is under way.
        carried: Bytes that have been put in so far.
    """

    __slots__ = (
        "_capacity",
        "_chance",
        "_clock",
        "_dropped",
        "_due",
        "_fine",
        "_last",
        "_latency",
        "_on_arrival",
        "_on_room",
        "_segments",
        "_stalled",
        "_under_way",
        "arrived",
        "carried",
        "ended",
        "over",
    )

    def __init__(
        self, clock: Any, chance: random.Random, shape: Shape, on_arrival: Any, on_room: Any
    ) -> None:
        self.arrived = bytearray()
        self.over = self.ended = False
        self.carried = 0
        self._clock = clock
        self._chance = chance
        self._capacity = shape.capacity
        self._latency = shape.latency
        self._fine = shape.fine
        self._on_arrival = on_arrival
        self._on_room = on_room
        self._segments: deque[bytes | None] = deque()
        self._under_way = 0
        self._due = 0
        self._last = 0.0
        self._stalled = self._dropped = False

    @property
    def room(self) -> int:
        """Bytes that could be put in."""
        return self._capacity - self._under_way - len(self.arrived)

    def push_some(self, data: bytes | memoryview, *, finely: bool = False) -> int:
        """Put in what there is room for, or less if it goes `finely`; how much that was."""
        size = len(data)
        count = self._capacity - self._under_way - len(self.arrived)
        if count >= size:
            count = size
        elif count <= 0:
            return 0
        if finely and count > 1 and self._fine > 0:
            count = self._small(count)
        if count:
            self._send(bytes(data if count == size else data[:count]))
        return count

    def take(self, size: int) -> bytes:
        """Take out at most so many bytes of those that have arrived; at least one."""
        arrived = self.arrived
        count = min(size, len(arrived))
        if count > 1 and self._fine > 0:
            count = self._small(count)
        data = bytes(arrived[:count])
        del arrived[:count]
        self._on_room()
        return data

    def end(self) -> None:
        """Put in the end."""
        if not self.ended:
            self.ended = True
            self._send(None)

    def stall(self) -> None:
        """Let nothing arrive."""
        self._stalled = True

    def go_on(self) -> None:
        """Let arrive what has been held back, and go on."""
        self._stalled = False
        self._arrive_due()

    def drop(self) -> None:
        """Forget what is under way, and what still comes: it will never arrive."""
        self._dropped = True
        self._segments.clear()
        self._due = self._under_way = 0

    def _small(self, most: int) -> int:
        count = min(most, self._fine, _SMALL[int(self._chance.random() * len(_SMALL))])
        self._fine -= count
        return count

    def _send(self, segment: bytes | None) -> None:
        if self._dropped:
            return
        segments = self._segments
        at = max(self._last, self._clock.now + self._latency)
        if segment is not None:
            self._under_way += len(segment)
            self.carried += len(segment)
            if at == self._last and segments and segments[-1] is not None:
                segments[-1] += segment  # They arrive at once.
                return
        segments.append(segment)
        self._last = at
        self._clock.call_at(at, self._arrive)

    def _arrive(self) -> None:
        self._due += 1
        self._arrive_due()

    def _arrive_due(self) -> None:
        while self._due and self._segments and not self._stalled:
            self._due -= 1
            segment = self._segments.popleft()
            if segment is None:
                self.over = True
            else:
                self._under_way -= len(segment)
                self.arrived += segment
            self._on_arrival()
