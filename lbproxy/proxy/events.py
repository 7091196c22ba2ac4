"""Event streams (the HTML Standard, section 9.2), which may be ended between two events.

A client that sees the end comes again with `Last-Event-ID`, so a stream that is ended there loses
nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lbproxy.errors import AnswerCut, ProxyError, UpstreamError
from lbproxy.http1.message import Fields, ResponseHead

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream
    from lbproxy.proxy.exchange import Exchange
    from lbproxy.proxy.spread import Spread

#: An event's end: an empty line, behind a line that ends in any of three ways (section 9.2.5).
_END = re.compile(rb"\n\r?\n|\r\r\n?")
_ENDS = (b"\n\n", b"\n\r\n", b"\r\r", b"\r\r\n")

#: Bytes of the longest of them.
_LONGEST = 3


class EventStream:
    """Stands between an exchange whose answer is a stream of events and its two connections."""

    def __init__(self, exchange: Exchange, downstream: Downstream, spread: Spread) -> None:
        """Take the exchange's place with the client; the backend's side is told by the caller.

        Args:
            exchange: Has given the answer's head, and does what is not of the events.
            downstream: The client.
            spread: Says when to end.
        """
        self._exchange = exchange
        self._downstream = downstream
        self._spread = spread
        self._tail = b"\n\n"  # Before the first event it is between two.
        self._departing = False
        downstream.begin_answerer(self)
        spread.join(self)

    # What the site asks for.

    def depart(self) -> None:
        """End now, or behind the event that is under way."""
        self._departing = True
        if self._tail.endswith(_ENDS):
            self._end()

    # What the backend's side tells.

    def answer_data(self, data: bytes) -> None:
        """A piece of the events."""
        if self._departing:
            self._finish_event(data)
            return
        self._tail = (data if len(data) >= _LONGEST else self._tail + data)[-_LONGEST:]
        self._downstream.answer_data(data)

    def answer_end(self, trailers: Fields, now: float) -> None:
        """The backend has ended it."""
        self._spread.leave(self)
        self._exchange.answer_end(trailers, now)

    def answer_cut(self, error: AnswerCut) -> None:
        """It broke off."""
        self._spread.leave(self)
        self._exchange.answer_cut(error)

    def attempt_failed(self, error: UpstreamError) -> None:
        """The attempt has succeeded before."""

    def overdue(self, now: float) -> None:
        """The head has come."""

    def answered(self, head: ResponseHead, now: float) -> None:
        """The head has come."""

    def answered_whole(self, head: ResponseHead, body: bytes | memoryview, now: float) -> None:
        """The head has come."""

    def informational(self, head: ResponseHead) -> None:
        """The head has come."""

    def answer_sink(self) -> Any:
        """Events have no length, so nothing is written past us."""
        return None

    def answer_relayed(self, count: int) -> None:
        """Nothing is written past us."""

    def flush(self) -> None:
        """Send what one read brought."""
        self._downstream.flush()

    def pause_request(self) -> None:
        """The backend is behind."""
        self._downstream.pause_request()

    def resume_request(self) -> None:
        """The backend has caught up."""
        self._downstream.resume_request()

    # What the client's side tells.

    def abandon(self, error: ProxyError) -> None:
        """The client wants no more."""
        self._spread.leave(self)
        self._exchange.abandon(error)

    def request_data(self, data: bytes) -> None:
        """A piece of the request's body, of which the backend did not wait for all."""
        self._exchange.request_data(data)

    def request_sink(self) -> Any:
        """As the exchange has it."""
        return self._exchange.request_sink()

    def request_relayed(self) -> None:
        """A piece of the body has been written there."""
        self._exchange.request_relayed()

    def request_end(self, trailers: Fields) -> None:
        """The request is whole."""
        self._exchange.request_end(trailers)

    def pause_answer(self) -> None:
        """The client is behind."""
        self._exchange.pause_answer()

    def resume_answer(self) -> None:
        """The client has caught up."""
        self._exchange.resume_answer()

    # The rest is ours.

    def _finish_event(self, data: bytes) -> None:
        """Give what is still of the event under way, and end if that is all of it."""
        before = self._tail[1 - _LONGEST :]
        joined = before + data
        end = _END.search(joined)
        if end is None:
            self._tail = joined[-_LONGEST:]
            self._downstream.answer_data(data)
        else:
            self._downstream.answer_data(data[: end.end() - len(before)])
            self._end()

    def _end(self) -> None:
        self._spread.leave(self)
        self._exchange.stop_answer("ended between two events")
