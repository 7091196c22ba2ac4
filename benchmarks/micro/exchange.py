"""Whole exchanges in memory: all the Python of a request between its two connections."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import finalize

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.config import model
from lbproxy.http1.cache import HeadCache
from lbproxy.http1.message import RequestHead
from lbproxy.http1.parser import ResponseHeads
from lbproxy.observe.accesslog import AccessLog
from lbproxy.observe.metrics import Metrics
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.site import Site
from lbproxy.proxy.upstream import Upstream
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.transport.timer import CoarseTimer

#: Requests that are under way together, as when a reactor gives many events at a time.
TOGETHER = 64


class _Wire:
    """A connection that takes everything at once, and keeps nothing."""

    def __init__(self, protocol: Any, written: Callable[[], object] | None = None) -> None:
        """Connect.

        Args:
            protocol: Whose connection it is.
            written: Called when it has been written to.
        """
        self._written = written
        self.disconnected = False
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        """Take it."""
        if self._written is not None:
            self._written()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Nobody is ever behind."""

    def is_quiet(self) -> bool:
        """Nothing comes unasked."""
        return True

    def getPeer(self) -> None:
        """It is from nowhere."""


class Exchanges:
    """A balancer between connections in memory, with its access log and its metrics."""

    def __init__(self) -> None:
        """Connect."""
        clock = Clock()
        timer = CoarseTimer(clock)
        backends = tuple(
            model.Backend(name, f"{name}:80", server="klein") for name in ("first", "second")
        )
        pool = Pool(model.Pool("api", backends, health=None), RoundRobin(), 0.0)
        upstreams = Upstreams(clock, timer, pool)
        listener = model.Listener("web", "tcp:0")
        config = model.Config((listener,), (model.Route("/", pool="api"),))
        log = AccessLog(timer, os.devnull)
        log.privilegedStartService()
        finalize(self, log.stopService)
        site = Site(
            clock,
            timer,
            config,
            {"api": upstreams},
            log,
            Metrics(),
            lambda: (200, b"{}"),
            random.Random(0),
        )
        heads: HeadCache[RequestHead] = HeadCache()
        self._clients = [Downstream(site, listener, heads) for _ in range(TOGETHER)]
        for client in self._clients:
            _Wire(client)
        self._asked: list[Upstream] = []
        for connections in upstreams.connections.values():
            known = ResponseHeads()
            for _ in range(TOGETHER):
                upstream = Upstream(clock, timer, pool.config.timeouts, connections, known)
                upstream.connected_by = Deferred()
                _Wire(upstream, partial(self._asked.append, upstream))
                connections.put(upstream)

    def run(self, requests: list[bytes], answers: list[bytes]) -> list[int]:
        """Let requests come, `TOGETHER` at a time, and then their answers.

        Returns:
            The status of each that was answered.
        """
        statuses = []
        for begin in range(0, len(requests), TOGETHER):
            end = begin + TOGETHER
            for client, request in zip(self._clients, requests[begin:end], strict=False):
                client.dataReceived(request)
            asked, self._asked[:] = [*self._asked], []
            for upstream, answer in zip(asked, answers[begin:end], strict=True):
                upstream.dataReceived(answer)
            statuses += [client.record.status for client in self._clients[: len(asked)]]
        return statuses
