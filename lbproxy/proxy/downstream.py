"""One connection of a client: requests in, answers out, in order."""

from __future__ import annotations

from enum import Enum
from typing import Any, cast

from twisted.internet import protocol
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from lbproxy.config.model import Listener
from lbproxy.errors import (
    BodyTimeout,
    ClientGone,
    HeadTimeout,
    MalformedMessage,
    ProxyError,
    Stopped,
)
from lbproxy.forward import problem
from lbproxy.forward.fields import Peer, informational_lines
from lbproxy.http1 import serialize
from lbproxy.http1.cache import HeadCache
from lbproxy.http1.message import (
    CHUNKED,
    NONE,
    UNTIL_CLOSE,
    End,
    Fields,
    Framing,
    RequestHead,
    ResponseHead,
    Values,
)
from lbproxy.http1.parser import RequestParser
from lbproxy.observe.accesslog import Record, caller
from lbproxy.proxy.pace import BodyPace
from lbproxy.proxy.roles import Answerer
from lbproxy.proxy.site import Site
from lbproxy.transport.connection import JOINED
from lbproxy.transport.timer import FIRST, NEVER
from lbproxy.transport.transfer import WORTH, Transfer, can_transfer

#: Bytes of pipelined requests that are held while an answer is under way.
PIPELINE_LIMIT = 65536

#: Seconds for which a client may take to see an early answer (RFC 9112 section 9.6).
LINGER = 2.0


class Request(Enum):
    """How much of the present request has been read."""

    HEAD = "head"
    BODY = "body"
    WHOLE = "whole"


class Answer(Enum):
    """How much of the present answer has been given."""

    NONE = "none"
    BEGUN = "begun"
    WHOLE = "whole"


class Life(Enum):
    """What the connection is for now."""

    OPEN = "open"
    TUNNEL = "tunnel"
    LINGERING = "lingering"
    CLOSED = "closed"


# Python 3.11 takes six times as long to find a member through its class.
HEAD, BODY, ALL_READ = Request
UNANSWERED, BEGUN, ALL_GIVEN = Answer
OPEN, TUNNEL, LINGERING, CLOSED = Life


