"""The second attempt of an exchange, while the first one still runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import GATEWAY_STATUSES
from lbproxy.errors import AnswerCut, GatewayStatus, UpstreamError
from lbproxy.http1.message import Fields, ResponseHead
from lbproxy.observe.accesslog import OUTRUN, Attempt
from lbproxy.proxy.failover import Decision
from lbproxy.proxy.upstream import Upstream
from lbproxy.proxy.upstreams import Upstreams

if TYPE_CHECKING:
    from lbproxy.proxy.exchange import Exchange


class Hedge:
    """A second attempt, for which `Hedging` says when it is time.

    Whichever has an answer first wins, and the other is given up, which is no fault of its backend.
    If the first one breaks, this one takes its place: then it only passes on what it is told.

    Attributes:
        backend: The second one.
        attempt: What the access log will say of it.
        connecting: Its connection, while that is made.
        upstream: Its connection, once that stands.
    """

    def __init__(
        self,
        exchange: Exchange,
        upstreams: Upstreams,
        backend: Backend,
        attempt: Attempt,
    ) -> None:
        self._exchange = exchange
        self._upstreams = upstreams
        self._first = False
        self._hints: list[ResponseHead] = []
        self.backend = backend
        self.attempt = attempt
        self.connecting: Deferred[Upstream] | None = None
        self.upstream: Upstream | None = None

    def begin(self, now: float) -> None:
        """Send the request."""
        self._upstreams.pool.acquire(self.backend)
        self._upstreams.hedges += 1
        connections = self._upstreams.connections[self.backend]
        upstream = connections.take(now)
        if upstream is not None:
            self.attempt.reused, self.attempt.connected = True, 0.0
            self._send(upstream)
            return
        self.connecting = connecting = connections.connect()
        connecting.addCallbacks(self._connected, self._not_connected)
        connecting.addErrback(self._exchange.broke)

    def lose(self) -> None:
        """The first attempt has an answer, or nobody wants one any more."""
        if self.attempt.outcome is None:
            self.attempt.outcome = OUTRUN
        connecting, self.connecting = self.connecting, None
        if connecting is not None:
            connecting.cancel()
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.abort()
        self._upstreams.hedges -= 1
        self._upstreams.release(self.backend)

    def take_over(self) -> None:
        """The first attempt is over: this one is what the exchange has, and releases."""
        self._first = True
        self._upstreams.hedges -= 1
        for head in self._hints:
            self._exchange.informational(head)

    # An attempt, as in the exchange.

    def _connected(self, upstream: Upstream) -> None:
        self.connecting = None
        if self._first:
            self._exchange.connected(upstream)
            return
        attempt = self.attempt
        attempt.connected = self._exchange.clock.seconds() - attempt.started
        self._send(upstream)

    def _send(self, upstream: Upstream) -> None:
        self.upstream = upstream
        head, data = self._exchange.bodiless_request
        upstream.request(head, data, True, self)

    def _not_connected(self, failure: Failure) -> None:
        if self._first:
            self._exchange.not_connected(failure)
        elif failure.check(UpstreamError):  # Else we gave up ourselves.
            error = failure.value
            assert isinstance(error, UpstreamError)
            self.attempt_failed(error)

    # What the second backend's connection tells (`Awaiting`).

    def attempt_failed(self, error: UpstreamError) -> None:
        """This attempt broke; while the first one runs, that is all."""
        if self._first:
            self._exchange.attempt_failed(error)
            return
        self.connecting = self.upstream = None
        self.attempt.failed(error, Decision.FIRST_RUNS.value)
        self._exchange.hedge_failed(error)
        self._upstreams.hedges -= 1
        self._upstreams.release(self.backend)

    def answered(self, head: ResponseHead, now: float) -> None:
        """The head of the answer that came first."""
        if self._wins(head, now):
            self._exchange.answered(head, now)

    def answered_whole(self, head: ResponseHead, body: bytes | memoryview, now: float) -> None:
        """All of the answer that came first."""
        if self._wins(head, now):
            self._exchange.answered_whole(head, body, now)

    def informational(self, head: ResponseHead) -> None:
        """Early hints are told when it wins: a proxy must forward them (RFC 9110 section 15.2)."""
        if self._first:
            self._exchange.informational(head)
        else:
            self._hints.append(head)

    def answer_data(self, data: bytes) -> None:
        self._exchange.answer_data(data)

    def answer_sink(self) -> Any:
        return self._exchange.answer_sink()

    def answer_relayed(self, count: int) -> None:
        self._exchange.answer_relayed(count)

    def answer_end(self, trailers: Fields, now: float) -> None:
        self._exchange.answer_end(trailers, now)

    def answer_cut(self, error: AnswerCut) -> None:
        self._exchange.answer_cut(error)

    def flush(self) -> None:
        if self._first:
            self._exchange.flush()

    def overdue(self, now: float) -> None:
        """There is no time of a try for a hedge."""

    def pause_request(self) -> None:
        """There is no body that could be paused."""

    def resume_request(self) -> None:
        """There is no body that could be resumed."""

    def _wins(self, head: ResponseHead, now: float) -> bool:
        """Whether an answer is taken: while the first attempt runs, not a gateway error."""
        if self._first:
            return True
        upstream = self.upstream
        if head.status in GATEWAY_STATUSES and upstream is not None:
            self.attempt_failed(GatewayStatus(f"answered {head.status}"))
            upstream.abort()
            return False
        self._exchange.outrun(now)
        return True
