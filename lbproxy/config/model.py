"""The config as frozen values; their defaults are the balancer's defaults.

A field's type says what its key accepts; values made in Python are taken as they are, while
`load.py` checks those of a file and names the key at fault.
"""

from __future__ import annotations

import sys
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

import attrs

from lbproxy.config import dns_kinds, kinds, probe_kinds
from lbproxy.config.kinds import YEAR, Kind, Named, Switched
from lbproxy.health.ejection import MOST
from lbproxy.http1.parser import HeadLimits
from lbproxy.plugins import balancer_names, probe_names
from lbproxy.transport.certificates import CIPHERS

#: Seconds for which each server keeps an idle connection unless it is told otherwise; 0 is never.
KEEP_ALIVE = {
    "gunicorn": 2.0,
    "hypercorn": 5.0,
    "klein": 60.0,
    "uvicorn": 5.0,
    "waitress": 120.0,
    "werkzeug": 0.0,
}

#: Seconds for which a connection to an unknown server may be idle before it is used again.
UNKNOWN_IDLE_LIMIT = 1.5

#: The policies that come with lbproxy; users add their own as plugins (`lbproxy/plugins.py`).
BALANCERS = ("round_robin", "least_loaded", "two_choices", "peak_ewma", "consistent_hash")

#: The part of a server's keep-alive that we use: it must not close while we send.
KEEP_ALIVE_USED = 0.8

#: The metadata of a field that no file says.
DERIVED = {"derived": True}

#: What a backend's weight may be.
WEIGHTS = kinds.count("a whole number", 0, 1000)

Seconds = Annotated[float, kinds.number("seconds", 0.0, YEAR, above=True)]
SecondsOrZero = Annotated[float, kinds.number("seconds", 0.0, YEAR)]
Count = Annotated[int, kinds.count("a whole number", 1, 1_000_000)]
CountOrZero = Annotated[int, kinds.count("a whole number", 0, 1_000_000)]
Bytes = Annotated[int, kinds.count("bytes", 0, 2**63 - 1)]
Weight = Annotated[int, WEIGHTS]
Share = Annotated[float, kinds.number("a ratio", 0.0, 1.0)]
ShareAboveZero = Annotated[float, kinds.number("a ratio", 0.0, 1.0, above=True)]
Text = Annotated[str, Kind(kinds.text)]
Flag = Annotated[bool, Kind(kinds.flag)]
Network = Annotated[IPv4Network | IPv6Network, Kind(kinds.network)]
Name = Annotated[str, Kind(kinds.server_name)]
Port = Annotated[int, kinds.count("a port", 1, 65535)]
Verify = Annotated[bool | str, Kind(kinds.verify)]
Server = Annotated[str, kinds.one_of(KEEP_ALIVE)]
Mode = Annotated[str, kinds.one_of(("http", "tcp"))]
ProxyVersion = Annotated[str, kinds.one_of(("v1", "v2"))]
BalancerName = Annotated[str, kinds.one_of(BALANCERS, balancer_names)]
LoadFactor = Annotated[float, kinds.number("a factor", 1.0, 100.0, above=True)]


@attrs.frozen
class DownstreamTimeouts:
    """Seconds that a client gets.

    Attributes:
        head: For the whole head of a request, and before it for the handshake of TLS; for a PROXY
            header, and for a ClientHello.
        body: Without a byte of the request's body.
        idle: Between requests.
    """

    head: Seconds = 10.0
    body: Seconds = 30.0
    idle: Seconds = 75.0


@attrs.frozen
class ListenerTLS:
    """How a listener speaks TLS.

    Attributes:
        certificates: PEM files with key and chain, chosen by the name that a client asks for; the
            first is for all others.
        client_ca: A PEM file with the authorities of the clients' certificates.
        client_auth: Whether each client needs such a certificate, or may have one.
        min_version: The oldest version that is spoken.
        ciphers: Those of TLS 1.2, as OpenSSL writes them; those of 1.3 are fixed.
    """

    certificates: tuple[Text, ...]
    client_ca: Text | None = None
    client_auth: Annotated[str, kinds.one_of(("required", "optional"))] = "required"
    min_version: Annotated[str, kinds.one_of(("1.2", "1.3"))] = "1.2"
    ciphers: Annotated[str, Kind(kinds.ciphers)] = CIPHERS


