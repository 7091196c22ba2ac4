"""A pool at work: its backends' connections, its queue, its retry budget."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from lbproxy.balance.pool import Backend, Pool
from lbproxy.config import model
from lbproxy.errors import ConfigError, Drained, NoBackend
from lbproxy.forward.budget import RetryBudget
from lbproxy.proxy.idle import Connections
from lbproxy.proxy.queue import WaitingRoom
from lbproxy.transport.certificates import BadCertificate, client_context
from lbproxy.transport.connect import Dialled, connect
from lbproxy.transport.timer import CoarseTimer
from lbproxy.transport.trust import Trust


def trusts_of(config: model.Pool) -> dict[str, Trust]:
    """How those backends of a pool that speak TLS do that, by name.

    Raises:
        ConfigError: If a file of authorities cannot be used any more.
    """
    contexts: dict[bool | str, ssl.SSLContext] = {}
    trusts = {}
    for backend in config.backends:
        tls = config.tls_of(backend)
        if tls is None:
            continue
        if tls.verify not in contexts:
            try:
                contexts[tls.verify] = client_context(tls.verify)
            except BadCertificate as error:
                raise ConfigError(f"pools.{config.name}.verify: {error}") from None
        trusts[backend.name] = Trust(contexts[tls.verify], tls.name)
    return trusts


P = TypeVar("P", bound=Dialled)


class Upstreams:
    """What the exchanges of one pool share.

    Attributes:
        pool: Decides which backend is next.
        waiting: Requests for which no backend has room.
        budget: How many retries there may be.
        connections: Those of each backend.
    """

    def __init__(
        self,
        reactor: Any,
        timer: CoarseTimer,
        pool: Pool,
        trusts: Mapping[str, Trust] | None = None,
        workers: int = 1,
    ) -> None:
        """Build; nothing is connected yet.

        Args:
            reactor: Network and time.
            timer: Watches the deadlines.
            pool: Decides which backend is next.
            trusts: How those of its backends that speak TLS do that, as `trusts_of` gave it.
            workers: Among how many processes the retries of small traffic are divided.
        """
        config = pool.config
        trusts = trusts or {}
        self.pool = pool
        pool.on_turn = self._turned
        pool.on_weigh = self._weighed
        self._reactor = reactor
        self._trusts = trusts
        self._clock = IReactorTime(reactor)
        self.waiting = WaitingRoom(self._clock, timer, config.name, config.queue)
        self.budget = RetryBudget(config.retry.budget, workers)
        self.connections = {
            backend: Connections(
                reactor, timer, backend.config, config.timeouts, trusts.get(backend.name)
            )
            for backend in pool.backends
        }

    def dial(self, backend: Backend, build: Callable[[], P]) -> Deferred[P]:
        """A connection to a backend that is not kept for others, or `ConnectFailed`."""
        timeout = self.pool.config.timeouts.connect
        trust = self._trusts.get(backend.name)
        return connect(self._reactor, backend.config.address, build, timeout, trust)

    def nobody(self) -> NoBackend:
        """What a client is told if no backend can answer."""
        name = self.pool.name
        if self.pool.drained():
            return Drained(f'What could answer of pool "{name}" is drained.')
        return NoBackend(f'No backend of pool "{name}" can answer now.')

    def release(self, backend: Backend) -> None:
        """An exchange is done with a backend; the first that can make use of it goes there."""
        self.pool.release(backend)
        if self.waiting:
            self.waiting.admit_next(self.pool.saturated)

    def close(self) -> None:
        """Close the idle connections."""
        self.waiting.close()
        for connections in self.connections.values():
            connections.close()

    def _turned(self, backend: Backend, detail: str) -> None:
        self._returned(backend)

    def _weighed(self, backend: Backend) -> None:
        self.connections[backend].keep(not backend.draining)
        self._returned(backend)

    def _returned(self, backend: Backend) -> None:
        if backend.available and self.waiting:
            # Not at once: it may be a choice, under way, that has let the backend back.
            self._clock.callLater(0.0, self._admit)

    def _admit(self) -> None:
        while self.waiting.admit_next(self.pool.saturated):
            pass
