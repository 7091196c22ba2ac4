"""A request on its way to a backend, and its answer on the way back.

An attempt at one backend ends in the answer's head (`answered`) or in a typed error
(`attempt_failed`). Failover is the latter: it reads the error's class in the retry table and
chooses the next attempt. A new connection is a Deferred, whose errback it is; what follows goes
through without Deferreds.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.balance.pool import GATEWAY_STATUSES, Backend
from lbproxy.errors import (
    AnswerCut,
    BadAnswer,
    GatewayStatus,
    HandshakeFailed,
    ProxyError,
    QueueFull,
    Stage,
    UpstreamError,
)
from lbproxy.forward import fields
from lbproxy.forward.fields import ResponseTemplate
from lbproxy.forward.retry import MethodClass, NoBody, Tee, Verdict, may_retry
from lbproxy.http1 import serialize
from lbproxy.http1.message import CHUNKED, NONE, Fields, ResponseHead, members
from lbproxy.observe.accesslog import Attempt
from lbproxy.proxy.plan import Plan, body_too_large
from lbproxy.proxy.queue import Waiter
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.proxy.upstream import Upstream

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream
    from lbproxy.proxy.site import Site

#: A request that must not be sent twice takes a kept-alive connection only if it was used this
#: many seconds ago at most: it is then unlikely that the backend is about to close it.
FRESH = 1.0


class Decision(Enum):
    """What follows a failed attempt, as the access log says it."""

    RETRY = "retry"
    RETRY_FREE = "retry_free"
    NOT_SAFE = "not_safe"
    ATTEMPTS_SPENT = "attempts_spent"
    BODY_NOT_KEPT = "body_not_kept"
    NO_OTHER_BACKEND = "no_other_backend"
    BUDGET_SPENT = "budget_spent"


_NO_BODY = NoBody()
_NOBODY: frozenset[Backend] = frozenset()
_UNSAFE = MethodClass.UNSAFE


class Exchange:
    """One request and its answer, through a pool."""

    log = Logger()

    _current: Attempt

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
        self._key = None if plan.hash_key is None else plan.hash_key.of(downstream.peer)

    def start(self, now: float) -> None:
        """Begin with the first attempt."""
        self._upstreams.budget.request(now)
        self._attempt(now)

    # What the client's side tells.

    def request_data(self, data: bytes) -> None:
        """A piece of the request's body: on to the backend, and into the replay buffer."""
        limit = self._plan.route.max_body
        if limit is not None and self._record.bytes_in > limit:
            if not self._is_answered():
                error = body_too_large(self._plan.route)
                self.abandon(error)
                self._downstream.fail(error)
            return  # Who has answered before does not wait for the rest.
        if self._plan.head.framing is CHUNKED:
            data = serialize.chunk(data)
        self._tee.append(data)
        if self._upstream is None:
            self._unsent = [*self._unsent, data]
            self._downstream.pause_request()  # It goes on when there is a connection.
        else:
            self._upstream.write(data)

    def request_sink(self) -> Any:
        """The backend's connection, once nothing of the body is kept or counted on the way."""
        if self._tee.whole or self._upstream is None:
            return None
        return self._upstream.request_sink()

    def request_relayed(self) -> None:
        """A piece of the body has been written there."""
        if self._upstream is not None:
            self._upstream.touch()

    def request_end(self, trailers: Fields) -> None:
        """The request is whole."""
        end = b""
        if self._plan.head.framing is CHUNKED:
            end = serialize.last_chunk(fields.trailer_fields(trailers))
        self._body_end = end
        if self._pool.timed:
            self._whole_at = self._site.clock.seconds()
        if self._upstream is not None:
            self._end_request(self._upstream)

    def abandon(self, error: ProxyError) -> None:
        """The client broke the exchange; the backend is not to blame."""
        if self._record.attempts and self._record.attempts[-1].outcome is None:
            self._record.attempts[-1].outcome = error.reason
        self._give_up()

    def pause_answer(self) -> None:
        """The client is behind."""
        if self._upstream is not None:
            self._upstream.pause_answer()

    def resume_answer(self) -> None:
        """The client has caught up."""
        if self._upstream is not None:
            self._upstream.resume_answer()

    # What the backend's side tells.

    def informational(self, head: ResponseHead) -> None:
        """A 1xx answer goes on, `100 Continue` too: it is the backend's to give."""
        self._downstream.informational(head)

    def answer_data(self, data: bytes) -> None:
        """A piece of the answer's body."""
        self._downstream.answer_data(data)

    def answer_sink(self) -> Any:
        """Where pieces of the body may be written past us, or `None`."""
        return self._downstream.answer_sink()

    def answer_relayed(self, count: int) -> None:
        """So many bytes of the body have been written there."""
        self._record.bytes_out += count

    def answer_end(self, trailers: Fields, now: float) -> None:
        """The answer is whole."""
        self._upstream = None
        self._finish()
        self._downstream.answer_end(fields.trailer_fields(trailers) if trailers else trailers, now)

    def answer_cut(self, error: AnswerCut) -> None:
        """The answer broke off: nothing can be retried, and the client must see it."""
        assert self._backend is not None
        self._upstream = None
        attempt = self._current
        attempt.outcome, attempt.stage = error.reason, error.reached.value
        attempt.detail, attempt.decision = error.detail, "answer_begun"
        self._pool.failed(self._backend, error, self._site.clock.seconds())
        self._finish()
        self._downstream.cut(error)

    def flush(self) -> None:
        """Send what one read brought."""
        self._downstream.flush()

    def pause_request(self) -> None:
        """The backend is behind."""
        self._downstream.pause_request()

    def resume_request(self) -> None:
        """The backend has caught up."""
        self._downstream.resume_request()

    # An attempt, from the choice to the head of its answer.

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
            connecting.addCallbacks(self._connected, self._not_connected).addErrback(self._broke)

    def _no_backend(self, now: float) -> None:
        """Wait if it is only that all have enough to do; else say that nobody is there."""
        if not self._pool.saturated(self._tried):
            self._finish()
            self._downstream.fail(self._upstreams.nobody())
            return
        self._queued_since = now
        try:
            self._waiter = self._upstreams.waiting.join(self._admitted, self._refused, self._tried)
        except QueueFull as error:
            self._refused(error)

    def _admitted(self) -> None:
        self._waiter = None
        now = self._site.clock.seconds()
        self._record.queued += now - self._queued_since
        self._attempt(now)

    def _refused(self, error: QueueFull) -> None:
        self._waiter = None
        self._record.queued += self._site.clock.seconds() - self._queued_since
        self._finish()
        self._downstream.fail(error)

    def _connected(self, upstream: Upstream) -> None:
        self._connecting = None
        attempt = self._current
        attempt.connected = self._site.clock.seconds() - attempt.started
        self._send(upstream)

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        body, self._unsent = self._unsent, ()
        data = b"".join((self._wire_head, *body)) if body else self._wire_head
        upstream.request(self._plan.head, data, self._body_end == b"", self)
        if self._body_end:
            self._end_request(upstream)
        elif self._body_end is None and not upstream.clogged:
            self._downstream.resume_request()

    def _end_request(self, upstream: Upstream) -> None:
        if self._body_end:
            upstream.write(self._body_end)
        upstream.end_request()

    def answered(self, head: ResponseHead, now: float) -> None:
        """The answer's head has come."""
        begin = self._accept(head, now)
        if begin is None:
            return
        assert self._upstream is not None
        downstream = self._downstream
        if head.memo.is_event_stream:
            self._upstream.stream_answer()
        downstream.answer(head.status, begin, head.framing, now)
        if head.status == 101:
            Tunnel(downstream, self._upstream, self._finish)
        elif downstream.clogged:
            self._upstream.pause_answer()

    def answered_whole(self, head: ResponseHead, body: bytes | memoryview, now: float) -> None:
        """The whole answer has come."""
        begin = self._accept(head, now)
        if begin is None:
            return
        assert self._upstream is not None
        self._upstream.release(now)
        self._upstream = None
        self._finish()
        self._downstream.answer_whole(head.status, begin, body, now)

    def _accept(self, head: ResponseHead, now: float) -> bytes | None:
        """How the client's answer begins, or `None` if another attempt follows this one."""
        attempt = self._current
        attempt.first_byte = now - attempt.started
        assert self._backend is not None and self._upstream is not None
        if head.status == 101 or head.status in self._plan.route.retry_on:
            unwanted = self._unwanted(head)
            if unwanted is not None:
                self._upstream.abort()
                self.attempt_failed(unwanted)
                return None
        attempt.outcome = "answered"
        self._pool.answered(self._backend, head.status, now)
        if self._pool.timed and self._body_end is not None:  # Else the client's time is in it.
            seconds = now - max(attempt.started, self._whole_at)
            self._pool.took(self._backend, seconds, head.status in GATEWAY_STATUSES, now)
        self._tee.release()
        template: ResponseTemplate | None = head.memo
        if template is None:
            template = head.memo = ResponseTemplate(head)
        begin = template.begin(self._request_id, self._site.http_date(now))
        if self._plan.route.expose_backend:
            begin += b"X-Served-By: %b\r\n" % self._backend.name.encode()
        return begin

    def _unwanted(self, head: ResponseHead) -> UpstreamError | None:
        """Why an answer that is well-formed is not given to the client."""
        if head.status == 101:
            chosen = members(head.control, b"upgrade")
            if self._plan.upgrade is None or chosen != [self._plan.upgrade]:
                return BadAnswer("switched to a protocol that it was not asked for")
        if head.status in self._plan.route.retry_on:
            verdict = may_retry(Stage.GATEWAY_STATUS, self._plan.method_class)
            more = len(self._record.attempts) < self._pool.config.retry.attempts
            assert self._backend is not None
            if (
                verdict is not Verdict.NO
                and more
                and self._tee.whole
                and self._pool.has_other(self._tried, self._backend)
            ):
                return GatewayStatus(f"answered {head.status}")
        return None

    def _not_connected(self, failure: Failure) -> None:
        if not failure.check(CancelledError):  # Else we gave up ourselves.
            failure.trap(UpstreamError)
            self.attempt_failed(cast(UpstreamError, failure.value))

    def attempt_failed(self, error: UpstreamError) -> None:
        """No answer has come of the attempt: another one follows, or the client is told."""
        assert self._backend is not None
        backend, now = self._backend, self._site.clock.seconds()
        self._upstream = self._connecting = None
        decision = self._decide(error, now)
        attempt = self._current
        attempt.outcome, attempt.stage = error.reason, error.reached.value
        attempt.detail, attempt.decision = error.detail, decision.value
        self._pool.failed(backend, error, now)
        if error.reached is not Stage.NOTHING_SENT:
            # Now, since what comes until there is a connection may be too much for the tee.
            self._unsent = [*self._tee.pieces]
        if error.reached is Stage.REUSED_AND_CLOSED:
            self._fresh = True  # Nothing says that the backend is ill: a new connection will do.
        else:
            self._tried |= {backend}
        self._release()
        if decision in (Decision.RETRY, Decision.RETRY_FREE):
            self._attempt(now)
            return
        self._finish()
        nobody = all(tried.stage == Stage.NOTHING_SENT.value for tried in self._record.attempts)
        if nobody and not isinstance(error, HandshakeFailed):
            self._downstream.fail(self._upstreams.nobody())
        else:
            self._downstream.fail(error)

    def _decide(self, error: UpstreamError, now: float) -> Decision:
        """Whether another attempt follows a failed one, and if not, why."""
        verdict = may_retry(error.reached, self._plan.method_class)
        if verdict is Verdict.NO:
            return Decision.NOT_SAFE
        if len(self._record.attempts) >= self._pool.config.retry.attempts:
            return Decision.ATTEMPTS_SPENT
        if error.reached is not Stage.NOTHING_SENT and not self._tee.whole:
            return Decision.BODY_NOT_KEPT
        if verdict is Verdict.FREE:
            return Decision.RETRY_FREE
        assert self._backend is not None
        if not self._pool.has_other(self._tried, self._backend):
            return Decision.NO_OTHER_BACKEND
        if not self._upstreams.budget.spend(now):
            return Decision.BUDGET_SPENT
        return Decision.RETRY

    def _is_answered(self) -> bool:
        """Whether an answer has begun."""
        attempts = self._record.attempts
        return bool(attempts) and attempts[-1].outcome == "answered"

    def _broke(self, failure: Failure) -> None:
        """A fault of ours: this exchange ends, and nothing else."""
        self.log.failure("an exchange failed", failure)
        self._give_up()
        self._downstream.fail(ProxyError())

    def _give_up(self) -> None:
        if self._waiter is not None:
            self._upstreams.waiting.leave(self._waiter)
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        self._finish()

    def _release(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            self._upstreams.release(backend)

    def _finish(self) -> None:
        if self._tee is not _NO_BODY:
            self._tee.release()
        self._release()
