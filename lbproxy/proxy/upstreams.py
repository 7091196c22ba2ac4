"""A pool at work: its backends' connections, its queue, its retry budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from lbproxy.balance.pool import Backend, Pool
from lbproxy.forward.budget import RetryBudget
from lbproxy.proxy.idle import Connections
from lbproxy.proxy.queue import WaitingRoom
from lbproxy.transport.connect import Dialled, connect
from lbproxy.transport.timer import CoarseTimer

P = TypeVar("P", bound=Dialled)


class Upstreams:
    """What the exchanges of one pool share.

    Attributes:
        pool: Decides which backend is next.
        waiting: Requests for which no backend has room.
        budget: How many retries there may be.
    """

    log = Logger()

    def __init__(self, reactor: Any, timer: CoarseTimer, pool: Pool) -> None:
        config = pool.config
        self.pool = pool
        pool.on_turn = self._tell
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self.waiting = WaitingRoom(self._clock, timer, config.name, config.queue)
        self.budget = RetryBudget(config.retry.budget)
        self._connections = {
            backend: Connections(reactor, timer, backend.config, config.timeouts)
            for backend in pool.backends
        }

    def connections(self, backend: Backend) -> Connections:
        """The connections of a backend."""
        return self._connections[backend]

    def dial(self, backend: Backend, build: Callable[[], P]) -> Deferred[P]:
        """A connection to a backend that is not kept for others, or `ConnectFailed`."""
        timeout = self.pool.config.timeouts.connect
        return connect(self._reactor, backend.config.address, build, timeout)

    def release(self, backend: Backend) -> None:
        """An exchange is done with a backend; the first that waits may have its place."""
        self.pool.release(backend)
        self.waiting.admit_next()

    def close(self) -> None:
        """Close the idle connections."""
        self.waiting.close()
        for connections in self._connections.values():
            connections.close()

    def _tell(self, backend: Backend, detail: str) -> None:
        self.log.info(
            "{pool}/{backend} is {state}: {detail}",
            pool=self.pool.name,
            backend=backend.name,
            state=backend.state.value,
            detail=detail,
        )
        if backend.available and self.waiting:
            # Not at once: it may be a choice, under way, that has let the backend back.
            self._clock.callLater(0.0, self._admit)

    def _admit(self) -> None:
        for _ in range(len(self.waiting)):
            if self.pool.has_room():
                self.waiting.admit_next()
