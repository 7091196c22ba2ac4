"""TCP mode: a client and a backend, joined byte for byte.

The attempts of a session are those of an exchange (`exchange.py`) as far as they go: a connection
that cannot be made is a Deferred's errback, which chooses the next backend. Once one stands, bytes
may have been sent that must not be sent twice, so nothing is tried again.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from lbproxy.balance.backend import Backend
from lbproxy.config.model import Listener
from lbproxy.errors import BadPreface, ProxyError, QueueFull, Unavailable, UpstreamError
from lbproxy.health.breaker import Admission
from lbproxy.observe.accesslog import Attempt
from lbproxy.observe.session import SessionRecord
from lbproxy.preface.client_hello import ClientHelloReader
from lbproxy.preface.proxy_protocol import WRITERS
from lbproxy.proxy.announced import address_of
from lbproxy.proxy.failover import Decision, elsewhere
from lbproxy.proxy.queue import Waiter
from lbproxy.proxy.site import Site
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.transport.connect import Dialled
from lbproxy.transport.relay import Relay
from lbproxy.transport.timer import NEVER

#: Looks at a session within its idle time: it ends when this many have seen no byte move. So the
#: path of a byte has no clock in it, and a session may be silent for a quarter longer.
LOOKS = 4


class State(Enum):
    """How far a session is."""

    PEEKING = "peeking"
    CHOOSING = "choosing"
    JOINED = "joined"
    OVER = "over"


@implementer(IHalfCloseableProtocol)
class StreamUpstream(Dialled):
    """A session's connection to its backend."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def dataReceived(self, data: bytes) -> None:
        """Bytes for the client, where no relay reads them."""
        self._session.from_backend.take(data)

    def readConnectionLost(self) -> None:
        """The backend has closed its side."""
        self._session.backend_ended()

    def writeConnectionLost(self) -> None:
        """Our side is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._session.backend_lost(reason)


@implementer(IHalfCloseableProtocol)
class Session(Protocol):
    """One client of a TCP listener, from its first byte to the end of both connections.

    Attributes:
        from_client: The bytes that way, once a backend is there.
        from_backend: The bytes this way.
        record: What the access log will say.
        deadline: When the next look at it is due.
    """

    log = Logger()

    from_client: Relay
    from_backend: Relay
    record: SessionRecord

    _hello: ClientHelloReader | None = None
    _upstreams: Upstreams
    _backend: Backend | None = None
    _connecting: Deferred[StreamUpstream] | None = None
    _upstream: Any = None
    _waiter: Waiter | None = None
    _admission: Admission | None = None
    _queued_since = 0.0
    _tried: frozenset[Backend] = frozenset()
    _held = False
    _client_ended = False
    _backend_ended = False
    _client_here = True
    _key: bytes | None = None
    _moved = 0
    _looks = 0

    def __init__(self, site: Site, listener: Listener) -> None:
        """Prepare for a client.

        Args:
            site: Knows the pools.
            listener: Which one accepted the client.
        """
        self._site = site
        self._listener = listener
        self._state = State.CHOOSING
        self._early: list[bytes] = []
        self.deadline = NEVER

    @property
    def _client(self) -> Any:
        return self.transport

    # What the client's connection tells.

    def connectionMade(self) -> None:
        """Look for a name first if there are routes by name, else for a backend."""
        now = self._site.clock.seconds()
        client = getattr(self._client.getPeer(), "host", "unix")
        self.record = SessionRecord(now, client, self._listener.name)
        self._site.joined(self)
        if self._site.goes_by_name(self._listener):
            self._state = State.PEEKING
            self._hello = ClientHelloReader()
            self.deadline = now + self._listener.timeouts.head
        else:
            self._choose_pool(None, now)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client, where no relay reads them."""
        if self._state is State.JOINED:
            self.from_client.take(data)
        elif self._state is State.PEEKING:
            self._early.append(data)
            self._peek(data)
        elif self._state is State.CHOOSING:
            self._early.append(data)
            self._held = True
            self._client.pauseProducing()  # It goes on when there is a backend.

    def readConnectionLost(self) -> None:
        """The client has closed its side."""
        self._client_ended = True
        if self._state is State.PEEKING:
            self._end("client_gone")
        elif self._state is State.JOINED:
            self.from_client.end()
            self._end_if_both()

    def writeConnectionLost(self) -> None:
        """Our side is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client's connection is gone."""
        self._client_here = False
        in_order = self._in_order(reason)
        if not in_order:
            self._say("client_reset")
        if self._state is State.JOINED:
            if self._upstream is not None:
                _close(self._upstream.transport, in_order)
        elif self._state is not State.OVER:
            self._say("client_gone")
            self._give_up()
        self._over_if_both()

    # What the backend's connection tells.

    def backend_ended(self) -> None:
        """The backend has closed its side."""
        self._backend_ended = True
        self.from_backend.end()
        self._end_if_both()

    def backend_lost(self, reason: Failure) -> None:
        """The backend's connection is gone."""
        self._upstream = None
        in_order = self._in_order(reason)
        if not in_order:
            self._say("backend_reset")
        self._release()
        if self._client_here:
            _close(self._client, in_order)
        self._over_if_both()

    # What the timer and the site ask for.

    def expired(self, now: float) -> None:
        """Time to look: is the client's name overdue, has a byte moved?"""
        if self._state is State.PEEKING:
            self._end("head_timeout", f"No whole ClientHello in {self._listener.timeouts.head} s.")
            return
        if self._state is not State.JOINED:
            self.deadline = NEVER
            return
        idle = self._upstreams.pool.config.timeouts.stream
        self.deadline = now + idle / LOOKS
        moved = self.from_client.moved + self.from_backend.moved
        self._looks = self._looks + 1 if moved == self._moved else 0
        self._moved = moved
        if self._looks > LOOKS:
            self._say("idle_timeout", f"No byte either way in {idle} s.")
            self._abort()

    @property
    def endpoint(self) -> str:
        """Where the connection was accepted, which says of what listener it is."""
        return self._listener.endpoint

    def drain(self) -> None:
        """What runs goes on until its time is over; what has not begun ends."""
        if self._state is State.PEEKING:
            self._end("stopped")

    def abort(self, why: str) -> None:
        """End now.

        Args:
            why: What the access log says of that.
        """
        self._say("stopped", why)
        self._abort()

    # The rest is ours: first the way to a backend.

    def _peek(self, data: bytes) -> None:
        assert self._hello is not None
        try:
            hello = self._hello.feed(data)
        except BadPreface:  # Then there is no name, for which there is a pool or not.
            self._choose_pool(None, self._site.clock.seconds())
            return
        if hello is not None:
            self.record.server_name = hello.server_name
            self._choose_pool(hello.server_name, self._site.clock.seconds())

    def _choose_pool(self, server_name: str | None, now: float) -> None:
        self._state = State.CHOOSING
        self._hello = None
        self.deadline = NEVER
        upstreams = self._site.pool_of(self._listener, server_name)
        if upstreams is None:
            self._end("no_route")
            return
        self._upstreams = upstreams
        self.record.pool = upstreams.pool.name
        if upstreams.pool.config.hash_key is not None:
            self._key = getattr(self._client.getPeer(), "host", "unix").encode()
        upstreams.budget.request(now)
        if upstreams.waiting:
            upstreams.make_way(now)
        if self._let_through(now):
            self._attempt(now)

    def _let_through(self, now: float) -> bool:
        """Whether the pool's breaker lets the session through; else it ends."""
        breaker = self._upstreams.breaker
        if breaker is None:
            return True
        self._admission = breaker.admit(now)
        if self._admission is None:
            self._fail(self._upstreams.broken(now))
        return self._admission is not None

    def _attempt(self, now: float) -> None:
        pool = self._upstreams.pool
        backend = pool.choose(self._tried, now, self._key)
        if backend is None:
            self._no_backend(now)
            return
        self._backend = backend
        pool.acquire(backend)
        self.record.attempts.append(Attempt(backend.name, now, degraded=pool.degraded))
        connecting = self._upstreams.dial(backend, lambda: StreamUpstream(self))
        self._connecting = connecting  # It may have fired already.
        connecting.addCallbacks(self._connected, self._not_connected).addErrback(self._broke)

    def _no_backend(self, now: float) -> None:
        """Wait if it is only that all have enough to do; else nobody is there."""
        if not self._upstreams.pool.saturated(self._tried):
            self._fail(self._upstreams.nobody())
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
        self.record.queued += now - self._queued_since
        if self._admission is None or self._admission.holds or self._let_through(now):
            self._attempt(now)

    def _refused(self, error: Unavailable) -> None:
        self._waiter = None
        self.record.queued += self._site.clock.seconds() - self._queued_since
        self._fail(error)

    def _not_connected(self, failure: Failure) -> None:
        if failure.check(CancelledError):  # We gave up ourselves.
            return
        failure.trap(UpstreamError)
        error = cast(UpstreamError, failure.value)
        assert self._backend is not None
        backend, now = self._backend, self._site.clock.seconds()
        self._connecting = None
        self._upstreams.pool.failed(backend, error, now, self.record.attempts[-1].started)
        decision = self._decide(error, now)
        self.record.attempts[-1].failed(error, decision.value)
        self._tried |= {backend}
        if self._admission is not None and decision is not Decision.RETRY:
            self._admission.failed(now)  # Before one who waits gets its place.
        self._release()
        if decision is Decision.RETRY:
            self._attempt(now)
        else:
            self._fail(self._upstreams.nobody())

    def _decide(self, error: UpstreamError, now: float) -> Decision:
        """Whether another attempt follows a connection that could not be made."""
        assert self._backend is not None
        if len(self.record.attempts) >= self._upstreams.pool.config.retry.attempts:
            return Decision.ATTEMPTS_SPENT
        return elsewhere(self._upstreams, error, self._backend, self._tried, now)

    def _connected(self, upstream: StreamUpstream) -> None:
        """Join the two; what the client has sent so far goes first."""
        self._connecting = None
        self._upstream = upstream
        self._state = State.JOINED
        now = self._site.clock.seconds()
        pool = self._upstreams.pool
        attempt = self.record.attempts[-1]
        attempt.outcome = "connected"
        attempt.connected = now - attempt.started
        assert self._backend is not None
        pool.connected(self._backend, now)
        if self._admission is not None:
            self._admission.answered(now)
        if pool.timed:
            pool.took(self._backend, attempt.connected, False, now)
        client, backend = self._client, cast(Any, upstream.transport)
        self.from_client = Relay(client, backend)
        self.from_backend = Relay(backend, client)
        if pool.config.send_proxy is not None:
            write = WRITERS[pool.config.send_proxy]
            backend.write(write(address_of(client.getPeer()), address_of(client.getHost())))
        if self._early:
            self.from_client.take(b"".join(self._early))
            self._early = []
        if self._client_ended:
            self.from_client.end()
        elif self._held and not self.from_client.clogged:
            client.resumeProducing()
        self.deadline = now + pool.config.timeouts.stream / LOOKS

    # And then the way out.

    def _broke(self, failure: Failure) -> None:
        """A fault of ours: this session ends, and nothing else."""
        self.log.failure("a session failed", failure)
        self._say(ProxyError.reason)
        self._abort()

    def _say(self, reason: str, detail: str = "") -> None:
        """Note why the session ends; the first reason is the one."""
        if self.record.reason == "ended":
            self.record.reason, self.record.detail = reason, detail

    def _fail(self, error: ProxyError) -> None:
        self._end(error.reason, error.detail)

    def _end(self, reason: str, detail: str = "") -> None:
        """Close the client's connection, which has no backend."""
        self._say(reason, detail)
        self._give_up()
        self._client.loseConnection()

    def _end_if_both(self) -> None:
        """Both sides have closed: so do we, behind what is still on its way."""
        if self._client_ended and self._backend_ended:
            self._client.loseConnection()
            self._upstream.transport.loseConnection()

    def _in_order(self, reason: Failure) -> bool:
        """Whether a connection has not been reset.

        Once both sides have closed, and we too, a reactor cannot tell the one from the other.
        """
        both = self._client_ended and self._backend_ended
        return both or reason.check(ConnectionDone) is not None

    def _abort(self) -> None:
        if self._state is not State.JOINED:
            self._give_up()
        if self._client_here:
            self._client.abortConnection()
        if self._upstream is not None:
            self._upstream.transport.abortConnection()

    def _give_up(self) -> None:
        """Want no backend any more."""
        self._state = State.OVER
        self.deadline = NEVER
        if self._waiter is not None:
            self._upstreams.waiting.leave(self._waiter)
            self._waiter = None
            self.record.queued += self._site.clock.seconds() - self._queued_since
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        if self._admission is not None:
            self._admission.left()
        self._release()

    def _release(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            self._upstreams.release(backend)

    def _over_if_both(self) -> None:
        """Both connections are gone: the session is over."""
        if self._client_here or self._upstream is not None:
            return
        if self._state is State.JOINED:
            self._state = State.OVER
            self.record.bytes_in = self.from_client.moved
            self.record.bytes_out = self.from_backend.moved
        self._site.log_session(self.record, self._site.clock.seconds())
        self._site.left(self)


def _close(transport: Any, in_order: bool) -> None:
    """End one connection as the other one has ended: in order, or with a reset."""
    if in_order:
        transport.loseConnection()
    else:
        transport.abortConnection()