@attrs.frozen
class Listener:
    """A bound endpoint.

    Attributes:
        name: As in `[listeners.NAME]`.
        endpoint: A Twisted server endpoint; behind `haproxy:` each client has a PROXY header.
        limits: How large the head of a request may be.
        trusted: Peers whose `X-Forwarded-*` and `X-Request-Id` are believed.
        tls: `None` is plain.
        mode: `http`, or `tcp` to pass bytes on as they are.
        pool: Takes the clients of a listener in TCP mode that no route by SNI takes.
    """

    name: Text
    endpoint: Text
    timeouts: DownstreamTimeouts = DownstreamTimeouts()
    limits: HeadLimits = attrs.field(factory=HeadLimits)
    trusted: tuple[Network, ...] = ()
    tls: ListenerTLS | None = None
    mode: Mode = "http"
    pool: Text | None = None


@attrs.frozen
class Route:
    """The rule from a request to a pool or a folder; the first that matches wins.

    One with `sni` is for listeners in TCP mode, and says only `listener` and `pool` besides; every
    other one is for those in HTTP mode, and a file must give it a `path`.

    Attributes:
        path: A prefix that ends at a segment border.
        pool: Who answers; or else `static`.
        static: The folder in which the path behind the prefix is looked up.
        listener: Only requests that came in there.
        host: Only requests for this name, without a port.
        methods: Only these; all if empty.
        headers: Only requests with all of these fields, names and values.
        expose_backend: Whether answers get `X-Served-By`.
        max_body: The largest body of a request, in bytes; `None` is no limit.
        retry_on: Statuses of 502, 503 and 504 that are tried again elsewhere.
        sni: Only TLS clients that ask for this name, or for any name below it after `*.`.
    """

    path: Annotated[str, Kind(kinds.prefix)] = "/"
    pool: Text | None = None
    static: Text | None = None
    listener: Text | None = None
    host: Annotated[str, Kind(kinds.host)] | None = None
    methods: tuple[Annotated[str, Kind(kinds.method)], ...] = ()
    headers: Annotated[tuple[tuple[str, str], ...], Kind(kinds.headers)] = ()
    expose_backend: Flag = False
    max_body: Bytes | None = None
    retry_on: Annotated[frozenset[int], Kind(kinds.gateway_statuses)] = frozenset()
    sni: Annotated[str, Kind(kinds.server_names)] | None = None


@attrs.frozen
class Health:
    """How a pool's backends are probed.

    A probe asks by HTTP; or it only connects, with `tcp` or without `path` in a pool that only
    listeners in TCP mode use; or it is a user's own, with `check`.

    Attributes:
        path: What is asked for; `None` is `/health`.
        interval: Seconds from one probe to the next.
        timeout: Seconds until a probe has failed.
        rise: Passes in a row that bring a backend up.
        fall: Failures in a row that take a backend down.
        method: How it is asked.
        statuses: Those of the answers that pass; redirects are not followed.
        headers: Fields of the request; `Host` and `User-Agent` instead of ours.
        body: A regular expression that has to be found in the first 8 KiB of the answer's body.
        port: The port that is probed, if not the one that requests go to.
        tcp: Whether it only connects.
        check: The name of a user's own probe (`lbproxy/plugins.py`).
        json: Whether an answer of JSON that passes is heard (`lbproxy/health/said.py`).
    """

    path: Annotated[str, Kind(probe_kinds.path)] | None = None
    interval: Seconds = 5.0
    timeout: Seconds = 1.0
    rise: Count = 2
    fall: Count = 3
    method: Annotated[str, kinds.one_of(("GET", "HEAD", "OPTIONS"))] = "GET"
    statuses: Annotated[frozenset[int], Kind(probe_kinds.statuses)] = frozenset(range(200, 300))
    headers: Annotated[tuple[tuple[str, str], ...], Kind(probe_kinds.headers)] = ()
    body: Annotated[str, Kind(probe_kinds.pattern)] | None = None
    port: Port | None = None
    tcp: Flag = False
    check: Annotated[str, kinds.plugged("probe", probe_names)] | None = None
    json: Flag = False


