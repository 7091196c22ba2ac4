"""After an Upgrade: bytes go both ways as they are, until one side closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy.errors import AnswerCut, ProxyError, UpstreamError
from lbproxy.http1.message import NO_TRAILERS, Fields, ResponseHead
from lbproxy.proxy.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbproxy.proxy.downstream import Downstream


class Tunnel:
    """Two connections, joined."""

    def __init__(
        self, downstream: Downstream, upstream: Upstream, ended: Callable[[], None]
    ) -> None:
        """Join them; `ended` is called once when it is over."""
        self._downstream = downstream
        self._upstream = upstream
        self._ended = ended
        from_client = downstream.begin_tunnel(self)
        from_backend = upstream.begin_tunnel(self)
        if from_client:
            self.request_data(from_client)
        if from_backend:
            self.answer_data(from_backend)
            self.flush()

    # What the client's side tells.

    def request_data(self, data: bytes) -> None:
        """Bytes for the backend."""
        self._upstream.write(data)

    def request_sink(self) -> None:
        """Nothing is written past us."""

    def request_relayed(self) -> None:
        """Nothing is written past us."""

    def request_end(self, trailers: Fields) -> None:
        """A tunnel has no end but that of its connections."""

    def abandon(self, error: ProxyError) -> None:
        """The client has closed: close behind what it sent."""
        self._upstream.close()
        self._ended()

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
        """Bytes for the client."""
        self._downstream.answer_data(data)

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
        self._ended()
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
