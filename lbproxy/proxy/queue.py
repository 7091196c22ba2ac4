"""Requests that wait for a backend with room: first come, first served, for a bounded time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set

from twisted.internet.interfaces import IReactorTime

from lbproxy.balance.pool import Backend
from lbproxy.config.model import Queue as QueueConfig
from lbproxy.errors import QueueFull
from lbproxy.transport.timer import NEVER, CoarseTimer


class Waiter:
    """One place in a queue.

    Attributes:
        tried: The backends that are of no use to it.
        until: When its time is over.
    """

    __slots__ = ("admit", "refuse", "tried", "until")

    def __init__(
        self,
        admit: Callable[[], None],
        refuse: Callable[[QueueFull], None],
        tried: Set[Backend],
        until: float,
    ) -> None:
        self.admit = admit
        self.refuse = refuse
        self.tried = tried
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

    def join(
        self,
        admit: Callable[[], None],
        refuse: Callable[[QueueFull], None],
        tried: Set[Backend],
    ) -> Waiter:
        """Wait until `admit` is called, or `refuse` with the reason.

        Args:
            admit: Goes on; it does not have to wait again.
            refuse: Gives up.
            tried: The backends that it will not be sent to, whatever room they have.

        Raises:
            QueueFull: If there is no place.
        """
        if len(self._waiters) >= self._config.length:
            raise QueueFull("Too many requests wait already.", knob=f"{self._knob}.length")
        waiter = Waiter(admit, refuse, tried, self._clock.seconds() + self._config.wait)
        self._waiters.append(waiter)
        self.deadline = self._waiters[0].until
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """The request has gone, or has been taken out."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        self.deadline = self._waiters[0].until if self._waiters else NEVER

    def admit_next(self, must_wait: Callable[[Set[Backend]], bool]) -> bool:
        """Admit the first that can make use of what has changed; whether there was one.

        Args:
            must_wait: Whether one that has tried these backends would find no room.
        """
        for place, waiter in enumerate(self._waiters):
            if not must_wait(waiter.tried):
                del self._waiters[place]
                self.deadline = self._waiters[0].until if self._waiters else NEVER
                waiter.admit()
                return True
        return False

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
