"""Who is told what: the roles that the pieces of an exchange play for each other.

A client's connection tells an `Answerer` of the request, and is called to answer it. A backend's
connection tells an `Awaiting` of the answer, and is called to send the request. The exchange is
both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from lbproxy.errors import AnswerCut, ProxyError, UpstreamError
from lbproxy.http1.message import Fields, ResponseHead

if TYPE_CHECKING:
    from lbproxy.proxy.upstream import Upstream


class Answerer(Protocol):
    """Who answers a request. It is told of the request, and calls the `Downstream` to answer."""

    def request_data(self, data: bytes) -> None:
        """A piece of the request's body, its framing removed."""

    def request_sink(self) -> Any:
        """The connection that pieces of the body may be written to as they come, or `None`."""

    def request_relayed(self) -> None:
        """A piece of the body has been written there."""

    def request_end(self, trailers: Fields) -> None:
        """The request is whole."""

    def abandon(self, error: ProxyError) -> None:
        """The client broke the exchange: stop, and answer nothing any more."""

    def pause_answer(self) -> None:
        """The client reads more slowly than the answer comes."""

    def resume_answer(self) -> None:
        """The client has caught up."""


class Awaiting(Protocol):
    """Who awaits an answer. What it gets comes in this order."""

    def attempt_failed(self, error: UpstreamError) -> None:
        """No answer will come."""

    def overdue(self, now: float) -> None:
        """The time of one try is over; whoever goes elsewhere aborts, else the waiting goes on."""

    def answered(self, head: ResponseHead, now: float) -> None:
        """The answer's head, and when it came, in the clock's seconds."""

    def answered_whole(self, head: ResponseHead, body: bytes | memoryview, now: float) -> None:
        """All of an answer, instead of what `answered` begins; who takes it calls `release`."""

    def informational(self, head: ResponseHead) -> None:
        """A 1xx head, before the answer's own."""

    def answer_data(self, data: bytes) -> None:
        """A piece of the answer's body, its framing removed."""

    def answer_sink(self) -> Any:
        """The connection that pieces of the body may be written to as they come, or `None`."""

    def answer_relayed(self, count: int) -> None:
        """So many bytes of the body have been written there."""

    def answer_end(self, trailers: Fields, now: float) -> None:
        """The answer is whole; the connection is not the caller's any more."""

    def answer_cut(self, error: AnswerCut) -> None:
        """The answer broke off after its head."""

    def flush(self) -> None:
        """All that one read brought has been given."""

    def pause_request(self) -> None:
        """The backend reads more slowly than the client sends."""

    def resume_request(self) -> None:
        """The backend has caught up."""


class Keeper(Protocol):
    """Who keeps connections that may serve another request."""

    def put(self, upstream: Upstream) -> None:
        """The connection is idle."""

    def heard(self, head: ResponseHead) -> None:
        """The head of an answer that nobody has worked on yet."""

    def forget(self, upstream: Upstream) -> None:
        """An idle connection closed."""