@implementer(IPushProducer)
class Downstream(protocol.Protocol):
    """Speaks HTTP/1.1 with a client (RFC 9112).

    Attributes:
        head: The present request's head.
        peer: Who the client is.
        record: What the access log will say of the present exchange.
        deadline: When the client has to have done what is awaited from it.
    """

    head: RequestHead
    record: Record
    peer: Peer
    _socket: Any
    _caller: str

    def __init__(
        self, site: Site, listener: Listener, heads: HeadCache[RequestHead] | None = None
    ) -> None:
        """Prepare for a client.

        Args:
            site: Who answers.
            listener: Which one accepted the client.
            heads: Those that this listener has read before.
        """
        self._site = site
        self._clock = site.clock
        self._listener = listener
        self._timeouts = listener.timeouts
        self._parser = RequestParser(listener.limits, heads)
        self._answerer: Answerer | None = None
        self._life = OPEN
        self._request = HEAD
        self._answer = UNANSWERED
        self._persist = True
        self._leaving = site.draining
        self._chunked = False
        self._clogged = False
        self._behind = 0
        self._held = False
        self._advancing = False
        self._out: list[bytes] = []
        self._head_began = NEVER
        self._pace: BodyPace | None = None
        self.deadline = NEVER

    # What Twisted tells.

    def connectionMade(self) -> None:
        """Await the first request."""
        transport: Any = self.transport
        self._socket = transport
        # With this the transport says when the client does not keep up.
        transport.registerProducer(self, True)
        self.peer = self._site.peer_of(self._listener, transport)
        address, tls = self.peer.address.decode("ascii"), self.peer.tls
        self._caller = caller(address, self._listener.name, tls)
        self.deadline = self._clock.seconds() + self._timeouts.head
        self._site.joined(self)

    def dataReceived(self, data: bytes) -> None:
        """Read a part of a request."""
        if self._life is OPEN:
            may_advance = not (self._advancing or self._clogged)
            if may_advance and self._request is HEAD:
                head = self._parser.whole(data)
                if head is not None:
                    self._begin(head)
                    return
            self._parser.feed(data)
            if may_advance:
                self._advance()
        elif self._life is TUNNEL and self._answerer is not None:
            self.record.bytes_in += len(data)
            self._answerer.request_data(data)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        """The client closed, or we did."""
        tunnel = self._life is TUNNEL
        self._life = CLOSED
        answerer, self._answerer = self._answerer, None
        if answerer is not None:
            gone = ClientGone("the client closed its connection")
            answerer.abandon(gone)
            self._log_end(None if tunnel else gone, self._clock.seconds())
        # Whoever waits for the last client then closes the log, and tells what was counted.
        self._site.left(self)

    def pauseProducing(self) -> None:
        """The transport's queue to the client is full."""
        self._clogged = True
        self._behind = self._waiting
        self.deadline = self._clock.seconds() + self._timeouts.idle
        if self._answerer is not None:
            self._answerer.pause_answer()

    def resumeProducing(self) -> None:
        """The transport's queue to the client is empty."""
        self._clogged = False
        now = self._clock.seconds()
        if self._answerer is None:
            self.deadline = now + self._timeouts.idle
        else:
            self._await_body(now)
            self._answerer.resume_answer()
        if not self._advancing:  # More may have come meanwhile, of this request or behind it.
            self._advance()

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows."""

    # What an answerer asks for.

    @property
    def endpoint(self) -> str:
        """Where the connection was accepted, which says of what listener it is."""
        return self._listener.endpoint

    def own_authority(self) -> bytes:
        """Our address as the client sees it, for a request of HTTP/1.0 without `Host`."""
        address = self._socket.getHost()
        host, port = getattr(address, "host", "localhost"), getattr(address, "port", None)
        host = f"[{host}]" if ":" in host else host
        return (host if port is None else f"{host}:{port}").encode("ascii")

    @property
    def clogged(self) -> bool:
        """Whether the client is behind with reading."""
        return self._clogged

    def begin_answerer(self, answerer: Answerer) -> None:
        """Say who answers the present request."""
        self._answerer = answerer

    def informational(self, head: ResponseHead) -> None:
        """Give a 1xx answer, which HTTP/1.0 does not know (RFC 9110 section 15.2)."""
        if self.head.minor and self._answer is UNANSWERED:
            lines = informational_lines(head)
            self._out.append(serialize.response(head.status, head.reason, lines) + b"\r\n")
            self.flush()

    def answer(self, status: int, begin: bytes, framing: Framing, now: float) -> None:
        """Begin the answer.

        Args:
            status: 101, or 200 to 599.
            begin: The status line and all field lines but `Connection` and `Transfer-Encoding`.
            framing: How the body ends where it comes from; the client's version decides how it
                ends there.
            now: The present time, in the clock's seconds.
        """
        self._answer = BEGUN
        record = self.record
        record.status = status
        record.answered = now - record.started
        minor = self.head.minor
        if framing is CHUNKED or framing is UNTIL_CLOSE:
            if minor:
                begin += b"Transfer-Encoding: chunked\r\n"
                self._chunked = True
            else:
                self._persist = False
        if status == 101:
            end = b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        else:
            end = self._end_of_head()
        self._out.append(begin + end)

    def answer_whole(self, status: int, begin: bytes, body: bytes | memoryview, now: float) -> None:
        """Give the answer, and go on with the next request.

        Args:
            status: As for `answer`.
            begin: As for `answer`, and has announced the body's length.
            body: All of it.
            now: The present time, in the clock's seconds.
        """
        record = self.record
        record.status = status
        record.answered = now - record.started
        record.bytes_out = len(body)
        end = self._end_of_head()
        self._answer = ALL_GIVEN
        if len(body) < JOINED:
            self._socket.write(b"".join((begin, end, body)))
        else:
            self._socket.writeSequence((begin + end, body))
        self._finish(None, now)

    @property
    def sends_files(self) -> bool:
        """Whether `answer_file` may be used."""
        return hasattr(self.transport, "send_file")

    def answer_file(self, file: int, offset: int, length: int) -> None:
        """Send a part of a file as a piece of the answer's body, behind what has been given.

        Args:
            file: Open until the client is not `clogged` any more, or the answer is abandoned.
            offset: Of the first byte.
            length: In bytes; a file that turns out to be shorter ends the connection.
        """
        self.record.bytes_out += length
        out, self._out = self._out, []
        self._socket.send_file(file, offset, length, b"".join(out))

    def answer_data(self, data: bytes) -> None:
        """Give a piece of the answer's body; it is sent at the next `flush`."""
        self.record.bytes_out += len(data)
        self._out.append(serialize.chunk(data) if self._chunked else data)

    def answer_sink(self) -> Any:
        """The transport, if the body goes there as it comes and nothing waits before it."""
        return None if self._chunked or self._out else self.transport

    def answer_end(self, trailers: Fields, now: float) -> None:
        """End the answer, and go on with the next request."""
        if self._chunked:
            self._out.append(serialize.last_chunk(trailers))
        self._answer = ALL_GIVEN
        self.flush()
        self._finish(None, now)

    def flush(self) -> None:
        """Send what has been given, in one write."""
        out = self._out
        if out:
            self._out = []
            if len(out) == 1:
                self._socket.write(out[0])
            elif len(out[1]) < JOINED:
                self._socket.write(b"".join(out))
            else:
                self._socket.writeSequence(out)

    def cut(self, error: ProxyError) -> None:
        """Close, so that the client can see that the answer is not whole."""
        self.flush()
        self._persist = False
        self._finish(error, self._clock.seconds())

    def fail(self, error: ProxyError) -> None:
        """Answer with an error of ours, if nothing has been answered yet."""
        if self._answer is not UNANSWERED:
            self.cut(error)
            return
        self.record.reason, self.record.detail = error.reason, error.detail
        fields, body = problem.problem(error, self.record.request_id, self.head.values)
        self._site.local_answer(self, error.status, fields, body)

    def pause_request(self) -> None:
        """Read no more of the request's body for now."""
        if not self._held:
            self._held = True
            self._socket.pauseProducing()

    def resume_request(self) -> None:
        """Read on."""
        if self._held and self._life is not CLOSED:
            self._held = False
            if self._pace is not None:
                self._pace.begin(self._clock.seconds(), self.record.bytes_in)
            self._socket.resumeProducing()
            if not self._advancing and not self._clogged:
                self._advance()

    def begin_tunnel(self, tunnel: Answerer) -> bytes:
        """After a 101: bytes go through as they are, to `tunnel`.

        Returns:
            Those that came behind the request.
        """
        self.flush()
        self._life = TUNNEL
        self._answerer = tunnel
        self.deadline = NEVER
        return self._parser.take_rest()

    def end_tunnel(self) -> None:
        """The backend has closed: close behind what it sent."""
        self._answer = ALL_GIVEN
        self._persist = False
        self._finish(None, self._clock.seconds())

    # What the site asks for.

    def drain(self) -> None:
        """End after the present exchange, or the first one; now, if there is none."""
        self._leaving = True
        if self._answerer is not None:
            self._persist = False  # Its head may have been sent before.
            return
        transport: Any = self.transport
        quiet = not hasattr(transport, "is_quiet") or transport.is_quiet()
        if self._parser.mid_message or not quiet:
            return
        if self._answer is UNANSWERED:
            self.deadline = min(self.deadline, self._clock.seconds() + FIRST)
        else:
            self._close()

    def abort(self, why: str) -> None:
        """End now, whatever runs.

        Args:
            why: What the access log says of that.
        """
        answerer, self._answerer = self._answerer, None
        if answerer is not None:
            stopped = Stopped(why)
            answerer.abandon(stopped)
            self._log_end(stopped, self._clock.seconds())
        self._abort()

    def refuse(self, error: ProxyError) -> None:
        """Say what is wrong with the connection itself, and close it."""
        self._refuse(error)

    def expired(self, now: float) -> None:
        """The client was awaited for too long."""
        if self._life is LINGERING:
            self._abort()
        elif self._life is CLOSED or self._clogged:
            self._judge_taking(now)
        elif self._answerer is None:
            if self._parser.mid_message:
                limit = self._timeouts.head
                detail = f"The request's head did not come within {limit} s."
                self._refuse(HeadTimeout(detail, knob=self._knob("timeouts.head")))
            else:
                self._close()
        elif self._request is BODY and self._pace is not None:
            self._judge_body(self._pace, now)
        else:
            self.deadline = NEVER

    # The rest is ours.

    def _end_of_head(self) -> bytes:
        """The empty line, and before it what becomes of the connection if that needs to be said."""
        if self._request is not ALL_READ or self._leaving:
            self._persist = False
        if not self._persist:
            return b"Connection: close\r\n\r\n"
        return b"\r\n" if self.head.minor else b"Connection: keep-alive\r\n\r\n"

    def _knob(self, key: str) -> str:
        return f"listeners.{self._listener.name}.{key}"

    def _advance(self) -> None:
        """Take what has been read, until the present exchange has to end first."""
        self._advancing = True
        try:
            while self._life is OPEN and self._request is not ALL_READ:
                if self._held and self._request is BODY:
                    break
                event = self._parser.next_event()
                if event is None:
                    break
                if isinstance(event, RequestHead):
                    if event.framing is NONE:
                        self._parser.skip_end()
                    self._begin(event)
                elif isinstance(event, bytes):
                    self._take_data(event)
                else:
                    self._take_end(event)
        except MalformedMessage as error:
            if error.knob is not None:
                error.knob = self._knob(error.knob)
            self._refuse(error)
        finally:
            self._advancing = False
        if self._life is not OPEN:
            return
        if self._parser.buffered:
            self._after_reading()
        elif self._request is BODY and self._parser.rest >= WORTH and can_transfer(self.transport):
            self._relay(self._parser.rest)

    def _after_reading(self) -> None:
        """Bytes are left that make no event yet, or whose turn has not come."""
        if self._request is HEAD and self._head_began == NEVER:
            self._head_began = self._clock.seconds()
            self.deadline = self._head_began + self._timeouts.head
        elif self._request is ALL_READ and self._parser.buffered > PIPELINE_LIMIT:
            self.pause_request()

    def _relay(self, length: int) -> None:
        sink = self._answerer.request_sink() if self._answerer is not None else None
        if sink is not None:
            Transfer(self._socket, sink, self, length)

    def relayed(self, count: int) -> None:
        """A piece of the request's body has gone to the backend's connection at once."""
        if self._life is OPEN:  # Else it is read so that the client can see an early answer.
            self.record.bytes_in += count
            self._parser.skip(count)
            if self._answerer is not None:
                self._answerer.request_relayed()
            if not self._parser.rest:
                self._advance()

    def _begin(self, head: RequestHead) -> None:
        now = self._clock.seconds()
        self.head = head
        self.record = self._new_record(now, head.control)
        # Behind CONNECT there may be bytes for a tunnel, which are no request.
        self._persist = head.method != b"CONNECT" and not head.closes
        self._chunked = False
        self._answer = UNANSWERED
        if head.framing is NONE:
            self._request = ALL_READ
            self.deadline = NEVER
        else:
            self._request = BODY
            self._pace = BodyPace(self._timeouts.body, now)
            self.deadline = self._pace.next_look(now)
        self._site.open(self, now)

    def _new_record(self, now: float, values: Values) -> Record:
        record = Record(now, self._site.request_id(self.peer, values, now), self._caller)
        began = self._head_began
        if began < now:
            record.started, record.headed = began, now - began
        return record

    def _await_body(self, now: float) -> None:
        self.deadline = NEVER
        if self._request is BODY and self._pace is not None:
            self._pace.begin(now, self.record.bytes_in)
            self.deadline = self._pace.next_look(now)

    def _take_data(self, data: bytes) -> None:
        self.record.bytes_in += len(data)
        if self._answerer is not None:
            self._answerer.request_data(data)

    def _take_end(self, end: End) -> None:
        self._request = ALL_READ
        self.deadline = NEVER
        if self._answerer is not None:
            self._answerer.request_end(end.trailers)

    @property
    def _waiting(self) -> int:
        """Bytes that wait for the client to take them, where the transport tells."""
        waiting: int = getattr(self.transport, "waiting", 0)
        return waiting

    def _judge_taking(self, now: float) -> None:
        """Go on while the client takes what waits for it, however slowly."""
        if self._waiting < self._behind:
            self._behind = self._waiting
            self.deadline = now + self._timeouts.idle
        else:
            self._abort()

    def _judge_body(self, pace: BodyPace, now: float) -> None:
        """Go on, or give up a body that makes no progress or too little."""
        seen = self.record.bytes_in
        if self._held:  # We are the ones who do not read.
            pace.begin(now, seen)
            self.deadline = now + self._timeouts.body
            return
        fault = pace.fault(now, seen)
        if fault is not None:
            self._refuse(BodyTimeout(fault, knob=self._knob("timeouts.body")))
        else:
            self.deadline = pace.next_look(now)

    def _refuse(self, error: ProxyError) -> None:
        """The client broke the rules: say so if that is still possible, and close."""
        answerer, self._answerer = self._answerer, None
        self._persist = False
        if answerer is not None:
            answerer.abandon(error)
        else:
            self.record = self._new_record(self._clock.seconds(), {})
            self.head = RequestHead(1, b"\n", {}, b"\n", NONE, 0, b"", b"")
            self._request, self._answer, self._chunked = BODY, UNANSWERED, False
        self.fail(error)

    def _finish(self, error: ProxyError | None, now: float) -> None:
        """The exchange is over, whole unless there is an error."""
        self._answerer = None
        if error is None:
            self._site.log(self.record, now)
        else:
            self._log_end(error, now)
        if not self._persist or error is not None:
            self._close(cut=error is not None)
            return
        self._request = HEAD
        self._head_began = NEVER
        if self._held:
            self._held = False
            self._socket.resumeProducing()
        self.deadline = now + self._timeouts.idle
        if self._parser.buffered and not self._advancing and not self._clogged:
            self._advance()

    def _log_end(self, error: ProxyError | None, now: float) -> None:
        record = self.record
        if error is not None:
            record.reason, record.detail = error.reason, error.detail
            if self._answer is UNANSWERED:
                record.status = error.status
        self._site.log(record, now)

    def _abort(self) -> None:
        cast(Any, self.transport).abortConnection()

    def _close(self, *, cut: bool = False) -> None:
        """Close behind what was sent.

        Where the client may still be sending, closing at once would reset the connection and could
        take the answer with it, so only our side is closed first (RFC 9112 section 9.6).
        """
        transport: Any = self.transport
        transport.unregisterProducer()
        if cut and self._answer is BEGUN and not self._chunked:
            # A body that the end of the connection ends would look whole: reset.
            self._life = CLOSED
            transport.abortConnection()
            return
        rest = self._request is BODY or self._parser.buffered
        if rest and hasattr(transport, "loseWriteConnection"):
            self._life = LINGERING
            self.deadline = self._clock.seconds() + LINGER
            transport.loseWriteConnection()
            if self._held:
                transport.resumeProducing()
            return
        self._life = CLOSED
        self._behind = self._waiting
        self.deadline = self._clock.seconds() + self._timeouts.idle
        transport.loseConnection()
