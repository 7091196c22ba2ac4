"""The service that serves clients, and tells its parent what it sees."""

from __future__ import annotations

import os
import random
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.balance.pool import Backend, Pool
from lbproxy.balance.registry import balancer_for
from lbproxy.balance.standing import Standing
from lbproxy.control import report
from lbproxy.control.link import Duty, Load, Names, ParentEnd, Whole
from lbproxy.observe.accesslog import AccessLog
from lbproxy.observe.metrics import Metrics
from lbproxy.plugins import balancer_maker
from lbproxy.proxy.listener import ListenerService
from lbproxy.proxy.site import Site
from lbproxy.proxy.upstreams import Upstreams, trusts_of
from lbproxy.transport.timer import CoarseTimer
from lbproxy.worker.drain import Drain

#: Seconds from one telling of what was counted to the next: what a worker that is killed takes
#: with it.
TICK = 1.0


class Worker(MultiService):
    """Everything between the clients and the backends.

    Attributes:
        pid: Of its process.
        link: The parent; set before the service starts.
        drained: Fires when all has ended, after `drain`.
    """

    log = Logger()
    link: ParentEnd

    def __init__(self, reactor: Any, duty: Duty, chance: random.Random) -> None:
        """Build all from a duty; nothing starts yet.

        Args:
            reactor: Network and time.
            duty: What to do.
            chance: All chance is drawn from it.

        Raises:
            ConfigError: If a folder cannot be served, or a certificate not be used.
        """
        super().__init__()
        config = duty.config
        self.pid = os.getpid()
        self._clock = IReactorTime(reactor)
        self._duty = duty
        self._timer = CoarseTimer(reactor)
        self._access_log = AccessLog(self._timer, config.access_log, duty.access_log)
        self._metrics = Metrics()
        self._pools = {
            pool.name: Pool(
                pool, balancer_for(pool, chance, balancer_maker), duty.started, duty.workers
            )
            for pool in config.pools
        }
        for pool in self._pools.values():
            self._connect(pool)
        self._upstreams = {
            name: Upstreams(reactor, self._timer, pool, trusts_of(pool.config), duty.workers)
            for name, pool in self._pools.items()
        }
        self._site = Site(
            reactor,
            self._timer,
            config,
            self._upstreams,
            self._access_log,
            self._metrics,
            self.health,
            chance,
        )
        queues = duty.queues or ((),) * len(config.listeners)
        self._listeners = [
            ListenerService(reactor, self._site, listener, descriptors)
            for listener, descriptors in zip(config.listeners, queues, strict=True)
        ]
        self._whole = Whole()
        self._tick = LoopingCall(self._tell_counts)
        self._tick.clock = self._clock
        self._drain = Drain(
            self._clock, self._site, self._listeners, config.stop.drain, self._close
        )
        self.drained = self._drain.ended
        self._ending = self._telling = False
        for part in (self._timer, self._access_log, *self._listeners):
            IService(part).setServiceParent(self)

    # What the parent asks for (`WorkerEnd`).

    def start(self) -> None:
        """Say that clients could be accepted, and where."""
        self._tick.start(TICK, now=False).addErrback(self._broke)
        self.link.ready([listener.greeting for listener in self._listeners])

    def learn(self, names: Names, standing: Standing) -> None:
        """A backend's standing has changed."""
        pool = self._pools[names[0]]
        backend = next(each for each in pool.backends if each.name == names[1])
        pool.learn(backend, standing, self._clock.seconds())

    def accept(self, queues: frozenset[int]) -> None:
        """Accept clients from these workers' queues, and from no others."""
        for listener in self._listeners:
            listener.accept(queues)

    def hear(self, whole: Whole) -> None:
        """What there is to report of the others."""
        self._whole = whole

    def count(self) -> Deferred[Any]:
        """Tell what has been counted now."""
        now = self._clock.seconds()
        load = Load(
            {
                (name, backend.name): backend.in_flight
                for name, pool in self._pools.items()
                for backend in pool.backends
                if backend.in_flight
            },
            {name: len(upstreams.waiting) for name, upstreams in self._upstreams.items()},
            self._site.clients,
            {name: pool.alike(now) for name, pool in self._pools.items()},
        )
        return self.link.counted(self._metrics.take(), load)

    def drain(self) -> None:
        """Finish what runs, then end; the health report says so."""
        self._ending = True
        self._drain.begin()

    def end(self) -> None:
        """End what runs now, whole or not, and then all."""
        self._drain.begin()
        self._site.abort()

    def kill(self) -> None:
        """End what runs: there is no process to kill but the parent's."""
        self.end()

    # What a worker that has a process does by itself.

    def leave(self) -> None:
        """Finish what runs, then end; another worker takes the place."""
        self.link.leaving()
        self._drain.begin()

    def health(self) -> tuple[int, bytes]:
        """The health report of the whole, as far as it is known here: status and document."""
        now = self._clock.seconds()
        whole = self._whole
        return report.health(
            report.document(
                self._pools.values(),
                self._duty.started,
                now,
                self._ending,
                whole.workers,
                whole.elsewhere,
            )
        )

    # The rest is ours.

    def _connect(self, pool: Pool) -> None:
        """What live traffic shows is for the parent to judge."""

        def suspect(backend: Backend) -> None:
            self.link.suspect((pool.name, backend.name))

        def outlier(backend: Backend, now: float) -> None:
            self.link.outlier((pool.name, backend.name))

        pool.on_suspect = suspect
        pool.on_outlier = outlier

    def _tell_counts(self) -> None:
        if self._telling:  # The parent is behind: what is counted meanwhile goes with the next.
            return
        self._telling = True
        telling = self.count()
        telling.addErrback(lambda failure: None)  # It is gone, which its link has told already.
        telling.addCallback(self._told)

    def _told(self, _: object) -> None:
        self._telling = False

    async def _close(self) -> None:
        """The clients have gone: close what is left, and tell what was counted last."""
        if self._tick.running:
            self._tick.stop()
        for upstreams in self._upstreams.values():
            upstreams.close()
        await self.count().addErrback(lambda failure: None)
        await Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self.running:
            await self.stopService()

    def _broke(self, failure: Failure) -> None:
        """A LoopingCall dies of an exception: begin anew."""
        self.log.failure("telling what was counted failed", failure)
        if self.running:
            self._tick.start(TICK, now=False).addErrback(self._broke)
