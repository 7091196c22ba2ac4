"""The pages of the admin listener, asked without a network."""

from __future__ import annotations

import json
from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.server import Request, Site

from lbproxy.cli.client import Client
from lbproxy.cli.where import Where
from lbproxy.control.guard import Guard
from lbproxy.control.pages import Pages

#: Seconds from who asks to the page.
TRIP = 0.001

_HERE = IPv4Address("TCP", "127.0.0.1", 3900)


class Admin:
    """The site of a balancer that has no port for it."""

    def __init__(self, reactor: Any, balancer: Any) -> None:
        """Prepare.

        Args:
            reactor: Time.
            balancer: Whose pages they are.
        """
        pages = Pages(balancer.control, balancer.reloader.reload)
        self._site = Site(Guard(reactor, pages.app.resource()), reactor=reactor)

    def ask(self, method: str, path: str, said: Any = None) -> Exchange:
        """Ask a page."""
        return Exchange(self._site, method, path, said)


class Exchange:
    """One question: as much of a connection as a request needs.

    Attributes:
        answer: Fires with the document; whoever cancels it has gone away.
        code: The answer's status; 0 until it begins.
    """

    transport = None
    factory = None

    def __init__(self, site: Site, method: str, path: str, said: Any) -> None:
        self.site = site
        self.code = 0
        self.answer: Deferred[Any] = Deferred(lambda _: self._leave())
        self._body: list[bytes] = []
        body = b"" if said is None else json.dumps(said).encode()
        self._request: Any = Request(self)
        fields = self._request.requestHeaders
        fields.setRawHeaders("host", ["localhost"])
        if said is not None:
            fields.setRawHeaders("content-type", ["application/json"])
        self._request.gotLength(len(body))
        self._request.handleContentChunk(body)
        self._request.requestReceived(method.encode(), path.encode(), b"HTTP/1.1")

    @property
    def refused(self) -> bool:
        """Whether it was answered at once that nothing is done."""
        return self.code >= 400

    # What the request asks of its connection.

    def getPeer(self) -> IPv4Address:
        """Where it comes from."""
        return _HERE

    getHost = getPeer

    def isSecure(self) -> bool:
        """It is not."""
        return False

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """The head of the answer."""
        self.code = int(code)

    def write(self, data: bytes) -> None:
        """A piece of its body."""
        self._body.append(data)

    def requestDone(self, request: object) -> None:
        """The whole is there."""
        if not self.answer.called:
            self.answer.callback(json.loads(b"".join(self._body)))

    # The rest is ours.

    def _leave(self) -> None:
        self._request.connectionLost(Failure(ConnectionDone()))


class Listener(Protocol):
    """Hears what is asked, and answered."""

    @property
    def open(self) -> bool:
        """Whether the balancer still answers."""

    def asked(self, path: str, said: Any, exchange: Exchange) -> None:
        """A page was asked just now, which has done what it does at once."""

    def answered(self, path: str, said: Any, document: Any) -> None:
        """It has answered."""


class Visitor(Client):
    """Asks the pages for a command, as its HTTP client would."""

    def __init__(self, reactor: Any, admin: Admin, listener: Listener) -> None:
        """Prepare.

        Args:
            reactor: Time.
            admin: Has the pages.
            listener: Hears of all that is asked.
        """
        super().__init__(None, reactor, Where(_HERE.host, _HERE.port))
        self._admin = admin
        self._listener = listener

    async def _exchange(self, method: str, path: str, **more: Any) -> Any:
        await deferLater(self.reactor, TRIP)
        if not self._listener.open:
            raise ConnectionRefusedError
        said = more.get("json")
        exchange = self._admin.ask(method, path, said)
        self._listener.asked(path, said, exchange)
        document = await exchange.answer
        self._listener.answered(path, said, document)
        return document
