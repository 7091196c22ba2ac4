"""The end of a worker: no new clients, then what runs, then all that is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.config.model import Stop
from lbproxy.proxy.listener import ListenerService
from lbproxy.proxy.site import Site


class Drain:
    """Happens once, however often it is asked for.

    Attributes:
        begun: Whether it has begun.
        stop: As in the config.
        ended: Fires when all has ended.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        site: Site,
        listeners: Iterable[ListenerService],
        stop: Stop,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """Prepare.

        Args:
            clock: Provides the time.
            site: Its connections may finish what runs.
            listeners: Refuse new clients.
            stop: For how long what runs may go on.
            close: Is called when the last connection has ended.
        """
        self._clock = clock
        self._site = site
        self._listeners = listeners
        self.stop = stop
        self._close = close
        self.begun = False
        self.ended: Deferred[None] = Deferred()

    def begin(self) -> None:
        """Begin, unless that was done before."""
        if not self.begun:
            self.begun = True
            Deferred.fromCoroutine(self._run()).addErrback(self._broke).chainDeferred(self.ended)

    async def _run(self) -> None:
        if self._site.clients:
            self.log.info(
                "finishing what runs; connections: {clients}, streams among them: {streams}",
                clients=self._site.clients,
                streams=len(self._site.spread),
            )
        drained = self._site.drain(self.stop.spread)
        hard_stop: IDelayedCall = self._clock.callLater(self.stop.drain, self._cut)
        await gatherResults([listener.stopService() for listener in self._listeners])
        await drained
        if hard_stop.active():
            hard_stop.cancel()
        await self._close()

    def _cut(self) -> None:
        if self._site.clients:
            self.log.warn(
                "stop.drain: {seconds} s are over; connections that are cut: {clients}",
                clients=self._site.clients,
                seconds=self.stop.drain,
            )
        self._site.abort()

    def _broke(self, failure: Failure) -> None:
        self.log.failure("the end was not in order", failure)
