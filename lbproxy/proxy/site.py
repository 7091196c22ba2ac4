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

from lbproxy.config.model import Config, Listener
from lbproxy.errors import ConnectRefused, MethodNotAllowed, ProxyError
from lbproxy.forward.fields import Peer
from lbproxy.forward.retry import ReplayMemory
from lbproxy.forward.routing import NameRouter, Router, behind_prefix, split_target
from lbproxy.http1.message import Fields, Values
from lbproxy.observe.accesslog import AccessLog, Record, asked
from lbproxy.observe.metrics import Metrics
from lbproxy.observe.session import SessionRecord
from lbproxy.proxy import local, static
from lbproxy.proxy.exchange import Exchange
from lbproxy.proxy.plan import FolderPlan, Plan, body_too_large
from lbproxy.proxy.spread import Spread
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.static.cache import FileCache
from lbproxy.static.files import Folder
from lbproxy.transport.timer import CoarseTimer, Timed

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream
    from lbproxy.proxy.upstream import Upstream


class Client(Timed, Protocol):
    """A client's connection, in whatever mode."""

    @property
    def endpoint(self) -> str:
        """Where it came in: the listener there may get another name while it is connected."""

    def drain(self) -> None:
        """End as soon as that breaks nothing."""

    def abort(self, why: str) -> None:
        """End now.

        Args:
            why: What the access log says of what runs.
        """


#: Why what runs is cut, if nobody says anything else.
OVERDUE = "cut, since it had not ended by itself in time"

#: What a request id of a trusted peer may look like.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

#: Folders that are served, by their paths.
Folders = dict[str, Folder]

#: Where the balancer reports on itself, on every HTTP listener, before any route.
HEALTH = b"/health"


