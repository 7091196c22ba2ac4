"""Requests that wait for a backend with room: first come, first served, for a bounded time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from lbproxy.config.model import Queue as QueueConfig
from lbproxy.errors import QueueFull
from lbproxy.transport.timer import NEVER, CoarseTimer


class Waiter:
    """One place in a queue.

    Attributes:
        until: When its time is over.
    """

    __slots__ = ("admit", "refuse", "until")

    def __init__(
        self, admit: Callable[[], None], refuse: Callable[[QueueFull], None], until: float
    ) -> None:
        self.admit = admit
        self.refuse = refuse
        self.until = until


class WaitingRoom:
    """The queue of one pool.

    Attributes:
        deadline: When the first in the queue has waited for too long.
    """

    def __init__(
        self, clock: IReactorTime, timer: CoarseTimer, pool: str, config: QueueConfig
    ) -> None:
        self._clock = clock
        self._timer = timer
        self._config = config
        self._knob = f"pools.{pool}.queue"
        self._waiters: deque[Waiter] = deque()
        self.deadline = NEVER
        timer.add(self)

    def __len__(self) -> int:
        return len(self._waiters)

    def join(self, admit: Callable[[], None], refuse: Callable[[QueueFull], None]) -> Waiter:
        """Wait until `admit` is called, or `refuse` with the reason.

        Raises:
            QueueFull: If there is no place.
        """
        if len(self._waiters) >= self._config.length:
            raise QueueFull("Too many requests wait already.", knob=f"{self._knob}.length")
        waiter = Waiter(admit, refuse, self._clock.seconds() + self._config.wait)
        self._waiters.append(waiter)
        self.deadline = self._waiters[0].until
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """The request has gone, or has been taken out."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        self.deadline = self._waiters[0].until if self._waiters else NEVER

    def admit_next(self) -> None:
        """A backend has room again, or has come back."""
        if self._waiters:
            waiter = self._waiters.popleft()
            self.deadline = self._waiters[0].until if self._waiters else NEVER
            waiter.admit()

    def expired(self, now: float) -> None:
        """Refuse those whose time is over."""
        while self._waiters and self._waiters[0].until <= now:
            waiter = self._waiters.popleft()
            waited = f"No backend had room within {self._config.wait} s."
            waiter.refuse(QueueFull(waited, knob=f"{self._knob}.wait"))
        self.deadline = self._waiters[0].until if self._waiters else NEVER

    def close(self) -> None:
        """Stop watching the time."""
        self._timer.discard(self)
