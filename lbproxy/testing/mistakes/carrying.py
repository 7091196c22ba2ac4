"""Mistakes about the bytes that go through."""

from __future__ import annotations

from itertools import count
from typing import Any

from lbproxy.http1.message import NO_TRAILERS
from lbproxy.proxy.downstream import CLOSED, Downstream
from lbproxy.proxy.exchange import Exchange
from lbproxy.proxy.upstream import IDLE, Upstream
from lbproxy.testing.mistakes.registry import Put, mutation, nothing
from lbproxy.transport.connection import Connection


@mutation
def a_cut_answer_looks_whole(put: Put) -> None:
    def wrong(self: Any, awaiting: Any, reason: Any) -> None:
        awaiting.answer_end(NO_TRAILERS, self._clock.seconds())

    put(Upstream, "_lost_within_body", wrong)


@mutation
def unread_bytes_are_overlooked(put: Put) -> None:
    put(Upstream, "is_usable", lambda self: self._state is IDLE)
    right = Upstream.dataReceived

    def wrong(self: Any, data: bytes) -> None:
        if self._awaiting is None:
            self._parser.feed(data)
        else:
            right(self, data)

    put(Upstream, "dataReceived", wrong)


@mutation
def requests_are_crossed(put: Put) -> None:
    right = Exchange._send
    turn, heads = count(1), [b""]

    def wrong(self: Any, upstream: Upstream) -> None:
        if next(turn) % 9 == 0:
            self._wire_head, heads[0] = heads[0], self._wire_head
        else:
            heads[0] = self._wire_head
        right(self, upstream)

    put(Exchange, "_send", wrong)


@mutation
def a_piece_is_lost(put: Put) -> None:
    right = Downstream.answer_data
    turn = count(1)

    def wrong(self: Any, data: bytes) -> None:
        if next(turn) % 50:
            right(self, data)

    put(Downstream, "answer_data", wrong)


@mutation
def a_transfer_is_counted_wrong(put: Put) -> None:
    right = Upstream.relayed

    def wrong(self: Any, amount: int) -> None:
        right(self, amount - (amount > 1000))

    put(Upstream, "relayed", wrong)


@mutation
def short_writes_are_whole(put: Put) -> None:
    def wrong(self: Any, data: Any) -> None:
        if not (self._write_closed or self._closing or self.disconnected):
            try:
                self._send(data)
            except OSError:
                self._broken = True

    put(Connection, "write", wrong)


@mutation
def nobody_pauses_for_the_slow(put: Put) -> None:
    put(Exchange, "pause_answer", nothing)


@mutation
def nobody_pauses_for_a_backend(put: Put) -> None:
    put(Exchange, "pause_request", nothing)


@mutation
def early_hints_are_dropped(put: Put) -> None:
    put(Exchange, "informational", nothing)


@mutation
def a_body_is_not_resumed(put: Put) -> None:
    right = Downstream.resume_request
    turn = count(1)

    def wrong(self: Any) -> None:
        if next(turn) % 20:
            right(self)

    put(Downstream, "resume_request", wrong)


@mutation
def nobody_lingers(put: Put) -> None:
    def wrong(self: Any, *, cut: bool = False) -> None:
        self._life = CLOSED
        if cut:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    put(Downstream, "_close", wrong)
