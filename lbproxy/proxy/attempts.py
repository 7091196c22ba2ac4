"""The attempts of an exchange: whom it is sent to, and what follows one that failed.

An attempt at one backend ends in the answer's head (`exchange.py`) or in a typed error
(`attempt_failed`). Failover is the latter: it reads the error's class in the retry table and
chooses the next attempt. A new connection is a Deferred, whose errback it is; what follows goes
through without Deferreds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.balance.backend import Backend
from lbproxy.balance.outage import is_shut, shut
from lbproxy.balance.pool import GATEWAY_STATUSES
from lbproxy.errors import (
    HandshakeFailed,
    HoldExpired,
    HoldFull,
    PoisonRequest,
    ProxyError,
    QueueFull,
    ReusedConnectionClosed,
    Stage,
    TryTimeout,
    Unavailable,
    UpstreamClosed,
    UpstreamError,
)
from lbproxy.forward.poison import REFUSED, identity
from lbproxy.forward.retry import MethodClass, NoBody, Tee
from lbproxy.health.breaker import Admission
from lbproxy.http1.message import NONE
from lbproxy.observe.accesslog import Attempt
from lbproxy.proxy.failover import AGAIN, GOES_ON, Decision, decide
from lbproxy.proxy.hedge import Hedge
from lbproxy.proxy.plan import Plan
from lbproxy.proxy.queue import Waiter
from lbproxy.proxy.roles import Awaiting
from lbproxy.proxy.upstream import Upstream

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream
    from lbproxy.proxy.site import Site

#: A request that must not be sent twice takes a kept-alive connection only if it was used this
#: many seconds ago at most: it is then unlikely that the backend is about to close it.
FRESH = 1.0


_NO_BODY = NoBody()
_NOBODY: frozenset[Backend] = frozenset()
_UNSAFE = MethodClass.UNSAFE


class Attempts(Awaiting):
    """The part of an exchange that finds a backend for it."""

    log = Logger()

    _current: Attempt
    _admission: Admission | None = None

    def __init__(self, site: Site, downstream: Downstream, plan: Plan) -> None:
        """Prepare to forward.

        Args:
            site: What all exchanges share.
            downstream: Who asked.
            plan: What is known of the request.
        """
        self._site = site
        self._downstream = downstream
        self._record = downstream.record
        self._plan = plan
        self._upstreams = plan.upstreams
        self._pool = plan.upstreams.pool
        self._request_id = self._record.request_id.encode()
        self._wire_head = plan.template.message(downstream.peer, self._request_id)
        bodiless = plan.head.framing is NONE
        self._tee: Tee = _NO_BODY if bodiless else Tee(site.replay_memory)
        self._body_end: bytes | None = b"" if bodiless else None
        self._unsent: Sequence[bytes] = ()
        self._tried: frozenset[Backend] = _NOBODY
        self._fresh = False
        self._backend: Backend | None = None
        self._connecting: Deferred[Upstream] | None = None
        self._upstream: Upstream | None = None
        self._waiter: Waiter | None = None
        self._queued_since = 0.0
        self._whole_at = 0.0
        self._hedge: Hedge | None = None
        self._held_until: float | None = None
        self._unmade = 0  # Attempts before it was held that found nobody there: none of its own.
        self._key = None if plan.hash_key is None else plan.hash_key.of(downstream.peer)

    # The choice, and the way there.

    def _let_through(self, now: float) -> bool:
        """Whether the pool's breaker lets the request through; else its client is told."""
        breaker = self._upstreams.breaker
        if breaker is None:
            return True
        self._admission = breaker.admit(now)
        if self._admission is not None:
            return True
        self._finish()
        self._downstream.fail(self._upstreams.broken(now))
        return False

    def _go_on(self, now: float) -> None:
        """Its turn has come: what waited while the breaker turned has to be let through again."""
        if self._admission is None or self._admission.holds or self._let_through(now):
            self._attempt(now)

    def _attempt(self, now: float) -> None:
        backend = self._pool.choose(self._tried, now, self._key)
        if backend is None:
            self._no_backend(now)
            return
        self._backend = backend
        self._pool.acquire(backend)
        self._current = attempt = Attempt(backend.name, now, self._pool.degraded)
        self._record.attempts.append(attempt)
        connections = self._upstreams.connections[backend]
        upstream = None
        if not self._fresh:
            unsafe = self._plan.method_class is _UNSAFE
            upstream = connections.take(now, FRESH if unsafe else None)
        if upstream is not None:
            attempt.reused, attempt.connected = True, 0.0
            self._send(upstream)
        else:
            # A Unix socket stands at once: then this has fired already when it is given.
            self._connecting = connecting = connections.connect()
            connecting.addCallbacks(self.connected, self.not_connected).addErrback(self.broke)

    def _no_backend(self, now: float) -> None:
        """Wait if all have only enough to do, or restart; else say that nobody is there."""
        if not self._pool.saturated(self._tried):
            if self._upstreams.can_hold and is_shut(self._pool):
                self._hold(now)
                return
            self._finish()
            self._downstream.fail(self._upstreams.nobody())
            return
        self._queued_since = now
        try:
            self._waiter = self._upstreams.waiting.join(self._admitted, self._refused, self._tried)
        except QueueFull as error:
            self._refused(error)
        else:
            self._upstreams.wary = True

    def _admitted(self) -> None:
        self._waiter = None
        now = self._site.clock.seconds()
        self._record.queued += now - self._queued_since
        self._go_on(now)

    def _refused(self, error: Unavailable) -> None:
        self._waiter = None
        self._record.queued += self._site.clock.seconds() - self._queued_since
        self._finish()
        self._downstream.fail(error)

    def _hold(self, now: float) -> None:
        """Wait until any backend can take something, for the rest of the time for that."""
        self._queued_since = now
        stages = [attempt.stage for attempt in self._record.attempts]
        self._unmade = stages.count(Stage.NOTHING_SENT.value)
        waiting = self._upstreams.waiting
        try:
            self._waiter = waiting.hold(self._let_go, self._held_too_long, self._held_until)
        except (HoldFull, HoldExpired) as error:
            self._held_too_long(error)
        else:
            self._upstreams.wary = True

    def _let_go(self) -> None:
        assert self._waiter is not None
        self._held_until, self._waiter = self._waiter.until, None
        now = self._site.clock.seconds()
        self._record.held += now - self._queued_since
        self._tried = shut(self._pool)
        self._go_on(now)

    def _held_too_long(self, error: Unavailable) -> None:
        self._waiter = None
        self._record.held += self._site.clock.seconds() - self._queued_since
        self._finish()
        # What keeps a drained one from coming back is no outage: that is what the client is told.
        self._downstream.fail(self._upstreams.nobody() if self._pool.drained() else error)

    def connected(self, upstream: Upstream) -> None:
        """A connection stands."""
        self._connecting = None
        attempt = self._current
        attempt.connected = self._site.clock.seconds() - attempt.started
        self._send(upstream)

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        body, self._unsent = self._unsent, ()
        data = b"".join((self._wire_head, *body)) if body else self._wire_head
        upstream.request(self._plan.head, data, self._body_end == b"", self, self._plan.patience)
        if self._body_end:
            self._end_request(upstream)
        elif self._body_end is None and not upstream.clogged:
            self._downstream.resume_request()

    def _end_request(self, upstream: Upstream) -> None:
        if self._body_end:
            upstream.write(self._body_end)
        upstream.end_request()

    # What follows a failure.

    def not_connected(self, failure: Failure) -> None:
        """No connection came about."""
        if not failure.check(CancelledError):  # Else we gave up ourselves.
            failure.trap(UpstreamError)
            self.attempt_failed(cast(UpstreamError, failure.value))

    def attempt_failed(self, error: UpstreamError) -> None:
        """No answer has come of the attempt: another one follows, or the client is told."""
        assert self._backend is not None
        now = self._site.clock.seconds()
        self._pool.failed(self._backend, error, now, self._current.started)
        self._failed(error, self._decide(error, now), now)

    def overdue(self, now: float) -> None:
        """The time of a try is over: the attempt is given up if another one is sure to follow."""
        error = TryTimeout(f"no answer within {self._plan.patience} s")
        if self._hedge is None and self._decide(error, now) in AGAIN:
            assert self._backend is not None and self._upstream is not None
            self._upstream.abort()
            self._pool.failed(self._backend, error, now)
            self._failed(error, Decision.RETRY, now)

    def _decide(self, error: UpstreamError, now: float) -> Decision:
        """What follows a failed attempt."""
        backend = self._backend
        assert backend is not None
        if isinstance(error, UpstreamClosed):
            if self._is_to_blame(backend, now):
                return Decision.POISON
            if self._broken_before(backend):
                return Decision.TWO_BROKE
        if self._hedge is not None:
            return Decision.HEDGE_RUNS
        tries = len(self._record.attempts) - self._unmade
        replayable = self._tee.whole
        return decide(self._plan, error, backend, self._tried, tries, now, replayable=replayable)

    def _failed(self, error: UpstreamError, decision: Decision, now: float) -> None:
        backend = self._backend
        assert backend is not None
        self._upstream = self._connecting = None
        self._current.failed(error, decision.value)
        if error.reached is not Stage.NOTHING_SENT:
            # Now, since what comes until there is a connection may be too much for the tee.
            self._unsent = [*self._tee.pieces]
            # A kept-alive one might be closed by chance, and nobody could tell that from a break.
            self._fresh = True
        if error.reached is not Stage.REUSED_AND_CLOSED:  # Else nothing says that it is ill.
            self._tried |= {backend}
        if self._admission is not None and decision not in GOES_ON | {Decision.POISON}:
            self._admission.failed(now)  # Before one who waits gets its place.
        self._release()
        if decision in AGAIN:
            self._attempt(now)
        elif decision is Decision.HOLD:
            self._hold(now)
        elif decision is Decision.HEDGE_RUNS:
            self._take_over()
        else:
            self._give_up()
            self._downstream.fail(self._told(error, decision))

    def _told(self, error: UpstreamError, decision: Decision) -> ProxyError:
        """What the client is told when an attempt was the last one."""
        if decision is Decision.POISON:
            return self._poison(REFUSED)
        nobody = all(tried.stage == Stage.NOTHING_SENT.value for tried in self._record.attempts)
        if nobody and not isinstance(error, HandshakeFailed):
            return self._upstreams.nobody()
        return error

    def broke(self, failure: Failure) -> None:
        """A fault of ours: this exchange ends, and nothing else."""
        self.log.failure("an exchange failed", failure)
        self._give_up()
        self._downstream.fail(ProxyError())

    # Hard times.

    def _identity(self) -> str:
        return identity(self._plan.asked, self._plan.head, self._downstream.peer.address)

    def _is_to_blame(self, backend: Backend, now: float) -> bool:
        """Whether this request is refused from now on, since a backend has broken that had it."""
        self._upstreams.wary = True  # A good answer must be heard, and who is to blame be refused.
        suspects, who = self._upstreams.suspects, self._identity()
        for attempt in self._broken_before(backend):
            if attempt.outcome == ReusedConnectionClosed.reason:  # It was no race, as it seems.
                suspects.broke(who, attempt.backend, now)
        return suspects.broke(who, backend.name, now)

    def _broken_before(self, backend: Backend) -> list[Attempt]:
        """The attempts in which other backends broke; this exchange so goes to no third one.

        It may be the poison for which nobody is refused, since it came in a crowd, or since others
        who ask for the same are answered.
        """
        return [
            attempt
            for attempt in self._record.attempts
            if attempt.backend != backend.name
            and (
                attempt.outcome == UpstreamClosed.reason
                or (attempt.outcome == ReusedConnectionClosed.reason and not attempt.hedge)
            )
        ]

    def _clear(self, status: int) -> None:
        """A backend has answered this request well; of a gateway error nobody knows what it is."""
        suspects = self._upstreams.suspects
        if suspects and status not in GATEWAY_STATUSES:
            suspects.answered(self._identity())

    def _poison(self, seconds: float) -> PoisonRequest:
        detail = "Two backends broke while they had this request."
        return PoisonRequest(detail, retry_after=ceil(seconds))

    def _take_over(self) -> None:
        """The hedge is the attempt now."""
        hedge, self._hedge = self._hedge, None
        assert hedge is not None
        hedge.take_over()
        self._backend, self._current = hedge.backend, hedge.attempt
        self._upstream, self._connecting = hedge.upstream, hedge.connecting

    # The end.

    def _give_up(self) -> None:
        if self._waiter is not None:
            self._leave(self._waiter)
        self._drop()
        hedge, self._hedge = self._hedge, None
        if hedge is not None:
            hedge.lose()
        self._finish()

    def _leave(self, waiter: Waiter) -> None:
        self._waiter = None
        seconds = self._site.clock.seconds() - self._queued_since
        if self._upstreams.waiting.leave(waiter):
            self._record.held += seconds
        else:
            self._record.queued += seconds

    def _drop(self) -> None:
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()

    def _release(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            self._upstreams.release(backend)

    def _finish(self) -> None:
        if self._tee is not _NO_BODY:
            self._tee.release()
        self._release()
        if self._admission is not None:
            self._admission.left()