@attrs.frozen
class UpstreamTimeouts:
    """Seconds that a backend gets.

    Attributes:
        connect: Until the connection stands.
        first_byte: From the request's end to the answer's head.
        read: Between two pieces of an answer.
        stream: Without a byte either way, in event streams, after an upgrade, and in TCP mode.
    """

    connect: Seconds = 2.0
    first_byte: Seconds = 30.0
    read: Seconds = 60.0
    stream: Seconds = 3600.0


@attrs.frozen
class Retry:
    """How often a request is tried.

    Attributes:
        attempts: In all, the first included.
        budget: Retries in proportion to requests.
        timeout: Seconds without an answer's head after which a request that may be sent twice goes
            elsewhere, if it can; else, and by default, it is `timeouts.first_byte` that counts.
    """

    attempts: Count = 3
    budget: Share = 0.2
    timeout: Seconds | None = None


@attrs.frozen
class Hedge:
    """When GET and HEAD are sent to a second backend although the first one may still answer.

    Attributes:
        after: A percentile of the times to the first byte, `p50` to `p99`, of what may be hedged
            in the pool; or seconds.
        budget: Such second attempts in proportion to requests.
    """

    after: Annotated[float | str, Kind(kinds.hedge_after)] = "p95"
    budget: Share = 0.02


@attrs.frozen
class Hold:
    """How requests wait while no backend can take anything.

    Attributes:
        seconds: For how long, in all.
        requests: How many may.
    """

    seconds: Seconds = 10.0
    requests: Count = 1024


@attrs.frozen
class Breaker:
    """When all requests of a pool are refused for a while, since too many of them failed.

    Attributes:
        share: Of the requests of ten seconds that must have failed.
        requests: How many must have ended in that time; of each worker, since each has its own.
        open: Seconds of the first time; the n-th lasts n times as long, 300 at most.
    """

    share: ShareAboveZero = 0.5
    requests: Count = 20
    open: Annotated[float, kinds.number("seconds", 0.0, MOST, above=True)] = 5.0


@attrs.frozen
class Queue:
    """Where requests wait while every backend is at `max_in_flight`.

    Attributes:
        length: How many may wait.
        wait: For how many seconds.
    """

    length: CountOrZero = 1024
    wait: Seconds = 5.0


@attrs.frozen
class Hash:
    """How `consistent_hash` keeps what belongs together at one backend.

    Attributes:
        key: What of a request belongs together: `client` (its address), `path`, `header:NAME` or
            `cookie:NAME`.
        load_factor: How many times its part of all that is in flight a backend may have in flight
            and still take a key.
    """

    key: Annotated[str, Kind(kinds.hash_key)] = "client"
    load_factor: LoadFactor = 1.25


