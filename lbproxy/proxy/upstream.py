"""One connection to a backend."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from lbproxy.config.model import UpstreamTimeouts
from lbproxy.errors import (
    AnswerCut,
    BadAnswer,
    FirstByteTimeout,
    MalformedMessage,
    ReusedConnectionClosed,
    UpstreamClosed,
    UpstreamError,
)
from lbproxy.http1.message import NO_TRAILERS, UNTIL_CLOSE, End, Fields, RequestHead, ResponseHead
from lbproxy.http1.parser import ResponseHeads, ResponseParser
from lbproxy.proxy.roles import Awaiting, Keeper
from lbproxy.transport.connect import Dialled
from lbproxy.transport.timer import NEVER, CoarseTimer
from lbproxy.transport.transfer import WORTH, Transfer, can_transfer


class State(Enum):
    """What a connection to a backend is doing."""

    IDLE = "idle"
    WAITING = "waiting"
    ANSWERING = "answering"
    TUNNEL = "tunnel"
    CLOSED = "closed"


# Python 3.11 takes six times as long to find a member through its class.
IDLE, WAITING, ANSWERING, TUNNEL, CLOSED = State

#: Seconds after a request within which its kept-alive connection may have been closed by chance:
#: what is on its way then has arrived, also if a packet was lost. Later the backend had it.
RACE = 1.0


@implementer(IPushProducer)
class Upstream(Dialled):
    """Sends a request to a backend and reads its answer, one at a time.

    Attributes:
        reused: Whether this connection has served a request before the present one.
        idle_since: When it last became idle, in the clock's seconds.
        clogged: Whether the backend is behind with reading.
    """

    _socket: Any

    def __init__(
        self,
        clock: IReactorTime,
        timer: CoarseTimer,
        timeouts: UpstreamTimeouts,
        keeper: Keeper,
        heads: ResponseHeads | None = None,
    ) -> None:
        self._clock = clock
        self._timer = timer
        self._timeouts = timeouts
        self._keeper = keeper
        self._parser = ResponseParser(heads)
        self._state = IDLE
        self._heard = False
        self._sent = False
        self._keep = False
        self._paused = False
        self._behind = 0
        self._read_timeout = timeouts.read
        self._patience: float | None = None
        self._awaiting: Awaiting | None = None
        self._head: ResponseHead | None = None
        self.reused = False
        self._is_quiet: Callable[[], bool] | None = None
        self._closed: Callable[[Upstream], None] | None = None
        self.clogged = False
        self.idle_since = 0.0
        self._asked_at = 0.0
        self.deadline = NEVER

    # What Twisted tells.

    def connectionMade(self) -> None:
        """Be ready for a request."""
        transport: Any = self.transport
        self._socket = transport
        # With this the transport says when the backend does not keep up.
        transport.registerProducer(self, True)
        self._is_quiet = getattr(transport, "is_quiet", None)
        self._timer.add(self)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Read a part of the answer."""
        awaiting = self._awaiting
        if awaiting is None:  # Idle: nobody asked for this (RFC 9112 section 9.2).
            self._drop()
            return
        self._heard = True
        if self._state is WAITING:
            whole = self._parser.whole(data)
            if whole is not None:
                head, body = whole
                self._give_whole(awaiting, head, body)
                return
        else:
            self.deadline = self._clock.seconds() + self._read_timeout
            if self._state is not ANSWERING:
                awaiting.answer_data(data)
                awaiting.flush()
                return
        self._parser.feed(data)
        self._read_events(awaiting)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The backend closed, or we did."""
        state, self._state = self._state, CLOSED
        self._timer.discard(self)
        if self._closed is not None:
            self._closed(self)
        awaiting, self._awaiting = self._awaiting, None
        if state is IDLE:
            self._keeper.forget(self)
        elif awaiting is None:
            pass  # Given up: nobody awaits anything.
        elif state is TUNNEL:
            awaiting.answer_end(NO_TRAILERS, self._clock.seconds())
        elif state is WAITING:
            awaiting.attempt_failed(self._lost_before_head(reason))
        else:
            self._lost_within_body(awaiting, reason)

    def pauseProducing(self) -> None:
        """The transport's queue to the backend is full."""
        self.clogged = True
        self._behind = self._waiting
        if self._awaiting is not None:
            if self._state is WAITING:
                self.deadline = self._clock.seconds() + self._timeouts.read
            self._awaiting.pause_request()

    def resumeProducing(self) -> None:
        """The transport's queue to the backend is empty."""
        self.clogged = False
        if self._awaiting is not None:
            if self._state is WAITING:
                self._await_head()
            self._awaiting.resume_request()

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows."""

    # What the exchange asks for.

    def is_usable(self) -> bool:
        """Whether an idle connection may take a request: nothing came, not even its end."""
        return self._state is IDLE and (self._is_quiet is None or self._is_quiet())

    def request(
        self,
        head: RequestHead,
        data: bytes,
        whole: bool,
        awaiting: Awaiting,
        patience: float | None = None,
    ) -> None:
        """Send a request's head.

        Args:
            head: The request; its method says how the answer is framed.
            data: The head as it goes on the wire.
            whole: Whether that is the whole request; else `end_request` is to follow.
            awaiting: Gets the answer.
            patience: Seconds of one try, if it is told that these are over.
        """
        assert self._state is IDLE, self._state
        self._state = WAITING
        self._heard = self._keep = False
        self._sent = whole
        self._head = None
        self._awaiting = awaiting
        self._parser.expect(head.method)
        self._patience = patience
        self._asked_at = now = self._clock.seconds()
        self.deadline = now + (patience or self._timeouts.first_byte) if whole else NEVER
        self._socket.write(data)
        self._behind = 0 if len(data) < WORTH else self._waiting

    def write(self, data: bytes) -> None:
        """Send a piece of the request's body, framed, or of what goes through a tunnel."""
        self.touch()
        self._socket.write(data)

    def touch(self) -> None:
        """Something is being sent: a backend that answers already may still be reading."""
        if self._state is ANSWERING or self._state is TUNNEL:
            self.deadline = self._clock.seconds() + self._read_timeout

    def request_sink(self) -> Any:
        """The transport, as long as the backend has not answered yet."""
        return self.transport if self._state is WAITING else None

    def end_request(self) -> None:
        """The request has been written whole: from now on the backend is waited for."""
        self._sent = True
        if self._state is WAITING and not self.clogged:  # Else it has not been sent whole yet.
            self._await_head()

    def begin_tunnel(self, awaiting: Awaiting) -> bytes:
        """After a 101: bytes go through as they are, to `awaiting`.

        Returns:
            Those that came behind the head.
        """
        self._awaiting = awaiting
        self._state = TUNNEL
        self.stream_answer()
        return self._parser.take_rest()

    def stream_answer(self) -> None:
        """This is a stream, which may be silent for longer."""
        self._read_timeout = self._timeouts.stream
        self.deadline = self._clock.seconds() + self._read_timeout

    def answer_to(self, awaiting: Awaiting) -> None:
        """The rest of this answer is for another one than its head."""
        self._awaiting = awaiting

    def pause_answer(self) -> None:
        """Read nothing more for now."""
        if not self._paused:
            self._paused = True
            self._socket.pauseProducing()

    def resume_answer(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            self.deadline = self._clock.seconds() + self._read_timeout
            self._socket.resumeProducing()

    def close(self, closed: Callable[[Upstream], None] | None = None) -> None:
        """Close in order, what was written first; a backend that does not take it is given up.

        Args:
            closed: Is called with the connection when it has ended, if somebody waits for that.
        """
        self._awaiting = None
        self._closed = closed
        self.deadline = self._clock.seconds() + self._timeouts.read
        if self._state is IDLE:
            self._keeper.forget(self)
        self._state = CLOSED
        transport: Any = self.transport
        transport.unregisterProducer()
        transport.loseConnection()

    def release(self, now: float) -> None:
        """The answer has been taken whole: be ready for another request, or close.

        Whoever took it does this first, so that the next request of its client finds us idle.
        """
        self._awaiting = None
        self.deadline = NEVER
        if self._keep and self._sent:
            if self._paused:  # The client has still to read the end of it.
                self._paused = False
                self._socket.resumeProducing()
            self._state = IDLE
            self.reused = True
            self.idle_since = now
            self._keeper.put(self)
        else:
            self._drop()

    def abort(self) -> None:
        """Give up the exchange; nobody is told any more."""
        self._awaiting = None
        self._drop()

    def expired(self, now: float) -> None:
        """The backend kept silent for too long."""
        due, self.deadline = self.deadline, NEVER
        awaiting = self._awaiting
        if self._state is CLOSED:
            self._drop()
        elif self._state is WAITING and self._waiting < self._behind:
            self._behind = waiting = self._waiting  # It reads, however slowly.
            self.deadline = now + (self._timeouts.read if waiting else self._timeouts.first_byte)
        elif self._is_overdue():
            patience, self._patience = self._patience, None
            assert patience is not None and awaiting is not None
            self.deadline = due + self._timeouts.first_byte - patience
            awaiting.overdue(now)
        elif self._state is WAITING:
            self._awaiting = None
            self._drop()
            if self._head is not None:
                detail = f"no byte of the answer's body within {self._timeouts.read} s"
            elif self.clogged:
                detail = f"read nothing for {self._timeouts.read} s"
            else:
                detail = f"no answer within {self._timeouts.first_byte} s"
            if awaiting is not None:
                awaiting.attempt_failed(FirstByteTimeout(detail))
        elif awaiting is not None and not self._paused:
            self._awaiting = None
            self._drop()
            if self._state is TUNNEL:
                awaiting.answer_end(NO_TRAILERS, now)
            else:
                awaiting.answer_cut(AnswerCut(f"silent for {self._read_timeout} s"))

    # The rest is ours.

    @property
    def _waiting(self) -> int:
        """Bytes that wait for the backend to take them, where the transport tells."""
        waiting: int = getattr(self.transport, "waiting", 0)
        return waiting

    def _await_head(self) -> None:
        """The backend's time runs only while it is the one who has to act.

        That it has the whole request is seen when the time is over: see `expired`.
        """
        self._behind = self._waiting
        seconds = self._patience or self._timeouts.first_byte
        self.deadline = self._clock.seconds() + seconds if self._sent else NEVER

    def _is_overdue(self) -> bool:
        """Whether it is only the time of one try that is over."""
        waits = self._state is WAITING and self._head is None and not self.clogged
        return waits and self._patience is not None and self._awaiting is not None

    def _drop(self) -> None:
        if self._state is IDLE:
            self._keeper.forget(self)
            self._state = CLOSED
        transport: Any = self.transport
        transport.abortConnection()

    def _lost_before_head(self, reason: Failure) -> UpstreamError:
        if self.reused and not self._heard and self._clock.seconds() < self._asked_at + RACE:
            return ReusedConnectionClosed("the kept-alive connection was closed")
        return UpstreamClosed(f"closed before its answer: {reason.getErrorMessage()}")

    def _lost_within_body(self, awaiting: Awaiting, reason: Failure) -> None:
        self._parser.feed_eof()
        try:
            event = self._parser.next_event()
        except MalformedMessage:
            event = None
        # A reset is no end, even where the end of the connection would be (RFC 9112 section 8).
        if isinstance(event, End) and reason.check(ConnectionDone):
            awaiting.answer_end(event.trailers, self._clock.seconds())
        else:
            awaiting.answer_cut(AnswerCut(f"cut: {reason.getErrorMessage()}"))

    def _read_events(self, awaiting: Awaiting) -> None:
        parser = self._parser
        try:
            while self._awaiting is awaiting:
                if self._head is not None:
                    body = parser.take_whole_body()
                    if body is not None:
                        self._give_whole(awaiting, self._head, body)
                        return
                event = parser.next_event()
                if event is None:
                    break
                if isinstance(event, bytes):
                    if self._head is not None:
                        head, self._head = self._head, None
                        self._begin_answer(awaiting, head)
                    if self._awaiting is awaiting:
                        awaiting.answer_data(event)
                elif isinstance(event, End):
                    self._finish(awaiting, event.trailers)
                    return
                elif event.informational:
                    awaiting.informational(event)
                elif event.length:
                    self._hold(event)
                else:
                    awaiting = self._begin_answer(awaiting, event)
        except MalformedMessage as error:
            self._malformed(awaiting, error)
            return
        awaiting.flush()
        if self._state is ANSWERING and parser.rest >= WORTH and can_transfer(self.transport):
            self._relay(awaiting, parser.rest)

    def _hold(self, head: ResponseHead) -> None:
        """Give the head of a body of known length with the first byte of that, or with all.

        Servers write the two one after the other, and one that dies in between would leave half an
        answer at the client, where now the request can still go elsewhere.
        """
        self._head = head
        if not self._parser.buffered:
            self.deadline = self._clock.seconds() + self._timeouts.read

    def _give_whole(self, awaiting: Awaiting, head: ResponseHead, body: bytes | memoryview) -> None:
        self._keep = not head.closes
        if head.memo is None:
            self._keeper.heard(head)
        awaiting.answered_whole(head, body, self._clock.seconds())

    def _begin_answer(self, awaiting: Awaiting, head: ResponseHead) -> Awaiting:
        """Give the head; who gets what follows, if anybody still wants it."""
        now = self._clock.seconds()
        self._state = ANSWERING
        self._read_timeout = self._timeouts.read
        self.deadline = now + self._read_timeout
        self._keep = head.framing is not UNTIL_CLOSE and not head.closes
        if head.memo is None:
            self._keeper.heard(head)
        awaiting.answered(head, now)
        return self._awaiting or awaiting

    def _relay(self, awaiting: Awaiting, length: int) -> None:
        sink = awaiting.answer_sink()
        if sink is not None:
            Transfer(self._socket, sink, self, length)

    def relayed(self, count: int) -> None:
        """A piece of the body has gone to the client's connection at once."""
        awaiting = self._awaiting
        if awaiting is None:  # The client was lost in the middle of it.
            return
        now = self._clock.seconds()
        self.deadline = now + self._read_timeout
        self._parser.skip(count)
        awaiting.answer_relayed(count)
        if not self._parser.rest:
            self._finish(awaiting, NO_TRAILERS)

    def _finish(self, awaiting: Awaiting, trailers: Fields) -> None:
        if self._parser.buffered:  # Nobody asked for this.
            self._keep = False
        now = self._clock.seconds()
        self.release(now)
        awaiting.answer_end(trailers, now)

    def _malformed(self, awaiting: Awaiting, error: MalformedMessage) -> None:
        waiting = self._state is WAITING
        self._awaiting = None
        self._drop()
        if waiting:
            awaiting.attempt_failed(BadAnswer(error.detail))
        else:
            awaiting.answer_cut(AnswerCut(error.detail))
