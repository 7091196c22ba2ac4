"""Mistakes about streams that are ended because the balancer ends."""

from __future__ import annotations

import re
from typing import Any

from lbproxy.http1.message import NO_TRAILERS
from lbproxy.proxy import events, tunnel
from lbproxy.proxy.events import EventStream
from lbproxy.proxy.exchange import Exchange
from lbproxy.proxy.spread import Spread
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.proxy.upstream import Upstream
from lbproxy.proxy.websocket import GOING_AWAY, SERVICE_RESTART, Frames
from lbproxy.testing.mistakes.registry import Put, mutation, nothing
from lbproxy.worker.serve import Worker


@mutation
def events_are_ended_in_the_middle(put: Put) -> None:
    put(EventStream, "depart", EventStream._end)


@mutation
def no_event_is_finished(put: Put) -> None:
    def wrong(self: Any, data: bytes) -> None:
        self._end()

    put(EventStream, "_finish_event", wrong)


@mutation
def more_than_the_event_is_given(put: Put) -> None:
    def wrong(self: Any, data: bytes) -> None:
        self._downstream.answer_data(data)
        self._end()

    put(EventStream, "_finish_event", wrong)


@mutation
def a_line_that_ends_in_cr_is_overlooked(put: Put) -> None:
    put(events, "_END", re.compile(rb"\n\r?\n"))
    put(events, "_ENDS", (b"\n\n", b"\n\r\n"))


@mutation
def a_line_that_ends_in_crlf_is_overlooked(put: Put) -> None:
    put(events, "_END", re.compile(rb"\n\n|\r\r"))
    put(events, "_ENDS", (b"\n\n", b"\r\r"))


@mutation
def the_end_of_an_event_that_comes_in_pieces_is_overlooked(put: Put) -> None:
    right = EventStream.answer_data

    def wrong(self: Any, data: bytes) -> None:
        self._tail = b""
        right(self, data)

    put(EventStream, "answer_data", wrong)


@mutation
def events_are_never_ended(put: Put) -> None:
    put(EventStream, "depart", nothing)


@mutation
def events_that_break_look_whole(put: Put) -> None:
    def wrong(self: Any, error: Any) -> None:
        self.answer_end(NO_TRAILERS, self._exchange._site.clock.seconds())

    put(EventStream, "answer_cut", wrong)


@mutation
def goodbye_is_said_in_the_middle_of_a_frame(put: Put) -> None:
    def wrong(self: Any) -> None:
        self._say_goodbye()
        self.flush()

    put(Tunnel, "depart", wrong)


@mutation
def the_rest_of_a_frame_is_forgotten(put: Put) -> None:
    right = Frames.follow

    def wrong(self: Any, data: bytes) -> None:
        self._left = 0
        right(self, data)

    put(Frames, "follow", wrong)


@mutation
def the_begin_of_a_frame_is_forgotten(put: Put) -> None:
    right = Frames.follow

    def wrong(self: Any, data: bytes) -> None:
        self._begun = b""
        right(self, data)

    put(Frames, "follow", wrong)


@mutation
def goodbye_is_said_twice(put: Put) -> None:
    right = Tunnel._end

    def wrong(self: Any) -> None:
        self._downstream.answer_data(SERVICE_RESTART)
        self.flush()
        right(self)

    put(Tunnel, "_end", wrong)


@mutation
def frames_follow_the_goodbye(put: Put) -> None:
    right = Tunnel.answer_data

    def wrong(self: Any, data: bytes) -> None:
        if self._state is tunnel.CLOSING:
            self._downstream.answer_data(data)
        else:
            right(self, data)

    put(Tunnel, "answer_data", wrong)


@mutation
def the_client_is_told_what_backends_are(put: Put) -> None:
    put(tunnel, "SERVICE_RESTART", GOING_AWAY[:2] + GOING_AWAY[6:])


@mutation
def the_backend_is_told_nothing(put: Put) -> None:
    put(Tunnel, "_close_upstream", lambda self: self._upstream.close())


@mutation
def the_backend_is_told_what_clients_are(put: Put) -> None:
    def wrong(self: Any, data: bytes) -> None:
        self._to_backend.follow(data)
        self._upstream.write(data)
        if self._state is tunnel.CLOSING and self._to_backend.closing:
            self._end()

    put(Tunnel, "request_data", wrong)


@mutation
def who_does_not_answer_is_waited_for(put: Put) -> None:
    put(tunnel, "CLOSE_WAIT", 4.0)


@mutation
def tunnels_are_never_ended(put: Put) -> None:
    put(Tunnel, "depart", nothing)


@mutation
def a_tunnel_that_breaks_looks_ended(put: Put) -> None:
    right = Tunnel.answer_end

    def wrong(self: Any, trailers: Any, now: float) -> None:
        if self._state is tunnel.OPEN and self._to_client.at_border:
            self._downstream.answer_data(SERVICE_RESTART)
            self.flush()
        right(self, trailers, now)

    put(Tunnel, "answer_end", wrong)


@mutation
def streams_end_all_at_once(put: Put) -> None:
    right = Spread.begin
    put(Spread, "begin", lambda self, seconds: right(self, 0.0))


@mutation
def the_spread_is_too_long(put: Put) -> None:
    right = Spread.begin
    put(Spread, "begin", lambda self, seconds: right(self, 2.0 * seconds + 1.0))


@mutation
def only_the_first_stream_is_ended(put: Put) -> None:
    put(Spread, "_wait", nothing)


@mutation
def who_begins_late_is_never_ended(put: Put) -> None:
    right = Spread.join

    def wrong(self: Any, stream: Any) -> None:
        if not self._begun:
            right(self, stream)

    put(Spread, "join", wrong)


@mutation
def the_youngest_stream_is_ended_first(put: Put) -> None:
    right = Spread.join

    def wrong(self: Any, stream: Any) -> None:
        right(self, stream)
        self._streams = {stream: None, **self._streams}

    put(Spread, "join", wrong)


@mutation
def an_ended_stream_is_logged_as_whole(put: Put) -> None:
    put(Exchange, "stop_answer", _stop_without_reason)


def _stop_without_reason(self: Any, detail: str) -> None:
    upstream, self._upstream = self._upstream, None
    upstream.close()
    self._finish()
    self._downstream.answer_end(NO_TRAILERS, self._site.clock.seconds())


@mutation
def a_reload_ends_streams(put: Put) -> None:
    right = Worker.serve

    def wrong(self: Any, *told: Any) -> None:
        right(self, *told)
        self._site.spread.begin(0.0)

    put(Worker, "serve", wrong)


@mutation
def a_silent_stream_is_waited_for_as_an_answer_is(put: Put) -> None:
    put(Upstream, "stream_answer", nothing)
