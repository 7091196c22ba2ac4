"""Whose turn it is among those who wait: looked at while it happens, in each worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from itertools import count
from typing import TYPE_CHECKING, Any

from lbproxy.balance.backend import Backend
from lbproxy.errors import Unavailable
from lbproxy.proxy.queue import Waiter
from lbproxy.testing.inside import lets_go_soon, line_of, number_of, pools_of, site_of

if TYPE_CHECKING:
    from lbproxy.testing.world import World

#: Seconds that may be missing from what the log says of a wait: the hundredth part of a tick.
_ROUNDING = 0.005


class Watch:
    """Looks at the lines of a worker's pools, and at who comes meanwhile.

    First come, first served: nobody is let go before one who came earlier and could go as well,
    nobody who comes is sent where one who waits could go, and nobody's time ends while there is
    room for him.
    """

    def __init__(self, worker: Any, violation: Callable[[str], None]) -> None:
        """Begin.

        Args:
            worker: Opened.
            violation: Is told what must not be.
        """
        self._violation = violation
        self._comes = False
        for upstreams in pools_of(worker):
            _Lines(self, upstreams)
        site = site_of(worker)
        opens = site.open

        def opened(*told: Any) -> None:
            before, self._comes = self._comes, True
            opens(*told)
            self._comes = before

        site.open = opened

    @property
    def comes(self) -> bool:
        """Whether it is one who has just come that is sent somewhere."""
        return self._comes

    def admit(self, admit: Callable[[], None]) -> None:
        """Let one go who has waited."""
        before, self._comes = self._comes, False
        admit()
        self._comes = before

    def says(self, what: str) -> None:
        """Say what must not be."""
        self._violation(what)


class _Lines:
    """The two of a pool."""

    def __init__(self, watch: Watch, upstreams: Any) -> None:
        self._watch = watch
        self._upstreams = upstreams
        self._pool, self._room = upstreams.pool, upstreams.waiting
        self._count = count()
        self._places: dict[int, int] = {}  # Not by the waiters, who would all be kept.
        self._right_join, self._right_hold = self._room.join, self._room.hold
        self._right_acquire = self._pool.acquire
        self._room.join, self._room.hold = self._join, self._hold
        self._pool.acquire = self._acquire

    def _join(
        self,
        admit: Callable[[], None],
        refuse: Callable[[Unavailable], None],
        tried: Set[Backend],
    ) -> Waiter:
        def admitted() -> None:
            mine = self._places[id(waiter)]
            for other in line_of(self._room):
                if self._places[id(other)] < mine and self._has_room(other.tried):
                    self._watch.says(f"one who waits at {self._pool.name} was overtaken")
            self._watch.admit(admit)

        def refused(error: Unavailable) -> None:
            if self._has_room(tried) and not lets_go_soon(self._upstreams):
                self._watch.says(f"one waited too long at {self._pool.name}, where there is room")
            refuse(error)

        waiter: Waiter = self._right_join(admitted, refused, tried)
        self._places[id(waiter)] = next(self._count)
        length = self._pool.config.queue.length
        if len(line_of(self._room)) > length:
            self._watch.says(f"more than {length} wait at {self._pool.name}")
        return waiter

    def _hold(
        self,
        admit: Callable[[], None],
        refuse: Callable[[Unavailable], None],
        until: float | None = None,
    ) -> Waiter:
        def admitted() -> None:
            if any(other.until < waiter.until for other in self._room.held):
                self._watch.says(f"one who is held at {self._pool.name} was overtaken")
            self._watch.admit(admit)

        waiter: Waiter = self._right_hold(admitted, refuse, until)
        return waiter

    def _acquire(self, backend: Backend) -> None:
        if self._watch.comes:
            if self._room.held:
                self._watch.says(f"one came to {backend.name} before those who are held")
            overtaken = any(backend not in other.tried for other in line_of(self._room))
            if overtaken and backend.available:
                self._watch.says(f"one came to {backend.name} before those who wait")
        self._right_acquire(backend)

    def _has_room(self, tried: Set[Backend]) -> bool:
        """Whether there is a backend that one would be sent to who has tried these."""
        return any(
            each.available and each not in tried and each.in_flight < each.limit
            for each in self._pool.backends
        )


def waits_are_logged(world: World) -> Iterator[str]:
    """Who was sent nowhere has waited until he was told so, or left."""
    for record, ended in world.records:
        number = number_of(record)
        if number is None or record.attempts or record.pool != "api":
            continue
        waited, lived = record.queued + record.held, ended - record.started - record.headed
        if waited < lived - _ROUNDING:
            yield f"{number} was there for {lived:.3f} s, and waited for {waited:.3f} s of these"
