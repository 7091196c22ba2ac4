"""What all connections of a process share, and where a request goes first."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from email.utils import formatdate
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from lbproxy.config.model import Config, Listener, Route
from lbproxy.errors import ConnectRefused, MethodNotAllowed, ProxyError
from lbproxy.forward.fields import Peer, Values
from lbproxy.forward.retry import ReplayMemory
from lbproxy.forward.routing import NameRouter, Router, behind_prefix, split_target
from lbproxy.http1.message import Fields
from lbproxy.observe.accesslog import AccessLog, Line
from lbproxy.proxy import local
from lbproxy.proxy.exchange import Exchange
from lbproxy.proxy.static import StaticAnswer
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.static.files import Folder
from lbproxy.transport.timer import CoarseTimer, Timed

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream


class Client(Timed, Protocol):
    """A client's connection, in whatever mode."""

    def drain(self) -> None:
        """End as soon as that breaks nothing."""

    def abort(self) -> None:
        """End now."""


#: What a request id of a trusted peer may look like.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

#: Where the balancer reports on itself, on every HTTP listener, before any route.
HEALTH = b"/health"


class Site:
    """Routes, pools and folders, as one config describes them.

    Attributes:
        clock: The time of all connections.
        timer: Their deadlines.
        replay_memory: What the replay buffers of all requests take together.
        draining: Whether connections end after their present exchange.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timer: CoarseTimer,
        config: Config,
        upstreams: Mapping[str, Upstreams],
        access_log: AccessLog,
        report: Callable[[], tuple[int, bytes]],
        chance: random.Random,
    ) -> None:
        """Build from a config.

        Args:
            clock: Provides the time.
            timer: Watches the deadlines.
            config: The routes and their folders.
            upstreams: The pools by name.
            access_log: Gets a record of each exchange.
            report: Gives the status and the JSON document of `/health`.
            chance: Request ids are drawn from it.

        Raises:
            ConfigError: If a static folder cannot be read.
        """
        self.clock = clock
        self.timer = timer
        self.replay_memory = ReplayMemory()
        self.draining = False
        self._router = Router(config.routes)
        self._folders = {
            route.static: Folder(route.static)
            for route in config.routes
            if route.static is not None
        }
        self._names = {
            listener.name: NameRouter(config.routes, listener.name)
            for listener in config.listeners
            if listener.mode == "tcp"
        }
        self._upstreams = upstreams
        self._access_log = access_log
        self._report = report
        self._chance = chance
        self._clients: set[Client] = set()
        self._drained: Deferred[None] | None = None
        self._date_second = 0
        self._date = b""

    # What a connection tells and asks.

    def joined(self, client: Client) -> None:
        """A client has connected."""
        self._clients.add(client)
        self.timer.add(client)

    def left(self, client: Client) -> None:
        """A client's connection has ended."""
        self._clients.discard(client)
        self.timer.discard(client)
        if self._drained is not None and not self._clients:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def peer_of(self, listener: Listener, transport: Any) -> Peer:
        """Who is at the other end of a connection."""
        host = getattr(transport.getPeer(), "host", None)
        if host is None:
            return Peer(b"unix", b"http", False)
        trusted = bool(listener.trusted) and any(
            ip_address(host) in network for network in listener.trusted
        )
        return Peer(host.encode("ascii"), b"http", trusted)

    def goes_by_name(self, listener: Listener) -> bool:
        """Whether a TCP listener has routes by SNI."""
        return bool(self._names[listener.name])

    def pool_of(self, listener: Listener, server_name: str | None) -> Upstreams | None:
        """Who takes a client of a TCP listener, by the name that it asks for, if anyone."""
        name = self._names[listener.name].pool(server_name) or listener.pool
        return None if name is None else self._upstreams[name]

    def request_id(self, peer: Peer, values: Values) -> str:
        """What a trusted peer calls the request, else a new UUID (version 7, RFC 9562)."""
        if peer.trusted:
            given = values.get(b"x-request-id", [b""])[0]
            if _REQUEST_ID.fullmatch(given):
                return given.decode("ascii")
        milliseconds = int(self.clock.seconds() * 1000) & 0xFFFFFFFFFFFF
        drawn = self._chance.getrandbits(74)
        high, low = drawn >> 62, (drawn & 0x3FFFFFFFFFFFFFFF) | 0x8000000000000000
        digits = f"{milliseconds:012x}7{high:03x}{low:016x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def http_date(self) -> bytes:
        """The present second, for `Date` (RFC 9110 section 5.6.7)."""
        second = int(self.clock.seconds())
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date

    def log(self, record: Line, ended: float | None = None) -> None:
        """An exchange has ended, or a session."""
        self._access_log.write(record, self.clock.seconds() if ended is None else ended)

    def local_answer(
        self, downstream: Downstream, status: int, fields: Fields, body: bytes
    ) -> None:
        """Answer at once, from here."""
        local.answer(downstream, status, fields, body, self.http_date())

    def open(self, downstream: Downstream) -> None:
        """A request's head has been read: decide who answers it."""
        try:
            self._open(downstream)
        except ProxyError as error:
            downstream.fail(error)

    # What the service asks for.

    def drain(self) -> Deferred[None]:
        """Finish what runs. Fires when the last connection has ended."""
        self.draining = True
        self._drained = drained = Deferred[None]()
        for client in list(self._clients):
            client.drain()
        if not self._clients:
            self._drained = None
            drained.callback(None)
        return drained

    def abort(self) -> None:
        """End all connections now."""
        for client in list(self._clients):
            client.abort()

    # The rest is ours.

    def _open(self, downstream: Downstream) -> None:
        head, record = downstream.head, downstream.record
        if head.method == b"CONNECT":
            raise ConnectRefused("This is a gateway: it opens no tunnels.")
        authority, target = split_target(head.target)
        host = authority if authority is not None else head.values.get(b"host", [b""])[0]
        record.host = host.decode("latin-1")
        path = target.partition(b"?")[0]
        if self._answer_here(downstream, target, path):
            return
        route = self._router.route(downstream.listener_name, host, head.method, path, head.values)
        record.route = route.path
        if route.static is not None:
            folder = self._folders[route.static]
            answer = folder.answer(head.method, behind_prefix(route.path, path), head.values)
            static = StaticAnswer(self.clock, downstream, answer)
            downstream.begin_answerer(static)
            static.start(self.http_date())
            return
        self._forward(downstream, route, target, host or downstream.own_authority())

    def _forward(self, downstream: Downstream, route: Route, target: bytes, host: bytes) -> None:
        assert route.pool is not None
        downstream.record.pool = route.pool
        exchange = Exchange(self, downstream, route, self._upstreams[route.pool], target, host)
        downstream.begin_answerer(exchange)
        exchange.start()

    def _answer_here(self, downstream: Downstream, target: bytes, path: bytes) -> bool:
        """Answer what no route is asked for."""
        head = downstream.head
        if path == HEALTH:
            if head.method not in (b"GET", b"HEAD"):
                raise MethodNotAllowed("The health report is only read.", "GET, HEAD")
            status, body = self._report()
            fields = [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")]
            self.local_answer(downstream, status, fields, body)
        elif local.is_last_hop(head) and head.method == b"TRACE":
            self.local_answer(downstream, 200, *local.trace(head))
        elif target == b"*" or local.is_last_hop(head):
            self.local_answer(downstream, 204, [(b"Allow", local.ALLOW)], b"")
        else:
            return False
        return True
