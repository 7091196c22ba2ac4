"""The connections of one backend: those that wait for a request, and new ones."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from lbproxy.config.model import KEEP_ALIVE_USED, Backend, UpstreamTimeouts
from lbproxy.http1.message import ResponseHead, announced_keep_alive
from lbproxy.http1.parser import ResponseHeads
from lbproxy.proxy.upstream import Upstream
from lbproxy.transport.connect import connect
from lbproxy.transport.timer import NEVER, CoarseTimer
from lbproxy.transport.trust import Trust

#: Seconds that a server may announce; what lies between may forget a connection sooner than that.
MOST_ANNOUNCED = 120


class Connections:
    """Kept-alive connections, last in first out, so that the load keeps few of them warm.

    Attributes:
        deadline: When the oldest of them has waited for as long as the backend's profile allows.
    """

    def __init__(
        self,
        reactor: Any,
        timer: CoarseTimer,
        backend: Backend,
        timeouts: UpstreamTimeouts,
        trust: Trust | None = None,
    ) -> None:
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self._timer = timer
        self._backend = backend
        self._known_limit = self._idle_limit = backend.idle_limit
        self._kept = True
        self._timeouts = timeouts
        self._heads = ResponseHeads()
        self._trust = trust
        self._idle: list[Upstream] = []
        self.deadline = NEVER
        timer.add(self)

    def suits(self, backend: Backend, timeouts: UpstreamTimeouts, trust: Trust | None) -> bool:
        """Whether these would be made in the same way again, however often they are asked for."""
        mine = self._backend
        shared = attrs.evolve(
            backend, weight=mine.weight, backup=mine.backup, record_weight=mine.record_weight
        )
        return (shared, timeouts, trust) == (mine, self._timeouts, self._trust)

    def take(self, now: float, max_idle: float | None = None) -> Upstream | None:
        """The connection that was used last, if one is usable.

        Args:
            now: The present time, in the clock's seconds.
            max_idle: Seconds for which it may have been idle at most; the profile's by default.
                That must be sure: for its backend it is idle since the answer was sent, and if we
                read that late it may be about to be closed.
        """
        idle = self._idle
        if not idle:
            return None
        oldest = now - self._idle_limit
        if max_idle is not None:
            oldest = max(oldest, now - max_idle, self._timer.read_late(now))
        while idle and idle[-1].idle_since >= oldest:
            upstream = idle.pop()
            if upstream.is_usable():
                return upstream
            upstream.abort()
        return None

    def connect(self) -> Deferred[Upstream]:
        """A new connection, or `ConnectFailed`."""
        timeout = self._timeouts.connect
        return connect(self._reactor, self._backend.address, self._build, timeout, self._trust)

    def heard(self, head: ResponseHead) -> None:
        """An answer has come whose head may say how long idle connections are kept.

        That is nearer to the truth than a profile; what the config says is nearer still.
        """
        if self._backend.keep_alive is None:
            seconds = announced_keep_alive(head)
            if seconds is not None:
                self._known_limit = KEEP_ALIVE_USED * min(seconds, MOST_ANNOUNCED)
                self.keep(self._kept)

    def put(self, upstream: Upstream) -> None:
        """Keep a connection for the next request."""
        if self._idle_limit <= 0.0:
            upstream.close()
            return
        self._idle.append(upstream)
        if self.deadline == NEVER:
            self.deadline = upstream.idle_since + self._idle_limit

    def forget(self, upstream: Upstream) -> None:
        """A connection closed while it was idle."""
        if upstream in self._idle:
            self._idle.remove(upstream)

    def expired(self, now: float) -> None:
        """Close those that have been idle for too long: the first in the list."""
        oldest = now - self._idle_limit
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.pop(0).close()
        self.deadline = self._idle[0].idle_since + self._idle_limit if self._idle else NEVER

    def keep(self, kept: bool) -> None:
        """Whether connections are kept from now on; if not, those that are idle are closed."""
        self._kept = kept
        self._idle_limit = self._known_limit if kept else 0.0
        if not kept:
            self._close_idle()

    def close(self) -> None:
        """Close all that are idle, and keep none from now on."""
        self._timer.discard(self)
        self.keep(False)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
        self.deadline = NEVER

    def _build(self) -> Upstream:
        return Upstream(self._clock, self._timer, self._timeouts, self, self._heads)
