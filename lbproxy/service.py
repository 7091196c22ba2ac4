"""The service behind `twistd lbproxy`: wires all, and alone imports the reactor."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from lbproxy.config.model import DNS, Config, Pool
from lbproxy.control.children import Children
from lbproxy.control.link import Duty, WorkerEnd
from lbproxy.control.parent import Parent
from lbproxy.control.reload import Reloader
from lbproxy.control.seat import Occupant
from lbproxy.discovery.answer import Resolver
from lbproxy.discovery.resolver import SystemResolver
from lbproxy.discovery.service import Discovery
from lbproxy.errors import ConfigError, ReloadRefused, UnknownBackend
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.options import Options
from lbproxy.preface.proxy_protocol import LOCAL
from lbproxy.probe.checks import Check
from lbproxy.probe.choice import check_of
from lbproxy.proxy.trusts import Trusts
from lbproxy.static.files import Folder
from lbproxy.transport.heap import keep_freed
from lbproxy.transport.output import free_stdout, goes_nowhere
from lbproxy.worker.serve import Worker

if TYPE_CHECKING:
    from lbproxy.control.admin import AdminService
    from lbproxy.control.backends import Backends

__all__ = ["Balancer", "Options", "makeService"]


class Alone:
    """The one worker of a balancer that is one process: it and its parent call each other."""

    def __init__(self, reactor: Any, config: Config, chance: random.Random) -> None:
        """Build it; nothing starts yet.

        Args:
            reactor: Network and time.
            config: What to serve.
            chance: All chance is drawn from it.
        """
        duty = Duty(config, started=reactor.seconds())
        self._worker = Worker(reactor, duty, chance)

    def bind(self) -> None:
        """Bind the ports and open the log."""
        self._worker.privilegedStartService()

    def prepare(self, config: Config) -> None:
        """Open the listeners that are new in a config."""
        self._worker.prepare(config, {})

    def give_up(self) -> None:
        """Close what `prepare` has opened."""
        self._worker.give_up()

    def adopt(self, config: Config) -> None:
        """There will be no other worker."""

    def reopen(self) -> None:
        """The worker opens its log by itself, when its parent says so."""

    def spawn(self, number: int, occupant: Occupant) -> WorkerEnd:
        """Give the worker its parent."""
        self._worker.link = occupant
        self._worker.drained.addCallback(lambda _: occupant.exited("in order"))
        self._worker.startService()
        return self._worker

    def close(self) -> None:
        """Refuse new clients, which the worker does by itself."""


class Balancer(MultiService):
    """Everything: the parent and its workers, here or in processes of their own."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: Config,
        chance: random.Random,
        backends: Backends | None = None,
        read: Callable[[], Config] | None = None,
        resolver_of: Callable[[DNS], Resolver] | None = None,
        file: str | None = None,
    ) -> None:
        """Build all from a config; nothing starts yet.

        Args:
            reactor: Network and time.
            config: What to run.
            chance: All chance is drawn from it.
            backends: The shop's two backends, if they are to be run too.
            read: Reads the config again, for a reload; by default it stays as it is.
            resolver_of: Makes what looks names up; by default that is as the system does it.
            file: The path of what `read` reads, for people.

        Raises:
            ConfigError: If a folder cannot be served, or a certificate not be used.
        """
        super().__init__()
        self._reactor = reactor
        self._trusts = Trusts()
        system: Callable[[DNS], Resolver] = partial(SystemResolver, reactor)
        self._discovery = Discovery(reactor, resolver_of or system, chance)
        self._discovery.take(config)  # Nothing is known before it runs.
        _check_folders(config)
        self._workers: Alone | Children = (
            Alone(reactor, config, chance) if config.workers == 1 else Children(reactor, config)
        )
        self.control = Parent(
            reactor,
            config,
            self._check_of,
            chance,
            self._workers,
            self._discovery.first_round,
        )

        def read_again() -> Config:
            found = config if read is None else read()
            _check_folders(found)
            return found

        self.reloader = Reloader(
            config, read_again, self._discovery.take, self.control, self._workers
        )
        self._discovery.changed = self.reloader.refresh
        self._discovery.unresolved = self._unresolved
        self._admin: AdminService | None = None
        if config.admin is not None:
            from lbproxy.control.admin import AdminService  # They import the reactor.
            from lbproxy.control.pages import Pages

            pages = Pages(self.control, self.reloader.reload, backends, file)
            self._admin = AdminService(reactor, config.admin, pages)
        self._backends = backends
        # Names come last: what is known of them at once is told to those who run already.
        for part in (self._admin, backends, self.control, self._discovery):
            if part is not None:
                part.setServiceParent(self)

    def privilegedStartService(self) -> None:
        """Bind the ports and open the log."""
        try:
            super().privilegedStartService()
            self._workers.bind()
        except (ConfigError, OSError) as error:
            # Out of twistd the way a user's mistake goes: one line, and status 1.
            raise SystemExit(f"lbproxy: {error}") from None

    def startService(self) -> None:
        """Start all parts."""
        try:
            super().startService()
        except ConfigError as error:
            raise SystemExit(f"lbproxy: {error}") from None

    def stopService(self) -> Deferred[None]:
        """Refuse new clients, finish what runs, then end."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.running = False
        drained = self.control.drain()
        self._workers.close()
        await self._discovery.stopService()
        await drained
        await self.control.stopService()
        if self._admin is not None:
            await self._admin.stopService()
        if self._backends is not None:
            await self._backends.stopService()

    def _check_of(self, config: Config, pool: Pool) -> Check:
        sessions = pool.name in config.stream_pools
        words = b"" if pool.send_proxy is None else LOCAL[pool.send_proxy]
        check = check_of(self._reactor, pool, sessions, self._trusts.of(pool), words)
        return self._discovery.checked(check)

    def _unresolved(self, pool: str, backend: str, outcome: ProbeOutcome) -> None:
        with suppress(UnknownBackend):  # It may be one that is served only soon.
            judged, found = self.control.find(backend, pool)
            judged.probed(found, outcome, outcome.at)

    def reload(self) -> None:
        """Read the config again, and have it served if all of it can be; the log says which."""
        reloaded = self.reloader.reload()
        reloaded.addErrback(lambda failure: failure.trap(ReloadRefused))
        reloaded.addErrback(lambda failure: self.log.failure("a reload failed", failure))

    def end_now(self) -> None:
        """End what runs, whole or not."""
        self.control.end_now()


def _check_folders(config: Config) -> None:
    """See that all folders can be served.

    Raises:
        ConfigError: If one cannot.
    """
    for route in config.routes:
        if route.static is not None:
            Folder(route.static)


def _heed_signals(reactor: Any, balancer: Balancer) -> None:
    """Stop in order at the first signal, with exit status 0, and at once at the second.

    Twisted's own handler would have twistd end as if the signal had killed it. SIGHUP has the
    config read again.
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

    def reload(number: int, frame: object) -> None:
        reactor.callFromThread(balancer.reload)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, heed)
    signal.signal(signal.SIGHUP, reload)


def _look_at_stdout(config: Config) -> None:
    """Say it if the access log goes nowhere: twistd without -n has no standard output."""
    if config.access_log == "-" and goes_nowhere():
        Balancer.log.warn(
            'access_log = "-": standard output is {nowhere}, so its lines are thrown away; name a'
            " file, or false for no log",
            nowhere=os.devnull,
        )


def makeService(options: Options) -> Balancer:
    """Build the service for twistd.

    Args:
        options: The command line, checked.

    Raises:
        SystemExit: With what only building it shows to be wrong, and status 1.
    """
    keep_freed()
    free_stdout()
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
        balancer = Balancer(
            reactor,
            options.settings,
            random.Random(),
            backends,
            options.read,
            file=options["config"],
        )
    except ConfigError as error:
        raise SystemExit(f"lbproxy: {error}") from None
    running: Any = reactor
    # Twisted puts up its own handlers when it starts: ours come after.
    running.callWhenRunning(_heed_signals, reactor, balancer)
    running.callWhenRunning(_look_at_stdout, options.settings)
    return balancer
