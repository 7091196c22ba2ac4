"""The service behind `twistd lbproxy`: wires all, and alone imports the reactor."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from lbproxy.balance.balancer import balancer_named
from lbproxy.balance.pool import Pool
from lbproxy.config.model import Config
from lbproxy.control import report
from lbproxy.errors import ConfigError
from lbproxy.observe.accesslog import AccessLog
from lbproxy.options import Options
from lbproxy.preface.proxy_protocol import LOCAL
from lbproxy.probe.checks import Check, http_check, tcp_check
from lbproxy.probe.prober import Prober
from lbproxy.proxy.listener import ListenerService
from lbproxy.proxy.site import Site
from lbproxy.proxy.upstreams import Upstreams, trusts_of
from lbproxy.transport.heap import keep_freed
from lbproxy.transport.timer import CoarseTimer
from lbproxy.transport.trust import Trust

if TYPE_CHECKING:
    from lbproxy.control.backends import Backends

__all__ = ["Balancer", "Options", "makeService"]


class Balancer(MultiService):
    """Everything that one process runs."""

    log = Logger()

    def __init__(
        self, reactor: Any, config: Config, chance: random.Random, backends: Backends | None = None
    ) -> None:
        """Build all from a config; nothing starts yet.

        Args:
            reactor: Network and time.
            config: What to run.
            chance: All chance is drawn from it.
            backends: The shop's two backends, if they are to be run too.
        """
        super().__init__()
        self._reactor = reactor
        self._config = config
        self._started = reactor.seconds()
        self._timer = CoarseTimer(reactor)
        self._access_log = AccessLog(self._timer, config.access_log)
        self._pools = [
            Pool(pool, balancer_named(pool.balancer)(chance), self._started)
            for pool in config.pools
        ]
        trusts = {pool.name: trusts_of(pool) for pool in config.pools}
        self._probers = [
            Prober(reactor, pool, self._check_of(pool, trusts[pool.name]), chance)
            for pool in self._pools
        ]
        self._upstreams = {
            pool.name: Upstreams(reactor, self._timer, pool, trusts[pool.name])
            for pool in self._pools
        }
        self._site = Site(
            reactor, self._timer, config, self._upstreams, self._access_log, self._health, chance
        )
        self._listeners = [
            ListenerService(reactor, self._site, listener) for listener in config.listeners
        ]
        self._backends = backends
        self._hard_stop: IDelayedCall | None = None
        parts: list[Any] = [self._timer, self._access_log, *self._listeners, *self._probers]
        for part in parts if backends is None else [backends, *parts]:
            IService(part).setServiceParent(self)

    def privilegedStartService(self) -> None:
        """Bind the ports and open the log."""
        try:
            super().privilegedStartService()
        except (ConfigError, OSError) as error:
            # Out of twistd the way a user's mistake goes: one line, and status 1.
            raise SystemExit(f"lbproxy: {error}") from None

    def startService(self) -> None:
        """Start all; clients are accepted when each backend has its first verdict."""
        super().startService()
        first = gatherResults([prober.first_round() for prober in self._probers])
        first.addCallback(self._accept)
        first.addErrback(lambda failure: self.log.failure("cannot accept", failure))

    def stopService(self) -> Deferred[None]:
        """Refuse new clients, finish what runs, then end."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.running = False
        drained = self._site.drain()
        drain = self._config.stop.drain
        self._hard_stop = self._reactor.callLater(drain, self._site.abort)
        await gatherResults([listener.stopService() for listener in self._listeners])
        await drained
        if self._hard_stop.active():
            self._hard_stop.cancel()
        for upstreams in self._upstreams.values():
            upstreams.close()
        await gatherResults([prober.stopService() for prober in self._probers])
        self._access_log.stopService()
        self._timer.stopService()
        if self._backends is not None:
            await self._backends.stopService()

    def _check_of(self, pool: Pool, trusts: Mapping[str, Trust]) -> Check:
        """How a pool is probed: where only sessions go, by connecting, unless a path is given."""
        config = pool.config
        asks = config.health is not None and config.health.path is not None
        if asks or config.name not in self._config.stream_pools:
            return http_check(self._reactor, trusts)
        version = config.send_proxy
        return tcp_check(self._reactor, b"" if version is None else LOCAL[version])

    def _accept(self, _: object) -> None:
        for listener in self._listeners:
            listener.accept()

    def _health(self) -> tuple[int, bytes]:
        now = self._reactor.seconds()
        return report.health(self._pools, self._started, now, self._site.draining)

    def end_now(self) -> None:
        """End what runs, whole or not."""
        self._site.abort()


def _heed_signals(reactor: Any, balancer: Balancer) -> None:
    """Stop in order at the first signal, with exit status 0, and at once at the second.

    Twisted's own handler would have twistd end as if the signal had killed it.
    """
    seen = False

    def heed(number: int, frame: object) -> None:
        nonlocal seen
        if seen:
            Balancer.log.warn("a second signal: ending what runs")
            reactor.callFromThread(balancer.end_now)
        else:
            seen = True
            reactor.callFromThread(reactor.stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, heed)


def makeService(options: Options) -> Balancer:
    """Build the service for twistd.

    Args:
        options: The command line, checked.

    Raises:
        SystemExit: With what only building it shows to be wrong, and status 1.
    """
    keep_freed()
    with suppress(ImportError):  # There is a platform without epoll.
        from lbproxy.transport.reactor import prefer

        prefer()
    from twisted.internet import reactor

    backends = None
    if options["with-backends"]:
        from lbproxy.control.backends import Backends  # It imports the reactor.

        terminal = sys.__stdout__
        coloured = terminal is not None and terminal.isatty()
        backends = Backends(reactor, terminal if coloured else None)
    try:
        balancer = Balancer(reactor, options.settings, random.Random(), backends)
    except ConfigError as error:
        raise SystemExit(f"lbproxy: {error}") from None
    running: Any = reactor
    # Twisted puts up its own handlers when it starts: ours come after.
    running.callWhenRunning(_heed_signals, reactor, balancer)
    return balancer
