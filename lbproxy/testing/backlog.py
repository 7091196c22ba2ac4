"""A listening socket as the kernel has it: one queue, whatever number of processes hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbproxy.testing.sockets import FakeSocket


class Backlog:
    """Those who wait to be accepted at a port; it is closed when its last holder has closed it.

    Attributes:
        port: Its number.
        family: Of its address.
        open: Whether it listens: before it does, who comes is refused.
        shared: Whether others may be bound to the same port (`SO_REUSEPORT`).
        waiting: Connections that nobody has accepted yet.
        waits: From when until when each of them waited, as soon as he is accepted.
        holders: The sockets that lead here, one in each process, in the order in which they came.
    """

    def __init__(self, family: int, port: int, waits: list[tuple[float, float]]) -> None:
        self.port = port
        self.family = family
        self.waits = waits
        self._came: dict[FakeSocket, float] = {}
        self.open = self.shared = False
        self.waiting: list[FakeSocket] = []
        self.holders: dict[FakeSocket, None] = {}

    def come(self, skt: FakeSocket, now: float) -> None:
        """A client is connected, and waits."""
        self.waiting.append(skt)
        self._came[skt] = now
        for holder in self.holders:
            holder.stir()

    def accept(self, now: float) -> FakeSocket:
        """Take the one who has waited longest."""
        skt = self.waiting.pop(0)
        self.waits.append((self._came.pop(skt), now))
        return skt

    def release(self, holder: FakeSocket) -> bool:
        """A holder has closed it; whether that was the last one, and all who wait were reset."""
        del self.holders[holder]
        if self.holders:
            return False
        self.stop()
        return True

    def stop(self) -> None:
        """Listen no more: all who wait are reset."""
        self.open = False
        for skt in self.waiting:
            skt.abort()
        self.waiting.clear()
        self._came.clear()
