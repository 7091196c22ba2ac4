"""A request on its way to a backend, and its answer on the way back.

Which backend that is, and what happens when an attempt fails, is decided in `attempts.py`.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from lbproxy.balance.pool import GATEWAY_STATUSES
from lbproxy.errors import (
    AnswerCut,
    BadAnswer,
    GatewayStatus,
    ProxyError,
    Stopped,
    UpstreamClosed,
    UpstreamError,
)
from lbproxy.forward import fields
from lbproxy.forward.fields import ResponseTemplate
from lbproxy.http1 import serialize
from lbproxy.http1.message import (
    CHUNKED,
    NO_TRAILERS,
    Fields,
    RequestHead,
    ResponseHead,
    members,
)
from lbproxy.observe.accesslog import OUTRUN, Attempt
from lbproxy.proxy.attempts import Attempts
from lbproxy.proxy.events import EventStream
from lbproxy.proxy.failover import GOES_ON, Decision
from lbproxy.proxy.hedge import Hedge
from lbproxy.proxy.plan import body_too_large
from lbproxy.proxy.tunnel import Tunnel


class Exchange(Attempts):
    """One request and its answer, through a pool."""

    def start(self, now: float) -> None:
        """Begin with the first attempt."""
        upstreams = self._upstreams
        upstreams.budget.request(now)
        if upstreams.wary:
            self._start_warily(now)
        else:
            self._attempt(now)

    def _start_warily(self, now: float) -> None:
        """Begin where some wait, some are refused, or any may be hedged or is counted."""
        upstreams = self._upstreams
        if upstreams.waiting:
            upstreams.make_way(now)
        upstreams.relax(now)
        refused = 0.0
        if upstreams.suspects.refused:
            refused = upstreams.suspects.refuses(self._identity(), now)
        if refused:
            self._finish()
            self._downstream.fail(self._poison(refused))
        elif not self._let_through(now):
            return
        elif upstreams.waiting.held:
            self._hold(now)
        else:
            if upstreams.hedging is not None:
                upstreams.hedging.budget.request(now)
            self._attempt(now)
            self._watch()

    def _admitted(self) -> None:
        super()._admitted()
        self._watch()

    def _watch(self) -> None:
        """Have another backend be asked as well if the first attempt, which has begun, is late."""
        hedging = self._upstreams.hedging
        if hedging is not None and self._plan.hedged and self.unanswered:
            hedging.watch(self, self._current.started)

    # What the client's side tells.

    def request_data(self, data: bytes) -> None:
        """A piece of the request's body: on to the backend, and into the replay buffer."""
        if self._is_too_long():
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
        if self._is_too_long():
            return  # What was sent of it is not to look whole.
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
        for attempt in self._record.attempts:
            if attempt.outcome is None:
                attempt.outcome = error.reason
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
        self._current.failed(error, "answer_begun")
        now = self._site.clock.seconds()
        self._pool.failed(self._backend, error, now)
        if self._admission is not None:
            self._admission.failed(now)
        self._finish()
        self._downstream.cut(error)

    def stop_answer(self, detail: str) -> None:
        """End the answer here, so that it looks whole to the client: we stop."""
        self._record.reason, self._record.detail = Stopped.reason, detail
        upstream, self._upstream = self._upstream, None
        assert upstream is not None
        self._site.see_off(upstream)
        self._finish()
        self._downstream.answer_end(NO_TRAILERS, self._site.clock.seconds())

    def flush(self) -> None:
        """Send what one read brought."""
        self._downstream.flush()

    def pause_request(self) -> None:
        """The backend is behind."""
        self._downstream.pause_request()

    def resume_request(self) -> None:
        """The backend has caught up."""
        self._downstream.resume_request()

    def answered(self, head: ResponseHead, now: float) -> None:
        """The answer's head has come."""
        begin = self._accept(head, now)
        if begin is None:
            return
        assert self._upstream is not None
        downstream = self._downstream
        if head.memo.is_event_stream:
            self._upstream.stream_answer()
            if head.memo.shows_events:
                self._upstream.answer_to(EventStream(self, downstream, self._site.spread))
        downstream.answer(head.status, begin, head.framing, now)
        if head.status == 101:
            Tunnel(self._site, downstream, self._upstream, self._finish)
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
            unwanted = self._unwanted(head, now)
            if unwanted is not None:
                error, decision = unwanted
                self._upstream.abort()
                self._pool.failed(self._backend, error, now)
                self._failed(error, decision, now)
                return None
        if self._upstreams.wary:
            self._end_hedge(attempt)
            self._count(head.status, now)
            self._clear(head.status)
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

    def _unwanted(self, head: ResponseHead, now: float) -> tuple[UpstreamError, Decision] | None:
        """Why an answer that is well-formed is not given to the client, and what is done."""
        if head.status == 101:
            chosen = members(head.control, b"upgrade")
            if self._plan.upgrade is None or chosen != [self._plan.upgrade]:
                error = BadAnswer("switched to a protocol that it was not asked for")
                return error, self._decide(error, now)
        if head.status in self._plan.route.retry_on:
            busy = GatewayStatus(f"answered {head.status}")
            decision = self._decide(busy, now)
            if decision in GOES_ON:
                return busy, decision
            self._current.decision = decision.value
        return None

    def _count(self, status: int, now: float) -> None:
        """Have the breaker hear of an answer, if it has let the request through."""
        if self._admission is None:
            return
        if status in GATEWAY_STATUSES:
            self._admission.failed(now)
        else:
            self._admission.answered(now)

    def _is_too_long(self) -> bool:
        """Whether more of the body has come than is sent on."""
        limit = self._plan.route.max_body
        return limit is not None and self._record.bytes_in > limit

    def _is_answered(self) -> bool:
        """Whether an answer has begun."""
        return any(attempt.outcome == "answered" for attempt in self._record.attempts)

    # A second backend that is asked as well (`Hedging`).

    @property
    def clock(self) -> IReactorTime:
        """The time of the whole."""
        return self._site.clock

    @property
    def bodiless_request(self) -> tuple[RequestHead, bytes]:
        """The request, and how it goes on the wire."""
        return self._plan.head, self._wire_head

    @property
    def unanswered(self) -> bool:
        """Whether its first attempt still runs, alone."""
        attempts = self._record.attempts
        return len(attempts) == 1 and attempts[0].outcome is None

    def hedge(self, now: float) -> None:
        """The first answer is late: ask another backend too, if one has room and the budget."""
        backend, pool, hedging = self._backend, self._pool, self._upstreams.hedging
        assert backend is not None and hedging is not None
        tried = self._tried | {backend}
        if not pool.has_other(tried, backend) or pool.saturated(tried):
            return
        if not hedging.budget.spend(now):
            return
        other = pool.choose(tried, now, self._key)
        if other is None:
            return
        attempt = Attempt(other.name, now)
        attempt.hedge = True
        self._record.attempts.append(attempt)
        self._hedge = hedge = Hedge(self, self._upstreams, other, attempt)
        hedge.begin(now)

    def outrun(self, now: float) -> None:
        """The hedge has an answer: give up the first attempt, which is nobody's fault."""
        self._current.outcome = OUTRUN
        seconds = now - self._current.started  # Its answer would have taken longer.
        hedging = self._upstreams.hedging
        if hedging is not None:
            hedging.took(seconds)
        if self._pool.timed:
            assert self._backend is not None
            self._pool.took(self._backend, seconds, False, now)
        self._drop()
        self._release()
        self._take_over()

    def hedge_failed(self, error: UpstreamError) -> None:
        """The hedge broke, and the first attempt still runs."""
        hedge, self._hedge = self._hedge, None
        assert hedge is not None
        now = self._site.clock.seconds()
        if isinstance(error, UpstreamClosed):
            self._is_to_blame(hedge.backend, now)
        self._pool.failed(hedge.backend, error, now, hedge.attempt.started)
        self._tried |= {hedge.backend}

    def _end_hedge(self, attempt: Attempt) -> None:
        """The attempt has an answer: give up the other one, and measure what may be hedged.

        What is late for others says nothing of that: they may take long by their nature, or have a
        body, which takes its client's time.
        """
        hedging = self._upstreams.hedging
        if hedging is not None and self._plan.hedged and not attempt.hedge:
            assert attempt.first_byte is not None
            hedging.took(attempt.first_byte)
        hedge, self._hedge = self._hedge, None
        if hedge is not None:
            hedge.lose()
