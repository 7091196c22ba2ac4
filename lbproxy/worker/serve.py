"""The service that serves clients, and tells its parent what it sees."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.balance.backend import Backend
from lbproxy.balance.balancer import Balancer
from lbproxy.balance.pool import Pool
from lbproxy.balance.registry import balancer_for, same_policy
from lbproxy.balance.standing import Standing, State
from lbproxy.config import model
from lbproxy.config.dns_kinds import asked_of_dns
from lbproxy.config.model import Config
from lbproxy.control import report
from lbproxy.control.link import Duty, Load, Names, ParentEnd, Whole
from lbproxy.observe.accesslog import AccessLog
from lbproxy.observe.metrics import Metrics
from lbproxy.plugins import balancer_maker
from lbproxy.proxy.listener import ListenerService
from lbproxy.proxy.site import Folders, Site
from lbproxy.proxy.trusts import Trusts
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.transport.identities import Identities
from lbproxy.transport.timer import CoarseTimer
from lbproxy.transport.trust import Trust
from lbproxy.worker.drain import Drain

#: Seconds from one telling of what was counted to the next: what a worker that is killed takes
#: with it.
TICK = 1.0

#: Descriptors of listening sockets, by endpoint.
Doors = Mapping[str, Sequence[int]]

_NO_DOORS: Doors = {}


@attrs.frozen
class Next:
    """All of a config that may turn out not to be had: it is there before anything changes.

    Attributes:
        config: To be served soon.
        policies: By pool, where it is to be another one than before.
        trusts: By pool, what its backends have to show.
        folders: By path.
        identities: By endpoint, the certificates of listeners that stay.
    """

    config: Config
    policies: dict[str, Balancer]
    trusts: dict[str, dict[str, Trust]]
    folders: Folders
    identities: dict[str, Identities | None]


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
        self._reactor = reactor
        self._chance = chance
        self._clock = IReactorTime(reactor)
        self._duty = duty
        self._timer = CoarseTimer(reactor)
        self._access_log = AccessLog(self._timer, config.access_log, duty.access_log)
        self._metrics = Metrics()
        self._trusts = Trusts()
        self._upstreams = {
            pool.name: self._new_pool(pool, self._policy(pool), self._trusts.of(pool))
            for pool in config.pools
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
        self._listeners = {
            listener.endpoint: ListenerService(reactor, self._site, listener, descriptors)
            for listener, descriptors in zip(config.listeners, queues, strict=True)
        }
        self._opened: dict[str, ListenerService] = {}
        self._next: Next | None = None
        self._queues: frozenset[int] = frozenset()
        self._whole = Whole()
        self._tick = LoopingCall(self._tell_counts)
        self._tick.clock = self._clock
        self._drain = Drain(
            self._clock, self._site, self._listeners.values(), config.stop, self._close
        )
        self.drained = self._drain.ended
        self._ending = self._telling = self._closed = False
        for part in (self._timer, self._access_log, *self._listeners.values()):
            IService(part).setServiceParent(self)

    # What the parent asks for (`WorkerEnd`).

    def start(self) -> None:
        """Say that clients could be accepted, and where."""
        self._tick.start(TICK, now=False).addErrback(self._broke)
        self.link.ready(self._addresses())

    def prepare(self, config: Config, doors: Doors) -> None:
        """Open and read what is new in a config which is to be served soon.

        Args:
            config: It.
            doors: The sockets of endpoints that another process has bound, by endpoint.

        Raises:
            ConfigError: If that is not possible; then nothing is opened.
        """
        try:
            self._open(config, doors)
            self._next = Next(
                config,
                self._new_policies(config),
                {pool.name: self._trusts.of(pool) for pool in config.pools},
                self._site.folders(config),
                {
                    each.endpoint: self._listeners[each.endpoint].identities(each)
                    for each in config.listeners
                    if each.endpoint in self._listeners
                },
            )
        except Exception:  # A user's own policy may raise anything.
            self.give_up()
            raise

    def give_up(self) -> None:
        """Close what `prepare` has opened."""
        self._next = None
        while self._opened:
            self._opened.popitem()[1].stopService()

    def serve(
        self,
        config: Config,
        standings: Mapping[Names, Standing],
        doors: Doors = _NO_DOORS,
    ) -> None:
        """Serve by another config from now on.

        What is not changed by it goes on as if nothing had been: connections, queues, streams. Who
        drains has no listeners any more, but what runs here may still be tried elsewhere.

        Args:
            config: It; what was prepared for it is used.
            standings: How all of its backends stand.
            doors: As for `prepare`.

        Raises:
            ConfigError: If it was not prepared, and cannot be had; then nothing has changed.
        """
        if self._closed:  # Its process is about to end: nobody would close what it makes now.
            _close(doors)
            return
        if self._next is None or self._next.config is not config:
            self.prepare(config, doors)
        prepared, self._next = self._next, None
        assert prepared is not None
        accepts = not self._drain.begun
        self._serve_pools(prepared)
        self._site.serve(config, prepared.folders, self._upstreams)
        if accepts:
            self._serve_listeners(prepared)
        self._duty = attrs.evolve(self._duty, config=config)
        self._drain.stop = config.stop
        for names, standing in standings.items():
            self.learn(names, standing)
        if accepts:
            self.link.listening(self._addresses())

    def reopen(self, access_log: int | None = None) -> None:
        """Write the access log to where the config says now: to a new file, if it was rotated.

        Args:
            access_log: Its descriptor, or `None` to open it.

        Raises:
            OSError: If it cannot be opened; then all goes to the one before.
        """
        self._access_log.renew(self._duty.config.access_log, access_log)

    def learn(self, names: Names, standing: Standing) -> None:
        """A backend's standing has changed."""
        upstreams = self._upstreams.get(names[0])
        backend = None if upstreams is None else upstreams.pool.find(names[1])
        if upstreams is not None and backend is not None:
            upstreams.pool.learn(backend, standing, self._clock.seconds())

    def accept(self, queues: frozenset[int]) -> None:
        """Accept clients from these workers' queues, and from no others."""
        self._queues = queues
        for listener in self._listeners.values():
            listener.accept(queues)

    def hear(self, whole: Whole) -> None:
        """What there is to report of the others."""
        self._whole = whole

    def count(self) -> Deferred[Any]:
        """Tell what has been counted now."""
        now = self._clock.seconds()
        breakers = {name: each.pool.breaker for name, each in self._upstreams.items()}
        load = Load(
            {
                (name, backend.name): backend.in_flight
                for name, upstreams in self._upstreams.items()
                for backend in upstreams.pool.backends
                if backend.in_flight
            },
            {name: len(upstreams.waiting) for name, upstreams in self._upstreams.items()},
            self._site.clients,
            {name: upstreams.pool.alike(now) for name, upstreams in self._upstreams.items()},
            {name: state for name, state in breakers.items() if state},
        )
        return self.link.counted(self._metrics.take(), load)

    def drain(self) -> None:
        """Finish what runs, then end; the health report says so."""
        self._ending = True
        self._drain.begin()

    def end(self) -> None:
        """End what runs now, whole or not, and then all."""
        self._drain.begin()
        self._site.abort("cut, since the balancer was told to end at once")

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
                [upstreams.pool for upstreams in self._upstreams.values()],
                self._duty.started,
                now,
                self._ending,
                whole.workers,
                whole.elsewhere,
            )
        )

    # The rest is ours.

    def _policy(self, config: model.Pool) -> Balancer:
        return balancer_for(config, self._chance, balancer_maker, self._complain)

    def _complain(self, what: str) -> None:
        self.log.error("{what}", what=what)

    def _new_policies(self, config: Config) -> dict[str, Balancer]:
        before = {name: each.pool.config for name, each in self._upstreams.items()}
        return {
            pool.name: self._policy(pool)
            for pool in config.pools
            if pool.name not in before or not same_policy(before[pool.name], pool)
        }

    def _new_pool(
        self, config: model.Pool, policy: Balancer, trusts: Mapping[str, Trust]
    ) -> Upstreams:
        pool = Pool(config, policy, self._duty.started, self._duty.workers)
        for backend in pool.backends:
            if asked_of_dns(backend.config.address):  # A name is none to connect to, whoever is up.
                down = attrs.evolve(pool.standing(backend), state=State.DOWN, reached=False)
                pool.learn(backend, down, self._clock.seconds())
        self._connect(pool)
        upstreams = Upstreams(self._reactor, self._timer, pool, trusts, self._duty.workers)
        upstreams.on_open = partial(self._metrics.opened, pool.name)
        return upstreams

    def _open(self, config: Config, doors: Doors) -> None:
        if self._drain.begun:
            _close(doors)
            return
        for listener in config.listeners:
            if listener.endpoint in self._listeners or listener.endpoint in self._opened:
                continue
            sockets = doors.get(listener.endpoint, ())
            opened = ListenerService(self._reactor, self._site, listener, sockets)
            opened.privilegedStartService()
            self._opened[listener.endpoint] = opened

    def _serve_pools(self, prepared: Next) -> None:
        now = self._clock.seconds()
        before, self._upstreams = self._upstreams, {}
        for pool in prepared.config.pools:
            policy, trusts = prepared.policies.get(pool.name), prepared.trusts[pool.name]
            upstreams = before.pop(pool.name, None)
            if upstreams is not None:
                upstreams.reconfigure(pool, policy, trusts, now)
            else:
                assert policy is not None
                upstreams = self._new_pool(pool, policy, trusts)
            self._upstreams[pool.name] = upstreams
        for upstreams in before.values():
            upstreams.close()

    def _serve_listeners(self, prepared: Next) -> None:
        """Those that are new begin, those that are gone end, and the rest may be changed."""
        before = dict(self._listeners)
        self._listeners.clear()
        for listener in prepared.config.listeners:
            service = before.pop(listener.endpoint, None)
            if service is not None:
                service.reconfigure(listener, prepared.identities[listener.endpoint])
            else:
                service = self._opened.pop(listener.endpoint)
                IService(service).setServiceParent(self)
                service.accept(self._queues)
            self._listeners[listener.endpoint] = service
        for endpoint, service in before.items():
            service.disownServiceParent()
            self._site.drain_endpoint(endpoint)

    def _addresses(self) -> dict[str, str]:
        return {each.listener_name: each.address for each in self._listeners.values()}

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
        self._closed = True
        if self._tick.running:
            self._tick.stop()
        for upstreams in self._upstreams.values():
            upstreams.close()
        await self.count().addErrback(lambda failure: None)  # Who is gone asks for no counts.
        await Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self.running:
            await self.stopService()

    def _broke(self, failure: Failure) -> None:
        """A LoopingCall dies of an exception: begin anew."""
        self.log.failure("telling what was counted failed", failure)
        if self.running:
            self._tick.start(TICK, now=False).addErrback(self._broke)


def _close(doors: Doors) -> None:
    """Close the sockets that nobody will accept from here."""
    for descriptors in doors.values():
        for descriptor in descriptors:
            os.close(descriptor)
