"""Clients that come through another proxy, which says in a PROXY header who they are."""

from __future__ import annotations

from typing import Any

from twisted.internet import address
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from lbproxy.config.model import Listener
from lbproxy.errors import BadPreface, HeadTimeout, ProxyError
from lbproxy.observe.session import SessionRecord
from lbproxy.preface.proxy_protocol import Address, InetAddress, UnixAddress, parse
from lbproxy.proxy.site import Site
from lbproxy.transport.timer import FIRST


class Announced(Protocol):
    """Reads the header, and hands the connection on to the protocol that it is for.

    A connection without one, or with a malformed one, is closed: who may leave it out could
    claim to be anybody.

    Attributes:
        deadline: When the header has to be there.
    """

    def __init__(self, site: Site, listener: Listener, inner: Any) -> None:
        """Prepare for a connection.

        Args:
            site: Watches the deadline.
            listener: Which one accepted the connection.
            inner: The protocol that speaks with the client.
        """
        self._site = site
        self._listener = listener
        self._inner = inner
        self._read = b""
        self._began = site.clock.seconds()
        self.deadline = self._began + listener.timeouts.head

    @property
    def _connection(self) -> Any:
        return self.transport

    def connectionMade(self) -> None:
        """Await the header."""
        self._site.joined(self)

    def dataReceived(self, data: bytes) -> None:
        """Read a part of the header."""
        self._read += data
        try:
            header = parse(self._read)
        except BadPreface as error:
            self._refuse(error)
            return
        if header is None:
            return
        connection = self._connection
        if header.source is not None and header.destination is not None:
            connection.announce(_twisted(header.source), _twisted(header.destination))
        connection.protocol = self._inner
        self._inner.makeConnection(connection)
        # The inner one is there first, so that whoever waits for the last client waits for it.
        self._site.left(self)
        if len(self._read) > header.size:
            self._inner.dataReceived(self._read[header.size :])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone before its header was there."""
        self._site.left(self)

    def expired(self, now: float) -> None:
        """The header has not come in time."""
        late = f"No PROXY header in {now - self._began:.1f} s."
        self._refuse(HeadTimeout(late))

    @property
    def endpoint(self) -> str:
        """Where the connection was accepted, which says of what listener it is."""
        return self._listener.endpoint

    def drain(self) -> None:
        """Nothing has begun yet, and what is on its way is here soon or not at all."""
        self.deadline = min(self.deadline, self._site.clock.seconds() + FIRST)

    def abort(self, why: str) -> None:
        """End now; nothing runs that there would be anything to say of."""
        self._connection.abortConnection()

    def _refuse(self, error: ProxyError) -> None:
        peer = getattr(self._connection.getPeer(), "host", "unix")
        record = SessionRecord(self._began, peer, self._listener.name)
        record.reason, record.detail = error.reason, error.detail
        self._site.log_session(record, self._site.clock.seconds())
        self._connection.abortConnection()


def _twisted(where: Address) -> IAddress:
    """An address as transports tell it."""
    if isinstance(where, UnixAddress):
        return address.UNIXAddress(where.path or None)
    kind = address.IPv6Address if ":" in where.host else address.IPv4Address
    return kind("TCP", where.host, where.port)


def address_of(where: IAddress) -> Address | None:
    """An address of a transport as a PROXY header has it."""
    if isinstance(where, address.UNIXAddress):
        return UnixAddress(where.name or b"")
    if isinstance(where, address.IPv4Address | address.IPv6Address):
        return InetAddress(where.host.partition("%")[0], where.port)
    return None
