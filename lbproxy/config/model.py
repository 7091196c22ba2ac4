"""The config as frozen values; their defaults are the balancer's defaults.

Nothing is checked here: `load.py` checks a file, and names the key at fault.
"""

from __future__ import annotations

import sys
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import attrs

from lbproxy.http1.parser import HeadLimits

Network = IPv4Network | IPv6Network

#: Seconds for which each server keeps an idle connection unless it is told otherwise; 0 is never.
KEEP_ALIVE = {
    "gunicorn": 2.0,
    "hypercorn": 5.0,
    "klein": 60.0,
    "uvicorn": 5.0,
    "waitress": 120.0,
    "werkzeug": 0.0,
}

#: Bytes of a head, its field lines, and bytes of the request-target.
HEAD_LIMITS = HeadLimits(head=16384, fields=100, target=8192)

#: Seconds for which a connection to an unknown server may be idle before it is used again.
UNKNOWN_IDLE_LIMIT = 1.5

#: The part of a server's keep-alive that we use: it must not close while we send.
KEEP_ALIVE_USED = 0.8


@attrs.frozen
class DownstreamTimeouts:
    """Seconds that a client gets.

    Attributes:
        head: For the whole head of a request.
        body: Without a byte of the request's body.
        idle: Between requests.
    """

    head: float = 10.0
    body: float = 30.0
    idle: float = 75.0


@attrs.frozen
class Listener:
    """A bound endpoint.

    Attributes:
        name: As in `[listeners.NAME]`.
        endpoint: A Twisted server endpoint.
        limits: How large the head of a request may be.
        trusted: Peers whose `X-Forwarded-*` and `X-Request-Id` are believed.
    """

    name: str
    endpoint: str
    timeouts: DownstreamTimeouts = DownstreamTimeouts()
    limits: HeadLimits = HEAD_LIMITS
    trusted: tuple[Network, ...] = ()


@attrs.frozen
class Route:
    """The rule from a request to a pool or a folder; the first that matches wins.

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
    """

    path: str
    pool: str | None = None
    static: str | None = None
    listener: str | None = None
    host: str | None = None
    methods: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    expose_backend: bool = False
    max_body: int | None = None
    retry_on: frozenset[int] = frozenset()


@attrs.frozen
class Health:
    """How a pool's backends are probed.

    Attributes:
        path: Asked with GET; 2xx is a pass.
        interval: Seconds from one probe to the next.
        timeout: Seconds until a probe has failed.
        rise: Passes in a row that bring a backend up.
        fall: Failures in a row that take a backend down.
    """

    path: str = "/health"
    interval: float = 5.0
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3


@attrs.frozen
class UpstreamTimeouts:
    """Seconds that a backend gets.

    Attributes:
        connect: Until the connection stands.
        first_byte: From the request's end to the answer's head.
        read: Between two pieces of an answer.
        stream: The same, for event streams and after an upgrade.
    """

    connect: float = 2.0
    first_byte: float = 30.0
    read: float = 60.0
    stream: float = 3600.0


@attrs.frozen
class Retry:
    """How often a request is tried.

    Attributes:
        attempts: In all, the first included.
        budget: Retries in proportion to requests.
    """

    attempts: int = 3
    budget: float = 0.2


@attrs.frozen
class Queue:
    """Where requests wait while every backend is at `max_in_flight`.

    Attributes:
        length: How many may wait.
        wait: For how many seconds.
    """

    length: int = 1024
    wait: float = 5.0


@attrs.frozen
class Backend:
    """One address of a pool.

    Attributes:
        name: As in `X-Served-By` and the logs.
        address: `host:port`, `[v6]:port` or `unix:/path`.
        weight: Its share of the requests; 0 is none.
        server: A key of `KEEP_ALIVE`, if it is known what runs there.
        keep_alive: Seconds for which it keeps an idle connection, if not what is usual for `server`.
    """

    name: str
    address: str
    weight: int = 1
    server: str | None = None
    keep_alive: float | None = None

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
class Pool:
    """A named group of backends, any of which can answer.

    Attributes:
        name: As in `[pools.NAME]`.
        balancer: The policy's name.
        health: `None` turns the probes off.
        slow_start: Seconds in which a backend that came back gets its full share; 0 is at once.
        ejection: Whether failures of live traffic put a backend out for a while.
        max_in_flight: Requests under way at each backend.
        queue: Where more than that wait.
    """

    name: str
    backends: tuple[Backend, ...]
    balancer: str = "round_robin"
    health: Health | None = Health()
    timeouts: UpstreamTimeouts = UpstreamTimeouts()
    retry: Retry = Retry()
    slow_start: float = 10.0
    ejection: bool = True
    max_in_flight: int = 256
    queue: Queue = Queue()


@attrs.frozen
class Stop:
    """How the balancer ends.

    Attributes:
        drain: Seconds in which exchanges may finish.
    """

    drain: float = 30.0


@attrs.frozen
class Config:
    """All of it.

    Attributes:
        listeners: At least one.
        routes: In the order in which they are tried.
        access_log: A file; `-` is standard output, which needs no folder that can be written to;
            `None` is no log.
        workers: Processes that serve.
    """

    listeners: tuple[Listener, ...]
    routes: tuple[Route, ...]
    pools: tuple[Pool, ...] = ()
    stop: Stop = Stop()
    access_log: str | None = "-"
    workers: int = 1


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
        pools=(Pool("api", (klein, flask)),),
    )


def _public() -> Path:
    """The folder of the page: here, where it was installed, or beside the source."""
    places = (
        Path.cwd() / "public",
        Path(sys.prefix, "share", "lbproxy", "public"),
        Path(__file__).parents[2] / "public",
    )
    return next((place for place in places if place.is_dir()), places[0])
