"""The admin listener: what the balancer tells those who run it."""

from __future__ import annotations

from typing import Any

from klein import Klein
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Site

from lbproxy import __version__
from lbproxy.config.model import Admin
from lbproxy.control.parent import Parent
from lbproxy.errors import ConfigError
from lbproxy.observe import exposition
from lbproxy.observe.exposition import Family
from lbproxy.transport.listen import cannot_listen


class Pages:
    """What can be asked for."""

    app = Klein()

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    @app.route("/health", methods=["GET", "HEAD"])
    async def health(self, request: IRequest) -> bytes:
        """The health report, the same as on the public listeners."""
        await self._parent.fresh()
        status, document = self._parent.health()
        request.setResponseCode(status)
        request.setHeader("Cache-Control", "no-store")
        return _whole(request, "application/json", document)

    @app.route("/metrics", methods=["GET", "HEAD"])
    async def metrics(self, request: IRequest) -> bytes:
        """The metrics of all workers together, for Prometheus."""
        await self._parent.fresh()
        families = exposition.counted(self._parent.counts) + _present(self._parent)
        return _whole(request, exposition.CONTENT_TYPE, exposition.render(families).encode())


def _whole(request: IRequest, kind: str, body: bytes) -> bytes:
    """An answer whose length is known."""
    request.setHeader("Content-Type", kind)
    request.setHeader("Content-Length", str(len(body)))
    return body


def _present(parent: Parent) -> list[Family]:
    """The metrics of what is so at present."""
    pools = parent.pools
    backends = [(pool.name, each) for pool in pools for each in pool.backends]
    loads = [[occupant.load for occupant in seat.occupants] for seat in parent.seats]
    reports = [seat.report() for seat in parent.seats]
    return [
        Family(
            "lbproxy_backend_up",
            "gauge",
            "Whether a backend takes requests: 1 or 0.",
            ("pool", "backend"),
            {(pool, each.name): int(each.available) for pool, each in backends},
        ),
        Family(
            "lbproxy_fails_alike",
            "gauge",
            "Whether all backends of a pool fail alike: 1 or 0.",
            ("pool",),
            {(pool.name,): int(bool(parent.alike(pool))) for pool in parent.pools},
        ),
        Family(
            "lbproxy_in_flight",
            "gauge",
            "Attempts under way.",
            ("pool", "backend"),
            {(pool, each.name): each.in_flight for pool, each in backends},
        ),
        Family(
            "lbproxy_queue_length",
            "gauge",
            "Requests that wait for a backend with room.",
            ("pool",),
            {
                (pool.name,): sum(
                    load.waiting[place] for each in loads for load in each if load.waiting
                )
                for place, pool in enumerate(pools)
            },
        ),
        Family(
            "lbproxy_clients",
            "gauge",
            "Open connections of clients.",
            ("worker",),
            {
                (report.worker,): sum(load.clients for load in each)
                for report, each in zip(reports, loads, strict=True)
            },
        ),
        Family(
            "lbproxy_worker_up",
            "gauge",
            "Whether a worker serves: 1 or 0.",
            ("worker",),
            {(report.worker,): int(report.state == "serving") for report in reports},
        ),
        Family(
            "lbproxy_worker_restarts_total",
            "counter",
            "Times that another process has taken a worker's place.",
            ("worker",),
            {(report.worker,): report.restarts for report in reports},
        ),
        Family(
            "lbproxy_draining",
            "gauge",
            "Whether the balancer finishes what runs, to end: 1 or 0.",
            (),
            {(): int(parent.draining)},
        ),
        Family(
            "lbproxy_start_time_seconds",
            "gauge",
            "When the balancer started, in seconds since 1970.",
            (),
            {(): parent.started},
        ),
        Family(
            "lbproxy_build_info",
            "gauge",
            "1, with what was built as labels.",
            ("version",),
            {(__version__,): 1},
        ),
    ]


class _QuietSite(Site):
    noisy = False

    def log(self, request: Any) -> None:
        """Whoever scrapes comes again and again."""


class AdminService(Service):
    """Binds early, like the public listeners, and answers from the start."""

    log = Logger()

    def __init__(self, reactor: Any, config: Admin, parent: Parent) -> None:
        self._reactor = reactor
        self._config = config
        self._parent = parent
        self._port: Any = None

    def privilegedStartService(self) -> None:
        """Bind.

        Raises:
            ConfigError: If that is not possible, with the address, who holds it, and the knob.
        """
        super().privilegedStartService()
        site = _QuietSite(Pages(self._parent).app.resource(), reactor=self._reactor)
        failures: list[Failure] = []
        listening = serverFromString(self._reactor, self._config.endpoint).listen(site)
        listening.addCallbacks(self._bound, failures.append)
        for failure in failures:
            told = cannot_listen("admin.endpoint", self._config.endpoint, failure)
            raise ConfigError(f"{told}, or set admin = false")

    def startService(self) -> None:
        """Say where it is."""
        super().startService()
        host = self._port.getHost()
        where = f"{getattr(host, 'host', '')}:{getattr(host, 'port', '')}"
        self.log.info("metrics are at http://{where}/metrics", where=where)

    def stopService(self) -> Deferred[None]:
        """Answer nobody any more. Fires when the port is closed."""
        super().stopService()
        port, self._port = self._port, None
        closed = maybeDeferred(lambda: None if port is None else port.stopListening())
        return closed.addCallback(lambda _: None)

    def _bound(self, port: Any) -> None:
        self._port = port