@attrs.frozen
class Backend:
    """One address of a pool, or a name for which DNS has as many as there are.

    Attributes:
        name: As in `X-Served-By` and the logs.
        address: `host:port`, `[v6]:port`, `unix:/path`, or `srv:` and the name of a service.
        weight: Its share of the requests; 0 is none.
        backup: Whether it is of the second tier, which gets requests only as the first one fails.
        server: A key of `KEEP_ALIVE`, if it is known what runs there.
        keep_alive: Seconds for which it keeps an idle connection, if not as usual for `server`.
        tls: Whether it speaks TLS, if not as its pool; and so are `verify` and `sni`.
        record_weight: The factor in its weight that is its record's in DNS.
    """

    name: Annotated[str, Kind(kinds.backend_name)]
    address: Annotated[str, Kind(kinds.address)]
    weight: Weight = 1
    server: Server | None = None
    keep_alive: SecondsOrZero | None = None
    tls: Flag | None = None
    verify: Verify | None = None
    sni: Name | None = None
    backup: Flag = False
    record_weight: int = attrs.field(default=1, metadata=DERIVED)

    @property
    def host(self) -> str:
        """The name or IP address in its address; empty for a Unix socket and for a service."""
        if self.address.startswith(("unix:", dns_kinds.SERVICE)):
            return ""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def idle_limit(self) -> float:
        """Seconds after which an idle connection is not used again; 0 if none is to be kept."""
        keep_alive = self.keep_alive
        if keep_alive is None:
            if self.server is None:
                return UNKNOWN_IDLE_LIMIT
            keep_alive = KEEP_ALIVE[self.server]
        return KEEP_ALIVE_USED * keep_alive


@attrs.frozen
class UpstreamTLS:
    """How a backend speaks TLS.

    Attributes:
        verify: As in the config.
        name: The name or address that its certificate must have; empty if there is none.
    """

    verify: bool | str
    name: str


@attrs.frozen
class Pool:
    """A named group of backends, any of which can answer.

    Attributes:
        name: As in `[pools.NAME]`.
        balancer: The policy's name.
        health: `None` turns the probes off.
        slow_start: Seconds in which a backend that came back gets its full share; 0 is at once.
        ejection: Whether failures of live traffic put a backend out for a while.
        max_in_flight: Requests under way at each backend, or sessions in TCP mode; each worker has
            an equal share.
        queue: Where more than that wait.
        hold_when_down: Where requests wait while no backend can take anything, as when all
            restart; `None` is nowhere.
        hedge: When a second backend is asked as well; `None` is never.
        breaker: When nobody is asked for a while, whoever it is; `None` is never.
        tls: Whether its backends speak TLS.
        verify: Whether they must show a certificate that the system trusts, or one of the
            authorities in a PEM file.
        sni: The name of that certificate, which is also asked for; by default the host of each
            backend's address.
        send_proxy: The version of the PROXY header that begins each session, if one is wanted.
        hash: For `consistent_hash`, which has its defaults without, and for policies of users.
        decay: Seconds in which `peak_ewma` forgets a latency.
    """

    name: Text
    backends: tuple[Backend, ...]
    balancer: BalancerName = "round_robin"
    health: Annotated[Health | None, Switched(Health)] = Health()
    timeouts: UpstreamTimeouts = UpstreamTimeouts()
    retry: Retry = Retry()
    slow_start: SecondsOrZero = 10.0
    ejection: Flag = True
    max_in_flight: Count = 256
    queue: Queue = Queue()
    hold_when_down: Annotated[Hold | None, Switched(Hold)] = None
    hedge: Annotated[Hedge | None, Switched(Hedge)] = None
    breaker: Annotated[Breaker | None, Switched(Breaker)] = None
    tls: Flag = False
    verify: Verify = True
    sni: Name | None = None
    send_proxy: ProxyVersion | None = None
    hash: Hash | None = None
    decay: Seconds = 10.0

    @property
    def hash_key(self) -> Hash | None:
        """What its policy is told of each request; `None` is nothing."""
        if self.hash is None and self.balancer == "consistent_hash":
            return Hash()
        return self.hash

    def tls_of(self, backend: Backend) -> UpstreamTLS | None:
        """How one of the backends speaks TLS; `None` if it does not."""
        if not (self.tls if backend.tls is None else backend.tls):
            return None
        verify = self.verify if backend.verify is None else backend.verify
        return UpstreamTLS(verify, backend.sni or self.sni or backend.host)


