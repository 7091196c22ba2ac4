"""After an Upgrade: bytes go both ways as they are, until one side closes.

The protocol is WebSocket: no other one is offered on (`upgrade_to`). So when we stop, both sides
can be told by a close frame of ours, behind whatever frame is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from lbproxy.errors import AnswerCut, ProxyError, Stopped, UpstreamError
from lbproxy.http1.message import NO_TRAILERS, Fields, ResponseHead
from lbproxy.proxy.upstream import Upstream
from lbproxy.proxy.websocket import GOING_AWAY, SERVICE_RESTART, Frames

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream
    from lbproxy.proxy.site import Site

#: Seconds in which a client may answer our close frame.
CLOSE_WAIT = 1.0


class State(Enum):
    """What is done with bytes."""

    OPEN = "open"
    DEPARTING = "departing"
    CLOSING = "closing"


# Python 3.11 takes six times as long to find a member through its class.
OPEN, DEPARTING, CLOSING = State


class Tunnel:
    """Two connections, joined."""

    def __init__(
        self,
        site: Site,
        downstream: Downstream,
        upstream: Upstream,
        ended: Callable[[], None],
    ) -> None:
        """Join them; `ended` is called once when it is over."""
        self._site = site
        self._downstream = downstream
        self._upstream = upstream
        self._ended = ended
        self._state = OPEN
        self._to_client = Frames()
        self._to_backend = Frames()
        self._bound: IDelayedCall | None = None
        from_client = downstream.begin_tunnel(self)
        from_backend = upstream.begin_tunnel(self)
        if from_client:
            self.request_data(from_client)
        if from_backend:
            self.answer_data(from_backend)
            self.flush()
        site.spread.join(self)

    # What the site asks for.

    def depart(self) -> None:
        """Close, unless one side is about to do so."""
        if self._to_client.closing or self._to_backend.closing:
            return
        self._state = DEPARTING
        if self._to_client.at_border:
            self._say_goodbye()
            self.flush()

    # What the client's side tells.

    def request_data(self, data: bytes) -> None:
        """Bytes for the backend, up to the client's answer to our close frame."""
        if self._state is CLOSING:
            self._take_last_words(data)
            return
        self._to_backend.follow(data)
        self._upstream.write(data)

    def request_sink(self) -> None:
        """Nothing is written past us."""

    def request_relayed(self) -> None:
        """Nothing is written past us."""

    def request_end(self, trailers: Fields) -> None:
        """A tunnel has no end but that of its connections."""

    def abandon(self, error: ProxyError) -> None:
        """The client has closed: close behind what it sent."""
        self._close_upstream()
        self._leave()

    def pause_answer(self) -> None:
        """The client is behind."""
        self._upstream.pause_answer()

    def resume_answer(self) -> None:
        """The client has caught up."""
        self._upstream.resume_answer()

    # What the backend's side tells.

    def informational(self, head: ResponseHead) -> None:
        """No heads come through a tunnel."""

    def answer_data(self, data: bytes) -> None:
        """Bytes for the client, none of them behind our close frame."""
        if self._state is OPEN:
            self._to_client.follow(data)
            self._downstream.answer_data(data)
        elif self._state is DEPARTING:
            count = self._to_client.finish(data)
            self._downstream.answer_data(data[:count])
            if self._to_client.closing:
                self._state = OPEN
                self._downstream.answer_data(data[count:])
            elif self._to_client.at_border:
                self._say_goodbye()

    def attempt_failed(self, error: UpstreamError) -> None:
        """The attempt has succeeded before."""

    def overdue(self, now: float) -> None:
        """Does not happen: nothing is waited for."""

    def answered(self, head: ResponseHead, now: float) -> None:
        """No heads come through a tunnel."""

    def answered_whole(self, head: ResponseHead, body: bytes | memoryview, now: float) -> None:
        """No heads come through a tunnel."""

    def answer_sink(self) -> None:
        """A tunnel's bytes have no length."""

    def answer_relayed(self, count: int) -> None:
        """A tunnel's bytes have no length."""

    def answer_end(self, trailers: Fields, now: float) -> None:
        """The backend has closed, or both were silent for too long."""
        self._leave()
        self._downstream.end_tunnel()

    def answer_cut(self, error: AnswerCut) -> None:
        """A tunnel ends as it ends."""
        self.answer_end(NO_TRAILERS, 0.0)

    def flush(self) -> None:
        """Send what one read brought."""
        self._downstream.flush()

    def pause_request(self) -> None:
        """The backend is behind."""
        self._downstream.pause_request()

    def resume_request(self) -> None:
        """The backend has caught up."""
        self._downstream.resume_request()

    # The rest is ours.

    def _say_goodbye(self) -> None:
        """Send the client a close frame, and wait for its own (RFC 6455 section 7.1.2)."""
        self._state = CLOSING
        self._downstream.answer_data(SERVICE_RESTART)
        self._downstream.record.reason = Stopped.reason
        self._downstream.record.detail = "closed with 1012"
        self._bound = self._site.clock.callLater(CLOSE_WAIT, self._end)

    def _take_last_words(self, data: bytes) -> None:
        """What the client had under way goes on; its answer does not.

        In place of that the backend gets a close frame that is meant for it.
        """
        frames = self._to_backend
        count = frames.follow_to_close(data)
        if count:
            self._upstream.write(data[:count])
        if count < len(data) or frames.closing:
            self._end()

    def _end(self) -> None:
        self._close_upstream()
        self._leave()
        self._downstream.end_tunnel()

    def _close_upstream(self) -> None:
        """Close the backend's connection, with a word about it if that is ours to say."""
        frames = self._to_backend
        if self._state is CLOSING and frames.at_border and not frames.closing:
            self._upstream.write(GOING_AWAY)
        self._site.see_off(self._upstream)

    def _leave(self) -> None:
        if self._bound is not None and self._bound.active():
            self._bound.cancel()
        self._site.spread.leave(self)
        self._ended()
