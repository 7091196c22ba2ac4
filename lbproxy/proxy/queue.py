"""Requests that wait for a backend: first come, first served, for a bounded time."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Set
from operator import attrgetter

from twisted.internet.interfaces import IReactorTime

from lbproxy.balance.backend import Backend
from lbproxy.config import model
from lbproxy.errors import HoldExpired, HoldFull, QueueFull, Unavailable
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
        refuse: Callable[[Unavailable], None],
        tried: Set[Backend],
        until: float,
    ) -> None:
        self.admit = admit
        self.refuse = refuse
        self.tried = tried
        self.until = until


class WaitingRoom:
    """Where the requests of one pool wait, in two lines.

    One is for a backend with room while all have enough to do (`queue`), the other for any backend
    at all while none can take anything (`hold_when_down`). Who comes while somebody is held is held
    behind him: so those who waited longest go first when a backend comes back.

    Attributes:
        held: Those who wait for any backend at all, by when their time is over, which is the order
            in which they came.
        deadline: When the first of anybody has waited for too long.
    """

    def __init__(self, clock: IReactorTime, timer: CoarseTimer, pool: model.Pool) -> None:
        self._clock = clock
        self._timer = timer
        self._queue = pool.queue
        self._hold = pool.hold_when_down or model.Hold()
        self._knob = f"pools.{pool.name}"
        self._closing = False
        self._waiters: deque[Waiter] = deque()
        self.held: list[Waiter] = []
        self.deadline = NEVER
        timer.add(self)

    def __len__(self) -> int:
        return len(self._waiters) + len(self.held)

    def join(
        self,
        admit: Callable[[], None],
        refuse: Callable[[Unavailable], None],
        tried: Set[Backend],
    ) -> Waiter:
        """Wait for room until `admit` is called, or `refuse` with the reason.

        Args:
            admit: Goes on; it does not have to wait again.
            refuse: Gives up.
            tried: The backends that it will not be sent to, whatever room they have.

        Raises:
            QueueFull: If there is no place.
        """
        if len(self._waiters) >= self._queue.length:
            raise QueueFull("Too many requests wait already.", knob=f"{self._knob}.queue.length")
        waiter = Waiter(admit, refuse, tried, self._clock.seconds() + self._queue.wait)
        self._waiters.append(waiter)
        self._set_deadline()
        return waiter

    def hold(
        self,
        admit: Callable[[], None],
        refuse: Callable[[Unavailable], None],
        until: float | None = None,
    ) -> Waiter:
        """Wait for any backend; only in a pool that has `hold_when_down`.

        Args:
            admit: Goes on.
            refuse: Gives up.
            until: When the time is over of one who was held before, and admitted too soon.

        Raises:
            HoldFull: If there is no place.
            HoldExpired: If its time is over, which the timer may not have seen yet.
        """
        now = self._clock.seconds()
        if until is not None and until <= now:
            raise self._hold_expired()
        if len(self.held) >= self._hold.requests:
            knob = f"{self._knob}.hold_when_down.requests"
            raise HoldFull("Too many requests wait for a backend already.", knob=knob)
        if until is None:
            until = now + self._hold.seconds
        waiter = Waiter(admit, refuse, frozenset(), until)
        insort(self.held, waiter, key=attrgetter("until"))
        self._set_deadline()
        return waiter

    def leave(self, waiter: Waiter) -> bool:
        """The request has gone; whether it was one of those who are held."""
        held = waiter in self.held
        if held:
            self.held.remove(waiter)
        else:
            self._waiters.remove(waiter)
        self._set_deadline()
        return held

    def admit_next(self, must_wait: Callable[[Set[Backend]], bool]) -> bool:
        """Admit the first that can make use of what has changed; whether there was one.

        Args:
            must_wait: Whether one that has tried these backends would find no room.
        """
        for place, waiter in enumerate(self._waiters):
            if not must_wait(waiter.tried):
                del self._waiters[place]
                self._set_deadline()
                waiter.admit()
                return True
        return False

    def let_go(self, may_go: Callable[[], bool]) -> None:
        """Admit those who are held, one after the other, as long as `may_go` says so."""
        while self.held and may_go():
            waiter = self.held.pop(0)
            self._set_deadline()
            waiter.admit()

    def expired(self, now: float) -> None:
        """Refuse those whose time is over."""
        while self._waiters and self._waiters[0].until <= now:
            waited = f"No backend had room within {self._queue.wait} s."
            error = QueueFull(waited, knob=f"{self._knob}.queue.wait")
            self._waiters.popleft().refuse(error)
        while self.held and self.held[0].until <= now:
            self.held.pop(0).refuse(self._hold_expired())
        self._set_deadline()

    def reconfigure(self, pool: model.Pool) -> None:
        """Take other limits. Whoever waits already stays, but no longer than from now on these."""
        self._queue = pool.queue
        self._hold = pool.hold_when_down or self._hold
        now = self._clock.seconds()
        for line, seconds in ((self._waiters, self._queue.wait), (self.held, self._hold.seconds)):
            for waiter in line:
                waiter.until = min(waiter.until, now + seconds)
        self._set_deadline()

    def close(self) -> None:
        """Stop watching the time when nobody waits any more."""
        self._closing = True
        self._set_deadline()

    def _hold_expired(self) -> HoldExpired:
        waited = f"No backend has come back within {self._hold.seconds} s."
        return HoldExpired(waited, knob=f"{self._knob}.hold_when_down.seconds")

    def _set_deadline(self) -> None:
        deadline = self._waiters[0].until if self._waiters else NEVER
        if self.held and self.held[0].until < deadline:
            deadline = self.held[0].until
        self.deadline = deadline
        if self._closing and deadline == NEVER:
            self._timer.discard(self)
