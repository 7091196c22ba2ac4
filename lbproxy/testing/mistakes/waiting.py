"""Mistakes about those who wait, and what lets them go."""

from __future__ import annotations

from typing import Any

import attrs

from lbproxy.proxy.attempts import Attempts
from lbproxy.proxy.queue import WaitingRoom
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.testing.mistakes.registry import Put, mutation
from lbproxy.transport.connect import _Connecting


@mutation
def what_fails_at_once_is_told_at_once(put: Put) -> None:
    right = _Connecting._begin

    def wrong(self: Any) -> None:
        right(self)
        if self._next is not None and not self._crowded:
            (code,) = self._next.args
            self._next.cancel()
            self._ended(code)

    put(_Connecting, "_begin", wrong)


@mutation
def who_comes_last_goes_first(put: Put) -> None:
    right = WaitingRoom.admit_next

    def wrong(self: Any, must_wait: Any) -> bool:
        self._waiters.reverse()
        try:
            return right(self, must_wait)
        finally:
            self._waiters.reverse()

    put(WaitingRoom, "admit_next", wrong)


@mutation
def who_was_held_last_goes_first(put: Put) -> None:
    def wrong(self: Any, may_go: Any) -> None:
        while self.held and may_go():
            waiter = self.held.pop()
            self._set_deadline()
            waiter.admit()

    put(WaitingRoom, "let_go", wrong)


@mutation
def who_was_held_has_made_no_attempt(put: Put) -> None:
    right = Attempts._let_go

    def wrong(self: Any) -> None:
        self._unmade = len(self._record.attempts)
        right(self)

    put(Attempts, "_let_go", wrong)


@mutation
def a_release_lets_nobody_go(put: Put) -> None:
    put(Upstreams, "release", lambda self, backend: self.pool.release(backend))


@mutation
def greater_capacity_is_not_told(put: Put) -> None:
    right = Upstreams.__init__

    def wrong(self: Any, reactor: Any, timer: Any, pool: Any, *more: Any) -> None:
        right(self, reactor, timer, pool, *more)
        pool.on_said = None

    put(Upstreams, "__init__", wrong)


@mutation
def the_queue_has_no_end(put: Put) -> None:
    right = WaitingRoom.join

    def wrong(self: Any, *told: Any) -> Any:
        queue, self._queue = self._queue, attrs.evolve(self._queue, length=1_000_000)
        try:
            return right(self, *told)
        finally:
            self._queue = queue

    put(WaitingRoom, "join", wrong)


@mutation
def who_leaves_has_not_waited(put: Put) -> None:
    def wrong(self: Any, waiter: Any) -> None:
        self._waiter = None
        self._upstreams.waiting.leave(waiter)

    put(Attempts, "_leave", wrong)
