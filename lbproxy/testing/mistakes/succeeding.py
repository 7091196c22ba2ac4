"""Mistakes about those who come while another balancer takes the place of one that ends."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.listener import ListenerService
from lbproxy.testing.mistakes.registry import Put, mutation
from lbproxy.transport.passed import PassedEndpoint
from lbproxy.worker.drain import Drain


@mutation
def a_stop_ends_a_passed_socket(put: Put) -> None:
    right = PassedEndpoint._take

    def wrong(self: Any, factory: Any) -> Any:
        port = right(self, factory)
        if port is not None:
            port._shouldShutdown = True
        return port

    put(PassedEndpoint, "_take", wrong)


@mutation
def a_stop_ends_who_waits(put: Put) -> None:
    right = ListenerService.stopService

    def wrong(self: Any) -> Any:
        for acceptor in self._acceptors:
            with suppress(BlockingIOError):
                while True:
                    acceptor._listening.accept()[0].close()
        return right(self)

    put(ListenerService, "stopService", wrong)


@mutation
def who_has_just_come_is_not_awaited(put: Put) -> None:
    def wrong(self: Any) -> None:
        self._leaving = True
        if self._answerer is not None:
            self._persist = False
        elif not self._parser.mid_message:
            self._close()

    put(Downstream, "drain", wrong)


@mutation
def who_ends_accepts_on(put: Put) -> None:
    async def wrong(self: Any) -> None:
        drained = self._site.drain(self.stop.spread)
        due = self._clock.callLater(self.stop.drain, self._cut)
        await drained
        if due.active():
            due.cancel()
        for listener in self._listeners:
            await listener.stopService()
        await self._close()

    put(Drain, "_run", wrong)