#: What `stop.spread` is if there is time for it.
SPREAD = 5.0


@attrs.frozen
class DNS:
    """How the names in the backends' addresses are looked up; the system's hosts file goes first.

    Attributes:
        servers: Who is asked, one after the other, for names as they are written; if empty, those
            of the system's `resolv.conf`, by its search list.
        timeout: Seconds that a server gets before the next one is asked. Each is asked twice.
        min_ttl: Seconds for which an answer holds at least, whatever it says.
        max_ttl: Seconds for which it holds at most.
        family: Which addresses of a name are wanted.
    """

    servers: tuple[Annotated[str, Kind(dns_kinds.server)], ...] = ()
    timeout: Seconds = 1.0
    min_ttl: Seconds = 1.0
    max_ttl: Seconds = 300.0
    family: Annotated[str, kinds.one_of(("both", "ipv4", "ipv6"))] = "both"


@attrs.frozen
class Stop:
    """How the balancer ends.

    Attributes:
        drain: Seconds in which exchanges may finish.
        spread: Seconds over which the ends of streams are spread; at most `drain`.
    """

    drain: SecondsOrZero = 30.0
    spread: SecondsOrZero = attrs.field()

    @spread.default
    def _spread(self) -> float:
        return min(SPREAD, self.drain)


@attrs.frozen
class Admin:
    """Where the balancer tells of itself and of all workers together, and is told what to change.

    Attributes:
        endpoint: A Twisted server endpoint, which only those who run the balancer should reach;
            `None` is none.
        socket: The path of a Unix socket besides, for one user alone; `None` is none.
        hosts: Names by which the endpoint is asked, besides `localhost` and addresses.
    """

    endpoint: Text | None = "tcp:3900:interface=127.0.0.1"
    socket: Text | None = None
    hosts: tuple[Name, ...] = ()


@attrs.frozen
class Config:
    """All of it.

    Attributes:
        listeners: At least one.
        routes: In the order in which they are tried.
        access_log: A file; `-` is standard output, which needs no folder that can be written to;
            `None` is no log.
        workers: Processes that serve; with one it is the process that does the rest as well.
        admin: `None` turns it off.
        dns: How names are looked up.
    """

    listeners: Annotated[tuple[Listener, ...], Named(Listener)]
    routes: tuple[Route, ...] = ()
    pools: Annotated[tuple[Pool, ...], Named(Pool)] = ()
    stop: Stop = Stop()
    access_log: Annotated[str | None, Switched(Text)] = "-"
    workers: Annotated[int, Kind(kinds.workers)] = 1
    admin: Annotated[Admin | None, Switched(Admin)] = Admin()
    dns: DNS = DNS()

    @property
    def stream_pools(self) -> frozenset[str]:
        """The pools that only listeners in TCP mode use."""
        requests = {route.pool for route in self.routes if route.sni is None}
        sessions = {route.pool for route in self.routes if route.sni is not None}
        sessions |= {listener.pool for listener in self.listeners}
        return frozenset(name for name in sessions - requests if name is not None)


def default_config() -> Config:
    """What runs without a config file: the page on port 3000, and the shop's two backends."""
    klein = Backend("klein", "127.0.0.1:3001", server="klein")
    flask = Backend("flask", "127.0.0.1:3002", server="gunicorn", keep_alive=75.0)
    return Config(
        listeners=(Listener("web", "tcp:3000"),),
        routes=(
            Route("/api/", pool="api", expose_backend=True),
            Route("/", static=str(_public())),
        ),
        # Who asks while both still start waits for them.
        pools=(Pool("api", (klein, flask), hold_when_down=Hold()),),
    )


def _public() -> Path:
    """The folder of the page: here, where it was installed, or beside the source."""
    places = (
        Path.cwd() / "public",
        Path(sys.prefix, "share", "lbproxy", "public"),
        Path(__file__).parents[2] / "public",
    )
    return next((place for place in places if place.is_dir()), places[0])
