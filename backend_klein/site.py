"""The server around the application: bounded bodies, and a stop that finishes what runs."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from ordering.api import Api
from ordering.calls import BODY_LIMIT

KEEP_ALIVE = 75
"""Seconds for which an idle connection stays; longer than the balancer keeps one."""

LINGER = 2.0
"""Seconds for which idle connections stay when draining: a request may be on its way on one."""

GRACE = 20.0
"""Seconds for what runs when the program is asked to stop."""


class BoundedRequest(Request):
    """A request of which no more is kept than tells that it is too long."""

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body."""
        assert self.content is not None
        super().handleContentChunk(data[: BODY_LIMIT + 1 - self.content.tell()])


class Channel(HTTPChannel):
    """A connection that its site knows of."""

    site: DrainingSite

    def connectionMade(self) -> None:
        """Be opened."""
        super().connectionMade()
        self.site.channels.add(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Be closed."""
        super().connectionLost(reason)
        self.site.closed(self)

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Whether another request may follow."""
        if self.site.api.draining:
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
            return False
        return bool(super().checkPersistence(request, version))


class DrainingSite(Site):
    """A site that can stop without breaking a request."""

    requestFactory = BoundedRequest
    protocol = Channel  # type: ignore[assignment]

    def __init__(self, resource: IResource, api: Api, reactor: IReactorTime) -> None:
        super().__init__(resource, timeout=KEEP_ALIVE, reactor=reactor)
        self.api = api
        self.channels: set[Channel] = set()
        self._emptied: Deferred[None] | None = None

    def log(self, request: Any) -> None:
        """Write no line for each request: the balancer's log has one."""

    def drain(self) -> Deferred[None]:
        """Answer what was asked, close each connection after that. Fires when none is left."""
        self.api.draining = True
        for channel in self.channels:
            for request in channel.requests:
                channel.persistent = False
                request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        self._emptied = Deferred()
        calls = [
            self.reactor.callLater(LINGER, self._close_idle),
            self.reactor.callLater(GRACE, self._abort),
        ]
        emptied = self._emptied.addCallback(lambda _: _cancel(calls))
        self._tell_if_empty()
        return emptied

    def closed(self, channel: Channel) -> None:
        """Forget a connection."""
        self.channels.discard(channel)
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self._emptied is not None and not self.channels:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def _close_idle(self) -> None:
        for channel in list(self.channels):
            if not channel.requests:
                channel.loseConnection()

    def _abort(self) -> None:
        for channel in list(self.channels):
            channel.forceAbortClient()


def _cancel(calls: list[Any]) -> None:
    for call in calls:
        if call.active():
            call.cancel()