class Site:
    """Routes, pools and folders, as one config describes them.

    Attributes:
        clock: The time of all connections.
        timer: Their deadlines.
        replay_memory: What the replay buffers of all requests take together.
        draining: Whether connections end after their present exchange.
        spread: The streams, which would not end by themselves.
        log: Takes the record of an exchange that has ended, and when.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timer: CoarseTimer,
        config: Config,
        upstreams: Mapping[str, Upstreams],
        access_log: AccessLog,
        metrics: Metrics,
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
            metrics: Counts them.
            report: Gives the status and the JSON document of `/health`.
            chance: Request ids are drawn from it.

        Raises:
            ConfigError: If a static folder cannot be read.
        """
        self.clock = clock
        self.timer = timer
        self.replay_memory = ReplayMemory()
        self.draining = False
        self.spread = Spread(clock)
        self._files = FileCache()
        self._folders: Folders = {}
        self._listeners: dict[str, str] = {}
        self.serve(config, self.folders(config), upstreams)
        self._write = access_log.write
        self._metrics = metrics
        self._observe = metrics.observe
        self._report = report
        self._chance = chance
        self._id_moment = 0
        self._id_begin = self._new_id_begin(0)
        self._id_count = chance.getrandbits(48)
        # In the order in which they came, which a set would not keep.
        self._clients: dict[Client, None] = {}
        self._drained: Deferred[None] | None = None
        self._seen_off: dict[Upstream, None] = {}
        self._date_second = 0
        self._date = b""

    def folders(self, config: Config) -> Folders:
        """The folders of a config by their paths, for `serve`.

        Raises:
            ConfigError: If one cannot be read.
        """
        batch = getattr(self.clock, "batch", object)
        return {
            path: self._folders.get(path) or Folder(path, cache=self._files, batch=batch)
            for path in (route.static for route in config.routes)
            if path is not None
        }

    def serve(self, config: Config, folders: Folders, upstreams: Mapping[str, Upstreams]) -> None:
        """Serve by this config from now on; what was decided by another one before is done so.

        Args:
            config: The routes.
            folders: As `folders` gave them.
            upstreams: The pools by name.
        """
        self._folders = folders
        self._router = Router(config.routes)
        # Who is still there of a listener that is gone goes by its last name.
        self._listeners |= {listener.endpoint: listener.name for listener in config.listeners}
        self._names = {
            listener.name: NameRouter(config.routes, listener.name)
            for listener in config.listeners
            if listener.mode == "tcp"
        }
        self._upstreams = upstreams

    # What a connection tells and asks.

    def joined(self, client: Client) -> None:
        """A client has connected."""
        self._clients[client] = None
        self.timer.add(client)
        if self.draining:  # It had been accepted before.
            client.drain()

    def left(self, client: Client) -> None:
        """A client's connection has ended."""
        self._clients.pop(client, None)
        self.timer.discard(client)
        self._look_whether_drained()

    def see_off(self, upstream: Upstream) -> None:
        """Close a backend's connection; the end waits until it has taken what was written last."""
        self._seen_off[upstream] = None
        upstream.close(self._has_gone)

    def peer_of(self, listener: Listener, transport: Any) -> Peer:
        """Who is at the other end of a connection."""
        host = getattr(transport.getPeer(), "host", None)
        address, trusted = b"unix", False
        if host is not None:
            address = host.encode("ascii")
            trusted = bool(listener.trusted) and any(
                ip_address(host) in network for network in listener.trusted
            )
        if getattr(transport, "plain", True):
            return Peer(address, b"http", trusted)
        return Peer(address, b"https", trusted, transport.client_subject(), transport.cipher())

    def goes_by_name(self, listener: Listener) -> bool:
        """Whether a TCP listener has routes by SNI."""
        return bool(self._names_at(listener.endpoint))

    def pool_of(self, listener: Listener, server_name: str | None) -> Upstreams | None:
        """Who takes a client of a TCP listener, by the name that it asks for, if anyone."""
        names = self._names_at(listener.endpoint)
        name = (names and names.pool(server_name)) or listener.pool
        # A client that came by another config may be for a pool that there is no more.
        return None if name is None else self._upstreams.get(name)

    def request_id(self, peer: Peer, values: Values, now: float) -> str:
        """What a trusted peer calls the request, else a new UUID (version 7, RFC 9562)."""
        if peer.trusted:
            given = values.get(b"x-request-id", [b""])[0]
            if _REQUEST_ID.fullmatch(given):
                return given.decode("ascii")
        milliseconds = int(now * 1000)
        if milliseconds != self._id_moment:
            self._id_moment = milliseconds
            self._id_begin = self._new_id_begin(milliseconds & 0xFFFFFFFFFFFF)
        self._id_count = count = (self._id_count + 1) & 0xFFFFFFFFFFFF
        return f"{self._id_begin}{count:012x}"

    def http_date(self, now: float) -> bytes:
        """The present second, for `Date` (RFC 9110 section 5.6.7)."""
        second = int(now)
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date

    def log(self, record: Record, ended: float) -> None:
        """An exchange has ended."""
        self._write(record, ended)
        self._observe(record, ended)

    def log_session(self, record: SessionRecord, ended: float) -> None:
        """A session of TCP mode has ended."""
        self._write(record, ended)
        self._metrics.observe_session(record)

    def local_answer(
        self, downstream: Downstream, status: int, fields: Fields, body: bytes
    ) -> None:
        """Answer at once, from here."""
        now = self.clock.seconds()
        local.answer(downstream, status, fields, body, self.http_date(now), now)

    def open(self, downstream: Downstream, now: float) -> None:
        """A request's head has been read: decide who answers it, or do as was decided before."""
        plan: Plan | FolderPlan | None = downstream.head.memo
        if plan is None:
            try:
                plan = self._open(downstream)
            except ProxyError as error:
                downstream.fail(error)
            if plan is None:
                return
        downstream.record.asked = plan.asked
        downstream.record.route = plan.route.path
        if isinstance(plan, FolderPlan):
            self._answer_from_folder(downstream, plan, now)
            return
        downstream.record.pool = plan.route.pool
        exchange = Exchange(self, downstream, plan)
        downstream.begin_answerer(exchange)
        exchange.start(now)

    # What the service asks for.

    @property
    def clients(self) -> int:
        """Open connections."""
        return len(self._clients)

    def drain(self, spread: float = 0.0) -> Deferred[None]:
        """Finish what runs. Fires when the last connection has ended, and a backend has its words.

        Args:
            spread: Seconds over which the ends of streams are spread.
        """
        self.draining = True
        self._drained = drained = Deferred[None]()
        for client in list(self._clients):
            client.drain()
        self.spread.begin(spread)
        self._look_whether_drained()
        return drained

    def drain_endpoint(self, endpoint: str) -> None:
        """Have the connections that came in there end as soon as that breaks nothing."""
        for client in list(self._clients):
            if client.endpoint == endpoint:
                client.drain()

    def abort(self, why: str = OVERDUE) -> None:
        """End all connections now.

        Args:
            why: What the access log says of what runs.
        """
        for client in list(self._clients):
            client.abort(why)
        for upstream in list(self._seen_off):
            upstream.abort()

    # The rest is ours.

    def _names_at(self, endpoint: str) -> NameRouter | None:
        return self._names.get(self._listeners[endpoint])

    def _has_gone(self, upstream: Upstream) -> None:
        del self._seen_off[upstream]
        self._look_whether_drained()

    def _look_whether_drained(self) -> None:
        if self._drained is not None and not self._clients and not self._seen_off:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def _new_id_begin(self, milliseconds: int) -> str:
        """Time and chance; the rest of an id is a count, which begins with a number drawn (6.2)."""
        drawn = self._chance.getrandbits(26)
        return (
            f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}"
            f"-7{drawn >> 14:03x}-{0x8000 | drawn & 0x3FFF:04x}-"
        )

    def _answer_from_folder(self, downstream: Downstream, plan: FolderPlan, now: float) -> None:
        try:
            answer = plan.answer()
        except ProxyError as error:
            downstream.fail(error)
            return
        static.answer(self.clock, downstream, answer, self.http_date(now), now)

    def _open(self, downstream: Downstream) -> Plan | FolderPlan | None:
        """Answer a request here, or plan how that is done elsewhere."""
        head, record = downstream.head, downstream.record
        if head.method == b"CONNECT":
            raise ConnectRefused("This is a gateway: it opens no tunnels.")
        control = head.control
        authority, target = split_target(head.target)
        if authority is not None:
            host = authority
        else:
            host = control[b"host"][0] if b"host" in control else b""
        record.asked = asked(
            head.method.decode("ascii"),
            host.decode("latin-1"),
            head.target.decode("latin-1"),
            head.minor,
        )
        path = target.partition(b"?")[0]
        ours = path == HEALTH or target == b"*" or b"max-forwards" in control
        if ours and self._answer_here(downstream, target, path):
            return None
        listener = self._listeners[downstream.endpoint]
        route = self._router.route(listener, host, path, head)
        record.route = route.path
        if route.static is not None:
            below = behind_prefix(route.path, path)
            head.memo = found = FolderPlan(
                route, self._folders[route.static], head, below, record.asked
            )
            return found
        assert route.pool is not None
        record.pool = route.pool
        if route.max_body is not None and head.length > route.max_body:
            raise body_too_large(route)
        plan = Plan(
            route,
            self._upstreams[route.pool],
            head,
            target,
            host or downstream.own_authority(),
            record.asked,
        )
        if host:  # Else it differs with the address that the client has of us.
            head.memo = plan
        return plan

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
